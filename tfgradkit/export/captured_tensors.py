"""The gradients of ``tf.custom_gradient`` in a SavedModel, which name tensors of the functions that they belong to.

TensorFlow's saving renames an op that has the name of a result of its function ("concat", "strided_slice": names in
small letters), but not where such a gradient has captured its result; the folder can then not be loaded.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from ..errors import ExportError


def name_captured_tensors(folder: Path, subject: str) -> None:
    """Gives captured tensors of a SavedModel the names that their ops have got there.

    Raises:
        ExportError: there is no such op.
    """
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    changed = False
    for graph in saved.meta_graphs:
        functions = {function.signature.name: function for function in graph.graph_def.library.function}
        for node in graph.object_graph_def.nodes:
            if node.WhichOneof("kind") == "captured_tensor":
                captured = node.captured_tensor
                name = _name_there(captured.name, functions.get(captured.concrete_function), subject)
                changed |= name != captured.name
                captured.name = name
    if changed:
        path.write_bytes(saved.SerializeToString(deterministic=True))


def _name_there(name: str, function: Any, subject: str) -> str:
    op, _, number = name.partition(":")
    if function is None or any(op == there for there in _names(function)):
        return name
    result = function.ret.get(re.sub(r"\W", "_", op).lower())
    if result is None:
        raise ExportError(
            "TensorFlow has lost what a custom gradient needs",
            subject=subject,
            expected=f"an op {op} in the saved function {function.signature.name}",
            got="none",
            hint="give the op whose result goes into the custom gradient a name of its own: name=…",
        )
    return f"{result.partition(':')[0]}:{number}"


def _names(function: Any) -> list[str]:
    return [*(node.name for node in function.node_def), *(given.name for given in function.signature.input_arg)]
