"""The functions that are exported, as TensorFlow functions of named tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..derivatives.derivative import Derivative, Options
from ..differentiable import Differentiable, shape_text
from ..errors import SignatureError
from .interface import Entry


def with_specs(source: Differentiable, input_specs: Any) -> Differentiable:
    """``source`` with a known input, and over a batch: one sample's function is mapped over it.

    Raises:
        SignatureError: the input's shape isn't known, or not fully.
    """
    given = input_specs[0] if isinstance(input_specs, (list, tuple)) and len(input_specs) == 1 else input_specs
    spec = source.input_spec if given is None else given
    if not isinstance(spec, tf.TensorSpec):
        raise SignatureError(
            "the shape and dtype of the input must be known",
            subject=source.name,
            expected="input_specs=tf.TensorSpec([None, 2], tf.float64)"
            if source.batched
            else "input_specs=tf.TensorSpec([2], tf.float64)",
            got="none" if spec is None else repr(spec),
        )
    sample = spec.shape[1:] if source.batched else spec.shape
    if not sample.is_fully_defined():
        raise SignatureError(
            "an inner dimension of the input is not fixed",
            subject=source.name,
            expected="every size but the batch's",
            got=shape_text(spec.shape),
            hint="build the model with a fixed shape, or give input_specs=tf.TensorSpec([None, 8], tf.float32)",
        )
    if not spec.dtype.is_floating:
        raise SignatureError(
            "the input is not floating, so nothing can be differentiated by it",
            subject=source.name,
            got=spec.dtype.name,
        )
    batch = tf.TensorSpec([None, *sample], spec.dtype)
    if source.batched:
        return replace(source, input_spec=batch)
    return replace(source, call=lambda x: tf.vectorized_map(source.call, x), batched=True, input_spec=batch)


def exported(source: Differentiable, entry: Entry) -> Callable[..., dict[str, tf.Tensor]]:
    """``entry`` as a function of keyword arguments: the results by the ports' names."""
    derivative = Derivative(
        source, entry.kind, ("value",) if entry.kind == "value" else ("value", entry.kind), Options()
    )

    def call(**arguments: tf.Tensor) -> dict[str, tf.Tensor]:
        parts = derivative.compute(*(arguments[port.name] for port in entry.inputs))
        return {port.name: parts["value" if port is entry.outputs[0] else entry.kind] for port in entry.outputs}

    return call


def argument_specs(entry: Entry, batch: int | None) -> dict[str, tf.TensorSpec]:
    """The specs of an entry's arguments for a batch size."""
    return {p.name: tf.TensorSpec([batch, *p.shape], p.dtype, name=p.name) for p in entry.inputs}
