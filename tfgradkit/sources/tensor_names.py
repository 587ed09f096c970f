"""The tensors of a raw graph that a caller names as inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..arguments import shape_text
from ..errors import SignatureError

_EXPECTED = '{"inputs": "THEINPUT:0", "outputs": "THEMODEL:0"}, or a list of names for each'
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
# What nobody reads, but is no result either.
_NO_RESULTS = frozenset({"Const", "NoOp", "SaveV2", "Assign", "AssignVariableOp", "Assert", *_PLACEHOLDERS})


@dataclass(frozen=True)
class Names:
    """Names of tensors, "op:0" each."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def wanted_names(graph: Any, signature: Any, path: Path) -> Names:
    """The tensors that ``signature`` names, all of them in ``graph``.

    Raises:
        SignatureError: no names, or a name of nothing; with names near it, and the placeholders there are.
    """
    if not isinstance(signature, Mapping) or set(signature) != {"inputs", "outputs"}:
        raise SignatureError(
            "a graph needs the names of its inputs and outputs",
            subject=path,
            expected=f"signature={_EXPECTED}",
            got="none" if signature is None else repr(signature),
            hint=f"inputs among {placeholders_text(graph)}; outputs perhaps among {_ends_text(graph)}",
        )
    nodes = {node.name: node for node in graph.node}
    return Names(*(_listed(signature[role], role, nodes, graph, path) for role in ("inputs", "outputs")))


def placeholders_text(graph: Any) -> str:
    """``THEINPUT:0 float32 [B, 2]``, for each placeholder of a GraphDef."""
    found = [node for node in graph.node if node.op in _PLACEHOLDERS and not _is_text(node)]
    texts = [
        f"{node.name}:0 {tf.as_dtype(node.attr['dtype'].type).name} {shape_text(_shape(node))}" for node in found[:10]
    ]
    more = f", … {len(found) - 10} more" if len(found) > 10 else ""
    return ", ".join(texts) + more or "tensors of the graph; it has no placeholders"


def _shape(node: Any) -> tf.TensorShape:
    return tf.TensorShape(node.attr["shape"].shape if "shape" in node.attr else None)


def _is_text(node: Any) -> bool:
    """Names of files and the like, which savers take and return."""
    return any(node.attr[key].type == tf.string.as_datatype_enum for key in ("T", "dtype") if key in node.attr)


def _ends_text(graph: Any) -> str:
    """Ops whose results nobody reads."""
    read = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    free = [node for node in graph.node if node.name not in read and not _is_text(node)]
    ends = [node.name for node in free if node.op not in _NO_RESULTS]
    return ", ".join(f"{name}:0" for name in ends[-10:]) or "the names of its last ops"


def _listed(given: Any, role: str, nodes: dict[str, Any], graph: Any, path: Path) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise SignatureError(f"{role} names no tensors", subject=path, expected=_EXPECTED, got=repr(given))
    found = tuple(_known(name, role, nodes, graph, path) for name in names)
    if len(set(found)) != len(found):
        raise SignatureError(f"{role} names a tensor twice", subject=path, got=", ".join(found))
    return found


def _known(name: str, role: str, nodes: dict[str, Any], graph: Any, path: Path) -> str:
    op, _, index = name.partition(":")
    if op in nodes and (index or "0").isdigit():
        return f"{op}:{int(index or 0)}"
    near = get_close_matches(op, list(nodes), n=2, cutoff=0.6) or _ignoring_case(op, nodes)
    raise SignatureError(
        f"the graph has no tensor {name!r}",
        subject=path,
        expected=f'"OP:0", with the name of an op; the placeholders are {placeholders_text(graph)}'
        if role == "inputs"
        else '"OP:0", with the name of an op',
        got=repr(name),
        hint=" or ".join(f'"{n}:0"' for n in near) if near else f"outputs perhaps among {_ends_text(graph)}",
    )


def _ignoring_case(op: str, nodes: dict[str, Any]) -> list[str]:
    return [name for name in nodes if name.lower() == op.lower() or name.rpartition("/")[2].lower() == op.lower()][:3]


def tensor_name(text: str) -> str:
    """``op`` and ``op:0``, as nodes name their inputs, as ``op:0``."""
    return text if ":" in text else f"{text}:0"


def op_of(text: str) -> str:
    """The op's name in "op:0", or in "^op", which only waits for it."""
    return text.lstrip("^").partition(":")[0]
