"""The entries of an export, described from a model: traces it once, for the shapes and dtypes of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ...arguments import floating_results, shape_text, structure_text
from ...derivatives.failures.foreign_errors import told
from ...differentiable import Differentiable
from ...errors import ExportError, SignatureError
from .interface import Entry, Port, check_name, identifier, make_entry


def describe(
    source: Differentiable,
    kinds: Sequence[str],
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> tuple[Entry, ...]:
    """The entries of ``kinds`` for a source that :func:`~.tf_functions.with_specs` returned.

    A single input is called x, a single output y. Several inputs or outputs of a Keras model keep their names;
    those of a function are named after its arguments and the keys and positions in them (``state_u``). Every
    name is made an identifier.

    Raises:
        SignatureError: two arrays of one name, an input that the model doesn't take, or derivatives of a model
            without a floating input.
        ExportError: a name that can't be used, or an output without a fixed shape.
    """
    assert source.input_specs is not None
    specs = tf.nest.flatten(source.input_specs)
    # The batch size is unknown: a model that isn't built yet would keep the size that it is built with.
    y = _traced(source)
    ys = floating_results(y, source.name)
    inputs = _names(input_names, source.input_names or _paths(_arguments(source)), len(specs), "x", "input_names")
    outputs = _names(output_names, source.output_names or _paths(y), len(ys), "y", "output_names")
    x_ports = [_port(name, spec, source) for name, spec in zip(inputs, specs, strict=True)]
    _check_differentiable(source, kinds, x_ports)
    y_ports = [_port(name, tensor, source) for name, tensor in zip(outputs, ys, strict=True)]
    entries = tuple(make_entry(kind, x_ports, y_ports) for kind in kinds)
    for entry in entries:
        _check_distinct(entry)
    return entries


def _traced(source: Differentiable) -> Any:
    specs = source.input_specs
    assert specs is not None
    with told(f"{source.name} of {_text(specs)}"):
        y = tf.function(source.call, autograph=False).get_concrete_function(*specs).structured_outputs
    for tensor in floating_results(y, source.name):
        shape = tensor.shape
        if shape.rank is None or (source.batched and shape.rank == 0) or None in shape[source.batched :].as_list():
            raise ExportError(
                "the output must have a fixed shape behind the batch axis", subject=source.name, got=shape_text(shape)
            )
    return y


def _text(specs: tuple[Any, ...]) -> str:
    if len(specs) == 1 and isinstance(specs[0], tf.TensorSpec):
        return f"{specs[0].dtype.name} {shape_text(specs[0].shape)}"
    return structure_text(specs)


def _names(
    chosen: Sequence[str] | None, model_names: Sequence[str], count: int, default: str, role: str
) -> tuple[str, ...]:
    """The user's names where there are any, else those of the model."""
    if chosen is not None:
        if isinstance(chosen, str) or len(chosen) != count:
            raise ExportError(f"{role} must hold one name for each", expected=f"{count} names", got=chosen)
        return tuple(check_name(name, f"name in {role}") for name in chosen)
    if count == 1:
        return (default,)
    # A name that begins with a digit is a position: x0, x1, y0, y1.
    made = [identifier(name if name[:1].isalpha() else f"{default}{name}") for name in model_names]
    # A layer with several outputs gives all of them its name.
    return tuple(f"{n}_{made[:i].count(n)}" if made.count(n) > 1 else n for i, n in enumerate(made))


def _arguments(source: Differentiable) -> Any:
    """The specs under the arguments' names; a single argument adds no name to its leaves."""
    specs = source.input_specs
    assert specs is not None
    if len(specs) == 1:
        return specs[0]
    names = source.argument_names or tuple(f"x{i}" for i in range(len(specs)))
    return list(zip(names, specs, strict=False))


def _paths(nest: Any) -> tuple[str, ...]:
    """A name for each leaf, of the keys and positions on the way to it, in the order of ``tf.nest``."""
    if isinstance(nest, list) and nest and isinstance(nest[0], tuple) and isinstance(nest[0][0], str):
        return tuple(_joined(name, path) for name, spec in nest for path in _paths(spec))
    if isinstance(nest, dict):
        return tuple(_joined(str(key), path) for key in sorted(nest) for path in _paths(nest[key]))
    if isinstance(nest, (list, tuple)):
        names = getattr(nest, "_fields", [str(i) for i in range(len(nest))])
        return tuple(_joined(name, path) for name, item in zip(names, nest, strict=True) for path in _paths(item))
    return ("",)


def _joined(name: str, path: str) -> str:
    return f"{name}_{path}" if path else name


def _port(name: str, tensor: Any, source: Differentiable) -> Port:
    return Port(name, tuple(tensor.shape[1:] if source.batched else tensor.shape), tensor.dtype.name)


def _check_differentiable(source: Differentiable, kinds: Sequence[str], xs: Sequence[Port]) -> None:
    if not any(x.floating for x in xs) and set(kinds) != {"value"}:
        raise SignatureError(
            "no input is floating, so there is nothing to differentiate by",
            subject=source.name,
            expected="a floating input beside those of integers, booleans and strings",
            got=", ".join(f"{x.name} {x.dtype}" for x in xs),
            hint="derivatives=() exports the value alone; of an embedding, export the part of the model behind it",
        )


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
