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


def check_ranges(
    ranges: Mapping[str, Any] | None, xs: Sequence[Port], tables: Mapping[str, Range] | None = None
) -> dict[str, Range]:
    """``{name: (low, high)}`` with both broadcast to one point of the input.

    Args:
        ranges: the user's.
        xs: the inputs.
        tables: the ranges of the inputs that are indices of tables, which hold where there is none of the user's.

    Raises:
        SignatureError: an unknown input, a wrong shape, or bounds that are no finite range of its dtype; or that go
            beyond a table.
    """
    ports = {x.name: x for x in xs}
    for name in ranges or {}:
        if name not in ports:
            raise SignatureError("a range is given for an unknown input", expected=" | ".join(ports), got=name)
    known = dict(tables or {})
    chosen = {name: _range(name, bounds, ports[name]) for name, bounds in (ranges or {}).items()}
    for name in chosen.keys() & known.keys():
        if np.any(chosen[name][0] < known[name][0]) or np.any(chosen[name][1] > known[name][1]):
            raise SignatureError(
                "a range goes beyond the table that the input is an index of",
                subject=name,
                expected=_text(known[name]),
                got=_text(chosen[name]),
            )
    return known | chosen


def _text(bounds: Range) -> str:
    low, high = (np.unique(bound).astype(int).tolist() for bound in bounds)
    return f"{low[0] if len(low) == 1 else low} to {high[0] if len(high) == 1 else high}"


def _range(name: str, bounds: Any, x: Port) -> Range:
    expected = f"(low, high), each of shape {list(x.shape)} or a number"
    if x.dtype == "bool":
        raise SignatureError("a boolean input has no range: it is false or true", subject=name, got=repr(bounds))
    try:
        low, high = (np.broadcast_to(np.asarray(bound, np.float64), x.shape) for bound in bounds)
    except (TypeError, ValueError) as error:
        raise SignatureError("a range has the wrong form", subject=name, expected=expected, got=repr(bounds)) from error
    if not np.all(low <= high):
        raise SignatureError(
            "a range has low above high, or NaN", subject=name, got=f"{low.tolist()} to {high.tolist()}"
        )
    if not x.floating:
        return _whole(name, low, high, x)
    largest = float(np.finfo(x.dtype).max)
    if max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)) > largest / 2:
        raise SignatureError(
            "a range is not finite", subject=name, expected=f"numbers of {x.dtype}, up to {largest / 2:.2g}",
            got=f"{low.tolist()} to {high.tolist()}", hint="leave out ranges= where there is no range",
        )  # fmt: skip
    # Rounded to the dtype of the library's inputs: a bound itself is inside.
    return low.astype(x.dtype).astype(np.float64), high.astype(x.dtype).astype(np.float64)


# A library compares with bounds in float64, which has each of the integers up to this one.
LARGEST_INTEGER = 2**53 - 1


def integer_limits(x: Port) -> tuple[int, int]:
    """The least and the largest bound of an integer input."""
    limits = np.iinfo(x.dtype)
    return max(int(limits.min), -LARGEST_INTEGER), min(int(limits.max), LARGEST_INTEGER)


def _whole(name: str, low: np.ndarray, high: np.ndarray, x: Port) -> Range:
    least, most = integer_limits(x)
    if not all(np.all((bound == np.rint(bound)) & (bound >= least) & (bound <= most)) for bound in (low, high)):
        raise SignatureError(
            f"a range of {x.dtype} has other bounds than its integers",
            subject=name,
            expected=f"whole numbers from {least} to {most}",
            got=f"{low.tolist()} to {high.tolist()}",
        )
    return low, high


def record_points(
    source: Differentiable,
    entries: tuple[Entry, ...],
    ranges: dict[str, Range],
    count: int,
    seed: int = 0,
    traced: dict[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """``count`` points and the results of every entry there, by port name, the point first.

    An input is uniform in its range where it has one; else a floating one is standard normal, an integer 0 or 1. A
    point whose results are not all finite is replaced by another. ``traced`` is filled with the concrete function of
    each kind.

    Raises:
        ExportError: no point has finite results, or the model can't take an integer that was drawn.
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
        try:
            vectors.update(_results(source, entry, _with_our_errors(concrete), vectors))
        except tf.errors.InvalidArgumentError as error:
            raise _refused_integers(source, entry, error) or error from error
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


def _refused_integers(source: Differentiable, entry: Entry, error: Exception) -> ExportError | None:
    whole = [port.name for port in entry.inputs if "int" in port.dtype]
    if not whole:
        return None
    return ExportError(
        "the model can't take the integers that were tried",
        subject=source.name,
        got=str(error).split("\n", 1)[0][:300],
        hint=f'give the range of its integers: ranges={{"{whole[0]}": (low, high)}}',
    )


def _draw(port: Port, ranges: dict[str, Range], generator: np.random.Generator, count: int) -> np.ndarray:
    shape, bounds = (count, *port.shape), ranges.get(port.name)
    if not port.floating:
        low, high = (0, 1) if bounds is None else _drawn_from(port, bounds)
        return generator.integers(low, high, shape, endpoint=True).astype(port.dtype)
    drawn = generator.standard_normal(shape) if bounds is None else generator.uniform(*bounds, shape)
    return drawn.astype(port.dtype)


def _drawn_from(port: Port, bounds: Range) -> tuple[np.ndarray, np.ndarray]:
    """The bounds, but 0 and 1 where they are those of all int32 or int64, and so say nothing."""
    low, high = (bound.astype(np.int64) for bound in bounds)
    says_nothing = (low == integer_limits(port)[0]) & (high == integer_limits(port)[1]) & (port.item_bytes >= 4)
    return np.where(says_nothing, 0, low), np.where(says_nothing, 1, high)


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
