"""Every way in which a gradient goes missing, as code that runs: the cases of docs/why_none.md and of its tests."""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from functools import cache
from textwrap import dedent
from typing import Any

FILE = "example.py"


@dataclass(frozen=True)
class Case:
    """One way.

    Attributes:
        title: in a few words.
        says: a sentence or two about it.
        code: makes ``explanation``. A tape is called ``tape``, its ``target`` and ``sources`` are those it explains;
            a function ``f``, with ``arguments``.
        status, cause: of the finding.
        at: a piece of the line where it is found.
        fixed: the same with a gradient.
        op: what is named, where that is worth a test.
    """

    title: str
    says: str
    code: str
    status: str
    cause: str
    at: str
    fixed: str = ""
    op: str | None = None


@cache
def explained(code: str) -> Any:
    """What tfgradkit says to a case's code."""
    return run(code)["explanation"]


def run(code: str) -> dict[str, Any]:
    """The names that a case's code leaves; its lines are those of a file ``example.py``."""
    import keras
    import numpy as np
    import tensorflow as tf

    import tfgradkit as tgk

    source = dedent(code).strip() + "\n"
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    names: dict[str, Any] = {"__name__": "example", "tf": tf, "np": np, "tgk": tgk, "keras": keras}
    keras.utils.set_random_seed(1)
    exec(compile(source, FILE, "exec"), names)
    return names


def _tape(inside: str, *, before: str = "x = tf.constant(3.0)", target: str = "y", sources: str = "x") -> str:
    """A block under a tape that explains itself."""
    block = "\n".join(f"    {line}" for line in dedent(inside).strip().splitlines())
    first = dedent(before).strip()
    return (
        f"{first}\nwith tgk.ExplainingTape() as tape:\n{block}\n"
        f"explanation = tape.explain({target}, {sources})\ntarget, sources = {target}, {sources}"
    )


def _function(body: str, arguments: str = "x", before: str = "x = tf.constant([1.0, 2.0])") -> str:
    """A function that is explained."""
    return (
        f"{dedent(before).strip()}\n\n\n{dedent(body).strip()}\n\n\n"
        f"arguments = ({arguments},)\nexplanation = tgk.explain(f, {arguments})"
    )


SECTIONS: dict[str, list[Case]] = {
    "The tape does not watch it": [
        Case(
            "A constant",
            "A tape watches the trainable variables that are read in its block, and nothing else unless it is told to.",
            _tape("y = x**2"),
            "none",
            "unwatched",
            "y = x**2",
            _tape("tape.watch(x)\ny = x**2"),
        ),
        Case(
            "Told too late",
            "What was calculated before `tape.watch` is not on the tape.",
            _tape("y = x**2\ntape.watch(x)\nz = 2.0 * y", target="z"),
            "none",
            "unwatched",
            "y = x**2",
            _tape("tape.watch(x)\ny = x**2\nz = 2.0 * y", target="z"),
        ),
        Case(
            "Calculated before the block",
            "The tape does not know what h was made of.",
            """
            x = tf.Variable(3.0)
            h = tf.sin(x)
            with tgk.ExplainingTape() as tape:
                y = h**2
            explanation = tape.explain(y, x)
            target, sources = y, x
            """,
            "none",
            "unwatched",
            "h = tf.sin(x)",
            _tape("h = tf.sin(x)\ny = h**2", before="x = tf.Variable(3.0)"),
        ),
        Case(
            "Calculated after the block",
            "The tape records inside its `with` block only.",
            """
            x = tf.Variable(3.0)
            with tgk.ExplainingTape() as tape:
                y = x**2
            z = 2.0 * y
            explanation = tape.explain(z, x)
            target, sources = z, x
            """,
            "none",
            "unwatched",
            "z = 2.0 * y",
            _tape("y = x**2\nz = 2.0 * y", before="x = tf.Variable(3.0)", target="z"),
        ),
        Case(
            "While the tape did not record",
            "`tape.stop_recording()` saves memory, and the gradient of what is calculated in it.",
            _tape(
                """
                with tape.stop_recording():
                    y = x**2
                z = 2.0 * y
                """,
                before="x = tf.Variable(3.0)",
                target="z",
            ),
            "none",
            "unwatched",
            "y = x**2",
            _tape("y = x**2\nz = 2.0 * y", before="x = tf.Variable(3.0)", target="z"),
        ),
        Case(
            "A variable, under a tape that waits to be told",
            "`watch_accessed_variables=False` leaves variables out, too.",
            """
            x = tf.Variable(3.0)
            with tgk.ExplainingTape(watch_accessed_variables=False) as tape:
                y = x**2
            explanation = tape.explain(y, x)
            target, sources = y, x
            """,
            "none",
            "unwatched",
            "y = x**2",
            """
            x = tf.Variable(3.0)
            with tgk.ExplainingTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                y = x**2
            explanation = tape.explain(y, x)
            target, sources = y, x
            """,
        ),
    ],
    "It is another tensor than before": [
        Case(
            "A variable turned into a tensor",
            "`x + 1` is a tensor. From the second turn on, x is no variable any more.",
            """
            x = tf.Variable(2.0)
            for epoch in range(2):
                with tgk.ExplainingTape() as tape:
                    y = x + 1
                explanation = tape.explain(y, x)
                target, sources = y, x
                x = x + 1
            """,
            "none",
            "replaced_by_tensor",
            "x = x + 1",
            """
            x = tf.Variable(2.0)
            for epoch in range(2):
                with tgk.ExplainingTape() as tape:
                    y = x + 1
                explanation = tape.explain(y, x)
                target, sources = y, x
                x.assign_add(1)
            """,
        ),
        Case(
            "Never was a variable",
            "A variable and something added to it is a tensor.",
            _tape("y = x**2", before="x = tf.Variable(2.0) + 1.0"),
            "none",
            "replaced_by_tensor",
            "tf.Variable(2.0) + 1.0",
            _tape("y = x**2", before="x = tf.Variable(2.0 + 1.0)"),
        ),
        Case(
            "Watched one, used the other",
            "The model gets the array, from which it makes a tensor of its own.",
            _tape(
                "tape.watch(x)\ny = model(array)",
                before="""
                model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="score")])
                array = np.ones((2, 3), "float32")
                x = tf.constant(array)
                """,
            ),
            "none",
            "replaced_by_tensor",
            "y = model(array)",
            _tape(
                "tape.watch(x)\ny = model(x)",
                before="""
                model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="score")])
                array = np.ones((2, 3), "float32")
                x = tf.constant(array)
                """,
            ),
        ),
    ],
    "The calculation left TensorFlow": [
        Case(
            "NumPy",
            "NumPy takes the numbers, and its result is a constant.",
            _tape(
                "x2 = x**2\ny = np.mean(x2, axis=0)\ny = tf.reduce_mean(y, axis=0)",
                before="x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])",
            ),
            "none",
            "left_tensorflow",
            "np.mean",
            _tape(
                "x2 = x**2\ny = tf.reduce_mean(x2, axis=0)\ny = tf.reduce_mean(y, axis=0)",
                before="x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])",
            ),
            "np.mean",
        ),
        Case(
            "`.numpy()`",
            "The round trip through NumPy cuts, even where nothing is calculated there.",
            _function("def f(x):\n    h = tf.constant(x.numpy())\n    return tf.sin(h)"),
            "none",
            "left_tensorflow",
            "x.numpy()",
            _function("def f(x):\n    return tf.sin(x)"),
            "numpy",
        ),
        Case(
            "`float`",
            "So do `float(x)`, `int(x)` and `x.tolist()`.",
            _function("def f(x):\n    scale = float(x[0])\n    return scale * tf.ones(2)"),
            "none",
            "left_tensorflow",
            "float(x[0])",
            _function("def f(x):\n    scale = x[0]\n    return scale * tf.ones(2)"),
            "float",
        ),
        Case(
            "`model.predict`",
            "It is made for arrays, runs in batches and returns an array. Call the model itself.",
            _function(
                "def f(x):\n    return model.predict(x, verbose=0)",
                before="""
                model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="score")])
                x = np.ones((2, 3), "float32")
                """,
            ),
            "none",
            "left_tensorflow",
            "model.predict",
            _function(
                "def f(x):\n    return model(x)",
                before="""
                model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="score")])
                x = np.ones((2, 3), "float32")
                """,
            ),
        ),
        Case(
            "`tf.numpy_function`",
            "It calls NumPy, in a graph, too. `tgk.wrap_external` gives such a function a derivative.",
            _function("def f(x):\n    return tf.numpy_function(np.sin, [x], tf.float32)"),
            "none",
            "left_tensorflow",
            "tf.numpy_function",
            _function("def f(x):\n    return tf.py_function(tf.sin, [x], tf.float32)"),
        ),
        Case(
            "`tf.numpy_function` in a `tf.function`",
            "The same, as an op.",
            _function("@tf.function\ndef f(x):\n    return tf.numpy_function(np.sin, [x], tf.float32)"),
            "none",
            "left_tensorflow",
            "tf.numpy_function",
            _function("@tf.function\ndef f(x):\n    return tf.sin(x)"),
        ),
        Case(
            "NumPy in a `tf.function`",
            "It can't be traced, and TensorFlow raises an error before there is any gradient.",
            _function("@tf.function\ndef f(x):\n    return tf.constant(np.mean(x))"),
            "error",
            "left_tensorflow",
            "np.mean(x)",
            _function("@tf.function\ndef f(x):\n    return tf.reduce_mean(x)"),
        ),
        Case(
            "In a function of yours",
            "",
            _function("def scaled(t):\n    return np.tanh(2.0 * t)\n\n\ndef f(x):\n    return tf.constant(scaled(x))"),
            "none",
            "left_tensorflow",
            "np.tanh(2.0 * t)",
            _function("def scaled(t):\n    return tf.tanh(2.0 * t)\n\n\ndef f(x):\n    return scaled(x)"),
        ),
    ],
    "Integers and text": [
        Case(
            "An integer input",
            "A number without a point makes an integer tensor.",
            _tape("tape.watch(x)\ny = x * x", before="x = tf.constant(10)"),
            "none",
            "not_floating",
            "y = x * x",
            _tape("tape.watch(x)\ny = x * x", before="x = tf.constant(10.0)"),
        ),
        Case(
            "A cast on the way",
            "",
            _function("def f(x):\n    n = tf.cast(3.0 * x, tf.int32)\n    return tf.cast(n, tf.float32)"),
            "none",
            "not_floating",
            "tf.int32",
            _function("def f(x):\n    n = 3.0 * x\n    return tf.cast(n, tf.float32)"),
            "Cast",
        ),
        Case(
            "Text on the way",
            "",
            _function("def f(x):\n    text = tf.strings.as_string(x)\n    return tf.strings.to_number(text)"),
            "none",
            "not_floating",
            "as_string",
            _function("def f(x):\n    return 1.0 * x"),
        ),
        Case(
            "An embedding",
            "The ids are integers. Differentiate by the vectors that they stand for.",
            """
            model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(5, 2, name="words")])
            f, arguments = model, (np.array([[1, 2, 3]]),)
            explanation = tgk.explain(f, *arguments)
            """,
            "none",
            "not_floating",
            "explanation = ",
        ),
    ],
    "Ops without a gradient, by intent": [
        Case(
            "`argmax`",
            "The place of the largest number moves in steps.",
            _function("def f(x):\n    best = tf.argmax(x)\n    return tf.cast(best, tf.float32)"),
            "none",
            "not_differentiable",
            "tf.argmax",
            _function("def f(x):\n    weights = tf.nn.softmax(x)\n    return tf.reduce_sum(weights * [0.0, 1.0])"),
            "ArgMax",
        ),
        Case(
            "`round`, `floor`, `ceil`",
            "Steps again. The straight-through estimator takes their value, and the gradient of what is rounded.",
            _function("def f(x):\n    return 2.0 * tf.round(x)"),
            "none",
            "not_differentiable",
            "tf.round",
            _function("def f(x):\n    return 2.0 * (x + tf.stop_gradient(tf.round(x) - x))"),
            "Round",
        ),
        Case(
            "`floor` in a `tf.function`",
            "",
            _function("@tf.function\ndef f(x):\n    h = tf.floor(x)\n    return 2.0 * h"),
            "none",
            "not_differentiable",
            "tf.floor",
            _function("@tf.function\ndef f(x):\n    h = tf.sin(x)\n    return 2.0 * h"),
            "Floor",
        ),
        Case(
            "`searchsorted`",
            "",
            _function(
                "def f(x):\n    place = tf.searchsorted([0.0, 1.5, 3.0], x)\n    return tf.cast(place, tf.float32)"
            ),
            "none",
            "not_differentiable",
            "tf.searchsorted",
            op="LowerBound",
        ),
        Case(
            "The indices of `top_k`",
            "Its values have a gradient.",
            _function("def f(x):\n    values, places = tf.math.top_k(x, 1)\n    return tf.cast(places, tf.float32)"),
            "none",
            "not_differentiable",
            "tf.math.top_k",
            _function("def f(x):\n    values, places = tf.math.top_k(x, 1)\n    return values"),
            "TopKV2",
        ),
        Case(
            "A comparison",
            "",
            _function("def f(x):\n    return tf.cast(x > 1.5, tf.float32)"),
            "none",
            "not_differentiable",
            "x > 1.5",
            _function("def f(x):\n    return tf.sigmoid((x - 1.5) / 0.1)"),
            "Greater",
        ),
        Case(
            "`sign`",
            "TensorFlow gives zeros here, not None.",
            _function("def f(x):\n    return tf.sign(x)"),
            "zero",
            "not_differentiable",
            "tf.sign",
            _function("def f(x):\n    return tf.tanh(x)"),
            "Sign",
        ),
    ],
    "Ops whose gradient nobody wrote": [
        Case(
            "No gradient is registered",
            "The tape raises a `LookupError`. Some of these ops get a gradient from tfgradkit: see [rules](rules.md).",
            _tape(
                "new_image = tf.image.adjust_contrast(image, delta)",
                before="image = tf.Variable([[[0.5, 0.0, 0.0]]])\ndelta = tf.Variable(0.1)",
                target="new_image",
                sources="[image, delta]",
            ),
            "error",
            "unregistered",
            "adjust_contrast",
            _tape(
                "mean = tf.reduce_mean(image, [0, 1])\nnew_image = (image - mean) * delta + mean",
                before="image = tf.Variable([[[0.5, 0.0, 0.0], [0.1, 0.2, 0.3]]])\ndelta = tf.Variable(0.1)",
                target="new_image",
                sources="[image, delta]",
            ),
            "AdjustContrastv2",
        ),
        Case(
            "In a `tf.function`",
            "It raises when the function is called under the tape.",
            _function(
                "@tf.function\ndef f(x):\n    return tf.image.adjust_contrast(x, 2.0)",
                before="x = tf.constant([[[0.5, 0.0, 0.1]]])",
            ),
            "error",
            "unregistered",
            "adjust_contrast",
            op="AdjustContrastv2",
        ),
    ],
    "State": [
        Case(
            "Read after it was assigned",
            "A variable keeps its value, not how it came about.",
            _tape(
                "x1.assign_add(x0)\ny = x1**2",
                before="x0 = tf.Variable(3.0)\nx1 = tf.Variable(0.0)",
                sources="x0",
            ),
            "none",
            "state",
            "x1.assign_add(x0)",
            _tape(
                "x1_new = x1 + x0\ny = x1_new**2",
                before="x0 = tf.Variable(3.0)\nx1 = tf.Variable(0.0)",
                sources="x0",
            ),
        ),
        Case(
            "In a `tf.function`",
            "",
            _function(
                "@tf.function\ndef f(x):\n    kept.assign(x)\n    return kept**2",
                before="x = tf.constant([1.0, 2.0])\nkept = tf.Variable([0.0, 0.0])",
            ),
            "none",
            "state",
            "kept.assign(x)",
        ),
        Case(
            "Through a dataset",
            "Iterators are stateful, too.",
            _function(
                "def f(x):\n    data = tf.data.Dataset.from_tensor_slices(x)\n    return sum(row**2 for row in data)"
            ),
            "none",
            "iterator",
            "from_tensor_slices",
            _function("def f(x):\n    return sum(row**2 for row in x)"),
        ),
        Case(
            "Through a queue",
            "",
            _function(
                "def f(x):\n    queue = tf.queue.FIFOQueue(1, [tf.float32])\n    queue.enqueue(x)\n"
                "    return 2.0 * queue.dequeue()"
            ),
            "none",
            "iterator",
            "queue.enqueue",
        ),
    ],
    "Stopped on purpose": [
        Case(
            "`tf.stop_gradient`",
            "",
            _function("def f(x):\n    h = tf.stop_gradient(tf.sin(x))\n    return 2.0 * h"),
            "none",
            "stop_gradient",
            "tf.stop_gradient",
            _function("def f(x):\n    h = tf.sin(x)\n    return 2.0 * h"),
            "StopGradient",
        ),
        Case(
            "A detached layer",
            "What comes before the layer that stops it has no gradient, its weights neither.",
            """
            class Detached(keras.layers.Layer):
                def call(self, x):
                    return tf.stop_gradient(x)


            first, last = keras.layers.Dense(2, name="first"), keras.layers.Dense(1, name="last")
            model = keras.Sequential([keras.Input((3,)), first, Detached(name="detached"), last])
            f, arguments = model, (np.ones((2, 3), "float32"),)
            explanation = tgk.explain(f, *arguments)
            """,
            "none",
            "stop_gradient",
            "return tf.stop_gradient(x)",
        ),
        Case(
            "A custom gradient that returns None",
            "",
            _function(
                """
                @tf.custom_gradient
                def scaled(a, b):
                    def gradient(upstream):
                        return upstream * b, None

                    return a * b, gradient


                def f(x):
                    return scaled(2.0, x)
                """
            ),
            "none",
            "custom_gradient",
            "return upstream * b, None",
            _function(
                """
                @tf.custom_gradient
                def scaled(a, b):
                    def gradient(upstream):
                        return tf.reduce_sum(upstream * b), upstream * a

                    return a * b, gradient


                def f(x):
                    return scaled(2.0, x)
                """
            ),
        ),
    ],
    "It does not count here": [
        Case(
            "The other branch",
            "The tape sees what ran. What only decides a branch has no gradient either.",
            _tape(
                "tape.watch(x)\nif x > 0.0:\n    y = 1.0 * v0\nelse:\n    y = v1**2",
                before="x = tf.constant(1.0)\nv0 = tf.Variable(2.0)\nv1 = tf.Variable(2.0)",
                sources="v1",
            ),
            "none",
            "branch_not_taken",
            "if x > 0.0:",
            _tape(
                "tape.watch(x)\ny = tf.where(x > 0.0, v1**2, v0)",
                before="x = tf.constant(1.0)\nv0 = tf.Variable(2.0)\nv1 = tf.Variable(2.0)",
                sources="v1",
            ),
        ),
        Case(
            "`tf.cond`",
            "",
            _function("def f(x, z):\n    return tf.cond(x[0] > 0.0, lambda: 2.0 * x, lambda: 3.0 * z)", "x, 2.0 * x"),
            "none",
            "branch_not_taken",
            "tf.cond",
            _function("def f(x, z):\n    return tf.where(x > 1.5, 2.0 * x, 3.0 * z)", "x, 2.0 * x"),
        ),
        Case(
            "An `if` in a `tf.function`",
            "Both branches are in the graph, so TensorFlow gives zeros.",
            _function(
                "@tf.function\ndef f(x, z):\n    if tf.reduce_sum(x) > 0.0:\n        return x\n    return 3.0 * z",
                "x, 2.0 * x",
            ),
            "zero",
            "branch_not_taken",
            "if tf.reduce_sum(x) > 0.0:",
        ),
        Case(
            "Not used at all",
            "`unconnected_gradients=tf.UnconnectedGradients.ZERO` makes zeros of such a None.",
            _tape("z = y**2", before="x = tf.Variable([2.0, 2.0])\ny = tf.Variable(3.0)", target="z"),
            "none",
            "unused",
            "with tgk.ExplainingTape() as tape:",
            _tape(
                "z = y**2 * tf.reduce_sum(x)",
                before="x = tf.Variable([2.0, 2.0])\ny = tf.Variable(3.0)",
                target="z",
            ),
        ),
        Case(
            "Multiplied by zero",
            "",
            _function("def f(x):\n    return 0.0 * x"),
            "zero",
            "unused",
            "0.0 * x",
            _function("def f(x):\n    return 0.5 * x"),
        ),
        Case(
            "A relu that is off",
            "",
            _function("def f(x):\n    return tf.nn.relu(-x)"),
            "zero",
            "branch_not_taken",
            "tf.nn.relu",
            _function("def f(x):\n    return tf.nn.leaky_relu(-x)"),
            "Relu",
        ),
        Case(
            "A softmax that is sure",
            "In floating point its gradient is exactly 0 then.",
            _function("def f(x):\n    return tf.nn.softmax(1000.0 * x)"),
            "zero",
            "saturated",
            "tf.nn.softmax",
            _function("def f(x):\n    return 1000.0 * x"),
            "Softmax",
        ),
    ],
    "Not to be trained": [
        Case(
            "A variable that is not trainable",
            "",
            _tape("y = x**2", before="x = tf.Variable(3.0, trainable=False)"),
            "none",
            "not_trainable",
            "trainable=False",
            _tape("y = x**2", before="x = tf.Variable(3.0, trainable=True)"),
        ),
    ],
}
CASES = [case for cases in SECTIONS.values() for case in cases]
