"""The points that a library is tested at, and the operators' results there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ....derivatives.failures.runtime_errors import meant
from ....differentiable import Differentiable
from ....errors import ExportError, SignatureError
from ...functions.interface import Entry, Port
from ...functions.tf_functions import named_function

Range = tuple[np.ndarray, np.ndarray]


def check_ranges(ranges: Mapping[str, Any] | None, xs: Sequence[Port]) -> dict[str, Range]:
    """``{name: (low, high)}`` with both broadcast to one point of the input.

    Raises:
        SignatureError: an unknown input, a wrong shape, or bounds that are no finite range of its dtype.
    """
    ports = {x.name: x for x in xs}
    for name in ranges or {}:
        if name not in ports:
            raise SignatureError("a range is given for an unknown input", expected=" | ".join(ports), got=name)
    return {name: _range(name, bounds, ports[name]) for name, bounds in (ranges or {}).items()}


def _range(name: str, bounds: Any, x: Port) -> Range:
    expected = f"(low, high), each of shape {list(x.shape)} or a number"
    try:
        low, high = (np.broadcast_to(np.asarray(bound, np.float64), x.shape) for bound in bounds)
    except (TypeError, ValueError) as error:
        raise SignatureError("a range has the wrong form", subject=name, expected=expected, got=repr(bounds)) from error
    largest = float(np.finfo(x.dtype).max)
    if not np.all(low <= high):
        raise SignatureError(
            "a range has low above high, or NaN", subject=name, got=f"{low.tolist()} to {high.tolist()}"
        )
    if max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)) > largest / 2:
        raise SignatureError(
            "a range is not finite", subject=name, expected=f"numbers of {x.dtype}, up to {largest / 2:.2g}",
            got=f"{low.tolist()} to {high.tolist()}", hint="leave out ranges= where there is no range",
        )  # fmt: skip
    # Rounded to the dtype of the library's inputs: a bound itself is inside.
    return low.astype(x.dtype).astype(np.float64), high.astype(x.dtype).astype(np.float64)


def record_points(
    source: Differentiable,
    entries: tuple[Entry, ...],
    ranges: dict[str, Range],
    count: int,
    seed: int = 0,
    traced: dict[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """``count`` points and the results of every entry there, by port name, the point first.

    An input is uniform in its range where it has one, else standard normal. A point whose results are not all finite
    is replaced by another. ``traced`` is filled with the concrete function of each kind.

    Raises:
        ExportError: no point has finite results.
        ConvergenceError, ExternalError: the model's own error at a point.
    """
    generator = np.random.default_rng(seed)
    vectors: dict[str, np.ndarray] = {}
    for entry in entries:
        for port in entry.inputs:
            # Two kinds may share a seed, and the results of the first kind belong to the seed that it had.
            if port.name not in vectors:
                vectors[port.name] = _draw(port, ranges, generator, count)
        concrete = _traced(source, entry, vectors)
        if traced is not None:
            traced[entry.kind] = concrete
        vectors.update(_results(source, entry, _with_our_errors(concrete), vectors))
    finite = np.all([np.isfinite(v).reshape(count, -1).all(axis=1) for v in vectors.values()], axis=0)
    if not finite.any():
        raise ExportError(
            "the model has no finite value and derivatives at the points tried",
            subject=source.name,
            got=f"{count} points {'in the given range' if ranges else 'from the standard normal distribution'}",
            hint="check the range, and the model in it"
            if ranges
            else 'give the range of its input: ranges={"x": (low, high)}',
        )
    # Always ``count`` points, so that the program for a tile is tested, too.
    return {name: np.resize(array[finite], array.shape) for name, array in vectors.items()}


def _draw(port: Port, ranges: dict[str, Range], generator: np.random.Generator, count: int) -> np.ndarray:
    shape, bounds = (count, *port.shape), ranges.get(port.name)
    drawn = generator.standard_normal(shape) if bounds is None else generator.uniform(*bounds, shape)
    return drawn.astype(port.dtype)


def _traced(source: Differentiable, entry: Entry, vectors: dict[str, np.ndarray]) -> Any:
    """An entry as a concrete function of a dict: over all points, or of one for a function of one sample."""
    function = named_function(source, entry)
    arrays = {port.name: vectors[port.name] for port in entry.inputs}
    specs = {
        name: tf.TensorSpec(array.shape if source.batched else array.shape[1:], array.dtype)
        for name, array in arrays.items()
    }
    # A result that is an argument would be fed and fetched.
    call = tf.function(lambda named: tf.nest.map_structure(tf.identity, function(named)), autograph=False)
    return call.get_concrete_function(specs)


def _results(
    source: Differentiable, entry: Entry, function: Callable[..., Any], vectors: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The operators' results; a function of one sample is called once for each point."""
    arguments = {port.name: tf.constant(vectors[port.name]) for port in entry.inputs}
    if source.batched:
        return {name: result.numpy() for name, result in function(arguments).items()}
    count = len(next(iter(arguments.values())))
    rows = [function({name: array[row] for name, array in arguments.items()}) for row in range(count)]
    return {port.name: np.stack([row[port.name].numpy() for row in rows]) for port in entry.outputs}


def _with_our_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which raises our own exception where the graph's error stands for one."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except tf.errors.OpError as error:
            raise meant(error, compiled=False) or error from error

    return call
