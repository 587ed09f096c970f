"""The answers of the same network in float64, at the recorded points: what the rounding of float32 is measured by.

The graph is the one that the recorded answers come from. Its constants, the weights among them, and the points are cast
up from float32, so that nothing differs but the rounding on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....errors import GraphError
from ....graph.grappler import frozen
from ....graph.widen import run_in_float64
from ...functions.interface import Entry


@dataclass(frozen=True)
class Float64Reference:
    """What a network gives in float64.

    Attributes:
        results: by the names of the results.
        not_evaluated: by the kind of function, why there is nothing.
    """

    results: dict[str, np.ndarray] = field(default_factory=dict)
    not_evaluated: dict[str, str] = field(default_factory=dict)


def float64_reference(
    entries: Sequence[Entry], traced: Mapping[str, Any], vectors: Mapping[str, np.ndarray], batched: bool
) -> Float64Reference:
    """The results of each entry in float64; of one that can't be evaluated there, the reason.

    Args:
        traced: the concrete function of each kind, which :func:`~.recorded_points.record_points` traced.
        vectors: the points, and the results in the library's own dtype.
    """
    reference = Float64Reference()
    if not any(array.dtype == np.float32 for array in vectors.values()):
        return reference
    for entry in entries:
        try:
            found = _results(entry, traced[entry.kind], vectors, batched)
        except GraphError as error:
            reference.not_evaluated[entry.kind] = str(error.got)
            continue
        if all(np.isfinite(array).all() for array in found.values()):
            reference.results.update({name: found[name] for name in found if name not in reference.results})
        else:
            reference.not_evaluated[entry.kind] = "the results are not finite in float64"
    return reference


def _results(entry: Entry, concrete: Any, vectors: Mapping[str, np.ndarray], batched: bool) -> dict[str, np.ndarray]:
    """The results for all points; a function of one sample is called once for each."""
    points = {port.name: vectors[port.name] for port in entry.inputs}
    rows = zip(*points.values(), strict=True)
    calls = [points] if batched else [dict(zip(points, row, strict=True)) for row in rows]
    runs = run_in_float64(frozen(concrete), calls)
    names = sorted(port.name for port in entry.outputs)
    arrays = runs[0] if batched else [np.stack(results) for results in zip(*runs, strict=True)]
    return dict(zip(names, arrays, strict=True))
