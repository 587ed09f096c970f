"""The shapes and dtypes that an export is made for: all known but the batch size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..arguments import shape_text, structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError


def with_specs(source: Differentiable, input_specs: Any) -> Differentiable:
    """``source`` with known inputs, every size of them but the batch's.

    Args:
        source: of one argument or several, each any nest.
        input_specs: ``tf.TensorSpec``, or a nest of them, for one argument; a tuple with one for each
            argument where there are several. None for the function's own.

    Raises:
        SignatureError: the shapes aren't known, or not fully, or an input is not floating.
    """
    specs = source.input_specs if input_specs is None else _given(source, input_specs)
    if specs is None:
        raise SignatureError(
            "the shape and dtype of the input must be known",
            subject=source.name,
            expected=f"input_specs=tf.TensorSpec({'[None, 2]' if source.batched else '[2]'}, tf.float64)",
            got="none",
        )
    if source.input_specs is not None:
        _check_compatible(source, specs)
    return replace(source, input_specs=tf.nest.map_structure(lambda spec: _complete(spec, source), specs))


def _given(source: Differentiable, input_specs: Any) -> tuple[Any, ...]:
    leaves = tf.nest.flatten(input_specs)
    if not leaves or not all(isinstance(leaf, tf.TensorSpec) for leaf in leaves):
        raise SignatureError(
            "input_specs holds something else than tf.TensorSpec", subject=source.name, got=repr(input_specs)
        )
    arguments = len(source.input_specs) if source.input_specs is not None else len(source.argument_names)
    if isinstance(input_specs, Sequence) and (len(input_specs) == 1 or len(input_specs) == arguments):
        return tuple(input_specs)
    return (input_specs,)


def _check_compatible(source: Differentiable, specs: tuple[Any, ...]) -> None:
    known, given = tf.nest.flatten(source.input_specs), tf.nest.flatten(specs)
    fits = len(known) == len(given) and all(
        k.dtype == g.dtype and k.shape.is_compatible_with(g.shape) for k, g in zip(known, given, strict=True)
    )
    if not fits:
        raise SignatureError(
            "input_specs does not fit the model",
            subject=source.name,
            expected=", ".join(f"{spec.dtype.name} {shape_text(spec.shape)}" for spec in known),
            got=", ".join(f"{spec.dtype.name} {shape_text(spec.shape)}" for spec in given),
        )


def _complete(spec: tf.TensorSpec, source: Differentiable) -> tf.TensorSpec:
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
            subject=f"{source.name}, {structure_text(source.input_specs)}",
            got=spec.dtype.name,
        )
    return tf.TensorSpec([None, *sample] if source.batched else sample, spec.dtype)
