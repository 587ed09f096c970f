"""The functions that are exported, as TensorFlow functions of named tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..derivatives.choices import Options
from ..derivatives.derivative import Derivative
from ..derivatives.evaluate import FlatSeed
from ..derivatives.plan import Step
from ..derivatives.shapes import dims, split
from ..differentiable import Differentiable
from .interface import Entry

Named = dict[str, tf.Tensor]


def derivative_of(source: Differentiable, entry: Entry) -> Derivative:
    """The operator behind an entry, by all arguments."""
    assert source.input_specs is not None
    count = len(source.input_specs)
    parts = tuple(dict.fromkeys(path[0] for path in entry.parts))
    options = Options(argnums=0 if count == 1 else tuple(range(count)), tie="forward")
    return Derivative(source, entry.kind, parts, options)


def by_name(source: Differentiable, entry: Entry, log: list[Step] | None = None) -> Callable[[Named], Named]:
    """``entry`` from arguments by name to results by name: of a batch, or of one sample where not batched.

    ``log`` is told what was decided, when it is traced.
    """
    derivative = derivative_of(source, entry)

    def results(named: Named) -> Named:
        flat = [named[port.name] for port in entry.inputs]
        given, seeds = flat[: len(flat) - entry.seeds], flat[len(flat) - entry.seeds :]
        arguments = tf.nest.pack_sequence_as(source.input_specs, given)
        evaluated = derivative.evaluate(arguments, FlatSeed(seeds) if seeds else None)
        computed = evaluated.parts
        if log is not None:
            log[:] = evaluated.steps
        batch = split(given[0], source.batched)[0]
        return {
            port.name: _as_port(_at(computed, path), [*batch, *port.shape], port.dtype)
            for port, path in zip(entry.outputs, entry.parts, strict=True)
        }

    return results


def exported(source: Differentiable, entry: Entry, log: list[Step] | None = None) -> Callable[..., Named]:
    """``entry`` as a function of keyword arguments over a batch: the results by the ports' names.

    A function of one sample is differentiated for one sample, and that is mapped over the batch:
    the other way round, the map would replace ops that have a gradient of their own.
    """
    results = by_name(source, entry, log)

    def call(**named: tf.Tensor) -> Named:
        count = next(iter(named.values())).shape[0]
        if count is not None:
            return results(named) if source.batched else tf.vectorized_map(results, named)
        # Vectorized loops divide by the batch size: an empty batch runs as one sample, dropped again.
        size = tf.shape(next(iter(named.values())))[0]
        filled = {name: _at_least_one_row(tensor, size) for name, tensor in named.items()}
        computed = results(filled) if source.batched else tf.vectorized_map(results, filled)
        return {name: tensor[:size] for name, tensor in computed.items()}

    return call


def argument_specs(entry: Entry, batch: int | None) -> dict[str, tf.TensorSpec]:
    """The specs of an entry's arguments for a batch size."""
    return {p.name: tf.TensorSpec([batch, *p.shape], p.dtype, name=p.name) for p in entry.inputs}


def _at(parts: Any, path: tuple[Any, ...]) -> tf.Tensor:
    for step in path:
        parts = parts[step]
    return parts


def _as_port(tensor: tf.Tensor, shape: list[Any], dtype: str) -> tf.Tensor:
    """Scalar-valued operators drop the 1 of [B, 1]; the exported value keeps it."""
    return tf.cast(tf.reshape(tensor, shape), dtype)


def _at_least_one_row(tensor: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    filled = tf.concat([tensor, tf.ones([tf.maximum(1 - count, 0), *dims(tensor)[1:]], tensor.dtype)], 0)
    filled.set_shape(tensor.shape)
    return filled
