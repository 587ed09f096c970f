"""The answer for one output and one input, whose status is known: what cuts the way, where, and what to do."""

from __future__ import annotations

from ...graph.location import Site
from ...graph.steps import Step
from .block import Block
from .causes import SENTENCES, ZERO_SENTENCES
from .connection import Connection, Status
from .cut import Cut, carries
from .named import Named
from .origins import unread, unwatched, watched_late, without_influence
from .remedies import Trouble, remedy
from .walk import CONNECTED
from .zeros import zero_at


def connection(block: Block, output: Named, source: Named, status: Status, error: str = "") -> Connection:
    """The answer for one pair, whose status TensorFlow has said."""
    if status in ("connected", "zero") and block.uses_shipped():
        state = block.state(output, source)
        if isinstance(state, Cut) and state.fails:
            return _answer(block, output, source, "error", state)
    if status == "connected":
        return Connection(output.name, source.name, status)
    if status == "zero":
        cut = _zero(block, output, source)
    else:
        cut = _failing(block, output, source, error) if status == "error" else _cut(block, output, source)
    return _answer(block, output, source, status, cut)


def _failing(block: Block, output: Named, source: Named, error: str) -> Cut:
    states = [block.state(output, source), *block.walk(source).states.values()]
    found = next((state for state in states if isinstance(state, Cut) and state.fails), None)
    return found or Cut("unregistered", Step("an op", (), ()), fails=True, why=f"TensorFlow says: {error}")


def _zero(block: Block, output: Named, source: Named) -> Cut:
    """Functions and integer results give zeros where there is no way."""
    state = block.state(output, source)
    if state == CONNECTED:
        return zero_at(block.steps, block.walk(source), output.tensor, block.gradients)
    return state if isinstance(state, Cut) else without_influence(block, source, output)


def _cut(block: Block, output: Named, source: Named) -> Cut:
    if not carries(source.dtype):
        why = f"{source.name} is {source.dtype.name}: integers, truth values and text have no gradient."
        return Cut("not_floating", Step("", (), (), _turned(block, source)), why=why)
    if not block.is_watched(source):
        return unwatched(block, source)
    late = watched_late(block, source)
    state = block.state(output, source)
    if late is not None or isinstance(state, Cut):
        return late or state  # type: ignore[return-value]
    if state == CONNECTED:
        return _by_asking(block, source) or unread(block, source, output)
    return without_influence(block, source, output)


def _turned(block: Block, source: Named) -> Site:
    """Where integers are turned into floating numbers, as by an embedding; else where they are used first."""
    walk = block.walk(source)
    for step in block.steps:
        floats = any(carries(t.dtype) for t in step.outputs)
        if step.site.layer and floats and any(walk.state(t) for t in step.inputs):
            return step.site
    return block.place_of(source)


def _by_asking(block: Block, source: Named) -> Cut | None:
    """The first op whose results TensorFlow doesn't connect, where the walk alone found nothing."""
    walk, ask = block.walk(source), block.gradients
    for step in block.steps if ask is not None else ():
        made = [t for t in step.outputs if walk.state(t) == CONNECTED and carries(t.dtype)]
        if made and ask is not None and all(ask(t, [source.value])[0] is None for t in made):
            return Cut("custom_gradient" if step.rule or step.graph else "not_differentiable", step)
    return None


def _answer(block: Block, output: Named, source: Named, status: Status, cut: Cut) -> Connection:
    sites = [cut.step.site, *(step.site for step in reversed(cut.calls))]
    where = next((site.location for site in sites if site.location is not None), None)
    layer = next((site.layer for site in sites if site.layer), None)
    called = next((site.called for site in sites if site.called), None)
    op = cut.op or ((called or "").strip("_") if cut.cause == "left_tensorflow" else "") or cut.step.type or None
    trouble = Trouble(cut.cause, op or "", source.name, called, where, layer, bool(cut.flat))
    sentence = (ZERO_SENTENCES if cut.flat else SENTENCES)[cut.cause]
    why = cut.why or sentence.format(input=source.name, output=output.name, op=op or "this line")
    return Connection(
        output.name,
        source.name,
        status,
        cut.cause,
        op,
        None if where is None else str(where),
        cut.remedy or remedy(trouble),
        layer,
        "" if where is None else where.code,
        why,
    )
