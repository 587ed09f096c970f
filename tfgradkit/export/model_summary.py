"""The summary of a model: its inputs and outputs, its ops, and the exports that it allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..arguments import shape_text
from ..differentiable import Differentiable
from ..errors import TfGradKitError, UnsupportedModelError
from ..sources.resolve import resolve
from .functions.entries import describe
from .functions.interface import KINDS, Entry, Port
from .functions.tf_functions import argument_specs, exported, with_specs
from .native.compile.frozen_graph import freeze
from .native.compile.unsupported import audit_native


@dataclass(frozen=True)
class Summary:
    """The output of ``tfgradkit show``.

    Attributes:
        input, output: dtype and shape.
        ops: op types of the model's graph with their counts, most frequent first.
        exports: for each kind of derivative "yes" or the obstacle, as a SavedModel and as a C library.
    """

    name: str
    input: str
    output: str
    parameters: int
    ops: tuple[tuple[str, int], ...]
    exports: dict[str, tuple[str, str]]


def summarize(fn: Any, *, input_specs: Any = None) -> Summary:
    """The summary of a model.

    Raises:
        SourceError, SignatureError: it can't be used as a function of one tensor.
    """
    source = with_specs(resolve(fn), input_specs)
    assert source.input_specs is not None
    value = describe(source, ("value",))[0]
    function = tf.function(source.call, autograph=False).get_concrete_function(*source.input_specs)
    exports = {kind: (_answer(_trace, source, kind), _answer(_audit, source, kind)) for kind in KINDS}
    return Summary(
        name=source.name,
        input=_ports(value.inputs, source.batched),
        output=_ports(value.outputs, source.batched),
        parameters=sum(int(tf.size(v)) for v in source.variables),
        ops=tuple(Counter(_ops(function.graph)).most_common()),
        exports=exports,
    )


def _ports(ports: tuple[Port, ...], batched: bool) -> str:
    """The dtype and shape of each port, with its name where there are several."""
    texts = [f"{p.dtype} {shape_text(tf.TensorShape([None, *p.shape] if batched else p.shape))}" for p in ports]
    return texts[0] if len(ports) == 1 else ", ".join(f"{p.name} {t}" for p, t in zip(ports, texts, strict=True))


def _ops(graph: Any) -> list[str]:
    plumbing = {"Placeholder", "Const", "Identity", "ReadVariableOp", "NoOp"}
    return [op.type for op in graph.get_operations() if op.type not in plumbing]


def _entry(source: Differentiable, kind: str) -> Entry:
    return describe(source, (kind,))[0]


def _trace(source: Differentiable, kind: str) -> None:
    entry = _entry(source, kind)
    tf.function(exported(source, entry), autograph=False).get_concrete_function(**argument_specs(entry, None))


def _audit(source: Differentiable, kind: str) -> None:
    entry = _entry(source, kind)
    audit_native(freeze(exported(source, entry), argument_specs(entry, 1)).graph, source.layer_names, source.name)


def _answer(attempt: Callable[[Differentiable, str], None], source: Differentiable, kind: str) -> str:
    try:
        attempt(source, kind)
    except UnsupportedModelError as error:
        return f"no: {error.got}"
    except TfGradKitError as error:
        return f"no: {error.what}"
    except (LookupError, ValueError, TypeError) as error:
        return "no: " + str(error).strip().split("\n", 1)[0]
    return "yes"
