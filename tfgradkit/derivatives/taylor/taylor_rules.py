"""Rules of nonlinear ops: elementwise functions, products, and whatever has a registered gradient.

Of y = g(t) with slopes T and bend t'': slopes g'·T, bend g'·t'' + Σ g''[T, T].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ...graph.converters import vectorized_map
from ...graph.emit import NoRuleError, emit
from ...op_gradients.ops.powers import is_even
from ..directional import directional
from ..pullback import or_zeros, pullback, transposed
from .jet import Jet, added, squares

JetRule = Callable[[Any, list[Jet], list[int]], list[Jet]]
RULES: dict[str, JetRule] = {}


def rule(*types: str) -> Callable[[JetRule], JetRule]:
    """Registers a rule: from (op, jets of its inputs, positions of those that depend on x) to jets of its outputs."""

    def decorate(function: JetRule) -> JetRule:
        RULES.update(dict.fromkeys(types, function))
        return function

    return decorate


@rule(
    *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BesselI0e", "BesselI1e", "Cos", "Cosh", "Digamma"),
    *("Div", "Elu", "Erf", "Erfc", "Erfinv", "Exp", "Expm1", "Inv", "LeakyRelu", "Lgamma", "Log", "Log1p"),
    *("Maximum", "Minimum", "Ndtri", "RealDiv", "Reciprocal", "Relu", "Relu6", "Rsqrt", "RsqrtGrad", "Selu"),
    *("Sigmoid", "SigmoidGrad", "Sin", "Sinh", "Softplus", "SoftplusGrad", "Softsign", "SqrtGrad"),
    *("SquaredDifference", "Tan", "Tanh", "TanhGrad", "ReciprocalGrad", "InvGrad", "Xlogy", "Xdivy", "Xlog1py"),
    *("Atan2", "ReluGrad", "EluGrad", "SeluGrad", "Relu6Grad", "LeakyReluGrad", "SoftsignGrad", "DivNoNan", "MulNoNan"),
)
def elementwise(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """y_k = g(a_k, b_k, …) after broadcasting; g' and g'' are the op's own gradients."""
    values = [jet.value for jet in inputs]
    chosen = values
    if len(inputs) > 1:
        # Each element of y has to have a slope of its own.
        shape = _broadcast_shape(inputs)
        chosen = [tf.broadcast_to(values[i], shape) for i in active]
    y, first, second = _elementwise_derivatives(operation, values, active, chosen)
    aligned = [inputs[i].aligned(y.shape.rank) for i in active]
    slopes = bend = None
    for k, i in enumerate(active):
        if first[k] is None:
            continue
        slopes = added(slopes, first[k] * aligned[k])
        bend = added(bend, None if inputs[i].bend is None else first[k] * inputs[i].bend)
        for other in range(len(active)):
            if second[k][other] is not None:
                bend = added(bend, second[k][other] * squares(aligned[k], aligned[other]))
    return [Jet(y, slopes, bend)]


@rule("Abs", "Sqrt")
def root(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """What it is the root of is remembered for a power."""
    (jet,) = elementwise(operation, inputs, active)
    return [replace(jet, root=(operation.type, inputs[0]))]


@rule("Square", "Pow")
def power(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """Of a root, which has no derivative at 0, an even power may have one: |x|^2k = x^2k, and √x² = x."""
    base, exponent = inputs[0], operation.inputs[1] if operation.type == "Pow" else None
    if base.root is not None and active == [0] and is_even(exponent):
        kind, inside = base.root
        if kind == "Abs":
            return elementwise(operation, [inside, *inputs[1:]], active)
        if exponent is None or tf.get_static_value(exponent) == 2:
            return [Jet(inside.value, inside.slopes, inside.bend)]
        return elementwise(operation, [inside, Jet(inputs[1].value / 2)], active)
    return elementwise(operation, inputs, active)


def _broadcast_shape(inputs: Sequence[Jet]) -> tf.Tensor:
    shapes = [jet.value.shape for jet in inputs]
    whole = shapes[0]
    for shape in shapes[1:]:
        whole = tf.broadcast_static_shape(whole, shape)
    if whole.is_fully_defined():
        return tf.constant(whole.as_list(), tf.int32)
    dynamic = tf.shape(inputs[0].value)
    for jet in inputs[1:]:
        dynamic = tf.broadcast_dynamic_shape(dynamic, tf.shape(jet.value))
    return dynamic


def _elementwise_derivatives(
    operation: Any, values: list[tf.Tensor], active: list[int], chosen: list[tf.Tensor]
) -> tuple[tf.Tensor, list[Any], list[list[Any]]]:
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(chosen)
        with tf.GradientTape() as inner:
            inner.watch(chosen)
            filled = list(values)
            for position, tensor in zip(active, chosen, strict=True):
                filled[position] = tensor
            (y,) = emit(operation, filled)
        first = inner.gradient(y, chosen)
    second = [[None] * len(chosen) if slope is None else outer.gradient(slope, chosen) for slope in first]
    return y, first, second


@rule("Mul", "MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative")
def product(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """y = a ∘ b, linear in each: slopes A ∘ b + a ∘ B, bend a'' ∘ b + a ∘ b'' + 2 Σ A ∘ B."""
    kind, inside = _common_root(operation, inputs)
    if kind == "Sqrt":
        return [Jet(inside.value, inside.slopes, inside.bend)]
    a, b = inputs if inside is None else (inside, inside)
    apply = _PRODUCTS.get(operation.type)
    if apply is None or (len(active) == 2 and operation.type not in ("Mul", "BatchMatMulV2")):
        return local(operation, inputs, active)
    (y,) = emit(operation, [a.value, b.value])
    slopes = bend = None
    for jet, first in ((a, True), (b, False)):
        if jet.slopes is None:
            continue
        other = b.value if first else a.value
        slopes = added(slopes, apply(operation, jet, other, first, y))
        if jet.bend is not None:
            pair = [jet.full_bend, other] if first else [other, jet.full_bend]
            bend = added(bend, emit(operation, pair)[0])
    if len(active) == 2:
        rank = y.shape.rank
        pair = [a.aligned(rank), b.aligned(rank)]
        if operation.type == "BatchMatMulV2":
            pair = [_deep(a, rank), _deep(b, rank)]
        bend = added(bend, 2 * tf.reduce_sum(emit(operation, pair)[0], 0))
    return [Jet(y, slopes, bend)]


def _times(operation: Any, jet: Jet, other: tf.Tensor, first: bool, y: tf.Tensor) -> tf.Tensor:
    return jet.aligned(y.shape.rank) * other


def _deep(jet: Jet, rank: int) -> tf.Tensor:
    """Slopes whose two last axes are written out, which a matrix product needs."""
    return Jet(jet.value, jet.full_slopes).aligned(rank)


def _batch_matrix_product(operation: Any, jet: Jet, other: tf.Tensor, first: bool, y: tf.Tensor) -> tf.Tensor:
    slopes = _deep(jet, y.shape.rank)
    return emit(operation, [slopes, other] if first else [other, slopes])[0]


def _matrix_product(operation: Any, jet: Jet, other: tf.Tensor, first: bool, y: tf.Tensor) -> tf.Tensor:
    """A product with weights is one product of all directions and samples."""
    transposed = operation.get_attr("transpose_a" if first else "transpose_b")
    if not first or transposed:
        matrices = {"adj_x": operation.get_attr("transpose_a"), "adj_y": operation.get_attr("transpose_b")}
        pair = (jet.full_slopes, other) if first else (other, jet.full_slopes)
        return tf.raw_ops.BatchMatMulV2(x=pair[0], y=pair[1], **matrices)
    slopes: Any = jet.slopes
    if slopes.shape[-1] != jet.value.shape[-1]:
        slopes = jet.full_slopes
    lead = tf.shape(slopes)[:2]
    rows = tf.reshape(slopes, [-1, slopes.shape[-1] or tf.shape(slopes)[-1]])
    flat = emit(operation, [rows, other])[0]
    result = tf.reshape(flat, tf.concat([lead, tf.shape(flat)[1:]], 0))
    return tf.ensure_shape(result, [*slopes.shape[:2], flat.shape[1]])


def _convolution(operation: Any, jet: Jet, other: tf.Tensor, first: bool, y: tf.Tensor) -> tf.Tensor:
    """All directions as one larger batch."""
    if not first:
        raise NoRuleError("a convolution whose kernel depends on x")
    return folded(lambda rows: emit(operation, [rows, other])[0], jet)


def folded(function: Callable[[tf.Tensor], tf.Tensor], jet: Jet) -> tf.Tensor:
    """``function`` of a batch, applied to the slopes as one batch of all directions."""
    slopes = jet.full_slopes
    lead, rest = tf.shape(slopes)[:2], slopes.shape[2:].as_list()
    if None in rest:
        rest = tf.unstack(tf.shape(slopes)[2:])
    flat = function(tf.reshape(slopes, [-1, *rest]))
    result = tf.reshape(flat, tf.concat([lead, tf.shape(flat)[1:]], 0))
    return tf.ensure_shape(result, [*slopes.shape[:2], *flat.shape[1:]])


def _common_root(operation: Any, inputs: list[Jet]) -> tuple[str | None, Any]:
    """Of a product of two roots of the same their type, and what they are taken of; None for others."""
    roots = [jet.root for jet in inputs if jet.root is not None]
    same = operation.type == "Mul" and len(roots) == 2 and roots[0][0] == roots[1][0]
    return roots[0] if same and roots[0][1].value is roots[1][1].value else (None, None)


_PRODUCTS: dict[str, Callable[[Any, Jet, tf.Tensor, bool, tf.Tensor], tf.Tensor]] = {
    "Mul": _times,
    "MatMul": _matrix_product,
    "BatchMatMulV2": _batch_matrix_product,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
}


def local(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """Any op whose gradients are registered: its own directional derivatives, for all directions at once."""
    values = [jet.value for jet in inputs]

    def function(chosen: list[tf.Tensor]) -> list[tf.Tensor]:
        filled = list(values)
        for position, tensor in zip(active, chosen, strict=True):
            filled[position] = tensor
        return [y for y in emit(operation, filled) if y.dtype.is_floating]

    outputs = emit(operation, values)
    xs = [tf.identity(values[i]) for i in active]  # one tensor may come twice
    pull = pullback(function, xs)
    connected = [
        any(p is not None for p in pull.product([y if k == j else None for j, y in enumerate(pull.ys)]))
        for k in range(len(pull.ys))
    ]
    if not any(connected):
        return [Jet(y) for y in outputs]
    along = transposed(pull)

    def one(slopes: list[tf.Tensor]) -> list[tf.Tensor]:
        found = directional(function, xs, [slopes]) + directional(function, xs, [slopes, slopes])
        return [or_zeros(p, y) for p, y in zip(found, 2 * pull.ys, strict=True)]

    try:
        found = vectorized_map(one, [inputs[i].full_slopes for i in active])
    except (ValueError, TypeError, NotImplementedError) as error:
        raise NoRuleError(operation.type) from error
    steady = along([inputs[i].full_bend for i in active]) if any(inputs[i].bend is not None for i in active) else []
    jets, k = [], 0
    for y in outputs:
        if not y.dtype.is_floating:
            jets.append(Jet(y))
            continue
        if connected[k]:
            bend = added(tf.reduce_sum(found[len(connected) + k], 0), steady[k] if steady else None)
            jets.append(Jet(y, found[k], bend))
        else:
            jets.append(Jet(y))
        k += 1
    return jets
