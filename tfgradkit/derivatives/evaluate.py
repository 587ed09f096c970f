"""One evaluation of an operator inside a graph: select, compute, and put results into their structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tensorflow as tf

from ..arguments import structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..op_gradients.exact_functions import exact_functions
from .choices import Options
from .first_order import Parts
from .independence import by_arguments, independent, judged, refuse_coupled
from .operator_table import EXACT_PRODUCTS, LAYOUTS, OPERATORS, SEED_NAMES
from .per_sample import per_sample
from .plan import Step
from .point import Point, check_seeds
from .selection import Selection, narrowed, select
from .within_limit import within_limit


class FlatSeed(list[tf.Tensor]):
    """A seed that is flat already, in the order of ``tf.nest``."""


@dataclass(frozen=True)
class Evaluated:
    """Results of an operator.

    Attributes:
        parts: by name, as nested flat lists.
        layouts: of the parts: a letter for each level of lists, y the results, x the arguments.
        structures: the nests that the letters stand for.
        aux: what the function returned beside, with ``has_aux``.
        steps: what was decided.
    """

    parts: Parts
    layouts: dict[str, str]
    structures: dict[str, Any]
    aux: Any
    steps: tuple[Step, ...]

    def packed(self, name: str) -> Any:
        """A part in the structures of the caller."""
        return _packed(self.parts[name], self.layouts[name], self.structures)


def evaluate(
    source: Differentiable,
    operator: str,
    options: Options,
    arguments: Sequence[Any],
    seed: Any = None,
    *,
    inlined: bool,
    extra: dict[str, Any],
    specimen: Any = None,
) -> Evaluated:
    """``operator`` of ``source`` at ``arguments``, tensors of the current graph.

    ``specimen`` are the values of the arguments for a few samples, where they are known.

    Raises:
        SignatureError: a seed of the wrong structure or shape.
        GradientError: no such derivative.
    """

    # The first evaluation finds out whether the samples are independent; groups of them need not be asked again.
    given = specimen or arguments
    found: list[bool] = []

    def whole(arguments: Sequence[Any], seed: Any, options: Options) -> Evaluated:
        narrow = narrowed(replace(source, checked=True) if found else source, options)
        found.append(True)
        return _evaluate(narrow, operator, options, arguments, seed, inlined, extra, given)

    with exact_functions():
        if not (options.limited and source.batched):
            return whole(arguments, seed, options)
        return within_limit(whole, options, arguments, seed, inlined=inlined)


def _evaluate(
    source: Differentiable,
    operator: str,
    options: Options,
    arguments: Sequence[Any],
    seed: Any,
    inlined: bool,
    extra: dict[str, Any],
    specimen: Any,
) -> Evaluated:
    selection = select(source, options, arguments)
    samples = selection.variables and source.batched
    if samples:
        _whole_batch(source, options, selection, arguments, specimen)
    elif source.batched and not source.checked and (options.limited or operator not in EXACT_PRODUCTS):
        selection = independent(source, options, selection, specimen)
    if SEED_NAMES.get(operator) == "output_gradients" and not samples:
        selection.f(selection.xs, 1)  # for the structure of the results
    point = Point(
        selection.f,
        selection.xs,
        source.name,
        source.batched,
        options,
        # A plain function may close over the data of its own batch; what declares its inputs has nothing else.
        repeatable=source.batched and (source.model is not None or source.input_specs is not None),
        inlined=inlined,
        extra=extra,
        arguments=arguments,
        reselect=partial(select, source, options),
        structure=selection.structure,
    )
    point = replace(point, seeds=_seeds(seed, SEED_NAMES.get(operator), selection, point))
    if samples:
        parts = per_sample(source, options, arguments, point, OPERATORS[operator], operator)
    else:
        parts = OPERATORS[operator](point)
    structures = {"y": selection.results.structure, "x": selection.structure}
    return Evaluated(parts, LAYOUTS[operator], structures, selection.results.aux, tuple(point.log))


def _whole_batch(
    source: Differentiable, options: Options, selection: Selection, arguments: Sequence[Any], specimen: Any
) -> None:
    """Calls the function once for all samples, for the value, its structure and the aux.

    The derivatives by variables are taken sample by sample, which is another function where samples are coupled.
    """
    if source.checked:
        selection.f(selection.xs, 1)
        return
    options = by_arguments(options, arguments)
    xs = [x for x in select(source, options, arguments).xs if x.dtype.is_floating]
    _, found = judged(source, options, lambda: selection.f(selection.xs, 1), xs, specimen)
    refuse_coupled(found, source.name)


def _seeds(seed: Any, role: Any, selection: Selection, point: Point) -> list[tf.Tensor]:
    if role is None:
        return []
    if role == "tangents":
        flat = _flat_like(seed, selection.structure, role, point.name)
        flat = [tf.cast(v, x.dtype) for v, x in zip(flat, selection.xs, strict=True)]
        check_seeds(flat, selection.xs, role, point.name)
        return flat
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
