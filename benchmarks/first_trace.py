"""What the first call of a Jacobian and a Hessian costs, by model, and a later eager call.

``python benchmarks/first_trace.py [ROUNDS]`` prints the smallest times. To compare two trees, run it on each in
turn (``PYTHONPATH=TREE``), several times: a machine's speed changes more from hour to hour than the trees differ.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import tfgradkit as tgk

layers = keras.layers


def mlp(depth: int = 2, width: int = 16) -> tuple[Any, Any]:
    """Dense layers."""
    hidden = [layers.Dense(width, activation="tanh") for _ in range(depth)]
    return keras.Sequential([layers.Input((6,)), *hidden, layers.Dense(3)]), _noise(4, 6)


def convolution() -> tuple[Any, Any]:
    """Two convolutions and a dense layer."""
    convolutions = [layers.Conv2D(4, 3, activation="softplus"), layers.Conv2D(4, 3, activation="softplus")]
    head = [layers.Flatten(), layers.Dense(3)]
    return keras.Sequential([layers.Input((8, 8, 1)), *convolutions, *head]), _noise(2, 8, 8, 1)


def recurrent() -> tuple[Any, Any]:
    """An LSTM, whose way leads through a loop."""
    return keras.Sequential([layers.Input((5, 2)), layers.LSTM(4), layers.Dense(2)]), _noise(2, 5, 2)


def several_inputs() -> tuple[Any, Any]:
    """A dict of two inputs."""
    inputs = {name: layers.Input((3,), name=name) for name in ("a", "b")}
    hidden = layers.Dense(8, activation="tanh")(layers.Concatenate()(list(inputs.values())))
    return keras.Model(inputs, layers.Dense(2)(hidden)), {name: _noise(4, 3) for name in inputs}


def attention() -> tuple[Any, Any]:
    """Self-attention over five steps."""
    x = layers.Input((5, 4))
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(y))), _noise(2, 5, 4)


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "MLP": mlp,
    "MLP of 20 layers": lambda: mlp(20),
    "Conv2D": convolution,
    "LSTM": recurrent,
    "dict of inputs": several_inputs,
    "attention": attention,
}


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def first_call(operator: Callable[..., Any], make: Callable[[], tuple[Any, Any]]) -> float:
    """Seconds of processor time of the first call for a new model."""
    model, x = make()
    start = time.process_time()
    operator(model)(x)
    return time.process_time() - start


def later_call(calls: int = 2000) -> float:
    """Seconds of a call of what was traced: the MLP's Jacobian at a tensor."""
    model, x = mlp()
    derivative, x = tgk.jacobian(model), keras.ops.convert_to_tensor(x)
    derivative(x)
    start = time.perf_counter()
    for _ in range(calls):
        derivative(x)
    return (time.perf_counter() - start) / calls


def main(rounds: int) -> None:
    """Prints the table."""
    for operator in (tgk.jacobian, tgk.hessian):
        first_call(operator, mlp)
        for name, make in MODELS.items():
            times = [first_call(operator, make) for _ in range(rounds)]
            print(f"{operator.__name__:9} {name:17} {min(times) * 1e3:8.0f} ms", flush=True)
    print(f"a later eager call {min(later_call() for _ in range(rounds)) * 1e6:15.1f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
