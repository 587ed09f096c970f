"""The points at which a report samples a model, and the limits of a report.

The points are the user's arguments, or drawn where the model is meant to be used: in a range, or where the model's
first layer scales its input to −1 to 1. The page states each limit that is met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ..differentiable import Differentiable
from ..errors import SignatureError
from ..public import public
from ..sources.resolve import flat_layers

Array = np.ndarray
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
_SEED = 6


@public("report")
@dataclass(frozen=True)
class Limits:
    """Bounds of a report.

    Attributes:
        points: sample points.
        entries: numbers of all Jacobians together.
        factored: multiplications of a singular value decomposition of all Jacobians, about.
        cells: rows and columns of a heat map; larger ones are aggregated.
        numbers: rows and columns of a heat map with numbers in its cells.
        maps: points whose Jacobian is drawn.
        nodes: of a picture of a graph; larger ones are folded.
        unknown: what an axis of unknown size is taken as.
        seconds: spent on measuring the strategies.
        bytes: of intermediate results in a call that is measured, about.
    """

    points: int = 64
    entries: int = 4_000_000
    factored: int = 200_000_000
    cells: int = 48
    numbers: int = 8
    maps: int = 4
    nodes: int = 48
    unknown: int = 16
    seconds: float = 20.0
    bytes: int = 256_000_000


@dataclass(frozen=True)
class Points:
    """Sample points.

    Attributes:
        arguments: the function's arguments, ``[count] + x`` each, whether or not the function is batched.
        count: the number of points.
        batched: whether the function takes all points at once.
        origin: a sentence on where the points come from.
    """

    arguments: list[Any]
    count: int
    batched: bool
    origin: str

    def first(self, count: int) -> list[Any]:
        """Arguments for one call: the first points, or only the first point for a function of one sample."""
        return tf.nest.map_structure(lambda leaf: leaf[:count] if self.batched else leaf[0], self.arguments)

    def limited(self, count: int) -> Points:
        """The first ``count`` points."""
        kept = tf.nest.map_structure(lambda leaf: leaf[:count], self.arguments)
        return replace(self, arguments=kept, count=min(count, self.count))

    def calls(self) -> list[list[Any]]:
        """The arguments of calls at all points: one call where the function is batched, else a call for each point."""
        if self.batched:
            return [self.arguments]
        return [tf.nest.map_structure(lambda leaf, i=i: leaf[i], self.arguments) for i in range(self.count)]


@dataclass(frozen=True)
class Ranges:
    """``(low, high)`` by the name of an input, and the origin of the ranges in words."""

    bounds: Mapping[str, Any]
    origin: str = "the given range"


@dataclass(frozen=True)
class Scaling:
    """Middle and spread of the inputs that a layer scales to −1 to 1."""

    middle: Array
    spread: Array
    layer: str

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether it applies to samples of ``shape``."""
        return self.middle.ndim == 0 or self.middle.shape == tuple(shape[-self.middle.ndim :])


def sample_points(
    source: Differentiable, arguments: Sequence[Any], ranges: Ranges, names: Sequence[str], limits: Limits
) -> Points:
    """The user's ``arguments`` as points, or drawn points where there are none.

    Args:
        source: the function.
        arguments: the function's arguments, or nothing.
        ranges: of inputs.
        names: of the inputs, in the order of ``tf.nest``.
        limits: of the report.

    Raises:
        SignatureError: arguments that don't fit, or none for a function without specs.
    """
    if arguments:
        return _points_of_arguments(source, arguments, limits)
    if source.input_specs is None:
        raise SignatureError(
            "the function has no specs of its own",
            subject=source.name,
            hint="pass arguments to look at: a batch of points where it is batched, else one point",
        )
    return _draw_points(source, ranges, names, limits)


def _points_of_arguments(source: Differentiable, arguments: Sequence[Any], limits: Limits) -> Points:
    converted = source.to_arguments(arguments, ())
    if not source.batched:
        stacked = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf)[None], converted)
        return Points(stacked, 1, False, "the point that was given")
    counts = {leaf.shape[0] for leaf in tf.nest.flatten(converted) if isinstance(leaf, tf.Tensor) and leaf.shape.rank}
    if len(counts) != 1 or 0 in counts:
        raise SignatureError(
            "the arguments hold no batch of points",
            subject=source.name,
            expected="arrays of one batch size, at least 1",
            got=" and ".join(map(str, sorted(counts))) or "numbers",
        )
    (count,) = counts
    every = Points(converted, count, True, f"the {count:,} points that were given")
    if count <= limits.points:
        return every
    kept = every.limited(limits.points)
    return replace(kept, origin=f"the first {limits.points} of the {count:,} points that were given")


def _draw_points(source: Differentiable, ranges: Ranges, names: Sequence[str], limits: Limits) -> Points:
    generator = np.random.default_rng(_SEED)
    specs = tf.nest.flatten(source.input_specs)
    scaling = _scaling(source) if len(specs) == 1 else None
    drawn, origins = [], []
    for spec, name in zip(specs, names, strict=True):
        shape = [n or limits.unknown for n in spec.shape[source.batched :]]
        draw, origin = _drawing_rule(spec, shape, name, ranges, scaling)
        drawn.append(tf.constant(draw(generator, (limits.points, *shape)), spec.dtype))
        origins.append(f"{name}: {origin}" if len(specs) > 1 else origin)
    unknown = any(None in spec.shape[source.batched :] for spec in specs)
    filled = [f"axes of unknown size are taken as {limits.unknown}"] if unknown else []
    text = f"{limits.points} points, " + "; ".join([*dict.fromkeys(origins), *filled])
    return Points(list(tf.nest.pack_sequence_as(source.input_specs, drawn)), limits.points, source.batched, text)


def _drawing_rule(
    spec: tf.TensorSpec, shape: list[int], name: str, ranges: Ranges, scaling: Scaling | None
) -> tuple[Draw, str]:
    """The function that draws an input, and the distribution in words."""
    if name in ranges.bounds:
        low, high = _bounds(name, ranges.bounds[name], shape)
        return lambda g, size: g.uniform(low, high, size), f"uniform in {ranges.origin}"
    if not spec.dtype.is_floating:
        return lambda g, size: np.zeros(size), f"zeros, since they are {spec.dtype.name}"
    if scaling is not None and scaling.fits(shape):
        text = f"uniform where the model's first layer, {scaling.layer}, makes them −1 to 1"
        return lambda g, size: scaling.middle + scaling.spread * g.uniform(-1.0, 1.0, size), text
    return _normal, "standard normal, for want of a range"


def _normal(generator: np.random.Generator, size: tuple[int, ...]) -> Array:
    return generator.standard_normal(size)


def _bounds(name: str, bounds: Any, shape: list[int]) -> tuple[Array, Array]:
    try:
        low, high = (np.broadcast_to(np.asarray(bound, np.float64), shape) for bound in bounds)
    except (TypeError, ValueError) as error:
        raise SignatureError(
            "a range has the wrong form",
            subject=name,
            expected=f"(low, high), each of shape {shape} or a number",
            got=repr(bounds),
        ) from error
    if not (np.all(low <= high) and np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise SignatureError(
            "a range is none", subject=name, expected="finite, low up to high", got=f"{low.tolist()}, {high.tolist()}"
        )
    return low, high


def _scaling(source: Differentiable) -> Scaling | None:
    """The scaling of the model's first layer, where it brings the input to the size of 1."""
    if source.model is None:
        return None
    layers = [layer for layer in flat_layers(source.model) if type(layer).__name__ != "InputLayer"]
    first: Any = layers[0] if layers else None
    if type(first).__name__ == "Rescaling":
        scale, offset = (np.asarray(value, np.float64) for value in (first.scale, first.offset))
        return Scaling(-offset / scale, np.abs(1 / scale), first.name) if np.all(scale) else None
    if type(first).__name__ == "Normalization" and getattr(first, "mean", None) is not None:
        mean, variance = (np.squeeze(np.asarray(value, np.float64)) for value in (first.mean, first.variance))
        return Scaling(mean, np.sqrt(variance), first.name)
    return None
