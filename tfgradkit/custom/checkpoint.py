"""``checkpoint``: intermediate results are computed again on the way back rather than kept.

T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost", 2016; A. Griewank, A. Walther,
"Algorithm 799: revolve", ACM TOMS 26, 2000. Unlike ``tf.recompute_grad``, this has second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from ..errors import SignatureError
from ..sources.keras import is_keras
from .pure import Pure, pure
from .transformed import Transformed


def checkpoint(fn: Any) -> Any:
    """``fn``, which keeps its arguments alone for the gradient, and is evaluated once more when that is taken.

    The same values and derivatives, of every order and in both modes, by arguments, variables and what ``fn`` closes
    over, in ``tf.function``, with ``jit_compile=True``, in ``model.fit`` and in exports. A chain of n checkpoints of
    n layers each keeps 2n intermediate results in place of n², for one evaluation more.

    Args:
        fn: a Keras 3 layer or model (a block of a larger one), or a function of nests of tensors. Random numbers
            of Keras layers are the same both times, and moving averages change once.

    Returns:
        Of a layer or model a Keras layer, ``tgk.layers.Checkpoint``; else a function.

    Raises (when called):
        GradientError: ``fn`` draws random numbers from a state that is not Keras', assigns to a ``tf.Variable``, or
            adds a loss.
    """
    if is_keras(fn):
        from .checkpoint_layer import Checkpoint

        return Checkpoint(fn)
    return Transformed(fn, Checkpointed)


class Checkpointed:
    """``call`` with its intermediate results computed again for the gradient."""

    def __init__(self, call: Callable[..., Any], name: str | None = None) -> None:
        self._call = call
        self.__name__: str = name or getattr(call, "__name__", None) or "function"
        self._function = tf.function(self.inlined, autograph=False, reduce_retracing=True)

    def __call__(self, *arguments: Any) -> Any:
        """The value of ``call``."""
        # Eagerly a tape would keep what a function computes, unless that is a function with a gradient of its own.
        return (self._function if tf.executing_eagerly() else self.inlined)(*arguments)

    def inlined(self, *arguments: Any) -> Any:
        """In the current graph."""
        leaves = tf.nest.flatten(arguments)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (tf.Tensor, tf.Variable))]
        tensors = [tf.convert_to_tensor(leaves[place]) for place in places]

        def flat(*given: tf.Tensor) -> Any:
            filled = list(leaves)
            for place, tensor in zip(places, given, strict=True):
                filled[place] = tensor
            return self._call(*tf.nest.pack_sequence_as(arguments, filled))

        traced = pure(flat, tensors, self.__name__)
        states = [tf.identity(variable.value) for variable in traced.states]
        results = _recomputed(traced, tensors, states)
        count = len(tf.nest.flatten(traced.structure))
        for variable, value in zip(traced.states, results[count:], strict=True):
            variable.assign(value)
        return tf.nest.pack_sequence_as(traced.structure, results[:count])


def _recomputed(traced: Pure, tensors: Sequence[tf.Tensor], states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """``traced``, whose gradient evaluates it again. What it closes over are arguments, so that they have gradients."""
    captured = traced.captured
    own = [i for i, tensor in enumerate(captured) if tensor.dtype not in (tf.resource, tf.variant)]
    given = [*tensors, *states, *(captured[i] for i in own)]

    def evaluated(given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        count = len(tensors) + len(states)
        filled = list(captured)
        for i, tensor in zip(own, given[count:], strict=True):
            filled[i] = tensor
        return traced(given[:count], filled)

    @tf.custom_gradient
    def run(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
        return evaluated(given), partial(_gradient, evaluated, given)

    found = run(*given)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _gradient(
    evaluated: Callable[..., list[tf.Tensor]],
    given: Sequence[tf.Tensor],
    *upstream: tf.Tensor,
    variables: Sequence[tf.Variable] | None = None,
) -> Any:
    known = [i for i, x in enumerate(given) if _carries(x)]
    coming = [i for i, u in enumerate(upstream) if u is not None and _carries(u)]
    later = _after([upstream[i] for i in coming])
    again = [_held(x, later) if i in known else x for i, x in enumerate(given)]
    with tf.GradientTape() as tape:
        tape.watch([again[i] for i in known])
        ys = evaluated(again)
    wanted = [[again[i] for i in known], list(variables or [])]
    us = [upstream[i] for i in coming]
    gradients, by_variables = tape.gradient([ys[i] for i in coming], wanted, output_gradients=us)
    found = {i: None if g is None else tf.convert_to_tensor(g) for i, g in zip(known, gradients, strict=True)}
    by_given = [found.get(i) for i in range(len(given))]
    return by_given if variables is None else (by_given, by_variables)


def _after(upstream: Sequence[tf.Tensor]) -> tf.Tensor:
    """Always true, but known to be only once the gradient has come back.

    The second evaluation hangs on it: no compiler can find it equal to the first one and merge them, and no executor
    starts it before. A control dependency would do neither for XLA.
    """
    element = tf.math.real(tf.reduce_sum(tf.reshape(upstream[0], [-1])[:1]))
    return tf.equal(element, element) | tf.math.is_nan(element)


def _held(x: tf.Tensor, later: tf.Tensor) -> tf.Tensor:
    return tf.where(later, x, tf.zeros_like(x))


def _carries(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def check_layer(layer: Any) -> None:
    """Raises :class:`SignatureError` for a layer of ``tf_keras``."""
    import keras

    if not isinstance(layer, keras.layers.Layer):
        raise SignatureError(
            "only layers of Keras 3 become checkpointed layers",
            subject=getattr(layer, "name", ""),
            got=type(layer).__module__.split(".")[0],
            hint="a function of it: tgk.checkpoint(lambda x: layer(x))",
        )
