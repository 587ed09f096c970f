"""The values of variables in a checkpoint, read by their names: no op of the graph runs."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import ModelFileError

# The ops of a saver. Their inputs: the file, the names, the shapes and slices, then the tensors.
_SAVERS = ("SaveV2", "SaveSlices")


def values_of(graph: Any, variables: Sequence[Any], path: Path) -> dict[str, np.ndarray]:
    """The value of each variable, by the name of its node, from the checkpoint beside ``path``.

    The graph's own saver says under which name a variable is kept; without a saver it is the name of its node.

    Raises:
        ModelFileError: no checkpoint, an unreadable checkpoint, or a value that is missing or has another shape.
    """
    if not variables:
        return {}
    reader = _reader(path)
    keys = _keys(graph)
    return {node.name: _value(reader, keys.get(node.name, (_own_key(node), "")), node, path) for node in variables}


def _reader(path: Path) -> Any:
    prefix = path.with_suffix("")
    index, whole = prefix.with_name(f"{prefix.name}.index"), prefix.is_file()
    if not index.is_file() and not whole:
        raise ModelFileError(
            "the .meta file has no checkpoint beside it",
            subject=path,
            expected=f"{index.name} and {prefix.name}.data-00000-of-00001",
            got=", ".join(sorted(p.name for p in path.parent.iterdir() if p != path)[:8]) or "no other file",
            hint="copy all files that the saver wrote: the .meta file has the graph, but no values",
        )
    try:
        return tf.train.load_checkpoint(str(prefix))
    except Exception as error:  # the C++ reader's own kinds
        raise _unreadable(path, error) from error


def _value(reader: Any, key: tuple[str, str], node: Any, path: Path) -> np.ndarray:
    name, part = key
    if not reader.has_tensor(name):
        known = list(reader.get_variable_to_shape_map())
        near = get_close_matches(name, known, n=3, cutoff=0.5) or known[:5]
        raise ModelFileError(
            "the checkpoint has no value for a variable",
            subject=path,
            expected=name,
            got=", ".join(near) or "an empty checkpoint",
            hint="the checkpoint of this graph, not of another",
        )
    try:
        value = _sliced(np.asarray(reader.get_tensor(name)), part)
    except Exception as error:  # the C++ reader's own kinds, and a slice that doesn't fit
        raise _unreadable(path, error) from error
    shape = tf.TensorShape(node.attr["shape"].shape)
    if not shape.is_compatible_with(value.shape) or tf.as_dtype(node.attr["dtype"].type).as_numpy_dtype != value.dtype:
        raise ModelFileError(
            "a value of the checkpoint has another shape or dtype than its variable",
            subject=path,
            expected=f"{node.name}: {tf.as_dtype(node.attr['dtype'].type).name} {shape}",
            got=f"{value.dtype} {value.shape}",
            hint="the checkpoint of this graph, not of another",
        )
    return value


def _unreadable(path: Path, error: Exception) -> ModelFileError:
    return ModelFileError(
        "the checkpoint can't be read",
        subject=path.with_suffix(""),
        got=str(error).strip().split("\n", 1)[0][:500],
        hint="copy its files again: .index and .data-…",
    )


def _own_key(node: Any) -> str:
    return node.attr["shared_name"].s.decode() or node.name if node.op == "VarHandleOp" else node.name


def _keys(graph: Any) -> dict[str, tuple[str, str]]:
    """For each variable node, the name and the slice under which the graph's savers keep it."""
    nodes = {node.name: node for node in graph.node}
    keys: dict[str, tuple[str, str]] = {}
    for saver in (node for node in graph.node if node.op in _SAVERS):
        texts = [_strings(nodes.get(name.partition(":")[0])) for name in saver.input[1:3]]
        tensors = [name for name in saver.input[3:] if not name.startswith("^")]
        if all(len(listed) == len(tensors) for listed in texts):
            for name, part, tensor in zip(*texts, tensors, strict=True):
                keys.setdefault(_variable_behind(tensor, nodes), (name, part))
    return keys


def _strings(node: Any) -> list[str]:
    if node is None or node.op != "Const":
        return []
    return [text.decode() for text in np.ravel(tf.make_ndarray(node.attr["value"].tensor))]


def _variable_behind(tensor: str, nodes: dict[str, Any]) -> str:
    """The variable whose value a saver keeps, through copies and reads."""
    name = tensor.partition(":")[0]
    while name in nodes and nodes[name].op in ("Identity", "ReadVariableOp") and nodes[name].input:
        name = nodes[name].input[0].partition(":")[0]
    return name


def _sliced(value: np.ndarray, part: str) -> np.ndarray:
    """The part of a variable that is kept in parts: "4 2 0,2:-" is the first two rows of a [4, 2]."""
    if not part:
        return value
    places = []
    for text in part.split()[-1].split(":"):
        start, _, length = text.partition(",")
        places.append(slice(None) if text == "-" else slice(int(start), int(start) + int(length)))
    return value[tuple(places)]
