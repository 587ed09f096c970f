"""What benchmarks/operators.py measures: functions, points, and what is left out; without TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["jacobian", "hessian", "laplacian", "sparse"]
BATCHES = (1, 32, 1024)


@dataclass(frozen=True)
class Case:
    """A derivative of a function.

    Attributes:
        sizes: of a network of dense layers, tanh between them, from the inputs to the outputs; else empty.
        sample: the shape of one.
        batches: how many samples a call.
    """

    name: str
    title: str
    kind: Kind
    sizes: tuple[int, ...]
    sample: tuple[int, ...]
    batches: tuple[int, ...] = BATCHES

    def points(self, n: int) -> np.ndarray:
        """The same n samples for everyone."""
        return np.random.default_rng(0).uniform(-1, 1, (n, *self.sample)).astype(np.float32)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernels and biases of the dense layers, the same for everyone."""
        generator, pairs = np.random.default_rng(1), zip(self.sizes, self.sizes[1:], strict=False)
        return [
            (
                (generator.standard_normal((a, b)) / math.sqrt(a)).astype(np.float32),
                generator.uniform(-0.3, 0.3, b).astype(np.float32),
            )
            for a, b in pairs
        ]


def _dense(kind: Kind, inputs: int, outputs: int, width: int, batches: tuple[int, ...] = BATCHES) -> Case:
    sizes, letter = (inputs, width, width, outputs), {"jacobian": "mlp"}.get(kind, kind)
    return Case(f"{letter}-{inputs}-{outputs}-{width}", "-".join(map(str, sizes)), kind, sizes, (inputs,), batches)


JACOBIANS = (
    *(_dense("jacobian", i, o, width) for width in (64, 512) for i, o in ((2, 1), (6, 6), (100, 10), (10, 100))),
    Case("conv", "convolutions, 8×8 to 10", "jacobian", (), (8, 8, 1)),
    Case("lstm", "LSTM, 8 steps of 3 to 2", "jacobian", (), (8, 3)),
)
MARKS = (
    _dense("hessian", 10, 1, 64),
    _dense("laplacian", 50, 1, 64, (32, 1024)),
    Case("sparse", "Bratu, three diagonals", "sparse", (), (1000,), (1,)),
    Case("sparse-conv", "4 Conv1D, nine diagonals", "sparse", (), (1000, 1), (1,)),
)
CASES = {case.name: case for case in JACOBIANS + MARKS}


def reason_to_cut(case: Case, way: str, n: int) -> str | None:
    """Why a cell is not measured."""
    one_sample = way.startswith("`tape.jacobian`") and case.kind == "jacobian"
    if one_sample and n > 1:
        return "the derivative of each sample by all the others, nearly all zeros"
    return None


def keras_model(case: Case) -> Any:
    """The network in Keras."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    if case.sizes:
        *hidden, last = case.sizes[1:]
        model = keras.Sequential(
            [keras.Input(case.sample), *(layers.Dense(width, "tanh") for width in hidden), layers.Dense(last)]
        )
        model.set_weights([array for pair in case.weights() for array in pair])
        return model
    middle = {
        "conv": lambda: [
            layers.Conv2D(8, 3, padding="same", activation="tanh"),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="tanh"),
            layers.Flatten(),
            layers.Dense(10),
        ],
        "lstm": lambda: [layers.LSTM(16), layers.Dense(2)],
    }[case.name]()
    return keras.Sequential([keras.Input(case.sample), *middle])
