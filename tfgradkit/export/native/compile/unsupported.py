"""The ops of a frozen graph that can't become a C library, refused before anything is compiled.

The one file that touches ``tensorflow.python.util.pywrap_xla_ops``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import tensorflow as tf

from ....errors import UnsupportedModelError
from ....graph.python_code import PYTHON_OPS, function_behind, functions_called
from ....sources.layer_results import layer_of
from ....tensorflow_version import require_tensorflow

# XLA compiles these ops to calls of a run-time library that the C library doesn't have.
_NEEDS_RUNTIME = {
    **dict.fromkeys(
        ("StatelessRandomUniform", "StatelessRandomUniformV2", "StatelessRandomNormal", "StatelessRandomNormalV2"),
        "random numbers",
    ),
    **dict.fromkeys(("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "Multinomial"), "random numbers"),
}
_STRUCTURE = {"Placeholder", "PlaceholderWithDefault", "NoOp", "Const", "Identity", "IdentityN"}


def audit_native(graph: Any, layer_names: Iterable[str], model: str) -> None:
    """Raises :class:`UnsupportedModelError`, naming layers and ops, where ``graph`` can't be compiled."""
    reasons: dict[tuple[str, str], str] = {}
    for node, why in obstacles(graph):
        reasons.setdefault((layer_of(node.name, layer_names), node.op), why)
    if reasons:
        # A SavedModel doesn't hold Python code either.
        python = any(op in PYTHON_OPS for _, op in reasons)
        saved = "" if python else "export_saved_model takes it as it is; or "
        error = UnsupportedModelError(
            "the model can't become a C library",
            subject=model,
            expected="ops that XLA compiles, of fixed shapes, without random numbers",
            got="; ".join(_lines(reasons)),
            hint=f"{saved}export the part of the model without these layers",
        )
        error.layers, error.ops = tuple(layer for layer, _ in reasons), tuple(op for _, op in reasons)
        raise error


def _lines(reasons: dict[tuple[str, str], str]) -> list[str]:
    """A line for each layer and reason, with the layer's ops."""
    ops: dict[tuple[str, str], list[str]] = {}
    for (layer, op), why in reasons.items():
        ops.setdefault((layer, why), []).append(op)
    return [f"layer {layer!r}, op {', '.join(names)}: {why}" for (layer, why), names in ops.items()]


def obstacles(graph: Any) -> Iterator[tuple[Any, str]]:
    """The nodes of a frozen GraphDef that can't become a C library, each with the reason."""
    compilable = compiled_by_xla()
    for node in _nodes(graph):
        if node.op in _NEEDS_RUNTIME or node.op not in compilable:
            yield node, _why(node)
    yield from _endless(graph)


def _endless(graph: Any) -> Iterator[tuple[Any, str]]:
    """The lists in which the gradient of a loop keeps its rounds, where nothing says how many there are at most."""
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    for node in graph.node:
        limit = constants.get(node.input[1].split(":")[0]) if node.op == "EmptyTensorList" else None
        if limit is not None and tf.make_ndarray(limit.attr["value"].tensor) < 0:
            yield (
                node,
                "a loop without maximum_iterations= is differentiated, so that nothing says how many rounds to keep",
            )


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _why(node: Any) -> str:
    if node.op in PYTHON_OPS:
        return f"it calls the Python function {function_behind(node.name) or 'of a tf.py_function'}"
    if node.op in _NEEDS_RUNTIME:
        return f"the C library has no {_NEEDS_RUNTIME[node.op]} yet"
    return "XLA can't compile it"


@cache
def compiled_by_xla() -> frozenset[str]:
    """The types of ops that XLA compiles for CPUs."""
    require_tensorflow()
    from tensorflow.python.util import pywrap_xla_ops

    return frozenset(pywrap_xla_ops.get_cpu_kernel_names()) | _STRUCTURE


def refuse_python(signatures: Iterable[Any], model: str) -> None:
    """Raises :class:`UnsupportedModelError` where a signature calls Python code, which no file holds."""
    operations = [operation for signature in signatures for operation in signature.graph.get_operations()]
    names = functions_called(operations)
    if names:
        error = UnsupportedModelError(
            "the model calls Python code, which a SavedModel doesn't hold",
            subject=model,
            expected="ops of TensorFlow alone",
            got=", ".join(names),
            hint="export the part of the model without it",
        )
        error.layers = error.ops = tuple(names)
        raise error
