"""What stands in the way of a C library: the graph that would be compiled is made, frozen and looked through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...errors import ExportError, SignatureError, TfGradKitError
from ...export.audit import obstacles
from ...export.entries import describe
from ...export.freeze import freeze
from ...export.functions import argument_specs, exported
from ...export.specs import with_specs
from ...graph.view import GraphView
from ...sources.layers import layer_of
from ..place import made_at
from . import remedies
from .found import Obstacle

_KINDS = {0: "value", 1: "jacobian", 2: "hessian"}
_DTYPES = {"float32", "float64"}


def not_exported(seen: GraphView, specs: Sequence[Any], order: int) -> list[Obstacle]:
    """The ops of the value that the C library can't have; where there are none, those of derivatives to ``order``."""
    known = seen.source.input_specs is not None
    try:
        source = with_specs(seen.source, None if known else tuple(specs))
    except SignatureError as error:
        return [_plain(seen, 0, f"{error.what}: {error.got}", error.hint or "floating inputs of fixed shapes")]
    for current in range(order + 1):
        found = list(_of_kind(seen, source, current))
        if found:
            return _by_reason(found)
    return []


def _by_reason(found: Sequence[Obstacle]) -> list[Obstacle]:
    """One for each reason and place, with all its ops."""
    merged: dict[Any, Obstacle] = {}
    for obstacle in found:
        known = merged.setdefault((obstacle.text, obstacle.layer, obstacle.where), obstacle)
        if obstacle.op not in known.op.split(", "):
            key = (obstacle.text, obstacle.layer, obstacle.where)
            merged[key] = replace(known, op=f"{known.op}, {obstacle.op}")
    return list(merged.values())


def _of_kind(seen: GraphView, source: Any, order: int) -> Iterator[Obstacle]:
    try:
        entry = describe(source, (_KINDS[order],))[-1]
        dtypes = {port.dtype for port in (*entry.inputs, *entry.outputs)}
        if not dtypes <= _DTYPES:
            text = f"the C library has float32 and float64 alone, not {', '.join(sorted(dtypes - _DTYPES))}"
            yield _plain(seen, order, text, "a model of float32 or float64")
            return
        frozen = freeze(exported(source, entry), argument_specs(entry, 1))
    except ExportError as error:
        yield _plain(
            seen, order, f"{error.what}: {error.got}", "unroll=True in recurrent layers; tgk.export_saved_model"
        )
    except (TfGradKitError, LookupError, ValueError, TypeError) as error:
        yield _plain(seen, order, str(error).strip().split("\n", 1)[0], "tgk.export_saved_model")
    else:
        for node, why in obstacles(frozen.graph):
            yield _obstacle(seen, node, why, order)


def _plain(seen: GraphView, order: int, text: str, remedy: str) -> Obstacle:
    return Obstacle("not exported", order, seen.source.name, seen.source.name, True, text, remedy)


def _obstacle(seen: GraphView, node: Any, why: str, order: int) -> Obstacle:
    operation = _of_name(seen, node.name)
    where = None if operation is None else made_at(operation)
    layer = layer_of(node.name, seen.source.layer_names)
    return Obstacle(
        "not exported", order, node.op, node.name, True, why, remedies.for_not_exported(node.op, why),
        layer=None if layer == node.name else layer,
        where=None if where is None else str(where),
        code=None if where is None else where.code,
    )  # fmt: skip


def _of_name(seen: GraphView, name: str) -> Any | None:
    """The op of the function that a node of the frozen graph was; its name may have grown in front."""
    known = {operation.name: operation for operation in seen.everywhere()}
    parts = name.split("/")
    return next((known[tail] for i in range(len(parts)) if (tail := "/".join(parts[i:])) in known), None)
