"""``GraphView``: names, layers, variables and the user's own lines of a traced function."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgradkit.diagnose.graph.graph_view import view
from tfgradkit.errors import SignatureError
from tfgradkit.graph.user_line import location_of


def user_function(x, *, scale=2.0):
    loop = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a)), (0, x["a"]))
    return [tf.stop_gradient(x["b"]) * scale, loop[1]]


def line_of(text):
    lines, first = inspect.getsourcelines(user_function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def find(graph_view, op_type):
    return next(operation for operation in graph_view.everywhere() if operation.type == op_type)


def test_names_follow_the_nests():
    seen = view(user_function, {"b": np.ones(2), "a": tf.TensorSpec([3], tf.float32)})
    assert seen.input_names == ("x['a']", "x['b']")
    assert seen.output_names == ("y[0]", "y[1]")
    assert [tensor.dtype for tensor in seen.inputs] == [tf.float32, tf.float64]
    assert len(seen.outputs) == 2


def test_ops_inside_loops_have_the_users_line():
    seen = view(user_function, {"b": np.ones(2), "a": np.ones(3)})
    for op_type, text in (("Sin", "tf.sin"), ("StopGradient", "tf.stop_gradient")):
        where = location_of(find(seen, op_type))
        assert (where.line, where.file) == (line_of(text), __file__)
        assert text in where.code
        assert str(where) == f"test_graph_view.py:{line_of(text)}"


def test_layers_and_variables_of_a_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh", name="first"), keras.layers.Dense(1)])
    seen = view(model)
    assert seen.layer(find(seen, "Tanh")) == "first"
    assert {id(variable) for variable in seen.variables.values()} == {id(v.value) for v in model.variables}
    assert {operation.type for operation in seen.graph.get_operations()} >= {"ReadVariableOp", "MatMul"}
    assert location_of(find(seen, "Tanh")).file == __file__


def test_a_function_without_specs_needs_arguments():
    with pytest.raises(SignatureError, match="has no specs of its own"):
        view(user_function)
