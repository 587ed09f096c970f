"""What is asked of an entry's derivatives: each property is right, not a number, refused, wrong, or a raw exception."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import TfGradKitError, VerificationError
from tfgradkit.graph.ops import ELEMENTWISE, SMOOTH, STEPS, op_types
from tfgradkit.op_gradients.exact_functions import exact_functions

from .entry import Entry
from .line_derivatives import Estimate, line_derivatives

DIRECTIONS = 2
# Of what is compared with differences itself.
_PLAIN: Mapping[str, Any] = {"jit_compile": False, "verify": "off"}


@dataclass(frozen=True)
class Verdict:
    """The state of a property, and for a state other than "right" what was seen."""

    state: str
    note: str = ""


class Subject:
    """An entry, with what several properties need.

    Attributes:
        entry: what is looked at.
        points: its points as tensors.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.points = entry.tensors()
        self._argnums: Any = tuple(range(len(entry.points[0]))) if len(entry.points[0]) > 1 else 0
        self._numpy = tf.function(entry.real, autograph=False)

    def operator(self, make: Callable[..., Any], **keywords: Any) -> Callable[..., Any]:
        """An operator applied to the entry's function, by all its arguments."""
        return make(self.entry.real, argnums=self._argnums, **keywords)

    @functools.cached_property
    def op_types(self) -> set[str]:
        """The types of the ops of the function."""
        specs = [tf.TensorSpec(x.shape, x.dtype) for x in self.points[0]]
        return op_types(self._numpy.get_concrete_function(*specs).graph)

    @functools.cached_property
    def plain(self) -> list[np.ndarray]:
        """At each point the Jacobian, [outputs, inputs]: products by the outputs' unit vectors, one after the other."""
        product = self.operator(tgk.vjp, **_PLAIN)
        return [self._by_rows(product, point) for point in self.points]

    def _by_rows(self, product: Callable[..., Any], point: list[tf.Tensor]) -> np.ndarray:
        y = self._numpy(*point)
        units = np.eye(y.shape.num_elements()).reshape(-1, *y.shape)
        rows = [tf.nest.flatten(product(*point, output_gradients=tf.constant(unit, y.dtype))) for unit in units]
        return np.stack([np.concatenate([np.ravel(part) for part in row]) for row in rows])

    @functools.cached_property
    def hessians(self) -> list[np.ndarray]:
        """At each point [outputs, inputs, inputs]."""
        derivative = self.operator(tgk.hessian, **_PLAIN)
        return [self._hessian(derivative(*point)) for point in self.points]

    def matrix(self, blocks: Any) -> np.ndarray:
        """[outputs, inputs] of the blocks by argument."""
        parts = blocks if isinstance(blocks, tuple) else (blocks,)
        sizes = [x.size for x in self.entry.points[0]]
        return np.concatenate([np.reshape(part, (-1, n)) for part, n in zip(parts, sizes, strict=True)], 1)

    def _hessian(self, blocks: Any) -> np.ndarray:
        rows = blocks if isinstance(blocks, tuple) else ((blocks,),)
        sizes = [x.size for x in self.entry.points[0]]
        return np.concatenate(
            [
                np.concatenate([np.reshape(b, (-1, m, n)) for b, n in zip(row, sizes, strict=True)], 2)
                for row, m in zip(rows, sizes, strict=True)
            ],
            1,
        )

    @functools.cached_property
    def lines(self) -> list[list[tuple[np.ndarray, list[Estimate]]]]:
        """At each point, along each direction: the direction, and the derivatives by differences."""
        return [[self._line(point, seed) for seed in range(DIRECTIONS)] for point in self.entry.points]

    def _line(
        self, point: tuple[np.ndarray, ...], seed: int, orders: int | None = None, scale: float = 1.0
    ) -> tuple[np.ndarray, list[Estimate]]:
        size = sum(x.size for x in point)
        v = np.random.default_rng(seed).uniform(0.3, 1, size) * (-1) ** np.arange(seed, seed + size)
        parts = self.parts(v)

        def curve(t: float) -> np.ndarray:
            moved = (tf.constant(x + t * p) for x, p in zip(point, parts, strict=True))
            return self._numpy(*moved).numpy().ravel()

        return v, line_derivatives(curve, orders or self.entry.orders, scale * self.entry.scale)

    def is_smooth(self, outputs: np.ndarray) -> bool:
        """Whether some outputs have a derivative at the generic point, close to which no domain ends."""
        lines = [
            self._line(self.entry.points[0], seed, 1, scale) for seed in range(DIRECTIONS) for scale in (1.0, 0.05)
        ]
        known = [estimates[0].known[outputs] for _, estimates in lines]
        return all((wide | close).all() for wide, close in zip(known[::2], known[1::2], strict=True))

    def parts(self, v: np.ndarray) -> list[np.ndarray]:
        """A direction by argument."""
        shapes = [x.shape for x in self.entry.points[0]]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(v, ends), shapes, strict=True)]

    def same(
        self, found: np.ndarray, expected: np.ndarray, tolerance: float | None = None, known: Any = True
    ) -> Verdict:
        """Compares two of our own results, which agree in what is finite, too, where a derivative is known."""
        tolerance = self.entry.tolerance if tolerance is None else tolerance
        if found.shape != expected.shape:
            return Verdict("wrong", f"shape {found.shape}, not {expected.shape}")
        finite = np.isfinite(expected)
        where = np.broadcast_to(known, finite.T.shape).T
        if (where & (np.isfinite(found) != finite)).any():
            return Verdict("wrong", f"{found.ravel()[:12]} and {expected.ravel()[:12]} differ in what is finite")
        both = finite & np.isfinite(found)
        off = np.abs(found[both] - expected[both])
        scale = max(1.0, np.abs(expected[both]).max(initial=0))
        if off.size and off.max() > tolerance * scale:
            return Verdict("wrong", f"off by {off.max():.2g}: {found.ravel()[:12]}, not {expected.ravel()[:12]}")
        return Verdict("right")

    def known(self, number: int, order: int = 1) -> np.ndarray:
        """[outputs]: whether there is a derivative at a point, by differences."""
        return np.all([estimates[order - 1].known for _, estimates in self.lines[number]], 0)


def first(s: Subject) -> Verdict:
    """J v against differences."""
    return _along_lines(s, 1, [(j, lambda j, v: j @ v) for j in s.plain])


def second(s: Subject) -> Verdict:
    """Σ H v v against differences, and the symmetry of H."""
    verdict = _along_lines(s, 2, [(h, lambda h, v: np.einsum("kij,i,j->k", h, v, v)) for h in s.hessians])
    if verdict.state != "right":
        return verdict
    verdicts = [
        s.same(h[known], h[known].swapaxes(1, 2)) for n, h in enumerate(s.hessians) for known in [s.known(n, 2)]
    ]
    return next((v for v in verdicts if v.state != "right"), verdict)


def third(s: Subject) -> Verdict:
    """The third derivative of a weighted sum of the outputs along each direction, against differences.

    By nested reverse mode, since that is one trace.
    """

    @tf.function(autograph=False)
    def along(weights: tf.Tensor, *points_and_parts: tf.Tensor) -> tf.Tensor:
        half = len(points_and_parts) // 2
        t = tf.constant(0.0, tf.float64)
        moved = [x + t * v for x, v in zip(points_and_parts[:half], points_and_parts[half:], strict=True)]
        with exact_functions():  # as every operator traces
            y = tf.reduce_sum(tf.reshape(s.entry.real(*moved), [-1]) * weights)
        for _ in range(3):
            (y,) = tf.gradients(y, [t], unconnected_gradients="zero")
        return y

    pairs = []
    for point, lines in zip(s.points, s.lines, strict=True):
        for v, estimates in lines:
            e = estimates[2]
            weights = np.where(e.known, np.linspace(1, 2, e.known.size), 0)
            found = along(tf.constant(weights), *point, *(tf.constant(p) for p in s.parts(v)))
            if not e.known.all() and not np.isfinite(found):
                # Weights of 0 don't keep out what is infinite in other outputs.
                weights, found = 0 * weights, 0.0
            pairs.append([(np.ravel(found), _summed(e, weights))])
    return _judged(s, 3, pairs)


def _summed(estimate: Estimate, weights: np.ndarray) -> Estimate:
    value, error = (np.array([np.sum(np.where(weights > 0, weights * x, 0))]) for x in (estimate.value, estimate.error))
    return Estimate(value, error, np.array([(weights > 0).any()]))


def _along_lines(s: Subject, order: int, contracted: list[tuple[np.ndarray, Callable[..., np.ndarray]]]) -> Verdict:
    pairs = [
        [(contract(tensor, v), estimates[order - 1]) for v, estimates in lines]
        for (tensor, contract), lines in zip(contracted, s.lines, strict=True)
    ]
    return _judged(s, order, pairs)


def _judged(s: Subject, order: int, pairs: list[list[tuple[np.ndarray, Estimate]]]) -> Verdict:
    """Each derivative against its estimate, where there is one."""
    unseen = 0
    for number, lines in enumerate(pairs):
        for found, estimate in lines:
            known = estimate.known
            unseen += not known.any()
            found, value, error = found[known], estimate.value[known], estimate.error[known]
            if not np.isfinite(found).all():
                return Verdict("nan", f"point {number}, order {order}: {found[:8]}, by differences {value[:8]}")
            off = np.abs(found - value) - 20 * error - s.entry.tolerance * max(1.0, np.abs(value).max(initial=0))
            if (off > 0).any():
                return Verdict("wrong", f"point {number}, order {order}: {found[:8]}, by differences {value[:8]}")
    return Verdict("right", f"{unseen} of {sum(map(len, pairs))} lines have no derivative" if unseen else "")


def _as_plain(s: Subject, points: Any = None, tolerance: float | None = None, **keywords: Any) -> Verdict:
    derivative = s.operator(tgk.jacobian, **keywords)
    for number, (point, expected) in enumerate(zip(points or s.points, s.plain, strict=False)):
        verdict = s.same(s.matrix(derivative(*point)), expected, tolerance, s.known(number))
        if verdict.state != "right":
            return Verdict(verdict.state, f"point {number}: {verdict.note}")
    return Verdict("right")


def float32(s: Subject) -> Verdict:
    """At the generic point: float32's Jacobian is float64's."""
    return _as_plain(s, s.entry.tensors(tf.float32)[:1], tolerance=5e-3, jit_compile=False)


def laplacian(s: Subject) -> Verdict:
    """Σ H_kii."""
    derivative = s.operator(tgk.laplacian)
    for number, (point, hessian) in enumerate(zip(s.points, s.hessians, strict=True)):
        verdict = s.same(np.ravel(derivative(*point)), np.einsum("kii->k", hessian), known=s.known(number, 2))
        if verdict.state != "right":
            return verdict
    return Verdict("right")


def sparse(s: Subject) -> Verdict:
    """The Jacobian by its pattern is the dense one."""
    if len(s.points[0]) > 1:
        return Verdict("–", "several arguments")
    derivative = tgk.sparse_jacobian(s.entry.real)
    for number, (point, expected) in enumerate(zip(s.points, s.plain, strict=True)):
        verdict = s.same(np.asarray(derivative(*point).todense()), expected, known=s.known(number))
        if verdict.state != "right":
            return verdict
    return Verdict("right")


def batch(s: Subject, **keywords: Any) -> Verdict:
    """Independent samples have the blocks on the diagonal; what mixes them is refused."""
    count = _samples(s)
    if not count:
        return Verdict("–", "no first axis in common")
    derivative = s.operator(tgk.jacobian, batched=True, jit_compile=False, **keywords)
    blocks = _blocks(s, count)
    if blocks is None:
        try:
            derivative(*s.points[0])
        except TfGradKitError:
            return Verdict("right", "mixes samples, refused")
        return Verdict("wrong", "mixes samples, and nothing is said")
    parts = derivative(*s.points[0])
    parts = parts if isinstance(parts, tuple) else (parts,)
    return s.same(np.concatenate([np.reshape(p, (*blocks.shape[:2], -1)) for p in parts], 2), blocks)


def tile(s: Subject) -> Verdict:
    """The same over a repeated batch, which is for independent samples alone."""
    count = _samples(s)
    if not count or _blocks(s, count) is None or not _by_sample(s):
        return Verdict("–", "not of independent samples")
    return batch(s, mode="reverse", strategy="tile")


def _by_sample(s: Subject) -> bool:
    """Whether a sample's result is the same at another place of a larger batch."""
    point = s.points[0]
    try:
        once, twice = s.entry.real(*point), s.entry.real(*(tf.concat([x, x], 0) for x in point))
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return twice.shape == [2 * once.shape[0], *once.shape[1:]] and bool(
        np.allclose(twice, np.concatenate([once, once]), equal_nan=True)
    )


def _samples(s: Subject) -> int:
    """The length of the first axis that all arguments have; 0 where there is none."""
    firsts = {tuple(x.shape[:1]) for x in s.points[0]}
    return next(iter(firsts))[0] if len(firsts) == 1 and firsts != {()} and firsts != {(1,)} else 0


def _blocks(s: Subject, count: int) -> np.ndarray | None:
    """[samples, outputs, inputs] of each sample; None where a sample depends on another, or is lost."""
    y = s.entry.real(*s.points[0])
    if not y.shape.rank or y.shape[0] != count:
        return None
    sizes = [x.size for x in s.entry.points[0]]
    blocks = []
    for part in np.split(s.plain[0], np.cumsum(sizes)[:-1], 1):
        by_sample = part.reshape(count, part.shape[0] // count, count, part.shape[1] // count)
        rounding = 1e-13 * np.abs(by_sample).max(initial=1)
        if any((np.abs(by_sample[i, :, j]) > rounding).any() for i in range(count) for j in range(count) if i != j):
            return None
        blocks.append(np.stack([by_sample[i, :, i] for i in range(count)]))
    return np.concatenate(blocks, 2)


_PLUMBING = frozenset({"Placeholder", "Const", "Identity", "NoOp"})


def facts(s: Subject) -> Verdict:
    """What the graph's core holds for known of the ops: element by element, a step, smooth."""
    types = s.op_types - _PLUMBING
    one = len(s.points[0]) == 1
    for number, (point, plain) in enumerate(zip(s.entry.points, s.plain, strict=True)):
        known = s.known(number)
        if one and types <= ELEMENTWISE and plain.shape[0] == point[0].size:
            off = plain[~np.eye(len(plain), dtype=bool)]
            if off.any():
                return Verdict("wrong", f"{sorted(types)} are not element by element")
        if types and types <= STEPS and plain[known].any():
            return Verdict("wrong", f"{sorted(types)} is no step")
    finite = np.isfinite(s.plain[0]).all(1)
    if types and types <= SMOOTH and not s.is_smooth(finite):
        return Verdict("wrong", f"{sorted(types)} are not smooth at a generic point")
    return Verdict("right")


PROPERTIES: dict[str, Callable[[Subject], Verdict]] = {
    "first": first,
    "second": second,
    "third": third,
    "forward": functools.partial(_as_plain, mode="forward", jit_compile=False),
    "vectorized": functools.partial(_as_plain, mode="reverse", strategy="vectorize", jit_compile=False),
    "compiled": functools.partial(_as_plain, jit_compile=True),
    "float32": float32,
    "laplacian": laplacian,
    "sparse": sparse,
    "batch": batch,
    "tile": tile,
    "facts": facts,
}


# Of the differences that a property is compared with.
_ORDERS = {"second": 2, "laplacian": 2, "third": 3}


def verdicts(entry: Entry) -> Iterator[tuple[str, Verdict]]:
    """Each property of an entry, and its state."""
    yield from verdicts_of(Subject(entry))


def verdicts_of(subject: Subject) -> Iterator[tuple[str, Verdict]]:
    """Each property of a subject's entry, and its state."""
    entry = subject.entry
    for name, judge in PROPERTIES.items():
        if name not in entry.skip and _ORDERS.get(name, 1) <= entry.orders:
            yield name, guarded(judge, subject)


def guarded(judge: Callable[[Subject], Verdict], subject: Subject) -> Verdict:
    """The verdict of a judge, also where it raises. A derivative that finds itself wrong is."""
    try:
        return judge(subject)
    except VerificationError as error:
        return Verdict("wrong", str(error))
    except TfGradKitError as error:
        return Verdict("refused", f"{type(error).__name__}: {error}")
    except Exception as error:
        return Verdict("raw", f"{type(error).__name__}: {error}")
