"""Each op by itself: its gradient at the values that it takes, against another way to have it.

Unlike in ``wrong_ops``, an op counts whatever it does to the whole: also where a saturated op behind it hides it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.emit import executed
from ...graph.ops import INTENDED_ENDS, everywhere
from ...graph.recorded_run import RecordedValue
from ..extrapolated_differences import along
from .op_place import is_users_rule, placed
from .op_tape import OpTape, TapedStep, own_rule, taped
from .rounding import TOLERANCE, epsilon_of, value_floor
from .wrong_op import WrongOp

# An op as a function of its floating inputs, and their values, to how much its derivatives are off; 0.0 if they aren't.
Judge = Callable[[Callable[..., list[Any]], list[Any]], float]
_SEED, _DIRECTIONS = 1982, 2


def first_wrong_op(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    judge: Judge | None = None,
    layer_names: Sequence[str] = (),
    variables: Sequence[Any] = (),
) -> WrongOp | None:
    """The first op of a function, in the order in which they run, whose gradient is wrong; None if there is none.

    The function is run op by op at ``arguments``, into calls, branches and loops.

    Args:
        function: of tensors; its results are any nest of tensors.
        arguments: floating tensors.
        judge: says by how much an op is off, relative, from the op as a function, which can be traced and
            differentiated, and the values of its floating inputs. If left out, the op's gradient is compared with
            differences of its values; that of a ``tf.custom_gradient``, which is one op here and which no other judge
            gets, too. Ops that are alike but for the numbers that they take are judged once.
        layer_names: of the layers whose scopes name ops.
        variables: that count as arguments, too.

    Raises:
        SourceError: the function has loops of TensorFlow 1.
    """
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in arguments]
    flat = tf.function(lambda *xs: tf.nest.flatten(function(*xs)), autograph=False)
    concrete = flat.get_concrete_function(*specs)
    given = [t.ref() for t in concrete.inputs[: len(arguments)]]
    handles = {id(variable.handle) for variable in variables}
    read = [inner.ref() for outer, inner in concrete.graph.captures if id(outer) in handles]
    run = dict(zip(given, arguments, strict=True)), concrete.outputs, {*given, *read}
    tape, _ = taped(concrete.graph, *run)
    judged: set[Any] = set()
    for step in tape.steps:
        error = error_alone(tape, step) if judge is None else _judged(step, judge, judged)
        if error:
            return placed(step, layer_names, error)
    return None


def wrong_custom_gradients(tape: OpTape, layer_names: Sequence[str]) -> Iterator[WrongOp]:
    """Each ``tf.custom_gradient`` of the user's in a run whose gradient is not that of its values, once."""
    seen: set[Any] = set()
    for step in tape.steps:
        rule = own_rule(step.operation)
        if rule is not None and step.operation not in seen and is_users_rule(rule):
            seen.add(step.operation)
            error = error_alone(tape, step)
            if error:
                yield placed(step, layer_names, error)


def has_own_rules(graph: Any) -> bool:
    """Whether there is a ``tf.custom_gradient``, or another gradient of a user's, in a graph."""
    return any(own_rule(operation) is not None for operation in everywhere(graph.get_operations()))


def _judged(step: TapedStep, judge: Judge, before: set[Any]) -> float:
    """By how much an op is off, by the judge; what takes no numbers, has a user's gradient, or was judged, isn't."""
    values = [cell.value for cell in step.inputs]
    places = [i for i, cell in enumerate(step.inputs) if cell.note is not None and values[i].dtype.is_floating]
    results = [i for i, cell in enumerate(step.results) if cell.value.dtype.is_floating]
    kind = _kind(step, places)
    if own_rule(step.operation) is not None or not places or not results or kind in before:
        return 0.0
    before.add(kind)

    def call(*xs: Any) -> list[Any]:
        filled = list(values)
        for place, x in zip(places, xs, strict=True):
            filled[place] = x
        ys = executed(step.operation, filled)
        return [ys[i] for i in results]

    return judge(call, [values[place] for place in places])


def _kind(step: TapedStep, places: list[int]) -> Any:
    """What ops have in common that differ in the numbers that they take."""
    attributes = step.operation.node_def.attr
    known = tuple((n, attributes[n].SerializeToString(deterministic=True)) for n in sorted(attributes) if n[0] != "_")
    taken = tuple(
        (cell.value.shape, cell.value.dtype, i in places or _bytes(cell)) for i, cell in enumerate(step.inputs)
    )
    return step.operation.type, known, taken


def _bytes(cell: RecordedValue) -> Any:
    return cell.value.dtype in (tf.resource, tf.variant) or cell.value.dtype.is_floating or cell.value.numpy().tobytes()


def error_alone(tape: OpTape, step: TapedStep) -> float:
    """By how much an op's gradient is off, by differences of its values; 0.0 where it isn't, or nobody can tell.

    Relative, by the input where it is off most.
    """
    if step.operation.type in INTENDED_ENDS | {"ReadVariableOp"} or not _is_numeric(step):
        return 0.0
    try:
        return _error_by_differences(tape, _Region(step))
    except (tf.errors.OpError, LookupError, ValueError, TypeError, NotImplementedError):
        return 0.0  # an op that can't be run alone, or that has no gradient, which is told elsewhere


def _is_numeric(step: TapedStep) -> bool:
    dtypes = [cell.value.dtype for cell in (*step.results, *step.inputs) if cell.note is not None]
    return all(dtype.is_floating or dtype == tf.resource for dtype in dtypes)


class _Region:
    """An op, or all that a ``tf.custom_gradient`` stands for, as a function of the floating tensors that it takes."""

    def __init__(self, step: TapedStep) -> None:
        self.step = step
        own = own_rule(step.operation) is not None and step.operation.type == "IdentityN"
        count = _result_count(step) if own else len(step.results)
        self.results = [i for i in range(count) if step.results[i].value.dtype.is_floating]
        first = count if own else 0
        # What doesn't depend on x is a constant to the tape.
        depending = [i for i, cell in enumerate(step.inputs) if i >= first and cell.note is not None]
        # The places of each tensor: within a graph one that is given twice can't be moved at one place alone.
        self.places: dict[Any, list[int]] = {}
        for i in depending:
            if step.inputs[i].value.dtype.is_floating and _size(step.inputs[i]):
                self.places.setdefault(step.operation.inputs[i].ref() if own else i, []).append(i)
        self._inner = own

    @property
    def xs(self) -> list[Any]:
        """The values of what it takes."""
        return [self.step.inputs[places[0]].value for places in self.places.values()]

    @property
    def ys(self) -> list[Any]:
        """The values of what it gives."""
        return [self.step.results[i].value for i in self.results]

    def __call__(self, xs: Sequence[Any]) -> list[Any]:
        """Its values at other xs."""
        if self._inner:
            return self._inside(xs)
        values = [cell.value for cell in self.step.inputs]
        for place, x in zip(self.places, xs, strict=True):
            values[place] = x
        results = executed(self.step.operation, values)
        return [results[i] for i in self.results]

    def _inside(self, xs: Sequence[Any]) -> list[Any]:
        """Between what goes into a ``tf.custom_gradient`` and what comes out lie ops of the same graph."""
        given = {tensor: RecordedValue(x) for tensor, x in zip(self.places, xs, strict=True)}
        wanted = [self.step.operation.inputs[i] for i in self.results]
        return self.step.frame.evaluated(wanted, given, _downstream([tensor.deref() for tensor in self.places]))


def _downstream(tensors: Sequence[Any]) -> set[Any]:
    """By ``ref()``, all tensors of a graph that depend on some."""
    found: set[Any] = set()
    waiting = list(tensors)
    while waiting:
        for operation in waiting.pop().consumers():
            new = [t for t in operation.outputs if t.ref() not in found]
            found |= {t.ref() for t in new}
            waiting += new
    return found


def _result_count(step: TapedStep) -> int:
    """How many of an IdentityN's inputs are results; the rest are arguments and variables."""
    rule = own_rule(step.operation)
    for cell in getattr(rule, "__closure__", None) or ():
        names = getattr(getattr(cell.cell_contents, "__code__", None), "co_freevars", ())
        if "flat_result_len" in names:
            return int(cell.cell_contents.__closure__[names.index("flat_result_len")].cell_contents)
    used = [i for i, tensor in enumerate(step.operation.outputs) if tensor.consumers()]
    return max(used, default=0) + 1


def _size(cell: RecordedValue) -> int:
    return int(np.prod(cell.value.shape))


def _error_by_differences(tape: OpTape, region: _Region) -> float:
    """The error by all inputs together; where there is one, that by the input where it is largest."""
    everything = range(len(region.places))
    error = _error_by(tape, region, everything)
    if error and len(everything) > 1:
        # Together one wrong input is thinned by the others, or more than all where those cancel each other.
        error = max(_error_by(tape, region, [number]) for number in everything) or error
    return error


def _error_by(tape: OpTape, region: _Region, moved: Sequence[int]) -> float:
    """The error along directions in which some of the tensors that it takes, by number, are ``moved``."""
    step, generator = region.step, np.random.default_rng(_SEED)
    xs, ys = ([t.numpy().astype(np.float64) for t in tensors] for tensors in (region.xs, region.ys))
    if not xs or not ys or not all(np.isfinite(a).all() for a in (*xs, *ys)):
        return 0.0
    coarsest = max((t.dtype.name for t in (*region.xs, *region.ys)), key=epsilon_of)
    products = []
    for _ in range(_DIRECTIONS):
        us = [generator.standard_normal(y.shape) for y in ys]
        vs = [_direction(generator, x) if number in moved else 0 * x for number, x in enumerate(xs)]
        value, expected = partial(_along, region, us, xs, vs), _by_tape(tape, step, region, us, vs)
        products.append(_compared(value, expected, us, ys, coarsest))
    return _relative([pair for pair in products if pair is not None])


def _direction(generator: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return np.asarray(generator.standard_normal(x.shape) * np.where(x == 0, 1.0, np.abs(x)))


def _along(region: _Region, us: Sequence[Any], xs: Sequence[Any], vs: Sequence[Any], h: float) -> np.ndarray:
    """⟨u, y(x + h v)⟩."""
    moved = [tf.cast(x + h * v, like.dtype) for x, v, like in zip(xs, vs, region.xs, strict=True)]
    return np.asarray(sum(float(np.sum(u * y.numpy())) for u, y in zip(us, region(moved), strict=True)))


def _by_tape(tape: OpTape, step: TapedStep, region: _Region, us: Sequence[Any], vs: Sequence[Any]) -> float:
    """⟨Jᵀ u, v⟩."""
    seeds: list[Any] = [None] * len(step.results)
    for i, u in zip(region.results, us, strict=True):
        seeds[i] = tf.cast(u, step.results[i].value.dtype)
    partials = tape.partials_of(step, seeds)
    pairs = [(i, v) for places, v in zip(region.places.values(), vs, strict=True) for i in places if i < len(partials)]
    return sum(float(np.sum(partials[i].numpy() * v)) for i, v in pairs if partials[i] is not None)


def _compared(
    value: Callable[[float], np.ndarray], expected: float, us: Any, ys: Any, dtype: str
) -> tuple[float, float, bool] | None:
    """⟨u, J v⟩ by differences, by the tape, and whether they differ; None where nobody can tell."""
    epsilon = epsilon_of(dtype)
    difference = along(value, epsilon)
    derivative = float(difference.derivative)
    floor = value_floor(sum(float(np.sum(np.abs(u * y))) for u, y in zip(us, ys, strict=True)), epsilon)
    if difference.kink or not np.isfinite([derivative, expected]).all():
        return None
    bound = max(TOLERANCE[dtype] * max(abs(derivative), abs(expected)), floor, 10 * difference.error)
    return derivative, expected, abs(derivative - expected) > bound


def _relative(products: Sequence[tuple[float, float, bool]]) -> float:
    """The error over all directions: in one alone the terms of a product may cancel."""
    if not any(differ for _, _, differ in products):
        return 0.0
    right, found = (np.array(column) for column in list(zip(*products, strict=True))[:2])
    return float(np.linalg.norm(right - found) / max(np.linalg.norm(right), np.linalg.norm(found)))
