"""Programs with a derivative that is off by one per cent at one place, and healthy ones: seeded, of 5 to 50 ops.

A program is source code of its own, an op a line, so that the line of a finding can be compared.
"""

from __future__ import annotations

import itertools
import linecache
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

L = keras.layers
SHAPE = (3, 4)
_numbers = itertools.count()

SMOOTH = (
    "tf.tanh({a})", "tf.sin(2.0 * {a})", "tf.cos({a}) + 0.1 * {a}", "tf.sigmoid({a}) - 0.3", "tf.nn.softplus({a})",
    "tf.exp(-{a} * {a})", "{a} * tf.exp(-tf.abs({b}) * {b} * {b})", "tf.sqrt({a} * {a} + 1.0)",
    "tf.math.log1p({a} * {a})",
    "tf.matmul({a}, M)", "tf.transpose(tf.matmul(W, {a}, transpose_b=True))", "tf.nn.softmax({a}, -1)",
    "{a} - tf.reduce_logsumexp({a}, -1, keepdims=True)", "tf.cumsum({a}, 1) / 2.0", "tf.reverse({a}, [0]) + {b}",
    "{a} + {b}", "{a} * {b}", "{a} / (1.0 + {b} * {b})", "tf.math.l2_normalize({a} + 0.2, -1)",
    "tf.gather({a}, [2, 0, 1])",
    "tf.matmul(tf.matmul({a}, {b}, transpose_b=True), {a}) / 4.0", "tf.concat([{a}[:, :2], {b}[:, 2:]], 1)",
    "({a} - tf.reduce_mean({a}, 0)) / tf.sqrt(tf.math.reduce_variance({a}, 0) + 0.1)", "tf.math.erf({a})",
    "tf.einsum('ij,jk->ik', {a}, M)", "tf.nn.elu({a}) + 0.2 * {b}", "tf.atan2({a}, 2.0 + {b} * {b})",
)  # fmt: skip
KINKED = (
    "tf.nn.relu({a}) + 0.1 * {b}", "tf.abs({a}) + 0.1 * {a}", "tf.nn.leaky_relu({a})", "tf.maximum({a}, {b})",
    "tf.minimum({a}, 0.3) + 0.2 * {b}", "tf.sort({a}, -1)", "tf.clip_by_value({a}, -1.0, 1.0) + 0.1 * {b}",
    "{a} + tf.reduce_max({b}, -1, keepdims=True)", "tf.where({a} > 0.0, {a} * {a}, {b} * 0.0 + tf.sin({a}) * {a})",
    "tf.nn.max_pool1d(tf.tile({a}[..., None], [1, 2, 1]), 2, 2, 'VALID')[..., 0]", "tf.nn.relu6(3.0 * {a}) + {b}",
)  # fmt: skip
SATURATED = (
    "tf.nn.softmax(40.0 * {a} + tf.constant([40.0, 0.0, 1.0, 0.0], {a}.dtype), -1) + 0.1 * {b}",
    "tf.sigmoid(60.0 + {a}) * {b}",
    "tf.tanh(25.0 + {a} * {a}) + {b}",
    "tf.nn.softmax(tf.constant([400.0, 0.0, 1.0, 0.0], {a}.dtype) + {a}, -1)",
)
# What a planted error is an error of: elementwise, or of several ops.
PLANTED = (
    "planted(tf.sin)({a})", "planted(tf.tanh)({a})", "planted(lambda z: z * tf.sigmoid(z))({a})",
    "planted(lambda z: tf.nn.softmax(z, -1))({a})", "planted(lambda z: tf.matmul(z, M))({a})",
    "planted(lambda z: tf.nn.relu(z) + 0.3 * z)({a})", "planted(lambda z: z * z + z)({a})",
    "planted_by_hand({a})", "planted_pair({a}, {b})",
)  # fmt: skip


def planted(function, factor=1.01):
    """``function`` with a gradient that is ``factor`` times the right one."""

    @tf.custom_gradient
    def scaled(x):
        def gradient(upstream):
            inside = tf.identity(x)  # in the graph of the gradient, which for a loop is another one
            with tf.GradientTape() as tape:
                tape.watch(inside)
                y = function(inside)
            return factor * tape.gradient(y, inside, upstream)

        return function(x), gradient

    return scaled


@tf.custom_gradient
def planted_by_hand(x):
    return tf.sin(x), lambda upstream: upstream * (1.01 * tf.cos(x))


@tf.custom_gradient
def planted_pair(a, b):
    """A product whose gradient by the second factor is off."""
    return a * tf.cos(b), lambda upstream: (upstream * tf.cos(b), upstream * a * tf.sin(b) * -0.99)


@tf.custom_gradient
def right_by_hand(x):
    return tf.sin(x), lambda upstream: upstream * tf.cos(x)


@dataclass(frozen=True)
class Program:
    """A function of one array.

    Attributes:
        function: itself.
        x: where.
        line: of what is planted, in ``file``.
        source: its code.
    """

    function: object
    x: np.ndarray
    line: str | None
    source: str


def program(seed: int, wrong: bool, most: int = 50) -> Program:
    """A seeded program of 5 to ``most`` ops, with an error or without one."""
    random = np.random.default_rng([seed, wrong])
    count = int(random.integers(5, most + 1))
    place = int(random.integers(count)) if wrong else -1
    inner = _span(random, count)
    lines, names, line = ["def f(x):"], ["x"], None
    for i in range(count):
        pool = PLANTED if i == place else _pool(random, wrong)
        # What is planted has to come to the result.
        a = names[-1] if random.random() < 0.8 or i > place >= 0 else str(random.choice(names[-5:]))
        b = str(random.choice(names[-5:]))
        if i == inner[0]:
            a = b = names[-1]
            lines += ["    def g(z):", f"        {names[-1]} = z"]
            names = names[-1:]
        # Of one value taken twice only the sum of both gradients can be told, of which one per cent of one is less.
        b = f"(0.5 * {a})" if i == place and a == b else b
        indent = "        " if inner[0] <= i < inner[1] else "    "
        lines.append(f"{indent}v{i} = " + str(random.choice(pool)).format(a=a, b=b))
        line = len(lines) if i == place else line
        names.append(f"v{i}")
        if i + 1 == inner[1]:
            lines += [f"        return v{i}", f"    v{i} = {_CALLS[int(random.integers(3))]}".format(a=_outer(lines))]
            names = [f"v{i}"]
    lines.append(f"    return {names[-1]} + 0.1 * {names[-min(3, len(names))]}")
    file = f"/programs/program_{next(_numbers)}.py"
    source = "\n".join(lines) + "\n"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names = {"tf": tf, "planted": planted, "planted_by_hand": planted_by_hand, "planted_pair": planted_pair,
             "right_by_hand": right_by_hand, **_constants(random)}  # fmt: skip
    exec(compile(source, file, "exec"), names)
    x = random.normal(size=SHAPE)
    x += 0.05 * np.sign(x)
    return Program(names["f"], x, None if line is None else f"{file.split('/')[-1]}:{line}", source)


_CALLS = (
    "g({a})",
    "tf.function(g)({a})",
    "tf.while_loop(lambda i, z: i < 2, lambda i, z: (i + 1, tf.ensure_shape(g(z), (3, 4))), (0, {a}))[1]",
)


def _outer(lines: list[str]) -> str:
    """The value that the inner function is called with: the one it gives its own name to first."""
    return next(line for line in lines if line.endswith("= z")).split("=")[0].strip()


def _span(random: np.random.Generator, count: int) -> tuple[int, int]:
    """Which ops are in an inner function; none in every second program."""
    if random.random() < 0.5 or count < 8:
        return -1, -1
    first = int(random.integers(1, count - 4))
    return first, first + int(random.integers(2, 4))


def _pool(random: np.random.Generator, wrong: bool) -> tuple[str, ...]:
    kind = random.random()
    if kind < 0.12:
        return SATURATED
    if kind < 0.3:
        return KINKED
    return ("right_by_hand({a})",) if kind < 0.35 else SMOOTH


def _constants(random: np.random.Generator) -> dict[str, tf.Tensor]:
    return {
        "M": tf.constant(random.normal(size=(4, 4)) / 2),
        "W": tf.constant(random.normal(size=(4, 4)) / 2),
    }


# Models.


class Off(L.Layer):
    """A layer with an error."""

    def call(self, x):
        return planted_by_hand(x)  # the line of a planted error in a model


PLANTED_LINE = f"planted.py:{Off.call.__code__.co_firstlineno + 1}"


class Block(L.Layer):
    """A layer that makes its layers in ``__init__``."""

    def __init__(self, units=4, activation="relu", wrong=False, **options):
        super().__init__(**options)
        self.inner = L.Dense(units, activation)
        self.norm = L.LayerNormalization()
        self.parts = [L.Dense(units), L.Dense(units, "tanh")]
        self.off = Off() if wrong else L.Activation("sigmoid")

    def call(self, x):
        return self.off(self.norm(self.inner(x)) + sum(part(x) for part in self.parts))


class Network(keras.Model):
    """A subclassed model without a configuration."""

    def __init__(self, layers, scale):
        super().__init__()
        self.steps = list(layers)
        self.heads = {"out": L.Dense(3, "softmax")}
        self.scale = np.float32(scale)

    def call(self, x):
        for step in self.steps:
            x = step(x)
        return self.heads["out"](x * self.scale)


def model(seed: int, wrong: bool) -> tuple[keras.Model, np.ndarray]:
    """A seeded float32 model, with an error or without one, and an input."""
    random = np.random.default_rng([seed, wrong, 1])
    keras.utils.set_random_seed(seed)
    layers = [_layer(random, False) for _ in range(int(random.integers(1, 5)))]
    if wrong:
        layers.insert(int(random.integers(len(layers) + 1)), Off() if random.random() < 0.5 else _layer(random, True))
    x = random.normal(size=(2, 4)).astype("float32")
    kind = random.integers(3)
    if kind == 0:
        made = keras.Sequential([keras.Input((4,)), *layers, L.Dense(3, "softmax")])
    elif kind == 1:
        start = keras.Input((4,))
        h = start
        for layer in layers:
            h = L.Concatenate()([layer(h), start])
        made = keras.Model(start, [L.Dense(2)(h), L.Softmax()(30.0 * L.Dense(3)(h))])
    else:
        made = Network(layers, random.choice([1.0, 40.0]))
        made(x)
    return made, x


def _layer(random: np.random.Generator, wrong: bool) -> L.Layer:
    if wrong:
        return Block(int(random.integers(3, 7)), wrong=True)
    kind = int(random.integers(7))
    if kind < 3:
        return Block(int(random.integers(3, 7)), str(random.choice(["relu", "gelu", "elu", "swish"])))
    if kind == 3:
        return L.Dense(
            int(random.integers(3, 9)), str(random.choice(["relu", "softmax", "leaky_relu", "hard_sigmoid"]))
        )
    if kind == 4:
        return keras.Sequential([L.Dense(6, "selu"), L.BatchNormalization(), L.PReLU()])
    if kind == 5:
        return keras.Sequential([L.Dense(8), L.Reshape((4, 2)), L.LSTM(3)])
    return keras.Sequential([L.Dense(8), L.Reshape((4, 2)), L.Conv1D(3, 2, activation="relu"), L.GlobalMaxPooling1D()])
