"""Which ops make a derivative wrong: the whole error, told apart by op.

Let t be the true changes of all values along a direction v, from differences of whole runs, and ā the adjoints that
TensorFlow's gradient functions give for the seeds u. What an op k with the local Jacobian J adds to the error is

    ⟨ā_out, t_out⟩ - ⟨Jᵀ ā_out, t_in⟩,

which is zero where its gradient is right; and by telescoping the sum over all ops is ⟨u, true Jv⟩ - ⟨Jᵀu, v⟩, the error
of the whole. So an op counts by what it does to this result: a ``tf.stop_gradient`` that takes nothing away, as in a
log-sum-exp, counts nothing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...derivatives.op_by_op.local_check import error_alone
from ...derivatives.op_by_op.op_place import placed
from ...derivatives.op_by_op.op_tape import OpTape, TapedStep, numbers, taped
from ...derivatives.op_by_op.wrong_op import WrongOp
from .float64_shadow import narrowest

Array = np.ndarray
# Steps of the differences, as powers of the rounding error of one number.
_POWERS = (0.25, 0.33, 0.42)
# Of the largest share, what is named; and of the product itself, what is rounding.
_NAMED, _ROUNDING = 0.02, 1e-7


@dataclass(frozen=True)
class TracedFunction:
    """A function of flat tensors, traced.

    Attributes:
        concrete: its trace.
        xs: the point: tensors for its arguments, or the variables that it reads.
        by_variables: whether xs are variables.
        layer_names: of the layers whose scopes name ops.
    """

    concrete: Any
    xs: Sequence[Any]
    by_variables: bool = False
    layer_names: Sequence[str] = ()

    def narrowest(self) -> str:
        """The name of the coarsest dtype that values are cast to on the way; "float64" where they aren't."""
        graph = self.concrete.graph
        return narrowest(graph.get_operations(), self._sources(), list(self.concrete.outputs))

    def _sources(self) -> list[Any]:
        """What stands for xs in the graph."""
        if not self.by_variables:
            return list(self.concrete.inputs[: len(self.xs)])
        handles = {id(variable.handle) for variable in self.xs}
        return [inner for outer, inner in self.concrete.graph.captures if id(outer) in handles]

    def run(self, values: Sequence[Any]) -> tuple[OpTape, list[Any]]:
        """A run on a new tape at other ``values`` of xs."""
        depending = [t.ref() for t in self._sources()]
        inputs = {} if self.by_variables else dict(zip(depending, values, strict=True))
        with self.at(values):
            return taped(self.concrete.graph, inputs, self.concrete.outputs, set(depending))

    def at(self, values: Sequence[Any]) -> Any:
        """Where variables have these values, which steps of a run may read."""
        return _assigned(self.xs if self.by_variables else (), values if self.by_variables else ())


def wrong_ops(function: TracedFunction, us: Sequence[Array], vs: Sequence[Array], epsilon: float) -> list[WrongOp]:
    """The ops that make ⟨u, Jv⟩ by the tape another number than by differences, those that do most first.

    Args:
        function: traced.
        us, vs: seeds like its results, directions like xs.
        epsilon: the relative rounding of one number.

    Raises:
        Exception: whatever an op that can't be run alone may raise.
    """
    base, outputs = function.run(function.xs)
    base.backward(outputs, us)
    steps = [step for step in base.steps if _is_counted(step)]
    shares = _shares(function, steps, vs, epsilon)
    # What is missing of the whole may be a small part of a sum, or more than all of one that cancels.
    return [
        placed(step, function.layer_names, error_alone(base, step) or _share(missing, whole))
        for step, missing, whole in _largest(steps, shares)
    ]


def _share(missing: float, whole: float) -> float:
    return abs(missing) / max(abs(whole), abs(whole - missing))


def _largest(steps: list[TapedStep], shares: Array) -> list[tuple[TapedStep, float, float]]:
    """The ops with a share that is no rounding, the largest first; the turns of a loop are one op."""
    sums: dict[Any, Array] = {}
    first: dict[Any, TapedStep] = {}
    for step, share in zip(steps, shares, strict=True):
        sums[step.operation] = sums.get(step.operation, np.zeros(3)) + share
        first.setdefault(step.operation, step)
    largest = max((abs(missing) for missing, _, _ in sums.values()), default=0.0)
    found = [
        (first[operation], missing, whole)
        for operation, (missing, whole, doubt) in sums.items()
        if abs(missing) > max(_NAMED * largest, 4 * doubt, _ROUNDING * abs(whole))
    ]
    return sorted(found, key=lambda entry: -abs(entry[1]))


def _is_counted(step: TapedStep) -> bool:
    """Whether an op has a share that can be told: numbers in, numbers out, and something depends on it."""
    if step.operation.type == "ReadVariableOp" or all(seed is None for seed in step.seeds):
        return False
    return all(_is_number(c) for c in step.results if c.note is not None) and all(
        _is_number(c) or c.value.dtype == tf.resource for c in step.inputs if c.note is not None
    )


def _is_number(cell: Any) -> bool:
    return bool(cell.value.dtype.is_floating or cell.value.dtype.is_complex)


def _shares(function: TracedFunction, steps: list[TapedStep], vs: Sequence[Array], epsilon: float) -> Array:
    """For each step (what is missing, the whole ⟨ā_out, t_out⟩, how much of the first is in doubt)."""
    here = [_pairs(step) for step in steps]
    tries = []
    for power in _POWERS:
        ahead, behind = (_products(function, steps, here, vs, sign * epsilon**power) for sign in (1, -1))
        if ahead is not None and behind is not None:
            tries.append((ahead - behind) / (2 * epsilon**power))
    if not tries:
        return np.zeros((len(steps), 3))
    missing = np.array([t[:, 0] - t[:, 1] for t in tries])
    best = np.argsort(np.abs(missing), axis=0)[len(tries) // 2]
    chosen, each = np.take_along_axis(missing, best[None], 0)[0], np.arange(len(steps))
    apart = np.abs(missing - chosen)
    apart[best, each] = np.inf if len(tries) > 1 else 0.0
    whole = np.array(tries)[best, each, 0]
    return np.stack([chosen, whole, np.nan_to_num(apart.min(0))], -1)


def _pairs(step: TapedStep) -> tuple[list[tuple[int, Array, Array]], list[tuple[int, Array, Array]]]:
    """(position, weight, value) of the results, then of the inputs that have a weight."""
    results = [(i, numbers_of(s), numbers(c)) for i, (s, c) in enumerate(zip(step.seeds, step.results, strict=True))]
    partials = [None if c.note is None else p for p, c in zip(step.partials, step.inputs, strict=False)]
    inputs = [(i, numbers_of(p), numbers(step.inputs[i])) for i, p in enumerate(partials)]
    kept = [[(i, w, v) for i, w, v in side if w is not None and v is not None] for side in (results, inputs)]
    return kept[0], kept[1]


def numbers_of(tensor: Any) -> Array | None:
    """A tensor as an array; None where there is none."""
    return None if tensor is None or tensor.dtype in (tf.resource, tf.variant) else np.asarray(tensor.numpy())


def _products(
    function: TracedFunction, steps: list[TapedStep], here: list[Any], vs: Sequence[Array], h: float
) -> Array | None:
    """For each step the change of ⟨ā_out, y⟩ and of ⟨Jᵀ ā_out, x⟩ at x + h v; None where it runs other ops there."""
    values = [tf.cast(x.numpy() + h * v, x.dtype) for x, v in zip(function.xs, vs, strict=True)]
    tape, _ = function.run(values)
    moved = _aligned(steps, tape.steps)
    if any(step is None for step in moved):
        return None
    pairs = zip(here, moved, strict=True)
    with function.at(values):
        changes = [(_weighted(ys, step.results), _weighted(xs, step.inputs)) for (ys, xs), step in pairs if step]
    return np.array(changes).reshape(-1, 2)


def _aligned(steps: list[TapedStep], moved: list[TapedStep]) -> list[TapedStep | None]:
    """For each step of one run that of another."""
    uses: dict[Any, deque[TapedStep]] = defaultdict(deque)
    for step in moved:
        uses[step.operation].append(step)
    return [uses[step.operation].popleft() if uses[step.operation] else None for step in steps]


def _weighted(pairs: list[tuple[int, Array, Array]], cells: Sequence[Any]) -> float:
    """Σ weight · change; of complex numbers the real part of the product with the conjugate, as adjoints are."""
    total = 0.0
    for position, weight, before in pairs:
        now = numbers(cells[position])
        if now is None or now.shape != before.shape:
            return np.nan
        total += float(np.sum(np.real(np.conj(weight) * (now.astype(_wide(now)) - before))))
    return total


def _wide(x: Array) -> Any:
    return np.complex128 if np.iscomplexobj(x) else np.float64


@contextmanager
def _assigned(variables: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    before = [variable.read_value() for variable in variables]
    try:
        for variable, new in zip(variables, values, strict=True):
            variable.assign(new)
        yield
    finally:
        for variable, old in zip(variables, before, strict=True):
            variable.assign(old)
