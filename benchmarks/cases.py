"""What is measured: models, the points they get, and what a point costs at least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import models  # type: ignore[import-not-found]  # of the tests
import numpy as np

ROOT = Path(__file__).resolve().parent.parent

Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """A model and a kind of derivative of it.

    Attributes:
        activation: of the hidden layers.
        make: the Keras model.
        low, high: of the points, in each input.
    """

    name: str
    title: str
    kind: str
    dtype: str
    activation: str
    make: Callable[[], Any]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def points(self, n: int) -> np.ndarray:
        """The same n points for everyone."""
        return np.random.default_rng(0).uniform(self.low, self.high, (n, len(self.low))).astype(self.dtype)

    def flops(self, layers: Layers) -> int:
        """Of the products at a point: value and Jacobian forward, or value, gradient backward and that forward."""
        first, *hidden, last = (kernel.size for kernel, _ in layers)
        inside, inputs = sum(hidden), layers[0][0].shape[0]
        if self.kind == "jacobian":
            return 2 * (first + (inputs + 1) * (inside + last))
        return 2 * (2 * first + 2 * inside + last + inputs * (2 * inside + first))


def dense_layers(model: Any) -> Layers:
    """Kernels and biases in float64, with a scaling before or after them multiplied in."""
    layers: Layers = []
    scale, offset = np.ones(()), np.zeros(())
    for layer in model.layers:
        if type(layer).__name__ == "Rescaling":
            # By Keras' own cast, which rounds to float32 on the way to float64.
            scale, offset = (np.asarray(keras.ops.cast(part, "float64")) for part in (layer.scale, layer.offset))
            if layers:
                kernel, bias = layers.pop()
                layers.append((kernel * scale, bias * scale + offset))
        elif layer.weights:
            kernel, bias = (np.asarray(w, np.float64) for w in layer.weights)
            if not layers:
                bias = bias + np.broadcast_to(offset, kernel.shape[:1]) @ kernel
                kernel = np.broadcast_to(scale, kernel.shape[:1])[:, None] * kernel
            layers.append((kernel, bias))
    return layers


def _water() -> Any:
    import tfgradkit as tgk

    return tgk.load(ROOT / "saved_models" / "water_eos.keras")


_LOW, _HIGH = (-1.5,) * 6, (1.5,) * 6
CASES = (
    Case(
        "mlp", "6-64-64-6 tanh, float32: value and Jacobian", "jacobian", "float32", "tanh",
        lambda: models.build(models.mlp(), "float32"), _LOW, _HIGH,
    ),
    Case(
        "mlp64", "6-64-64-6 tanh, float64: value and Jacobian", "jacobian", "float64", "tanh",
        lambda: models.build(models.mlp(), "float64"), _LOW, _HIGH,
    ),
    Case(
        "energy", "6-64-64-1 softplus, float32: value, gradient and Hessian", "hessian", "float32", "softplus",
        lambda: models.build(models.mlp(6, 1, 64, "softplus"), "float32"), _LOW, _HIGH,
    ),
    Case(
        "eos", "water, 2-24-24-24-2 tanh, float64: value and Jacobian", "jacobian", "float64", "tanh",
        _water, (660.0, 1.0), (1100.0, 500.0),
    ),
)  # fmt: skip
