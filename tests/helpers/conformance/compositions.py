"""Random programs: functions of several steps, with what people put around them, as entries of the table.

A program is a list of steps over values of shape [samples, width]; a step makes a new value of older ones. Programs are
made by a seed, and told by their steps, so that a failing one can be shrunk and read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from .entry import Entry

SAMPLES, WIDTH = 3, 4
_WEIGHTS = np.random.default_rng(7).normal(size=(WIDTH, WIDTH)) / 2
Unary = Callable[[tf.Tensor], tf.Tensor]


def _constant(x: tf.Tensor) -> tf.Tensor:
    return tf.constant(_WEIGHTS, x.dtype)


def _solved(x: tf.Tensor) -> tf.Tensor:
    """(I + ½ t tᵀ)⁻¹ x by sample, t = tanh x."""
    t = tf.tanh(x)[..., None]
    matrix = tf.eye(WIDTH, dtype=x.dtype) + t @ tf.linalg.matrix_transpose(t) / 2
    return tf.linalg.solve(matrix, x[..., None])[..., 0]


def _cholesky(x: tf.Tensor) -> tf.Tensor:
    t = tf.tanh(x)[..., None]
    return tf.linalg.cholesky(tf.eye(WIDTH, dtype=x.dtype) + t @ tf.linalg.matrix_transpose(t))[..., -1]


def _convolved(x: tf.Tensor) -> tf.Tensor:
    kernel = tf.reshape(_constant(x)[0, :3], [3, 1, 1])
    return tf.nn.conv1d(x[..., None], kernel, 1, "SAME")[..., 0]


def _looped(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(
        lambda i, _: i < 3, lambda i, y: (i + 1, y + tf.sin(y) / 3), (tf.constant(0), x), maximum_iterations=3
    )[1]


@tf.custom_gradient
def _cube(x: tf.Tensor) -> Any:
    return x**3, lambda upstream: upstream * 3 * x**2


_inner = tf.function(lambda x: tf.sin(x) * tf.exp(-(x**2)), autograph=False)

# By sample, shape to shape; values stay of the order of one.
UNARY: dict[str, Unary] = {
    "tanh": tf.tanh,
    "sin": tf.sin,
    "softplus": tf.nn.softplus,
    "relu": tf.nn.relu,
    "gelu": tf.nn.gelu,
    "elu": tf.nn.elu,
    "silu": tf.nn.silu,
    "sigmoid": tf.sigmoid,
    "square": lambda x: tf.square(tf.tanh(x)),
    "power": lambda x: tf.sigmoid(x) ** 1.5,
    "log1p": lambda x: tf.math.log1p(x**2),
    "sqrt": lambda x: tf.sqrt(1 + x**2),
    "erf": tf.math.erf,
    "abs": tf.abs,
    "clip": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    "logsumexp": lambda x: x - tf.reduce_logsumexp(x, -1, keepdims=True),
    "cumsum": lambda x: tf.cumsum(x, axis=-1, exclusive=True),
    "cumsum_reverse": lambda x: tf.cumsum(x, axis=1, reverse=True),
    "cumprod": lambda x: tf.math.cumprod(tf.tanh(x), axis=-1),
    "cumulative_logsumexp": lambda x: tf.math.cumulative_logsumexp(x, axis=-1),
    "roll": lambda x: tf.roll(x, 1, axis=-1),
    "reverse": lambda x: x[..., ::-1],
    "sum": lambda x: x - tf.reduce_mean(x, -1, keepdims=True),
    "prod": lambda x: x * tf.reduce_prod(tf.cos(x), axis=-1, keepdims=True),
    "max": lambda x: x - tf.reduce_max(x, -1, keepdims=True),
    "norm": lambda x: x / (1 + tf.norm(x, axis=-1, keepdims=True)),
    "l2_normalize": lambda x: tf.math.l2_normalize(x + 2, axis=-1),
    "moments": lambda x: (
        (x - tf.nn.moments(x, [-1], keepdims=True)[0]) / tf.sqrt(tf.nn.moments(x, [1], keepdims=True)[1] + 1)
    ),
    "sort": lambda x: tf.sort(x, axis=-1),
    "top_k": lambda x: tf.concat([tf.math.top_k(x, 2)[0], x[:, :2]], 1),
    "gather": lambda x: tf.gather(x, [2, 0, 0, 3], axis=-1),
    "pad": lambda x: tf.pad(x, [[0, 0], [1, 1]], constant_values=0.5)[:, :-2],
    "mirror_pad": lambda x: tf.pad(x, [[0, 0], [2, 0]], "REFLECT")[:, 1:-1],
    "split": lambda x: tf.concat(tf.split(x, 2, axis=-1)[::-1], -1),
    "stack": lambda x: tf.reduce_sum(tf.stack([x, tf.sin(x)], axis=1), 1),
    "unstack": lambda x: tf.stack(tf.unstack(x, WIDTH, axis=-1)[::-1], axis=-1),
    "transpose": lambda x: tf.transpose(tf.matmul(_constant(x), x, transpose_b=True)),
    "matmul": lambda x: tf.matmul(x, _constant(x)),
    "einsum": lambda x: tf.einsum("bi,ij,bj->bi", x, _constant(x), tf.sigmoid(x)),
    "outer": lambda x: tf.reduce_mean(x[:, :, None] * tf.tanh(x)[:, None, :], -1),
    "scatter": lambda x: tf.transpose(tf.scatter_nd([[1], [0], [3], [2]], tf.transpose(x), [WIDTH, tf.shape(x)[0]])),
    "segment_sum": lambda x: tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(x), [0, 3, 3, 1], 4)),
    "segment_max": lambda x: tf.transpose(tf.math.segment_max(tf.transpose(x), [0, 1, 1, 3])),
    "strided": lambda x: tf.concat([x[:, ::2], x[:, 1::2]], 1),
    "tile": lambda x: tf.tile(x, [1, 2])[:, 1:5],
    "where": lambda x: tf.where(x > 0.1, tf.sin(x), x**2),
    "diag": lambda x: tf.linalg.diag_part(tf.linalg.diag(x) @ tf.linalg.diag(tf.cos(x))),
    "band": lambda x: tf.reduce_sum(tf.linalg.band_part(x[:, :, None] * x[:, None, :], 0, 1), -1),
    "solve": _solved,
    "cholesky": _cholesky,
    "logdet": lambda x: x * tf.linalg.logdet(tf.eye(WIDTH, dtype=x.dtype) + x[:, :, None] * x[:, None, :])[:, None],
    "conv": _convolved,
    "pool": lambda x: tf.nn.avg_pool1d(x[..., None], 2, 1, "SAME")[..., 0],
    "max_pool": lambda x: tf.nn.max_pool1d(x[..., None], 2, 1, "SAME")[..., 0],
    "rfft": lambda x: tf.abs(tf.signal.rfft(x + 2, [6])),
    "custom_gradient": _cube,
    "tf.function": _inner,
    "recompute_grad": lambda x: tf.recompute_grad(lambda y: tf.sin(y) * y)(x),
    "while": _looped,
    "cond": lambda x: tf.cond(tf.reduce_sum(tf.ones(2)) > 1, lambda: tf.sin(x), lambda: x),
    "switch": lambda x: tf.switch_case(tf.constant(1), [lambda: x, lambda: tf.cos(x) * x]),
    "map_fn": lambda x: tf.map_fn(lambda row: row * tf.reduce_sum(tf.sin(row)), x),
    "scan": lambda x: tf.transpose(tf.scan(lambda a, b: a * 0.5 + tf.sin(b), tf.transpose(x))),
    "reshape": lambda x: tf.reshape(tf.reshape(x, [-1, 2, 2])[:, ::-1], [-1, WIDTH]),
}
BINARY: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (1.5 + tf.tanh(b)),
    "maximum": tf.maximum,
    "squared_difference": tf.math.squared_difference,
    "atan2": lambda a, b: tf.atan2(a, 2 + tf.sin(b)),
    "xlogy": lambda a, b: tf.math.xlogy(a, 1.5 + tf.sin(b)),
    "hypot": lambda a, b: tf.sqrt(a**2 + b**2 + 0.1),
    "row": lambda a, b: a * b[:, :1],
    "mixed": lambda a, b: tf.einsum("bi,bj->bij", a, b)[:, 0],
    "cross_entropy": lambda a, b: a + tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(a), b)[:, None],
    "chosen": lambda a, b: tf.where(a > b, a, tf.sin(b)),
}
# What makes samples depend on one another.
MIXING: dict[str, Unary] = {
    "batch_mean": lambda x: x - tf.reduce_mean(x, 0),
    "batch_roll": lambda x: tf.roll(x, 1, axis=0),
    "batch_cumsum": lambda x: tf.cumsum(x, axis=0),
    "gram": lambda x: tf.matmul(tf.matmul(x, x, transpose_b=True), x) / 10,
}


@dataclass(frozen=True)
class Step:
    """A step: its name, and the numbers of the values that it takes."""

    name: str
    takes: tuple[int, ...]

    def __call__(self, values: list[tf.Tensor]) -> tf.Tensor:
        table: dict[str, Callable[..., tf.Tensor]] = {**UNARY, **BINARY, **MIXING}
        return table[self.name](*(values[number] for number in self.takes))


@dataclass(frozen=True)
class Program:
    """Steps over so many arguments, and what is done with the last value: "all", "scalar" or "samples".

    Attributes:
        inside: whether the whole is a ``tf.function`` of shapes that are not known.
    """

    arguments: int
    steps: tuple[Step, ...]
    result: str
    inside: bool

    def __call__(self, *xs: tf.Tensor) -> tf.Tensor:
        """The program at tensors of shape [samples, width]."""
        run = tf.function(self._run, autograph=False, reduce_retracing=True) if self.inside else self._run
        return run(*xs)

    def _run(self, *xs: tf.Tensor) -> tf.Tensor:
        values = list(xs)
        for step in self.steps:
            values.append(step(values))
        y = tf.tanh(values[-1] / 2) + values[-1] / 10
        return {"all": lambda: y, "scalar": lambda: tf.reduce_sum(y * y), "samples": lambda: tf.reduce_sum(y, -1)}[
            self.result
        ]()

    def __str__(self) -> str:
        lines = [
            f"v{self.arguments + n} = {s.name}({', '.join(f'v{i}' for i in s.takes)})" for n, s in enumerate(self.steps)
        ]
        return "; ".join([*lines, self.result, *(["in a tf.function"] if self.inside else [])])


def program(seed: int) -> Program:
    """The program of a seed."""
    random = np.random.default_rng(seed)
    arguments = int(random.choice([1, 1, 1, 2]))
    steps: list[Step] = []
    for number in range(int(random.integers(2, 9))):
        there = arguments + number
        last = there - 1
        kind = random.uniform()
        if kind < 0.3 and there > 1:
            takes = (last, int(random.integers(0, there)))
            steps.append(Step(str(random.choice(sorted(BINARY))), takes if random.uniform() < 0.5 else takes[::-1]))
        else:
            table = MIXING if kind > 0.97 else UNARY
            steps.append(Step(str(random.choice(sorted(table))), (last,)))
    result = str(random.choice(["all", "all", "scalar", "samples"]))
    return Program(arguments, tuple(steps), result, bool(random.uniform() < 0.25))


def composed(seed: int) -> Entry:
    """The entry of a seed: its program at a random point."""
    return entry_of(program(seed), seed)


def entry_of(made: Program, seed: int) -> Entry:
    """A program at the random point of a seed."""
    random = np.random.default_rng(seed + 10**6)
    point = tuple(random.normal(size=(SAMPLES, WIDTH)) for _ in range(made.arguments))
    return Entry(f"program {seed}: {made}", made, (point,), tolerance=1e-5)


def summed(entry: Entry) -> Entry:
    """The entry of a weighted sum of the results."""

    def weighted(*xs: tf.Tensor) -> tf.Tensor:
        y = tf.reshape(entry.real(*xs), [-1])
        return tf.reduce_sum(y * tf.linspace(tf.constant(1, y.dtype), 2, tf.size(y)))

    return replace(entry, f=weighted)


def shrunk(made: Program) -> Iterator[Program]:
    """Programs with one step less: what took its result takes its first argument."""
    for number, step in enumerate(made.steps):
        gone, instead = made.arguments + number, step.takes[0]
        renamed = [
            Step(s.name, tuple(instead if i == gone else i - (i > gone) for i in s.takes))
            for n, s in enumerate(made.steps)
            if n != number
        ]
        if renamed:
            yield Program(made.arguments, tuple(renamed), made.result, made.inside)
