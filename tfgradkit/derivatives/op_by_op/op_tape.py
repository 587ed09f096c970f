"""A tape of single ops: a traced function is run op by op, into calls, branches and loops, and differentiated back.

TensorFlow's own gradient functions are asked, op by op, so that the result is what its tape gives; but the value and
the adjoint of every op on the way are at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.emit import executed
from ...graph.interpret import needed
from ...graph.ops import INTENDED_ENDS, carries
from ...graph.recorded_run import RecordedValue, Runner, RunStep
from ...op_gradients.registry import entry

Tensors = Sequence[Any]
_OPAQUE = (tf.resource, tf.variant)


@dataclass(eq=False)
class Slot:
    """What the tape knows of a value that depends on the arguments: its adjoint, once it has been there."""

    adjoint: Any = None

    def add(self, gradient: Any) -> None:
        """One more way back."""
        self.adjoint = gradient if self.adjoint is None else tf.raw_ops.AddN(inputs=[self.adjoint, gradient])


@dataclass(eq=False)
class TapedStep:
    """An op that has run on values that depend on the arguments.

    Attributes:
        operation: itself, in its graph.
        inputs, results: what it took, and its values; their notes are slots, or None where nothing depends on x.
        frame: the run of the function's graph that it is in.
        partials: Jᵀ u for each input, once the tape has been there.
        seeds: the u.
    """

    operation: Any
    inputs: list[RecordedValue]
    results: list[RecordedValue]
    frame: OpTape
    partials: list[Any] = field(default_factory=list)
    seeds: list[Any] = field(default_factory=list)


class OpTape(Runner):
    """Runs a graph op by op, and keeps what depends on values whose note is a :class:`Slot`.

    Attributes:
        steps: in the order in which they ran, those of called functions, too.
    """

    def __init__(self, values: dict[Any, RecordedValue]) -> None:
        super().__init__(values, self._watch_step)
        self.steps: list[TapedStep] = []
        self.parent: OpTape | None = None
        # By an op whose gradient a user replaced: the placeholders of its seeds, and its gradients, in its graph.
        self._added: dict[Any, tuple[list[Any], list[Any]]] = {}

    def op(self, operation: Any, inputs: list[RecordedValue]) -> Sequence[RecordedValue]:
        """Runs an op; one that depends on the arguments is kept."""
        results = list(super().op(operation, inputs))
        made = [cell for cell in results if all(cell is not taken for taken in inputs)]
        if any(cell.note is not None for cell in made):
            self.steps.append(TapedStep(operation, inputs, results, self))
        return results

    def enter(self, caller: Any, graph: Any, inputs: Sequence[Any]) -> OpTape:
        """The tape for a function's graph, which adds to the same steps."""
        inner = super().enter(caller, graph, inputs)
        inner.parent = self
        return inner

    def passed(self, operation: Any) -> None:
        """All values are kept, for gradients that take them."""

    def outside(self, tensor: Any) -> RecordedValue:
        """A value that a gradient took from outside of its function."""
        outer = next((out for out, inside in tensor.graph.captures if inside is tensor), None)
        if outer is None or self.parent is None:
            raise KeyError(tensor)
        return RecordedValue(outer) if hasattr(outer, "numpy") else self.parent.value(outer)

    def evaluated(self, tensors: Sequence[Any], given: dict[Any, RecordedValue], fresh: set[Any]) -> list[Any]:
        """The values of ``tensors`` of this graph, of which those ``given`` are known, and the ``fresh`` are not."""
        known = {key: value for key, value in self.values.items() if key not in fresh} | given
        inner = _Evaluation(known, lambda step: [None] * len(step.results))
        inner.callers, inner.source = self.callers, self
        return [cell.value for cell in inner.run(tensors[0].graph.get_operations(), tensors)]

    def backward(self, outputs: Sequence[RecordedValue], seeds: Tensors) -> None:
        """The way back: adjoints of all that was kept."""
        for cell, seed in zip(outputs, seeds, strict=True):
            if cell.note is not None:
                cell.note.add(tf.cast(seed, cell.value.dtype))
        for step in reversed(self.steps):
            step.seeds = [cell.note.adjoint if cell.note is not None else None for cell in step.results]
            if all(seed is None for seed in step.seeds):
                continue
            step.partials = self.partials_of(step, step.seeds)
            for cell, partial in zip(step.inputs, step.partials, strict=False):
                if cell.note is not None and partial is not None:
                    cell.note.add(partial)

    def _watch_step(self, step: RunStep) -> list[Slot | None]:
        depends = any(cell.note is not None for cell in step.inputs)
        return [Slot() if depends and carries(result.dtype) else None for result in step.results]

    def partials_of(self, step: TapedStep, seeds: Tensors) -> list[Any]:
        """Jᵀ u for each input of a step; None, or left out at the end, where there is no gradient."""
        if step.operation.type in INTENDED_ENDS:
            return []
        rule = own_rule(step.operation)
        found = self._by_own_rule(step, rule, seeds) if rule is not None else _by_registry(step, seeds)
        return [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in found]

    def _by_own_rule(self, step: TapedStep, rule: Callable[..., Any], given: Tensors) -> list[Any]:
        """By a gradient that a user put in place, which may take any tensor of the op's graph: so it is run there."""
        operation = step.operation
        if operation not in self._added:
            with operation.graph.as_default():
                seeds = [tf.compat.v1.placeholder(t.dtype, t.shape) for t in operation.outputs]
                found = rule(operation, *seeds)
                found = list(found) if isinstance(found, (list, tuple)) else [found]
                self._added[operation] = (seeds, [None if g is None else tf.convert_to_tensor(g) for g in found])
        seeds, partials = self._added[operation]
        cells = zip(seeds, given, step.results, strict=True)
        known = {s.ref(): RecordedValue(_or_zeros(seed, cell.value)) for s, seed, cell in cells}
        wanted = [partial for partial in partials if partial is not None]
        values = iter(step.frame.evaluated(wanted, known, set()) if wanted else [])
        return [None if partial is None else next(values) for partial in partials]


class _Evaluation(Runner):
    """More tensors of a graph that has run."""

    source: OpTape

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """What is not known yet."""
        wanted = {t.op for t in outputs if t.ref() not in self.values}
        return needed(operations, wanted.__contains__, lambda t: t.ref() in self.values)

    def passed(self, operation: Any) -> None:
        """All values are kept."""

    def outside(self, tensor: Any) -> RecordedValue:
        """As of the run."""
        return self.source.outside(tensor)


def own_rule(operation: Any) -> Callable[..., Any] | None:
    """The gradient function in place of an op's own, as that of the IdentityN that a ``tf.custom_gradient`` makes."""
    if operation.type == "Const":
        return None
    attribute = operation.node_def.attr.get("_gradient_op_type")
    rule = entry(attribute.s.decode()) if attribute is not None else None
    return rule if callable(rule) else None


def taped(graph: Any, inputs: dict[Any, Any], outputs: Sequence[Any], depending: set[Any]) -> tuple[OpTape, list[Any]]:
    """A run of a function's graph on a new tape, and the cells of its ``outputs``.

    Args:
        graph: of the function.
        inputs: by ``ref()`` of the graph's arguments, their values; captured ones are known.
        outputs: tensors of the graph.
        depending: the ``ref()`` of those arguments, captured ones too, that count as depending on x.

    Raises:
        SourceError: the graph has loops of TensorFlow 1.
    """
    captured = {inner.ref(): outer for outer, inner in graph.captures}
    cells = {
        t.ref(): RecordedValue(
            inputs[t.ref()] if t.ref() in inputs else captured[t.ref()], Slot() if t.ref() in depending else None
        )
        for t in graph.inputs
    }
    variables = [(variable, variable.read_value()) for variable in graph.variables]
    tape = OpTape(cells)
    try:
        return tape, tape.run(graph.get_operations(), outputs)
    finally:
        for variable, value in variables:
            variable.assign(value)


def numbers(cell: RecordedValue) -> np.ndarray | None:
    """A value as an array; of a variable's handle what it holds; None where there are none."""
    value = cell.value
    if value.dtype == tf.resource:
        with suppress(AttributeError, tf.errors.OpError):
            data = value._handle_data.shape_and_type[0]
            value = tf.raw_ops.ReadVariableOp(resource=value, dtype=data.dtype)
    return None if value.dtype in _OPAQUE else value.numpy()


def _by_registry(step: TapedStep, seeds: Tensors) -> list[Any]:
    """By the gradient functions that TensorFlow has."""
    cells = step.inputs
    watched = [(i, cell.value) for i, cell in enumerate(cells) if cell.note is not None]
    with tf.GradientTape() as tape:
        values = [tf.identity(cell.value) if _floats(cell.value) else cell.value for cell in cells]
        tape.watch([values[i] for i, _ in watched if _floats(values[i]) or values[i].dtype in _OPAQUE])
        results = executed(step.operation, values)
    pairs = [(y, seed) for y, seed in zip(results, seeds, strict=True) if seed is not None]
    found = tape.gradient(
        [y for y, _ in pairs], [values[i] for i, _ in watched], output_gradients=[seed for _, seed in pairs]
    )
    by_place = dict(zip((i for i, _ in watched), found, strict=True))
    return [by_place.get(i) for i in range(len(cells))]


def _floats(value: Any) -> bool:
    return bool(value.dtype.is_floating or value.dtype.is_complex)


def _or_zeros(seed: Any, like: Any) -> Any:
    if seed is not None:
        return seed
    return like if like.dtype in _OPAQUE else tf.zeros_like(like)
