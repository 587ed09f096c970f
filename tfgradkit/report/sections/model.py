"""The model, its inputs and outputs, and where it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import shape_text
from ...sources.function import floating_results
from ...sources.keras import flat_layers, is_keras
from ..blocks import Block, Details, Facts, Section, Table, Text, table
from ..context import Context
from ..jacobians import element_names
from ..numbers import count, short

_LAYERS = 40
# An array of so many elements is listed by element.
_ELEMENTS = 8


def section(context: Context) -> Section:
    """What the model takes and returns, what it is made of, and the sample points."""
    source, points = context.source, context.points
    inputs = list(zip(context.input_names, tf.nest.flatten(points.arguments), strict=True))
    outputs = list(zip(context.output_names, _results(context), strict=True))
    parameters = sum(int(tf.size(v)) for v in source.variables)
    trainable = sum(int(tf.size(v)) for v in source.trainable())
    blocks: list[Block] = [
        Facts(
            (
                ("name", source.name),
                ("kind", _kind(context.fn)),
                ("parameters", _parameters(parameters, trainable)),
                ("samples", "batched: the first axis counts them" if source.batched else "one at a time"),
            )
        ),
        _ports("Inputs, and their range at the points", inputs, source.batched),
        _ports("Outputs, and their range at the points", outputs, source.batched),
        Text(f"Looked at here: {points.origin}."),
        *_layers(source.model),
    ]
    sizes = f"{count(len(inputs), 'input')}, {count(len(outputs), 'output')}, {count(parameters, 'parameter')}"
    return Section("model", "The model", tuple(blocks), sizes)


def _parameters(every: int, trainable: int) -> str:
    share = "all" if trainable == every else f"{trainable:,}"
    return f"{every:,}, {share} trainable" if every else "none"


def _results(context: Context) -> list[tf.Tensor]:
    """At all points, the point first."""
    rows = [floating_results(context.source.call(*call), context.source.name) for call in context.points.calls()]
    return rows[0] if context.source.batched else [tf.stack(leaves) for leaves in zip(*rows, strict=True)]


def _kind(fn: Any) -> str:
    if is_keras(fn):
        return f"{type(fn).__name__}, {'tf_keras' if 'tf_keras' in type(fn).__module__ else 'Keras'}"
    return type(fn).__name__


def _ports(title: str, ports: Sequence[tuple[str, tf.Tensor]], batched: bool) -> Table:
    """A row for each array, and where it is small one for each element, with its range."""
    rows = []
    for name, leaf in ports:
        spec = tf.TensorShape([None, *leaf.shape[1:]] if batched else leaf.shape[1:])
        values = _numbers(leaf)
        whole = values if 1 < values.shape[1] <= _ELEMENTS else values[:, :0]
        head = _range(values) if not whole.size else ("", "")
        rows.append((name, leaf.dtype.name, shape_text(spec), *head))
        labels = element_names(name, leaf.shape[1:]) if whole.size else []
        rows += [(label, "", "", *_range(values[:, i])) for i, label in enumerate(labels)]
    return table(title, ("name", "dtype", "shape", "smallest", "largest"), rows, (3, 4))


def _numbers(leaf: tf.Tensor) -> np.ndarray:
    """[points, elements]; of text and truth values none."""
    known = leaf.dtype.is_floating or leaf.dtype.is_integer
    values = np.asarray(leaf, np.float64) if known else np.zeros([leaf.shape[0], 0])
    return values.reshape(len(values), -1)


def _range(values: np.ndarray) -> tuple[str, str]:
    finite = values[np.isfinite(values)]
    return (short(float(finite.min())), short(float(finite.max()))) if finite.size else ("—", "—")


def _layers(model: Any) -> list[Block]:
    every = flat_layers(model) if model is not None else []
    layers = [layer for layer in every if type(layer).__name__ != "InputLayer"]
    if not layers:
        return []
    rows = [(layer.name, type(layer).__name__, f"{layer.count_params():,}" if layer.built else "—") for layer in layers]
    left = [Text(f"{count(len(rows) - _LAYERS, 'more layer')}.")] if len(rows) > _LAYERS else []
    listed = table("Layers", ("layer", "kind", "parameters"), rows[:_LAYERS], (2,))
    return [Details(count(len(layers), "layer"), (listed, *left))]
