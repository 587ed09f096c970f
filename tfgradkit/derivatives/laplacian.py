"""The Laplacian Σ ∂²y/∂xᵢ², for any result, without a Hessian.

Carried forward through the graph where rules carry every op; else second derivatives along one direction at a time, by
nesting, and their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ..arguments import Dims, dims, size, split
from ..graph.emit import NoRuleError
from .directional import directional
from .first_order import Parts
from .jacobian import connections
from .problem import Problem
from .pullback import Partials, Pullback, Tensors, pullback
from .sweep.plan import PlanStep
from .sweep.seeded_products import SeededProduct, swept
from .taylor.forward_laplacian import JetProgram
from .taylor.jet import Jet


def laplacian(problem: Problem) -> Parts:
    """Σ ∂²y/∂xᵢ² over all elements of all xs, shaped like y."""
    probes = problem.extra.get("probes") if problem.extra.get("method") == "hutchinson" else None
    directions = None if probes is None else _signs(problem, probes)
    ys, sums = _summed(problem, directions)
    scale = 1 if probes is None else probes
    means = [s if s is None or scale == 1 else s / tf.cast(scale, s.dtype) for s in sums]
    filled = [problem.filled(m, partial(tf.zeros_like, y)) for m, y in zip(means, ys, strict=True)]
    return {"value": ys, "laplacian": filled}


def _summed(problem: Problem, directions: Tensors | None) -> tuple[Tensors, Any]:
    samples = [split(x, problem.batched)[1] for x in problem.xs]
    counts = [
        size(s) if directions is None else dims(d)[0] for s, d in zip(samples, directions or samples, strict=True)
    ]
    variables = any(isinstance(x, tf.Variable) for x in problem.xs)
    reason = (
        "nested, as asked for" if problem.extra.get("method") == "exact" else "nested, since variables are no inputs"
    )
    if problem.extra.get("method") != "exact" and not variables:
        try:
            return _forward(problem, samples, directions)
        except NoRuleError as error:
            reason = f"nested, since no rule carries {error}"
    pull, sums = summed(problem, counts, directions, reason)
    return pull.ys, sums


def _signs(problem: Problem, probes: int) -> Tensors:
    """Rademacher probes ``[probes, *x]``, others for each sample; the same at each call where there is a seed.

    M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990.
    """
    seed = problem.extra.get("seed")
    found = []
    for number, x in enumerate(problem.xs):
        shape = tf.convert_to_tensor([probes, *dims(x)])
        if seed is None:
            coins = tf.random.uniform(shape, 0, 2, tf.int32)
        else:
            coins = tf.random.stateless_uniform(shape, [seed, number], 0, 2, tf.int32)
        found.append(tf.cast(2 * coins - 1, x.dtype))
    return found


def _forward(problem: Problem, samples: list[Dims], directions: Tensors | None) -> tuple[Tensors, Any]:
    """Forward Laplacian: value, slopes and their sum of second derivatives, carried together."""
    program = JetProgram(problem.call, problem.xs)
    sizes = [size(sample) for sample in samples]
    count = sum(sizes[1:], start=sizes[0]) if directions is None else dims(directions[0])[0]
    chunk = _chunk(problem)
    known = count if isinstance(count, int) else None
    if chunk is None or (known is not None and isinstance(chunk, int) and chunk >= known):
        ids = range(known) if known is not None else tf.range(count)
        jets = program.carry(_slopes(problem, samples, sizes, ids, directions))
        found = [jet.value for jet in jets], [_bend(jet) for jet in jets]
    else:
        slopes = lambda ids: _slopes(problem, samples, sizes, ids, directions)  # noqa: E731
        found = program.ys, _in_chunks(program, count, chunk, slopes)
    problem.log.append(
        PlanStep("forward", "vectorize", known, chunk, 2 * program.sample_bytes, "forward Laplacian, no Hessian")
    )
    return found


def _bend(jet: Jet) -> tf.Tensor | None:
    return None if jet.slopes is None else jet.full_bend


def _chunk(problem: Problem) -> int | None:
    """How many directions at a time; None for all."""
    options = problem.options
    if options.strategy == "loop":
        return 1
    return options.chunk_size if isinstance(options.chunk_size, int) else None


def _slopes(problem: Problem, samples: list[Dims], sizes: list[Any], ids: Any, directions: Tensors | None) -> Tensors:
    """Tangents by number, zero beyond the last: ``[D, 1, *sample]`` for unit ones, the same for all samples."""
    count = len(ids) if isinstance(ids, range) else tf.size(ids)
    if directions is not None:
        return [_rows(d, ids) for d in directions]
    lead = [1] if problem.batched else []
    slopes, start = [], 0
    for x, sample, width in zip(problem.xs, samples, sizes, strict=True):
        if isinstance(ids, range) and isinstance(width, int) and isinstance(start, int):
            rows = tf.constant(np.eye(len(ids), width, -start), x.dtype)
        else:
            rows = tf.one_hot(ids - start, width, dtype=x.dtype)
        slopes.append(tf.reshape(rows, [count, *lead, *sample]))
        start = start + width
    return slopes


def _rows(directions: tf.Tensor, ids: Any) -> tf.Tensor:
    if isinstance(ids, range):
        return directions
    last = dims(directions)[0] - 1
    inside = tf.cast(ids <= last, directions.dtype)
    rows = tf.gather(directions, tf.minimum(ids, last))
    return rows * tf.reshape(inside, [-1, *[1] * (directions.shape.rank - 1)])


def _in_chunks(program: JetProgram, count: Any, chunk: Any, slopes: Any) -> Any:
    """The sum over the directions, some at a time; directions beyond the last are zero."""
    connected: list[bool] = []

    def body(first: tf.Tensor, *sums: tf.Tensor) -> Any:
        bends = [_bend(jet) for jet in program.carry(slopes(first + tf.range(chunk)))]
        connected[:] = [bend is not None for bend in bends]
        return first + chunk, *(s if b is None else s + b for s, b in zip(sums, bends, strict=True))

    known = isinstance(count, int) and isinstance(chunk, int)
    _, *sums = tf.while_loop(
        lambda first, *_: first < count,
        body,
        (tf.constant(0), *(tf.zeros_like(y) for y in program.ys)),
        parallel_iterations=1,
        maximum_iterations=-(-count // chunk) if known else None,
    )
    return [s if there else None for s, there in zip(sums, connected, strict=True)]


@dataclass(frozen=True)
class SecondDerivatives(SeededProduct):
    """Second derivatives along seeds. Not linear, but swept in the same way.

    Attributes:
        directions: the seeds of each x, ``[D, 1 or B, *x]``; None for the unit seeds.
    """

    directions: Tensors | None = None

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """The second derivatives of the ys along ``seed``, a direction of one x."""
        seeds = self.seeds(index, seed)
        tangent = [tf.zeros_like(x) if s is None else s for s, x in zip(seeds, self.problem.xs, strict=True)]
        found = directional(self.problem.call, self.problem.xs, [tangent, tangent])
        return [tf.zeros_like(y) if d is None else d for d, y in zip(found, self.likes, strict=True)]

    def repeated(self, copies: Any) -> SecondDerivatives:
        """The same second derivatives for the batch repeated, evaluated anew."""
        problem = self.problem.repeat(copies)
        return _second(problem, pullback(problem.call, problem.xs), self.directions)

    def units(self, index: int, ids: Any) -> tf.Tensor:
        """The seeds by number."""
        if self.directions is None:
            return super().units(index, ids)
        return tf.gather(self.directions[index], list(ids) if isinstance(ids, range) else ids)


def summed(problem: Problem, counts: list[Any], directions: Tensors | None, reason: str) -> tuple[Pullback, Partials]:
    """The function, and for each y the sum of ∂²y/∂v² over the directions of each x; None where unconnected."""
    pull = pullback(problem.call, problem.xs)
    second = _second(problem, pull, directions)
    connected = connections(pull)
    sums: Partials = [None] * len(pull.ys)
    for index, count in enumerate(counts):
        if not any(row[index] for row in connected):
            continue
        stacked, (strategy, known, chunk, size, why) = swept(second, index, count)
        problem.log.append(PlanStep("forward", strategy, known, chunk, size, f"{reason}; {why}"))
        for i, row in enumerate(connected):
            if row[index]:
                found = tf.reduce_sum(stacked[i], 0)
                sums[i] = found if sums[i] is None else sums[i] + found
    return pull, sums


def _second(problem: Problem, pull: Pullback, directions: Tensors | None) -> SecondDerivatives:
    return SecondDerivatives(problem, pull, True, pull.product, problem.xs, pull.ys, directions=directions)
