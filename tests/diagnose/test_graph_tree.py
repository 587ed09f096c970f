"""``graph_tree``: the lines of a graph, through calls, into loops and branches, and folded where it is large."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf1_graphs
from tf1_graphs import SEED, save_graph

import tfgradkit as tgk
from tfgradkit.errors import SignatureError

SPEC = tf.TensorSpec([2])
LINEAR = """\
THEMODEL : Add
    MatMul : MatMul
        THEINPUT : Placeholder
        Reshape : Reshape
            strided_slice : StridedSlice
                Variable/read : Identity
                    Variable : VariableV2
                strided_slice/stack : Const
                strided_slice/stack_1 : Pack
                    count : Const
                strided_slice/stack_2 : Pack
                    Const : Const
            Reshape/shape : Const
    strided_slice_1 : StridedSlice
        Variable/read : Identity
            Variable : VariableV2
        strided_slice_1/stack : Const
        strided_slice_1/stack_1 : Const
        strided_slice_1/stack_2 : Const"""


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """The linear model of TensorFlow 1, loaded."""
    return tgk.load(save_graph(tmp_path_factory.mktemp("old") / "savemymodel", tf1_graphs.linear), signature=SEED)


def traveled(operation, level=0):
    """The tree as a user would walk it by hand, in the graph itself."""
    lines = [f"{'    ' * level}{operation.name} : {operation.type}"]
    return lines + [line for tensor in operation.inputs for line in traveled(tensor.op, level + 1)]


def test_a_graph_of_old_is_shown_as_it_was_made(linear):
    with tf.Graph().as_default() as graph:
        tf1_graphs.linear()
    assert tgk.graph_tree(linear) == LINEAR == "\n".join(traveled(graph.get_operation_by_name("THEMODEL")))


def test_the_gradient_leads_through_the_whole_model(linear):
    lines = tgk.graph_tree(tgk.gradient(linear)).splitlines()
    assert lines[0] == "gradient_tape/MatMul : MatMul"
    shown = [line.strip() for line in lines]
    start = shown.index("THEMODEL : Add")
    indent = lines[start].index("THEMODEL")
    model = [line[indent:] for line in lines[start : start + len(LINEAR.splitlines())]]
    assert "\n".join(model) == LINEAR
    below = len({line.strip() for line in LINEAR.splitlines()}) - 1
    assert f"THEMODEL : Add  … {below} more ops, as above" in shown
    assert len(lines) > 1.5 * len(LINEAR.splitlines()), "the gradient is larger than the model"


def test_variables_and_layers_have_their_names():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh", name="only")], name="small")
    lines = [line.strip() for line in tgk.graph_tree(model).splitlines()]
    assert lines[0].endswith("only_1/Tanh : Tanh")
    assert any(line.endswith(": Placeholder, variable small/only/kernel") for line in lines)
    assert "x : Placeholder" in lines


def test_calls_are_written_out():
    inner = tf.function(lambda a: tf.sin(a, name="inner_sine"))

    def outer(x):
        return tf.exp(inner(x) + inner(2 * x))

    tree = tgk.graph_tree(outer, SPEC)
    assert "PartitionedCall" not in tree
    lines = [line.strip() for line in tree.splitlines()]
    assert lines[:3] == ["Exp : Exp", "add : AddV2", "inner_sine : Sin"]
    assert lines.count("x : Placeholder") == 2, "an argument leads on to what the function is called with"
    assert lines.count("inner_sine : Sin") == 2


def test_loops_and_branches_show_their_functions():
    def both(x):
        looped = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a)), (0, x))[1]
        return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.exp(looped), lambda: -looped)

    lines = [line.strip() for line in tgk.graph_tree(both, SPEC).splitlines()]
    types = [line.rpartition(" : ")[2] for line in lines]
    assert types.count("function") == 4, "two branches, a condition, a body"
    assert {"StatelessIf", "StatelessWhile", "Sin", "Exp", "Neg", "Less"} <= set(types)
    body = next(i for i, line in enumerate(lines) if "body" in line and line.endswith(": function"))
    assert "Sin" in types[body:]


def test_several_results_come_one_after_another():
    lines = tgk.graph_tree(lambda x: {"a": tf.sin(x), "b": [tf.cos(x), None]}, SPEC).splitlines()
    assert lines == ["Sin : Sin", "    x : Placeholder", "Cos : Cos", "    x : Placeholder"]


def test_what_is_too_deep_is_folded_with_counts():
    def chain(x):
        for _ in range(6):
            x = tf.sin(x)
        return x

    lines = tgk.graph_tree(chain, SPEC, depth=3).splitlines()
    assert lines == ["Sin_5 : Sin", "    Sin_4 : Sin", "        Sin_3 : Sin  … 4 more ops"]
    assert tgk.graph_tree(chain, SPEC, size=3).splitlines()[-1] == "… 4 more ops"
    assert len(tgk.graph_tree(chain, SPEC).splitlines()) == 7


def test_what_was_shown_is_folded():
    def twice(x):
        y = tf.sin(tf.exp(tf.cos(tf.tanh(x))))
        return y * y

    assert tgk.graph_tree(twice, SPEC).splitlines()[-1] == "    Sin : Sin  … 4 more ops, as above"


def test_a_large_gradient_is_shown_in_part():
    layers = [keras.layers.Dense(3, "tanh") for _ in range(50)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    lines = tgk.graph_tree(tgk.gradient(model)).splitlines()
    assert max((len(line) - len(line.lstrip())) // 4 for line in lines) < 40
    assert any("more ops" in line for line in lines)
    assert len(tgk.graph_tree(tgk.gradient(model), size=20).splitlines()) == 21


def test_seeds_come_last():
    tree = tgk.graph_tree(tgk.vjp(tf.sin), SPEC, SPEC)
    assert {"Mul", "Cos"} <= {line.rpartition(" : ")[2] for line in tree.splitlines()}


def test_a_function_without_specs_is_told_what_to_pass():
    with pytest.raises(SignatureError, match=r"tf\.TensorSpec for each"):
        tgk.graph_tree(lambda x: x)


def test_values_are_specs():
    assert tgk.graph_tree(tf.sin, np.ones(2)) == "Sin : Sin\n    x : Placeholder"
