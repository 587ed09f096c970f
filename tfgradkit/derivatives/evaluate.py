"""One evaluation of an operator inside a graph: select, compute, and put results into their structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from ..arguments import structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..rules.moments import exact_moments
from .choices import Options
from .first_order import Parts
from .per_sample import per_sample
from .plan import Step
from .point import Point, check_seeds
from .registry import LAYOUTS, OPERATORS, SEED_NAMES
from .selection import Selection, narrowed, select


class FlatSeed(list[tf.Tensor]):
    """A seed that is flat already, in the order of ``tf.nest``."""


@dataclass(frozen=True)
class Evaluated:
    """Results of an operator.

    Attributes:
        parts: by name, as nested flat lists.
        packed: by name, in the structures of the caller.
        aux: what the function returned beside, with ``has_aux``.
        steps: what was decided.
    """

    parts: Parts
    packed: Parts
    aux: Any
    steps: tuple[Step, ...]


def evaluate(
    source: Differentiable,
    operator: str,
    options: Options,
    arguments: Sequence[Any],
    seed: Any = None,
    *,
    inlined: bool,
    extra: dict[str, Any],
) -> Evaluated:
    """``operator`` of ``source`` at ``arguments``, tensors of the current graph.

    Raises:
        SignatureError: a seed of the wrong structure or shape.
        GradientError: no such derivative.
    """
    with exact_moments():
        source = narrowed(source, options)
        selection = select(source, options, arguments)
        if selection.variables and source.batched:
            selection.f(selection.xs, 1)  # for the value, its structure and the aux, of the whole batch
        point = Point(selection.f, selection.xs, source.name, source.batched, options, inlined=inlined, extra=extra)
        point = replace(point, seeds=_seeds(seed, SEED_NAMES.get(operator), selection, point))
        if selection.variables and source.batched:
            parts = per_sample(source, options, arguments, point, OPERATORS[operator], operator)
        else:
            parts = OPERATORS[operator](point)
    structures = {"y": selection.results.structure, "x": selection.structure}
    packed = {name: _packed(part, LAYOUTS[operator][name], structures) for name, part in parts.items()}
    return Evaluated(parts, packed, selection.results.aux, tuple(point.log))


def _seeds(seed: Any, role: Any, selection: Selection, point: Point) -> list[tf.Tensor]:
    if role is None:
        return []
    if role == "tangents":
        flat = _flat_like(seed, selection.structure, role, point.name)
        flat = [tf.cast(v, x.dtype) for v, x in zip(flat, selection.xs, strict=True)]
        check_seeds(flat, selection.xs, role, point.name)
        return flat
    if not selection.results.seen:
        selection.f(selection.xs, 1)  # its results tell the structure of the seeds
    return _flat_like(seed, selection.results.structure, role, point.name)


def _flat_like(seed: Any, structure: Any, role: str, name: str) -> list[tf.Tensor]:
    if isinstance(seed, FlatSeed):
        return list(seed)
    try:
        tf.nest.assert_same_structure(structure, seed, check_types=False)
    except (ValueError, TypeError) as error:
        raise SignatureError(
            f"{role} has the wrong structure",
            subject=name,
            expected=structure_text(structure),
            got=structure_text(seed),
        ) from error
    return tf.nest.flatten(seed)


def _packed(part: Any, layout: str, structures: dict[str, Any]) -> Any:
    """Nested lists, one level a letter of ``layout``, as nests of the caller's structures, outputs outside."""
    if not layout:
        return part
    return tf.nest.pack_sequence_as(structures[layout[0]], [_packed(item, layout[1:], structures) for item in part])
