"""Graphs as TensorFlow 1 made and saved them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
PARAMETERS = np.array([0.17217076, -0.2723155, 0.5], np.float32)
SEED = {"inputs": "THEINPUT:0", "outputs": "THEMODEL:0"}


def save_graph(
    file: Path,
    build: Callable[[], object],
    *,
    saver: Callable[[], object] | None = None,
    frozen: tuple[str, ...] = (),
    functions: bool = False,
) -> Path:
    """Builds a graph and saves it as ``file``.meta with its checkpoint; with ``frozen`` outputs, as ``file``.pb, too.

    Its branches and loops are of the old kind, of plain ops, or with ``functions`` of the new one.
    """
    with control_flow(functions), tf.Graph().as_default() as graph, tf1.Session() as session:
        build()
        session.run(tf1.global_variables_initializer())
        (saver or tf1.train.Saver)().save(session, str(file))
        if frozen:
            definition = tf1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), list(frozen))
            file.with_suffix(".pb").write_bytes(definition.SerializeToString())
    return file.with_suffix(".meta")


@contextmanager
def control_flow(functions: bool) -> Iterator[None]:
    """Which kind of branches and loops TensorFlow makes, for a while."""
    before = tf1.control_flow_v2_enabled()
    (tf1.enable_control_flow_v2 if functions else tf1.disable_control_flow_v2)()
    try:
        yield
    finally:
        (tf1.enable_control_flow_v2 if before else tf1.disable_control_flow_v2)()


def linear() -> None:
    """A linear model of three parameters in one variable, whose slices are its weights and its offset."""
    x = tf1.placeholder(tf.float32, [None, 2], name="THEINPUT")
    parameters = tf1.Variable(PARAMETERS, use_resource=False)
    count = tf.constant(2, name="count")
    weights = tf.reshape(parameters[0:count], [2, 1])
    tf.raw_ops.Add(x=tf.matmul(x, weights), y=parameters[2], name="THEMODEL")


def mlp(*, use_resource: bool = False) -> None:
    """A hidden layer, whose offset is not trained; beside the result its energy for each sample, and a loss."""
    random = np.random.default_rng(0)
    x = tf1.placeholder(tf.float32, [None, 3], name="in/x")

    def variable(name: str, shape: tuple[int, ...], *, trainable: bool = True) -> tf.Variable:
        value = random.normal(size=shape).astype(np.float32)
        return tf1.get_variable(name, initializer=value, use_resource=use_resource, trainable=trainable)

    hidden = tf.tanh(tf.matmul(x, variable("first", (3, 4))) + variable("offset", (4,), trainable=False))
    y = tf.matmul(hidden, variable("second", (4, 2)), name="out/y")
    tf.reduce_sum(y**2, 1, name="energy")
    tf.reduce_sum(y, name="loss")


def mlp_value(x: np.ndarray) -> np.ndarray:
    """The same in NumPy."""
    first, offset, second = _mlp_weights()
    return np.tanh(x @ first + offset) @ second


def mlp_jacobian(x: np.ndarray) -> np.ndarray:
    """Its derivative by hand."""
    first, offset, second = _mlp_weights()
    slope = 1 - np.tanh(x @ first + offset) ** 2
    return np.einsum("ih,bh,ho->boi", first, slope, second)


def _mlp_weights() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4,), (4, 2))]
