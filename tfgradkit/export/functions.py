"""The functions that are exported, as TensorFlow functions of named tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..derivatives.derivative import Derivative, Options
from ..derivatives.shapes import split
from ..differentiable import Differentiable, shape_text
from ..errors import SignatureError
from .interface import Entry


def with_specs(source: Differentiable, input_specs: Any) -> Differentiable:
    """``source`` with a known input, every size of it but the batch's.

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
    known = source.input_spec
    if known is not None and (known.dtype != spec.dtype or not known.shape.is_compatible_with(spec.shape)):
        raise SignatureError(
            "input_specs does not fit the model",
            subject=source.name,
            expected=f"{known.dtype.name} {shape_text(known.shape)}",
            got=f"{spec.dtype.name} {shape_text(spec.shape)}",
        )
    sample = spec.shape[1:] if source.batched else spec.shape
    if not sample.is_fully_defined():
        raise SignatureError(
            "an inner dimension of the input is not fixed",
            subject=source.name,
            expected="a fixed size for every axis but the batch's",
            got=shape_text(spec.shape),
            hint="build the model with a fixed shape, or give input_specs=tf.TensorSpec([None, 8], tf.float32)",
        )
    if not spec.dtype.is_floating:
        raise SignatureError(
            "the input is not floating, so nothing can be differentiated by it",
            subject=source.name,
            got=spec.dtype.name,
        )
    return replace(source, input_spec=tf.TensorSpec([None, *sample] if source.batched else sample, spec.dtype))


def derivative_of(source: Differentiable, entry: Entry) -> Derivative:
    """The operator behind an entry, with the parts that the entry returns."""
    return Derivative(source, entry.kind, entry.parts, Options())


def exported(source: Differentiable, entry: Entry) -> Callable[..., dict[str, tf.Tensor]]:
    """``entry`` as a function of keyword arguments over a batch: the results by the ports' names.

    A function of one sample is differentiated for one sample, and that is mapped over the batch:
    the other way round, the map would replace ops that have a gradient of their own.
    """
    derivative = derivative_of(source, entry)

    def results(arguments: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        computed = derivative.compute(*arguments)
        batch = split(arguments[0], source.batched)[0]
        named = zip(entry.outputs, entry.parts, strict=True)
        # Scalar-valued operators drop the 1 of [B, 1]; the exported value keeps it.
        return {port.name: tf.reshape(computed[part], [*batch, *port.shape]) for port, part in named}

    def call(**named: tf.Tensor) -> dict[str, tf.Tensor]:
        arguments = tuple(named[port.name] for port in entry.inputs)
        return results(arguments) if source.batched else tf.vectorized_map(results, arguments)

    return call


def argument_specs(entry: Entry, batch: int | None) -> dict[str, tf.TensorSpec]:
    """The specs of an entry's arguments for a batch size."""
    return {p.name: tf.TensorSpec([batch, *p.shape], p.dtype, name=p.name) for p in entry.inputs}
