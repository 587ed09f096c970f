"""A derivative checks itself: the first result of a trace against one plain product, along random directions.

The function runs once more, eagerly, under ``tf.GradientTape``: without a trace, a vectorized loop, tiles, colours,
rules for jets, or an assumption about the samples of a batch. uᵀJv of the result and of that product are the same
number up to rounding, whatever J is; that of a wrong J differs, but for u and v of measure zero (R. Freivalds,
"Probabilistic machines can use less running time", 1977). A wrong gradient of an op is not seen where both sides use
it: for that, "differences" compares with the values of the function, too.

Not compared is what can't be: a function that draws random numbers, has state, calls Python, chooses
elements in no order, or only runs in a graph; a
result that is complex, of half precision, an estimate, or not finite; a sum over many elements (the Laplacian and the
divergence of more than three).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from ..differentiable import Differentiable
from ..errors import VerificationError
from ..graph.ops import CALLERS, functions_of
from ..graph.python_code import PYTHON_OPS
from ..op_gradients.exact_functions import exact_functions
from .extrapolated_differences import along
from .op_by_op.differing_op import Alike, differing_op
from .op_by_op.wrong_op import WrongOp
from .options import Options
from .partials import tangents_of
from .problem import Problem, narrowed, select

Tensors = list[tf.Tensor]
# A sum of derivatives of the sum of the results, weighted by the first, along one direction after the other.
Chain = tuple[Tensors, list[Tensors]]

# Tolerance relative to the norm of the result: the sums of a network come in another order.
_ROUNDING = {tf.float64: 1e-8, tf.float32: 2e-3}
# Of the weights of the results: small, so that a rule that clips large gradients lets them through.
_SMALL = 2.0**-6
# How much the plain product may move, in terms of what it moves when the point moves by rounding.
_UNSTABLE = 100.0
_MOST_ELEMENTS = 3
# Stateful ops whose state a call doesn't change.
_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VarHandleOp", "VarIsInitializedOp",
                    "StatefulPartitionedCall", "While", "If", "Case", "Assert", "Placeholder"})  # fmt: skip
_FEW_DIGITS = (tf.bfloat16, tf.float16)
_stateful: dict[str, bool] = {}


def check_first(
    source: Differentiable,
    operator: str,
    options: Options,
    extra: dict[str, Any],
    arguments: Sequence[Any],
    seed: Any,
    parts: dict[str, Any],
    operations: Iterable[Any],
    pattern: Any = None,
    alike: Alike | None = None,
) -> None:
    """Compares the results of an operator at ``arguments`` with a plain product of the tape.

    Args:
        source, operator, options, extra: the function, the operator, and the choices of the caller.
        arguments, seed: the point.
        parts: the results by name.
        operations: the ops of the traced graph.
        pattern: of a sparse Jacobian.
        alike: makes the same operator of another function, for the search for the op.

    Raises:
        VerificationError: they differ beyond rounding; it names the op where that begins, where one is found.
    """
    dtype = precision(operations)
    if dtype is None or extra.get("method") == "hutchinson":
        return
    try:
        source = source if options.of is None else narrowed(source, options)
        problem = replace(select(source, options, arguments), extra=extra)
        with exact_functions():
            check = _Check(problem, operator, tf.nest.flatten(seed), dtype, alike)
            for name in sorted(parts.keys() - {"value"}):
                check.compare(name, parts[name], pattern)
    except VerificationError:
        raise
    except Exception:
        return


def precision(operations: Iterable[Any]) -> tf.DType | None:
    """The coarsest of the dtypes that ops calculate in; None where running them once more is no comparison.

    That is so for ops that draw random numbers, change a variable, print, call Python code, or have few digits.
    """
    coarsest: tf.DType | None = tf.float64
    for operation in operations:
        kind = operation.type
        if kind == "Const":  # the same on both sides
            continue
        if kind not in _stateful:
            _stateful[kind] = operation.op_def.is_stateful and kind not in _READS
        dtype = operation.outputs[0].dtype if operation.outputs else None
        # The largest elements in any order, which XLA and the kernel choose each for itself.
        if kind in ("TopK", "TopKV2") and not operation.get_attr("sorted"):
            return None
        if _stateful[kind] or kind in PYTHON_OPS or dtype in _FEW_DIGITS:
            return None
        coarsest = tf.float32 if dtype == tf.float32 else coarsest
        for graph in functions_of(operation) if kind in CALLERS else ():
            inner = None if graph is None else precision(graph.get_operations())
            if inner != tf.float64:
                coarsest = inner
            if inner is None:
                return None
    return coarsest


class _NotComparableError(Exception):
    """There is nothing to compare with."""


class _Check:
    """The two sides of a comparison, along the same directions.

    Attributes:
        problem: the function, and the point.
        dtype: the coarsest on the way.
        u, v, w: weights of the results, and two directions, flat.
    """

    def __init__(
        self, problem: Problem, operator: str, seed: Tensors, dtype: tf.DType, alike: Alike | None = None
    ) -> None:
        for x in problem.xs:
            if x.dtype not in _ROUNDING:
                raise _NotComparableError
        self.problem, self.dtype = problem, dtype
        self._operator, self._alike = operator, alike
        self._random = np.random.default_rng(0)
        ys = problem.call(problem.xs)
        for y in ys:
            if y.dtype not in _ROUNDING:
                raise _NotComparableError
        self.u = list(seed) if operator == "vjp" else []
        for y in ys[len(self.u) :]:
            self.u.append(tf.ones_like(y) if operator == "hvp" else self._vector(y) * tf.cast(_SMALL, y.dtype))
        self.v = seed if operator in ("jvp", "hvp") else list(map(self._vector, problem.xs))
        self.w = list(map(self._vector, problem.xs))

    def _vector(self, like: Any) -> tf.Tensor:
        """A random vector like ``like``: magnitudes between 0.5 and 1.5, of either sign."""
        sizes = self._random.uniform(0.5, 1.5, like.shape) * self._random.choice([-1.0, 1.0], like.shape)
        return tf.constant(sizes, like.dtype)

    def compare(self, name: str, part: Any, pattern: Any) -> None:
        """Raises :class:`VerificationError` where a part differs from the plain product.

        ``part`` is a nest of tensors, or a function that makes one of a direction.
        """
        part = part(self.v if name == "jvp" else self.u) if callable(part) else part
        leaves, square = [], 0.0
        for leaf in tf.nest.flatten(part):
            numbers = None if leaf is None else leaf.numpy()
            leaves.append(numbers)
            square += 0.0 if numbers is None else float(np.linalg.norm(numbers)) ** 2
        chains = self._chains(name)
        found, expected = self._contracted(name, leaves, pattern), self._plain(chains, self.problem.xs)
        off = abs(found - expected)
        weight = 1.0 if name in ("vjp", "hvp", "divergence") else _SMALL
        allowed = _ROUNDING[self.dtype] * max(weight * square**0.5, abs(expected))
        if np.isfinite(off) and off > allowed and off > _UNSTABLE * self._moves(chains, expected):
            raise VerificationError(
                "the derivative differs from a plain product of TensorFlow's tape",
                **self._named(found, expected),
                subject=f"{name} of {self.problem.name}",
                expected=f"uᵀJv = {expected:.9g}, for random u and v",
                got=f"{found:.9g}",
                hint='mode="reverse", strategy="loop" is the plain way; verify="off" leaves the comparison out',
            )
        if self.problem.options.verify == "differences" and not self.problem.variables:
            for chain in chains:
                self._compare_values(name, *chain)

    def _compare_values(self, name: str, weights: Tensors, directions: list[Tensors]) -> None:
        """Each order of the plain product with differences of the one below, the first with those of the values.

        A kink, a jump and noise, by which there is no derivative to compare with, count as no difference.
        """
        xs = self.problem.xs
        precision = float(np.finfo(self.dtype.as_numpy_dtype).eps)
        for order in range(1, len(directions) + 1):
            lower, last = directions[: order - 1], directions[order - 1]

            def curve(t: float, lower: list[Tensors] = lower, last: Tensors = last) -> np.ndarray:
                moved = [x + tf.cast(t, x.dtype) * v for x, v in zip(xs, last, strict=True)]
                return self._along(weights, lower, moved).numpy()

            expected = along(curve, precision)
            found = float(self._along(weights, directions[:order], xs))
            off = abs(found - float(expected.derivative))
            smooth = np.isfinite(off) and not expected.kink and not expected.jump
            floor = _ROUNDING[self.dtype] * max(_SMALL, abs(found))
            if smooth and off > 10 * expected.error + floor:
                raise VerificationError(
                    "the derivative differs from differences of the function's values"
                    if order == 1
                    else "the derivative differs from differences of the derivative before it",
                    **self._named(found, float(expected.derivative), order),
                    subject=f"{name} of {self.problem.name}, order {order}",
                    expected=f"{float(expected.derivative):.9g} ± {expected.error:.1g}, along a random direction",
                    got=f"{found:.9g}",
                    hint=f"check_gradients(fn, x, order={order}) looks closer; a tf.custom_gradient is the usual cause",
                )

    def _named(self, found: float, expected: float, order: int | None = None) -> dict[str, Any]:
        """How far off a derivative is, and the op where that begins."""
        error = abs(found - expected) / max(abs(found), abs(expected))
        op = differing_op(self.problem, self._operator, order, self._alike)
        known = {} if op is None else {"op": op.op, "name": op.name, "where": _place(op)}
        return {"error": error, **known}

    def _moves(self, chains: list[Chain], expected: float) -> float:
        """How much the plain product moves from call to call, with the last digits of the point, and with the weights.

        A gradient that clips or cuts what comes to it is not linear in the weights, so that no matrix stands behind it.
        """
        xs, limits = self.problem.xs, np.finfo(self.dtype.as_numpy_dtype)
        # At 0 a kink that others take away, as |x|², may leave a part to the plain product.
        eps, tiny = limits.eps, float(limits.tiny) ** 0.5
        turned = [([w / -_SMALL for w in weights], directions) for weights, directions in chains]
        moved = [self._plain(chains, xs), self._plain(turned, xs) * -_SMALL]
        for _ in range(0 if self.problem.variables else 3):
            ends = [x + self._vector(x) * (tf.abs(x) * eps + tiny) for x in xs]
            moved.append(self._plain(chains, ends))
        return max(abs(m - expected) for m in moved)

    def _chains(self, name: str) -> list[Chain]:
        """The terms of the plain product."""
        if name == "laplacian":
            return [(self.u, [unit, unit]) for unit in self._units()]
        if name == "divergence":
            return [(unit, [unit]) for unit in self._units()]
        if name == "partial":
            return [(self.u, tangents_of(self.problem, self.u))]
        return [(self.u, [self.v, self.w] if name in ("hessian", "hvp") else [self.v])]

    def _units(self) -> list[Tensors]:
        """Unit vectors of a sample, the same for each."""
        xs, lead = self.problem.xs, 1 if self.problem.batched else 0
        if sum(int(np.prod(x.shape[lead:])) for x in xs) > _MOST_ELEMENTS:
            raise _NotComparableError
        units = []
        for place, x in enumerate(xs):
            for row in np.eye(int(np.prod(x.shape[lead:]))):
                unit = tf.broadcast_to(tf.constant(row.reshape(x.shape[lead:]), x.dtype), x.shape)
                units.append([unit if n == place else tf.zeros_like(other) for n, other in enumerate(xs)])
        return units

    def _plain(self, chains: list[Chain], xs: Tensors) -> float:
        total = 0.0
        for chain in chains:
            total += float(self._along(*chain, xs))
        return total

    def _along(self, weights: Tensors, directions: list[Tensors], xs: Tensors) -> tf.Tensor:
        """The weighted sum of the results, differentiated along one direction after the other."""
        if not directions:
            return _dot(self.problem.call(xs), weights)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(xs)
            inner = self._along(weights, directions[:-1], xs)
        return _dot(tape.gradient(inner, xs, unconnected_gradients="zero"), directions[-1])

    def _contracted(self, name: str, leaves: list[Any], pattern: Any) -> float:
        """The same number, contracted from the result."""
        u, v, w = list(map(np.asarray, self.u)), list(map(np.asarray, self.v)), list(map(np.asarray, self.w))
        if name == "sparse_jacobian":
            return self._by_entries(leaves[0], u, v, pattern)
        if name == "hessian":
            leaves = self._times(leaves, w)
        if name in ("jacobian", "gradient", "hessian"):
            leaves = self._times(leaves, v)
        like = {"vjp": v, "hvp": w, "divergence": [np.ones(())]}.get(name, u)
        total = 0.0
        for leaf, other in zip(leaves, like, strict=True):
            if leaf is not None:
                total += float(np.sum(np.reshape(leaf, (-1, other.size)) * other.ravel()))
        return total

    def _times(self, leaves: list[Any], vectors: list[np.ndarray]) -> list[Any]:
        """Blocks by a direction: their last axes, those of the xs, are summed, and so are neighbours."""
        sums: list[Any] = []
        for n, leaf in enumerate(leaves):
            vector = vectors[n % len(vectors)]
            count = len(vector) if self.problem.batched and not self.problem.variables else 1
            width = vector.size // max(count, 1)
            if n % len(vectors) == 0:
                sums.append(None)
            if leaf is not None:
                term = leaf.reshape(count, -1, width) @ vector.reshape(count, width, 1)
                sums[-1] = term if sums[-1] is None else sums[-1] + term
        return sums

    def _by_entries(self, entries: np.ndarray, u: Any, v: Any, pattern: Any) -> float:
        lead = len(entries) if self.problem.batched else 1
        rows, columns = (np.concatenate([t.reshape(lead, -1) for t in vectors], 1) for vectors in (u, v))
        places = pattern.tocoo()
        return float(np.sum(rows[:, places.row] * entries.reshape(lead, -1) * columns[:, places.col]))


def _place(op: WrongOp) -> str | None:
    return None if op.where is None else f"{op.where}: {op.code}"


def _dot(xs: Sequence[Any], ys: Sequence[tf.Tensor]) -> tf.Tensor:
    total = tf.constant(0.0, tf.float64)
    for x, y in zip(xs, ys, strict=True):
        total += tf.cast(tf.reduce_sum(x * tf.reshape(y, tf.shape(x))), tf.float64)
    return total
