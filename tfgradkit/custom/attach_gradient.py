"""A value whose gradient is somebody's rule, and what happens where TensorFlow loses that.

The two products with the Jacobian by rules, each the transpose of the other, differentiable to any order.

uᵀJ(x) is linear in u, so that its own reverse derivative by u is J(x)v, and that of J(x)v by v is uᵀJ(x) again. What
they depend on x by is left to TensorFlow, which differentiates the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from ..derivatives.pullback import or_zeros, transpose
from ..graph.contexts import is_recording
from ..graph.dependence import added
from ..graph.pfor import OPEN_IN_LOOPS

Tensors = list[tf.Tensor]
GradientRule = Callable[[Tensors], Sequence[tf.Tensor | None]]


def attach_gradient(
    values: Tensors, inputs: Tensors, rule: GradientRule, *, beside: Sequence[tf.Tensor] = ()
) -> Tensors:
    """``values``, with gradients ``us`` that go to ``inputs`` as ``rule(us)``.

    All that the values are made of is handed in, so that ``tf.custom_gradient`` finds no variables inside, and
    nothing goes to the values themselves. TensorFlow's vectorized loops drop a custom gradient from what they
    stack: there, gradients go to the values, and to nothing else. That happens to what has one of ``beside`` among
    its inputs as soon as that one is stacked.
    """
    if tf.executing_eagerly() and not is_recording():
        return values
    given = [*inputs, *beside, *values]

    @tf.custom_gradient
    def tie(*tensors: tf.Tensor) -> tuple[Tensors, Callable[..., list[tf.Tensor | None]]]:
        def gradient(*us: tf.Tensor) -> list[tf.Tensor | None]:
            return [*rule(list(us)), *[None] * (len(beside) + len(values))]

        return [tf.identity(value) for value in tensors[len(tensors) - len(values) :]], gradient

    return list(tie(*given))


def guarded(values: Sequence[tf.Tensor], xs: Sequence[tf.Tensor], name: str) -> Tensors:
    """``values`` whose own gradient is an error, not None: for :func:`tied`, whose rule comes first."""
    message = (
        f"the derivative of {name} is a rule of its own, which a vectorized loop over {name} has lost: "
        "differentiate inside tf.vectorized_map, not around it, or use tf.map_fn"
    )
    if tf.executing_eagerly():
        return list(values)
    # A tape asks for the gradients of what depends on xs, and of nothing else.
    depending = tf.identity_n([*values, *xs])[: len(values)]
    return [tf.raw_ops.PreventGradient(input=value, message=message) for value in depending]


def held(xs: Sequence[tf.Tensor]) -> Tensors:
    """The same values, through which no gradient goes but where a vectorized loop has lost the tie."""
    return [tf.raw_ops.PreventGradient(input=x, message=OPEN_IN_LOOPS) for x in xs]


def is_differentiable(x: object) -> bool:
    """Whether ``x`` is a tensor, variable or array of floating or complex numbers."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or isinstance(x, type):
        return False
    kind = tf.as_dtype(dtype)
    return bool(kind.is_floating or kind.is_complex)


Product = Callable[[Tensors, Tensors], Tensors]


@dataclass(frozen=True)
class VjpJvpPair:
    """A function's products, flat tensors to flat tensors, of which one may be missing.

    xs are all tensors that the rules need, integers among them; seeds and results are only for those that
    are differentiable.

    Attributes:
        reverse: (xs, us) ↦ Σ uᵀ ∂y/∂x for each x.
        forward: (xs, vs) ↦ Σ (∂y/∂x) v for each y.
        closed: eager tensors that the function or the rules are known to close over. Variables are found, and
            in a graph all tensors.
    """

    reverse: Product | None
    forward: Product | None
    closed: Tensors


def applied(f: Callable[[Tensors], Tensors], products: VjpJvpPair, xs: Tensors, name: str) -> Tensors:
    """``f(xs)``, whose derivatives by xs are ``products``; by what f closes over, TensorFlow's."""
    xs = here(xs)
    ys, rest = _observed(lambda: f(_unseen(xs)), xs, products)

    def rule(us: Tensors) -> Tensors:
        at = here(xs)
        return [*_reverse(products, at, us), *_gradients(lambda: f(at), rest.sources, us)]

    return attach_gradient(guarded(ys, picked(xs), name), [*picked(xs), *rest.tensors], rule)


@dataclass(frozen=True)
class _Rest:
    """What a calculation uses beside its arguments: tensors, and the variables behind some of them."""

    sources: list[Any]
    tensors: Tensors


def _observed(build: Callable[[], Tensors], arguments: Tensors, products: VjpJvpPair) -> tuple[Tensors, _Rest]:
    with tf.GradientTape() as tape:
        results, operations = (build(), []) if tf.executing_eagerly() else added(lambda _: build(), arguments)
    variables = tape.watched_variables()
    others = products.closed if tf.executing_eagerly() else _from_outside(operations, arguments)
    return results, _Rest([*others, *variables], [*others, *(tf.convert_to_tensor(v) for v in variables)])


def _from_outside(operations: Sequence[Any], arguments: Tensors) -> Tensors:
    """What ``operations`` take beside their arguments and constants; variables are no tensors."""
    own = {tensor.ref() for operation in operations for tensor in operation.outputs} | {x.ref() for x in arguments}
    taken = {t.ref(): t for operation in operations for t in operation.inputs if t.ref() not in own}
    return [t for t in taken.values() if is_differentiable(t) and t.op.type != "Const"]


def _gradients(build: Callable[[], Tensors], sources: Sequence[Any], us: Tensors) -> Tensors:
    """TensorFlow's gradients of a calculation that is done again, so that they depend on all that it depends on."""
    if not sources:
        return []
    with tf.GradientTape() as tape:
        tape.watch(sources)
        results = build()
    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(results, sources, output_gradients=us, unconnected_gradients=zero)
    return [tf.convert_to_tensor(gradient) for gradient in found]


def picked(xs: Sequence[tf.Tensor]) -> Tensors:
    """Those that are differentiable."""
    return [x for x in xs if is_differentiable(x)]


def here(xs: Sequence[tf.Tensor]) -> Tensors:
    """``xs`` as tensors of this graph, the gradient's: from the next one, only its own could be reached."""
    return [tf.identity(x) for x in xs]


def _reverse(products: VjpJvpPair, xs: Tensors, us: Tensors) -> Tensors:
    if products.reverse is None:
        assert products.forward is not None
        like = picked(xs)
        return list(map(or_zeros, transpose(partial(products.forward, xs), like)(us), like))
    if products.forward is None:
        return products.reverse(xs, us)
    return _paired(products.reverse, products, xs, us, lambda vs: _forward(products, here(xs), vs))


def _forward(products: VjpJvpPair, xs: Tensors, vs: Tensors) -> Tensors:
    assert products.forward is not None
    return _paired(products.forward, products, xs, vs, lambda us: _reverse(products, here(xs), us))


def _paired(
    product: Product, products: VjpJvpPair, xs: Tensors, seeds: Tensors, transpose: Callable[[Tensors], Tensors]
) -> Tensors:
    """``product(xs, seeds)`` with its derivative by seeds from ``transpose``, by all else from TensorFlow.

    The second is that of a zero beside the value, so that each is asked for by itself. A vectorized loop loses
    both, and goes on with TensorFlow's derivatives of the value.
    """
    values, rest = _observed(lambda: product(_unseen(xs), _unseen(seeds)), [*xs, *seeds], products)

    def by_the_rest(us: Tensors) -> Tensors:
        at, weights = here(xs), here(seeds)
        return _gradients(lambda: product(at, weights), [*picked(at), *rest.sources], us)

    # Both ties, or none.
    inputs = [*picked(xs), *rest.tensors]
    all_of_it = [*inputs, *seeds, *values]
    zeros = attach_gradient([tf.zeros_like(value) for value in values], inputs, by_the_rest, beside=all_of_it)
    return [a + b for a, b in zip(attach_gradient(values, seeds, transpose, beside=all_of_it), zeros, strict=True)]


def _unseen(xs: Tensors) -> Tensors:
    """The same values; eagerly, hidden from a ``tf.autodiff.ForwardAccumulator``, which would follow every op."""
    return [tf.stop_gradient(x) for x in xs] if tf.executing_eagerly() else xs
