"""How the same number is obtained: by which mode, and all seeds at once or one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import tensorflow as tf

from ..errors import GradientError, SignatureError

Mode = Literal["auto", "forward", "reverse"]
Strategy = Literal["auto", "vectorize", "loop"]
Unconnected = Literal["zero", "none", "raise"]

_CHOICES = {"mode": Mode, "strategy": Strategy, "unconnected": Unconnected}


def check_choice(name: str, value: object) -> None:
    """Raises :class:`SignatureError` where a keyword has none of its values."""
    choices = get_args(_CHOICES[name])
    if value not in choices:
        raise SignatureError("no such choice", subject=name, expected=" | ".join(choices), got=repr(value))


def pick_mode(mode: Mode, inputs: Any, outputs: Any) -> Mode:
    """Forward costs one pass an input, reverse one an output; a tie goes forward.

    A tie goes forward since there every matrix product keeps the layout of the forward pass.
    """
    if mode != "auto":
        return mode
    known = isinstance(inputs, int) and isinstance(outputs, int)
    return "forward" if known and inputs <= outputs else "reverse"


# Inside a graph that its owner may compile, so few seeds are written out one by one: the weight
# gradient of TensorFlow's vectorized loop makes XLA compile again whenever a weight changes.
_FEW = 16


def map_seeds(
    product: Callable[[tf.Tensor], tf.Tensor], seeds: tf.Tensor, strategy: Strategy, *, inlined: bool
) -> tf.Tensor:
    """``product`` of each of ``seeds``, stacked along a new first axis.

    "auto" vectorizes; it loops where an op on the way has no vectorized form, and over few seeds
    in a graph that is somebody's own (``inlined``).
    """
    few = inlined and seeds.shape[0] is not None and seeds.shape[0] <= _FEW
    if strategy == "loop" or (strategy == "auto" and few):
        return _loop(product, seeds)
    try:
        return tf.vectorized_map(product, seeds, fallback_to_while_loop=False)
    except (ValueError, TypeError, NotImplementedError) as error:
        if strategy == "vectorize":
            raise GradientError(
                "an op on the way can't be vectorized",
                got=str(error).strip().split("\n", 1)[0][:300],
                hint='strategy="loop", or "auto", which loops where it has to',
            ) from error
        return _loop(product, seeds)


def _loop(product: Callable[[tf.Tensor], tf.Tensor], seeds: tf.Tensor) -> tf.Tensor:
    count = seeds.shape[0]
    if count is None:
        return tf.map_fn(product, seeds)
    # Written out: a tf.while_loop around a gradient could itself not be compiled or vectorized.
    return tf.stack([product(seeds[row]) for row in range(count)])
