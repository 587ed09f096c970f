"""A GraphDef as a graph of its own, for the shapes and attributes of its ops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..errors import ModelFileError, SignatureError, SourceError, UnknownLayerError


def imported_graph(whole: Any, path: Path) -> tf.Graph:
    """Inputs, outputs and what is between in a graph of their own.

    Raises:
        UnknownLayerError: an op that isn't known here.
        ModelFileError: TensorFlow refuses the graph.
    """
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(whole, name="")
    except Exception as error:  # ValueError, and the C++ side's own kinds
        raise _refused(path, error) from error
    return graph


def tensors_of(graph: tf.Graph, names: Sequence[str], path: Path) -> list[Any]:
    """The tensors of these names.

    Raises:
        SignatureError: an op has fewer results.
    """
    try:
        return [graph.get_tensor_by_name(name) for name in names]
    except (KeyError, ValueError) as error:
        raise SignatureError(
            "the op has fewer results", subject=path, expected='"OP:0" for the first', got=", ".join(names)
        ) from error


def _refused(path: Path, error: Exception) -> SourceError:
    text = str(error).strip().strip('"').split("\n", 1)[0][:500]
    if match := re.search(r"Op type not registered '(\w+)'", text):
        return UnknownLayerError(
            "the graph has an op that isn't known here",
            subject=path,
            got=match.group(1),
            hint="tf.load_op_library(FILE) before loading makes an op of your own known",
        )
    return ModelFileError("TensorFlow can't import the graph", subject=path, got=text, hint="save it again")
