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
# Ops whose results may be unread though they are no results of the graph.
_NO_RESULTS = frozenset({"Const", "NoOp", "SaveV2", "Assign", "AssignVariableOp", "Assert", *_PLACEHOLDERS})


@dataclass(frozen=True)
class Names:
    """Names of tensors, each of the form "op:0"."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def wanted_names(graph: Any, signature: Any, path: Path) -> Names:
    """The tensors that ``signature`` names, all of them in ``graph``.

    Raises:
        SignatureError: no names, or an unknown name; the message has near names, and the placeholders.
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
    nodes = [node for node in graph.node if node.op in _PLACEHOLDERS and not _is_text(node)]
    texts = [
        f"{node.name}:0 {tf.as_dtype(node.attr['dtype'].type).name} {shape_text(_shape(node))}" for node in nodes[:10]
    ]
    more = f", … {len(nodes) - 10} more" if len(nodes) > 10 else ""
    return ", ".join(texts) + more or "tensors of the graph; it has no placeholders"


def _shape(node: Any) -> tf.TensorShape:
    return tf.TensorShape(node.attr["shape"].shape if "shape" in node.attr else None)


def _is_text(node: Any) -> bool:
    """Whether a node takes or returns text: names of files and the like, for savers."""
    return any(node.attr[key].type == tf.string.as_datatype_enum for key in ("T", "dtype") if key in node.attr)


def _ends_text(graph: Any) -> str:
    """The last ops whose results no op reads."""
    read = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    free = [node for node in graph.node if node.name not in read and not _is_text(node)]
    ends = [node.name for node in free if node.op not in _NO_RESULTS]
    return ", ".join(f"{name}:0" for name in ends[-10:]) or "the names of its last ops"


def _listed(listed: Any, role: str, nodes: dict[str, Any], graph: Any, path: Path) -> tuple[str, ...]:
    names = [listed] if isinstance(listed, str) else listed
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise SignatureError(f"{role} names no tensors", subject=path, expected=_EXPECTED, got=repr(listed))
    tensors = tuple(_known(name, role, nodes, graph, path) for name in names)
    if len(set(tensors)) != len(tensors):
        raise SignatureError(f"{role} names a tensor twice", subject=path, got=", ".join(tensors))
    return tensors


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
    """``op:0`` for ``op`` and for ``op:0``, the two forms of a node's input."""
    return text if ":" in text else f"{text}:0"


def op_of(text: str) -> str:
    """The op's name in "op:0", or in the control dependency "^op"."""
    return text.lstrip("^").partition(":")[0]
