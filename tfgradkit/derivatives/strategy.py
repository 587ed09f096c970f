"""How the same number is obtained: by which mode, and all seeds at once or one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import tensorflow as tf

from ..errors import SignatureError

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


def map_seeds(product: Callable[[tf.Tensor], tf.Tensor], seeds: tf.Tensor, strategy: Strategy) -> tf.Tensor:
    """``product`` of each of ``seeds``, stacked along a new first axis.

    "auto" vectorizes, and loops where an op on the way has no vectorized form.
    """
    if strategy == "loop":
        return _loop(product, seeds)
    try:
        return tf.vectorized_map(product, seeds, fallback_to_while_loop=False)
    except (ValueError, TypeError, NotImplementedError):
        if strategy == "vectorize":
            raise
        return _loop(product, seeds)


def _loop(product: Callable[[tf.Tensor], tf.Tensor], seeds: tf.Tensor) -> tf.Tensor:
    count = seeds.shape[0]
    if count is None:
        return tf.map_fn(product, seeds)
    # Written out: a tf.while_loop around a gradient could itself not be compiled or vectorized.
    return tf.stack([product(seeds[row]) for row in range(count)])
