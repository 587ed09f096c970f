"""Random inputs for a model, in the ranges that it is made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import SignatureError
from ..export.functions.entries import describe
from ..export.functions.tf_functions import with_specs
from ..export.native.library.recorded_points import check_ranges
from ..sources.resolve import resolve

_SEED = 1982


def random_inputs(
    fn: Any, count: int, ranges: Mapping[str, Any] | None = None, seed: int | None = None
) -> tuple[Any, ...]:
    """``count`` random samples for each argument of a function with specs of its own, as NumPy arrays.

    Args:
        fn: as for an operator.
        count: samples; a function that isn't batched gets one.
        ranges: ``{"x": (low, high)}``; uniform in there, standard normal where there is none.
        seed: of the random numbers; None for the same ones every time.

    Raises:
        SignatureError: unknown shapes, an input that isn't floating, or a range of no input.
    """
    source = with_specs(resolve(fn), None)
    ports = describe(source, ("value",))[0].inputs
    for port in ports:
        if not port.floating:
            raise SignatureError(
                f"{port.name} is not floating, so nothing can be differentiated by it",
                subject=source.name,
                got=port.dtype,
                hint="check a function of the floating inputs alone, from Python",
            )
    bounds = check_ranges(ranges, ports)
    generator = np.random.default_rng(_SEED if seed is None else seed)

    def sample(port: Any) -> np.ndarray:
        shape = [count, *port.shape] if source.batched else list(port.shape)
        if port.name not in bounds:
            return generator.standard_normal(shape).astype(port.dtype)
        low, high = bounds[port.name]
        return (low + (high - low) * generator.random(shape)).astype(port.dtype)

    return tuple(tf.nest.pack_sequence_as(source.input_specs, [sample(port) for port in ports]))
