"""The points a library is tested at, and TensorFlow's answers there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..derivatives.derivative import SEED_NAMES, Derivative
from ..differentiable import Differentiable
from ..errors import ExportError, SignatureError
from .functions import derivative_of
from .interface import Entry, Port

Range = tuple[np.ndarray, np.ndarray]


def check_ranges(ranges: Mapping[str, Any] | None, x: Port) -> dict[str, Range]:
    """``{name: (low, high)}`` with both broadcast to one point of the input.

    Raises:
        SignatureError: an unknown input, a wrong shape, or bounds that are no finite range of its dtype.
    """
    return {name: _range(name, bounds, x) for name, bounds in (ranges or {}).items()}


def _range(name: str, bounds: Any, x: Port) -> Range:
    if name != x.name:
        raise SignatureError("a range is given for an unknown input", expected=x.name, got=name)
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
    # As the library's inputs are: a bound itself is inside.
    return low.astype(x.dtype).astype(np.float64), high.astype(x.dtype).astype(np.float64)


def record(
    source: Differentiable, entries: tuple[Entry, ...], ranges: dict[str, Range], count: int
) -> dict[str, np.ndarray]:
    """``count`` points and the answers of every entry there, by port name, the point first.

    Points are uniform in the range of x where it has one, else standard normal. Points where an
    answer is not finite are replaced by others.

    Raises:
        ExportError: no point has finite answers.
    """
    generator = np.random.default_rng(0)
    x = entries[0].inputs[0]
    shape = (count, *x.shape)
    drawn = generator.uniform(*ranges[x.name], shape) if x.name in ranges else generator.standard_normal(shape)
    vectors: dict[str, np.ndarray] = {x.name: drawn.astype(x.dtype)}
    for entry in entries:
        for seed in entry.inputs[1:]:
            # Two kinds may share a seed; the answers of the first belong to it, too.
            if seed.name in vectors:
                continue
            vectors[seed.name] = generator.standard_normal((count, *seed.shape)).astype(seed.dtype)
        vectors.update(_answers(source, entry, vectors))
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
    # As many as were asked for, so that the program for a tile is tested, too.
    return {name: np.resize(array[finite], array.shape) for name, array in vectors.items()}


def _answers(source: Differentiable, entry: Entry, vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the operators say: for a function of one sample, a call a point."""
    derivative = derivative_of(source, entry)
    arguments = [vectors[port.name] for port in entry.inputs]
    if source.batched:
        results = _call(derivative, arguments)
    else:
        rows = [_call(derivative, list(row)) for row in zip(*arguments, strict=True)]
        results = tuple(np.stack(column) for column in zip(*rows, strict=True))
    named = zip(entry.outputs, results, strict=True)
    return {port.name: np.reshape(result, (len(arguments[0]), *port.shape)) for port, result in named}


def _call(derivative: Derivative, arguments: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    seed = {SEED_NAMES[derivative.operator]: arguments[1]} if len(arguments) > 1 else {}
    results = derivative(arguments[0], **seed)
    return tuple(r.numpy() for r in (results if isinstance(results, tuple) else (results,)))
