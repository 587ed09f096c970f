"""The functions that an export will have: traces the model once, for the shape and dtype of its output."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ..differentiable import Differentiable, shape_text
from ..errors import ExportError, SignatureError
from .interface import Entry, Port, check_name, entry


def describe(
    source: Differentiable,
    kinds: Sequence[str],
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> tuple[Entry, ...]:
    """The entries of ``kinds`` for a source that :func:`~.functions.with_specs` returned.

    Raises:
        SignatureError: two arrays of one name, or an input that the model doesn't take.
        ExportError: a name that can't be used, or an output without a fixed shape.
    """
    x_name, y_name = _single(input_names, "x", "input_names"), _single(output_names, "y", "output_names")
    spec = source.input_spec
    assert spec is not None
    sample = tuple(spec.shape[1:] if source.batched else spec.shape)
    # With an unknown batch size: a model that isn't built yet would keep the one it is built with.
    y = _output(source, tf.TensorSpec([None, *sample] if source.batched else sample, spec.dtype))
    x_port = Port(x_name, sample, spec.dtype.name)
    y_port = Port(y_name, tuple(y.shape[1:] if source.batched else y.shape), y.dtype.name)
    entries = tuple(entry(kind, x_port, y_port) for kind in kinds)
    for each in entries:
        _check_distinct(each)
    return entries


def _output(source: Differentiable, spec: tf.TensorSpec) -> tf.Tensor:
    try:
        y = tf.function(source.call, autograph=False).get_concrete_function(spec).structured_outputs
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError(
            "the function can't be traced with this input",
            subject=source.name,
            got=f"{spec.dtype.name} {shape_text(spec.shape)}: {_first_line(error)}",
            hint="call it with an array of that shape and dtype to see more",
        ) from error
    if y.shape.rank is None or (source.batched and y.shape.rank == 0) or None in y.shape[source.batched :].as_list():
        raise ExportError(
            "the output must have a fixed shape behind the batch axis", subject=source.name, got=shape_text(y.shape)
        )
    return y


def _check_distinct(entry: Entry) -> None:
    names = [port.name for port in (*entry.inputs, *entry.outputs)]
    for name in names:
        if names.count(name) > 1:
            raise SignatureError(
                "two arrays of one function have the same name",
                subject=entry.kind,
                got=name,
                hint="choose others with input_names= and output_names=",
            )


def _single(names: Sequence[str] | None, default: str, role: str) -> str:
    if names is None:
        return default
    if isinstance(names, str) or len(names) != 1:
        raise ExportError(f"{role} must hold one name", expected=f'("{default}",)', got=names)
    return check_name(names[0], f"name in {role}")


def _first_line(error: Exception) -> str:
    """The first line that says something; Keras writes colours into its messages."""
    lines = [line.strip() for line in str(error).replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception encountered", "in user code", "File "))]
    return told[0] if told else type(error).__name__
