"""The exported functions as TensorFlow functions of named tensors, and the specs that they are traced for.

Every size in the specs is known but the batch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ...arguments import dims, shape_text, split, structure_text
from ...derivatives.derivative import Derivative
from ...derivatives.evaluate import FlatSeed
from ...derivatives.options import Options
from ...derivatives.sweep.plan import PlanStep
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...graph.converters import NotVectorizedError, UserFunction, vectorized_map
from .interface import Entry

NamedFunction = dict[str, tf.Tensor]


def with_specs(source: Differentiable, input_specs: Any) -> Differentiable:
    """``source`` with specs of its inputs in which every size is known but the batch's.

    Args:
        source: of one argument or several, each any nest.
        input_specs: ``tf.TensorSpec``, or a nest of them, for one argument; a tuple with one for each
            argument where there are several. None for the function's own.

    Raises:
        SignatureError: the shapes aren't known, or not fully, or an input is complex.
    """
    specs = source.input_specs if input_specs is None else _specs_by_argument(source, input_specs)
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


def _specs_by_argument(source: Differentiable, input_specs: Any) -> tuple[Any, ...]:
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
    known, asked = tf.nest.flatten(source.input_specs), tf.nest.flatten(specs)
    fits = len(known) == len(asked) and all(
        k.dtype == a.dtype and k.shape.is_compatible_with(a.shape) for k, a in zip(known, asked, strict=True)
    )
    if not fits:
        raise SignatureError(
            "input_specs does not fit the model",
            subject=source.name,
            expected=", ".join(f"{spec.dtype.name} {shape_text(spec.shape)}" for spec in known),
            got=", ".join(f"{spec.dtype.name} {shape_text(spec.shape)}" for spec in asked),
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
    if not (spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype in (tf.bool, tf.string)):
        raise SignatureError(
            "an input of this dtype can't be exported",
            subject=f"{source.name}, {structure_text(source.input_specs)}",
            expected="floating; or integers, booleans or strings, which nothing is differentiated by",
            got=spec.dtype.name,
        )
    return tf.TensorSpec([None, *sample] if source.batched else sample, spec.dtype)


def argument_specs(entry: Entry, batch: int | None) -> dict[str, tf.TensorSpec]:
    """The specs of an entry's arguments for a batch size."""
    return {p.name: tf.TensorSpec([batch, *p.shape], p.dtype, name=p.name) for p in entry.inputs}


def exported(source: Differentiable, entry: Entry, log: list[PlanStep] | None = None) -> Callable[..., NamedFunction]:
    """``entry`` as a function of keyword arguments over a batch: the results by the ports' names.

    A function of one sample is differentiated first, and the derivative is mapped over the batch: a map inside the
    derivative would replace ops that have a gradient of their own.
    """
    results = named_function(source, entry, log)

    def call(**named: tf.Tensor) -> NamedFunction:
        count = next(iter(named.values())).shape[0]
        if count == 1 and not source.batched:
            return {name: tensor[None] for name, tensor in results({n: t[0] for n, t in named.items()}).items()}
        if count is not None:
            return results(named) if source.batched else _each(results, named)
        # Vectorized loops divide by the batch size: an empty batch runs as one sample, whose results are dropped.
        size = tf.shape(next(iter(named.values())))[0]
        filled = {name: _at_least_one_row(tensor, size) for name, tensor in named.items()}
        computed = results(filled) if source.batched else _each(results, filled)
        return {name: tensor[:size] for name, tensor in computed.items()}

    return call


def _each(results: Callable[[NamedFunction], NamedFunction], named: NamedFunction) -> NamedFunction:
    """``results`` for each row; a function that can't be vectorized as a whole is called row by row."""
    try:
        return vectorized_map(UserFunction(results), named, one_by_one=True)
    except NotVectorizedError:
        like = results({name: tensor[0] for name, tensor in named.items()})
        return tf.map_fn(results, named, fn_output_signature=tf.nest.map_structure(tf.TensorSpec.from_tensor, like))


def named_function(
    source: Differentiable, entry: Entry, log: list[PlanStep] | None = None
) -> Callable[[NamedFunction], NamedFunction]:
    """``entry`` from arguments by name to results by name: over a batch, or of one sample where it isn't batched.

    A trace writes the steps of the operator's plan into ``log``.
    """
    derivative = derivative_of(source, entry)

    def results(named: NamedFunction) -> NamedFunction:
        flat = [named[port.name] for port in entry.inputs]
        inputs, seeds = flat[: len(flat) - entry.seeds], flat[len(flat) - entry.seeds :]
        evaluated = derivative.evaluate(_arguments(source, inputs), FlatSeed(seeds) if seeds else None)
        if log is not None:
            log[:] = [step.counted() for step in evaluated.steps]
        batch = split(inputs[0], source.batched)[0]
        return {
            port.name: _as_port(_at(evaluated.parts, path), [*batch, *port.shape], port.dtype)
            for port, path in zip(entry.outputs, entry.parts, strict=True)
        }

    return results


def derivative_of(source: Differentiable, entry: Entry) -> Derivative:
    """The operator behind an entry, by all floating inputs."""
    assert source.input_specs is not None
    function = _parted(source) if _is_mixed(source) else source
    count = 1 if _is_mixed(source) else len(source.input_specs)
    parts = tuple(dict.fromkeys(path[0] for path in entry.parts))
    options = Options(argnums=0 if count == 1 else tuple(range(count)), prefer_mode_when_equal="forward")
    return Derivative(function, entry.kind, parts, options)


def _is_mixed(source: Differentiable) -> bool:
    """Whether there are inputs that nothing is differentiated by."""
    return not all(spec.dtype.is_floating for spec in tf.nest.flatten(source.input_specs))


def _arguments(source: Differentiable, inputs: Sequence[tf.Tensor]) -> Sequence[Any]:
    """The flat inputs as the arguments of the function that :func:`derivative_of` differentiates."""
    if not _is_mixed(source):
        return tf.nest.pack_sequence_as(source.input_specs, inputs)
    parted = ([x for x in inputs if x.dtype.is_floating], [x for x in inputs if not x.dtype.is_floating])
    return [part for part in parted if part]


def _parted(source: Differentiable) -> Differentiable:
    """``source`` as a function of the list of its floating inputs and the list of the others."""
    specs = tf.nest.flatten(source.input_specs)

    def call(*parted: Any) -> Any:
        given = {is_floating: iter(part) for is_floating, part in zip(kinds, parted, strict=True)}
        flat = [next(given[spec.dtype.is_floating]) for spec in specs]
        return source.call(*tf.nest.pack_sequence_as(source.input_specs, flat))

    parts = _arguments(source, specs)
    kinds = [part[0].dtype.is_floating for part in parts]
    return replace(source, call=call, input_specs=tuple(parts), argument_names=(), input_names=())


def _at(parts: Any, path: tuple[Any, ...]) -> tf.Tensor:
    for step in path:
        parts = parts[step]
    return parts


def _as_port(tensor: tf.Tensor, shape: list[Any], dtype: str) -> tf.Tensor:
    """Scalar-valued operators drop the 1 of [B, 1]; the exported value keeps it."""
    return tf.cast(tf.reshape(tensor, shape), dtype)


def _at_least_one_row(tensor: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    # An integer may be an index: zero is one of any table.
    fill = tf.ones if tensor.dtype.is_floating else tf.zeros
    filled = tf.concat([tensor, fill([tf.maximum(1 - count, 0), *dims(tensor)[1:]], tensor.dtype)], 0)
    filled.set_shape(tensor.shape)
    return filled
