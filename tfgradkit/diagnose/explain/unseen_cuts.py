"""Cuts that no op makes: inputs that the tape doesn't watch, values that leave TensorFlow in Python, unused inputs."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from ...graph.user_line import Site
from ..trace_ops.recording import Step
from .cut import Cut, cut_by
from .explanation import Cause
from .named_tensors import NamedTensor
from .reachability import CONNECTED
from .recorded_block import RecordedBlock
from .user_code.source_lines import SourceCode


def unwatched(block: RecordedBlock, source: NamedTensor) -> Cut:
    """Why the tape doesn't watch the source."""
    place = block.place_of(source)
    first = block.first_use(source)
    if source.variable is not None:
        if first is not None and not block.steps[first].recorded:
            return cut_by(block.steps[first], ()) or _cut("unwatched", place)
        if not source.variable.trainable:
            line = block.line(
                lambda code: next((f for name in source.aliases if (f := code.assigned(name, "trainable"))), None)
            )
            return _cut("not_trainable", Site(line, place.layer) if line else place)
        if block.automatic or first is None:
            return not_used(block, source)
        why = f"The tape was made with watch_accessed_variables=False, and is not told to watch {source.name}."
        return _cut("unwatched", place, why=why)
    line = block.line(lambda code: next((f for name in source.aliases if (f := code.reassigned(name))), None))
    if line is not None:
        return _cut("replaced_by_tensor", Site(line))
    nor = "" if first is not None else " Nor does anything in the block use it."
    why = f"The tape does not watch {source.name}: it watches trainable variables, and what tape.watch tells it."
    return _cut("unwatched", place, why=why + nor)


def watched_late(block: RecordedBlock, source: NamedTensor) -> Cut | None:
    """The first use of the source, where that comes before ``tape.watch``."""
    first = block.first_use(source)
    if first is None or first >= block.watched.get(source.tensor.ref(), 0) or not block.steps[first].recorded:
        return None
    why = f"{source.name} is used before tape.watch({source.name}): the tape records only what comes later."
    return _cut("unwatched", block.steps[first].site, why=why)


def without_influence(block: RecordedBlock, source: NamedTensor, output: NamedTensor) -> Cut:
    """The cut where no op leads from the source to the output, not even one without a gradient."""
    walk = block.walk(source)
    for step in block.steps:
        state = walk.value(step.inputs[0]) if step.type == "numpy" else None
        if state is not None and not _is_only_shown(step):
            return state if isinstance(state, Cut) else Cut("left_tensorflow", step)
    names = _names_after(block, source)
    left = block.code.leaving(names, block.lines) if block.code is not None else None
    if left is not None:
        line = block.line(lambda _: left)
        return _cut("left_tensorflow", Site(line), op=_function_name(left.node))
    reason = not_used(block, source, output)
    copy = _user_of_copy(block, source) if reason.cause == "unused" else None
    if copy is not None:
        why = f"Another tensor with the numbers of {source.name} is used here; the tape knows no link between them."
        return Cut("replaced_by_tensor", copy, why=why, remedy=f"pass {source.name} itself, the tensor that is watched")
    return reason


def not_used(block: RecordedBlock, source: NamedTensor, output: NamedTensor | None = None) -> Cut:
    """The cut where no op of the block uses the source: another branch would, or a line outside of the block does."""
    if block.first_use(source) is None:
        line = block.line(lambda code: code.branch(set(source.aliases), block.lines))
        if line is not None:
            return _cut("branch_not_taken", Site(line, source.layer), op="if")
    before = _used_before_block(block, source)
    if before is not None:
        why = f"This line is outside of the tape's with block, so the tape does not see what it makes of {source.name}."
        return _cut("unwatched", before, why=why, remedy="move the line into the with block")
    outside = _made_outside_block(block, output) if output is not None else None
    if outside is not None:
        why = f"This line is outside of the tape's with block, so the tape does not see how {output.name} is made."  # type: ignore[union-attr]
        return _cut("unwatched", outside, why=why, remedy="indent the line, so that it belongs to the with block")
    why = ""
    if source.layer and block.first_use(source) is None:
        why = f"Nothing reads {source.name}: layer {source.layer} is not called."
    return _cut("unused", Site(block.code.location if block.code else None, source.layer), why=why)


def _used_before_block(block: RecordedBlock, source: NamedTensor) -> Site | None:
    """The line outside of the block that uses the source for something that the block uses."""
    lines = block.lines
    if lines is None or lines == (0, 0):
        return None
    line = block.line(lambda code: code.outside(set(source.aliases), lines))
    return Site(line) if line is not None else None


def _made_outside_block(block: RecordedBlock, output: NamedTensor) -> Site | None:
    """The line that makes the output, if it is outside of the block."""
    if block.made(output.tensor) or block.lines is None:
        return None
    first, last = block.lines
    line = block.line(lambda code: next((f for n in output.aliases if (f := code.assigned(n))), None))
    return Site(line) if line is not None and not first <= line.line <= last else None


def _names_after(block: RecordedBlock, source: NamedTensor) -> set[str]:
    """The names that the code has for the source, and for results of ops that depend on it."""
    names, walk = set(source.aliases), block.walk(source)
    for step in block.steps:
        place = step.site.location
        if place is None or block.code is None or place.file != block.code.location.file:
            continue
        if any(walk.value(tensor) == CONNECTED for tensor in step.outputs):
            names |= SourceCode(place).assigned_here()
    return names


def _user_of_copy(block: RecordedBlock, source: NamedTensor) -> Step | None:
    """The op that takes another tensor with the source's numbers, where none takes the source."""
    if source.variable is not None or block.first_use(source) is not None:
        return None
    known = {tensor.ref() for step in block.steps for tensor in step.outputs} | set(block.watched)
    for step in block.steps:
        if any(tensor.ref() not in known and _are_equal(tensor, source.tensor) for tensor in step.inputs):
            return step
    return None


def _are_equal(a: Any, b: Any) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape or not hasattr(a, "numpy") or not a.shape.rank:
        return False
    return bool(np.array_equal(a.numpy(), b.numpy()))


def _is_only_shown(step: Step) -> bool:
    return step.site.location is not None and SourceCode(step.site.location).only_shows()


def _function_name(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _cut(cause: Cause, site: Site, **more: Any) -> Cut:
    return Cut(cause, Step("", (), (), site), **more)
