"""``structure``: which blocks of a derivative are zero, constant, symmetric, diagonal, banded or sparse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...derivatives.derivative import Derivative
from ...errors import SignatureError
from .blocks import Block, BlockPlace, Fact, How, Structure, places
from .proofs import Proofs, proven
from .sampled_values import Samples, random_arguments, sampled

_KINDS = ("jacobian", "gradient", "hessian")
# Entries of samples are equal up to so many units of the dtype's precision, relative to the largest entry.
_TOLERANCE = 1e2


def structure(derivative: Derivative, *specs: Any) -> Structure:
    """What is known of the blocks of a Jacobian, a gradient or a Hessian.

    Zeros, and with them diagonals, bands and independent blocks, are proven by the pattern that is read off the graph
    (:func:`tfgradkit.sparse_jacobian`); constants by the simplified graph (:func:`tfgradkit.simplify`), or, where all
    ops are smooth, by the pattern of the next derivative; the symmetry of a Hessian by Schwarz's theorem, where all
    ops are smooth. What is not proven is tried at random arguments, and marked so. Variables count as what
    training may change for zeros, and as what they are now for constants.

    Args:
        derivative: what ``jacobian``, ``gradient``, ``hessian``, ``sparse_jacobian`` or a ``value_and_`` twin returned.
        specs: a ``tf.TensorSpec`` for each argument, none for those of the function itself: it is tried at normally
            distributed numbers, and their magnitudes. Or a value for each, around which it is tried.

    Returns:
        A :class:`~tfgradkit.types.Structure`: iterate it for the :class:`~tfgradkit.types.Block` of each result and
        argument, or ``print`` it.

    Raises:
        GradientError: the derivative is not finite at any of the points.
        SignatureError: another operator's derivative; or no specs, for a function without its own, or unknown sizes.

    References:
        Patterns as index sets: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 7.

    Example:
        >>> [block] = tgk.structure(tgk.jacobian(lambda x: x**2), tf.TensorSpec([3]))
        >>> bool(block.diagonal), block.diagonal.how, bool(block.constant)
        (True, 'proven', False)
    """
    wanted = _matrix_derivative(derivative)
    points = random_arguments(wanted, specs)
    layout = places(wanted, points[0])
    samples = sampled(wanted, points)
    steady = [_is_steady(part) for part in samples]
    found = proven(wanted, points[0], steady, [part.values[0].size for part in samples])
    blocks = tuple(_block(place, samples[i], found, i, steady[i]) for i, place in enumerate(layout))
    notes = tuple(dict.fromkeys(note for part in samples for note in part.notes))
    return Structure(str(wanted), blocks, len(samples[0].values), (*found.notes, *notes))


def _matrix_derivative(derivative: Any) -> Derivative:
    operator = getattr(derivative, "operator", "")
    operator = "jacobian" if operator == "sparse_jacobian" else operator
    if not isinstance(derivative, Derivative) or operator not in _KINDS:
        raise SignatureError(
            "only a derivative that is a matrix has a structure",
            expected="what jacobian, gradient, hessian or sparse_jacobian returned",
            got=str(derivative) if isinstance(derivative, Derivative) else type(derivative).__name__,
            hint="tgk.structure(tgk.jacobian(fn))",
        )
    return Derivative(derivative.source, operator, (operator,), replace(derivative.options, unconnected="zero"))


def _is_steady(samples: Samples) -> bool:
    """Whether a block is the same at all points."""
    return bool((np.abs(samples.values - samples.values[:1]) <= _tolerance(samples)).all())


def _tolerance(samples: Samples) -> float:
    return float(_TOLERANCE * samples.precision * np.abs(samples.values).max(initial=0))


def _block(place: BlockPlace, samples: Samples, found: Proofs, position: int, steady: bool) -> Block:
    values, near = samples.values.reshape(-1, place.lead, place.rows, place.columns), _tolerance(samples)
    support = (np.abs(values) > near).any((0, 1))
    bound = None if found.pattern is None else place.part_of(found.pattern)
    constant = _constant_value(found, position, samples)
    entries = support if bound is None else bound
    how: How = "sampled" if bound is None else "proven"
    empty = bound is not None and not bound.any()
    square = place.rows == place.columns
    return Block(
        place.output,
        place.inputs,
        samples.values.shape[1:],
        place.rows,
        place.columns,
        zero=_fact(empty, not support.any()),
        constant=_fact(empty or position in found.constants, steady),
        symmetric=_symmetric(place, values, near, bound, constant, found.symmetric) if square else None,
        diagonal=_fact(bound is not None and within(bound, 0, 0), within(support, 0, 0)) if square else None,
        bandwidths=Fact(bandwidths(entries), how),
        entries=Fact(int(entries.sum()), how),
        parts=Fact(components(entries), how),
        value=constant,
    )


def _constant_value(found: Proofs, position: int, samples: Samples) -> np.ndarray | None:
    """The value of a block that is proven to be constant: as folded, else as at the points; None for other blocks."""
    value = found.constants.get(position)
    return samples.values[0] if value is None and position in found.constants else value


def _symmetric(place: BlockPlace, values: Any, near: float, bound: Any, constant: Any, theorem: bool) -> Fact:
    same = bool((np.abs(values - np.swapaxes(values, -1, -2)) <= near).all())
    diagonal = bound is not None and within(bound, 0, 0)
    return _fact(diagonal or (theorem and place.same) or (constant is not None and same), same)


def _fact(proof: bool, agrees: bool) -> Fact:
    """A fact by proof, else by samples: one sample that contradicts is enough, samples that agree prove nothing."""
    return Fact(True, "proven") if proof else Fact(True, "sampled") if agrees else Fact(False, "shown")


def bandwidths(entries: np.ndarray) -> tuple[int, int]:
    """The numbers of diagonals below and above the main one that have entries, of truth values ``[rows, columns]``."""
    rows, columns = np.nonzero(entries)
    return int((rows - columns).max(initial=0)), int((columns - rows).max(initial=0))


def within(entries: np.ndarray, below: int, above: int) -> bool:
    """Whether all entries lie within a band."""
    found = bandwidths(entries)
    return found[0] <= below and found[1] <= above


def components(entries: np.ndarray) -> int:
    """The number of parts that share no rows and columns; rows and columns without entries don't count."""
    rows, columns = entries.shape
    parts = np.arange(rows + columns)  # for each row and column, the smallest number in its part so far
    entry_places = np.nonzero(entries)
    while True:
        lowest = np.minimum(parts[entry_places[0]], parts[rows + entry_places[1]])
        after = parts.copy()
        np.minimum.at(after, entry_places[0], lowest)
        np.minimum.at(after, rows + entry_places[1], lowest)
        after = after[after]
        if (after == parts).all():
            return len(np.unique(parts[entry_places[0]]))
        parts = after
