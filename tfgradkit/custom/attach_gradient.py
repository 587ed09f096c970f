"""A gradient rule attached to tensors, and a function with its two products with the Jacobian, uᵀJ and Jv, as rules.

:func:`attach_gradient` gives values a rule, and says what happens where TensorFlow's vectorized loops lose it.
:func:`with_products` builds on it. Each of the two products is the transpose of the other: uᵀJ(x) is linear in u, so
its own reverse derivative by u is J(x)v, and the reverse derivative of J(x)v by v is uᵀJ(x) again. So they can be
differentiated to any order; their derivatives by x are left to TensorFlow, which differentiates the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from ..derivatives.pullback import or_zeros, transpose
from ..graph.contexts import is_recording
from ..graph.interpret import added
from ..graph.pfor import OPEN_IN_LOOPS

Tensors = list[tf.Tensor]
GradientRule = Callable[[Tensors], Sequence[tf.Tensor | None]]
# (xs, seeds) ↦ the product with the Jacobian at xs.
Product = Callable[[Tensors, Tensors], Tensors]


def attach_gradient(
    values: Tensors, inputs: Tensors, rule: GradientRule, *, beside: Sequence[tf.Tensor] = ()
) -> Tensors:
    """``values``, whose gradients ``us`` go to ``inputs`` as ``rule(us)``.

    The values are arguments of the ``tf.custom_gradient``, so that it finds no variables inside; they get no gradient
    themselves. TensorFlow's vectorized loops drop the custom gradient of tensors that they stack: there, gradients go
    to the values, and to nothing else. One stacked tensor among inputs, values and ``beside`` is enough.
    """
    if tf.executing_eagerly() and not is_recording():
        return values

    @tf.custom_gradient
    def with_rule(*tensors: tf.Tensor) -> tuple[Tensors, Callable[..., list[tf.Tensor | None]]]:
        def gradient(*us: tf.Tensor) -> list[tf.Tensor | None]:
            return [*rule(list(us)), *[None] * (len(beside) + len(values))]

        return [tf.identity(value) for value in tensors[len(tensors) - len(values) :]], gradient

    return list(with_rule(*inputs, *beside, *values))


def refuse_gradient(values: Sequence[tf.Tensor], xs: Sequence[tf.Tensor], name: str) -> Tensors:
    """``values`` whose own gradient is an error, not None: :func:`attach_gradient` puts a rule in front of it."""
    message = (
        f"the derivative of {name} is a rule of its own, which a vectorized loop over {name} has lost: "
        "differentiate inside tf.vectorized_map, not around it, or use tf.map_fn"
    )
    if tf.executing_eagerly():
        return list(values)
    # A tape asks for the gradients of tensors that depend on xs, and of no others.
    depending = tf.identity_n([*values, *xs])[: len(values)]
    return [tf.raw_ops.PreventGradient(input=value, message=message) for value in depending]


def refuse_lost_rule(xs: Sequence[tf.Tensor]) -> Tensors:
    """The same values, whose gradient is an error: it is asked for only where a vectorized loop has lost the rule."""
    return [tf.raw_ops.PreventGradient(input=x, message=OPEN_IN_LOOPS) for x in xs]


def is_differentiable(x: object) -> bool:
    """Whether ``x`` is a tensor, variable or array of floating or complex numbers."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or isinstance(x, type):
        return False
    kind = tf.as_dtype(dtype)
    return bool(kind.is_floating or kind.is_complex)


def differentiable(xs: Sequence[tf.Tensor]) -> Tensors:
    """The differentiable tensors of ``xs``."""
    return [x for x in xs if is_differentiable(x)]


def local_copies(xs: Sequence[tf.Tensor]) -> Tensors:
    """``xs`` as tensors of the current graph, the gradient's: a graph inside it can reach no other graph's tensors."""
    return [tf.identity(x) for x in xs]


@dataclass(frozen=True)
class VjpJvpPair:
    """A function's products with its Jacobian, flat tensors to flat tensors; one of the two may be missing.

    xs are all tensors that the rules need, integers, too; seeds and results belong to the differentiable ones alone.

    Attributes:
        reverse: (xs, us) ↦ Σ uᵀ ∂y/∂x for each x.
        forward: (xs, vs) ↦ Σ (∂y/∂x) v for each y.
        captures: the eager tensors that the function or the rules close over. Variables need not be listed, nor in a
            graph any tensor.
    """

    reverse: Product | None
    forward: Product | None
    captures: Tensors


def with_products(f: Callable[[Tensors], Tensors], products: VjpJvpPair, xs: Tensors, name: str) -> Tensors:
    """``f(xs)`` with ``products`` as its derivatives by xs; those by its captures are TensorFlow's."""
    xs = local_copies(xs)
    ys, captures = _with_captures(lambda: f(_without_forward_mode(xs)), xs, products)

    def rule(us: Tensors) -> Tensors:
        at = local_copies(xs)
        return [*_reverse(products, at, us), *_gradients_of(lambda: f(at), captures.sources, us)]

    inputs = differentiable(xs)
    return attach_gradient(refuse_gradient(ys, inputs, name), [*inputs, *captures.tensors], rule)


@dataclass(frozen=True)
class _Captures:
    """Tensors and variables that a calculation uses beside its arguments.

    Attributes:
        sources: what a tape differentiates by: tensors and variables.
        tensors: the same, with the value of each variable.
    """

    sources: list[Any]
    tensors: Tensors


def _with_captures(build: Callable[[], Tensors], arguments: Tensors, products: VjpJvpPair) -> tuple[Tensors, _Captures]:
    """The results of ``build()``, and what it uses beside ``arguments``."""
    with tf.GradientTape() as tape:
        results, operations = (build(), []) if tf.executing_eagerly() else added(lambda _: build(), arguments)
    variables = tape.watched_variables()
    others = products.captures if tf.executing_eagerly() else _captured_tensors(operations, arguments)
    return results, _Captures([*others, *variables], [*others, *(tf.convert_to_tensor(v) for v in variables)])


def _captured_tensors(operations: Sequence[Any], arguments: Tensors) -> Tensors:
    """The tensors from outside that ``operations`` take beside their arguments and constants; no variables."""
    own = {tensor.ref() for operation in operations for tensor in operation.outputs} | {x.ref() for x in arguments}
    taken = {t.ref(): t for operation in operations for t in operation.inputs if t.ref() not in own}
    return [t for t in taken.values() if is_differentiable(t) and t.op.type != "Const"]


def _gradients_of(build: Callable[[], Tensors], sources: Sequence[Any], us: Tensors) -> Tensors:
    """TensorFlow's gradients of ``build()``, run once more, so that they depend on all that its results depend on."""
    if not sources:
        return []
    with tf.GradientTape() as tape:
        tape.watch(sources)
        results = build()
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(results, sources, output_gradients=us, unconnected_gradients=zero)
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _reverse(products: VjpJvpPair, xs: Tensors, us: Tensors) -> Tensors:
    if products.reverse is None:
        assert products.forward is not None
        like = differentiable(xs)
        return list(map(or_zeros, transpose(partial(products.forward, xs), like)(us), like))
    if products.forward is None:
        return products.reverse(xs, us)
    return _with_transpose(products.reverse, products, xs, us, lambda vs: _forward(products, local_copies(xs), vs))


def _forward(products: VjpJvpPair, xs: Tensors, vs: Tensors) -> Tensors:
    assert products.forward is not None
    return _with_transpose(products.forward, products, xs, vs, lambda us: _reverse(products, local_copies(xs), us))


def _with_transpose(
    product: Product, products: VjpJvpPair, xs: Tensors, seeds: Tensors, transpose: Callable[[Tensors], Tensors]
) -> Tensors:
    """``product(xs, seeds)`` with ``transpose`` as its derivative by seeds; those by xs and captures are TensorFlow's.

    TensorFlow's are attached to a zero that is added to the value, so that each derivative is asked for by itself. A
    vectorized loop loses both rules, and goes on with TensorFlow's derivatives of the value.
    """
    hidden_xs, hidden_seeds = _without_forward_mode(xs), _without_forward_mode(seeds)
    values, captures = _with_captures(lambda: product(hidden_xs, hidden_seeds), [*xs, *seeds], products)

    def by_inputs(us: Tensors) -> Tensors:
        at, weights = local_copies(xs), local_copies(seeds)
        return _gradients_of(lambda: product(at, weights), [*differentiable(at), *captures.sources], us)

    inputs = [*differentiable(xs), *captures.tensors]
    every = [*inputs, *seeds, *values]  # beside both, so that a loop loses both rules or none
    zeros = attach_gradient([tf.zeros_like(value) for value in values], inputs, by_inputs, beside=every)
    return [a + b for a, b in zip(attach_gradient(values, seeds, transpose, beside=every), zeros, strict=True)]


def _without_forward_mode(xs: Tensors) -> Tensors:
    """The same values; eagerly, hidden from a ``tf.autodiff.ForwardAccumulator``, which would follow every op."""
    return [tf.stop_gradient(x) for x in xs] if tf.executing_eagerly() else xs
