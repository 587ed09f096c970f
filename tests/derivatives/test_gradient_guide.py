"""TensorFlow's guide to gradients and automatic differentiation, sections 4 to 10, as it is written there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.op_gradients.registry import ABSENT, SHIPPED


def line_of(connection):
    """The line of this file that a finding names."""
    name, number = connection.where.split(":")
    assert name == Path(__file__).name
    assert Path(__file__).read_text().splitlines()[int(number) - 1].strip() == connection.code
    return connection.code


def statuses(tape, target, sources):
    """TensorFlow's own answers."""
    found = tape.gradient(target, sources)
    return ["none" if g is None else "connected" if np.any(g) else "zero" for g in found]


def test_section_4_controlling_what_the_tape_watches():
    # A trainable variable
    x0 = tf.Variable(3.0, name="x0")
    # Not trainable
    x1 = tf.Variable(3.0, name="x1", trainable=False)
    # Not a Variable: A variable + tensor returns a tensor.
    x2 = tf.Variable(2.0, name="x2") + 1.0
    # Not a variable
    x3 = tf.constant(3.0, name="x3")

    with tgk.ExplainingTape() as tape:
        y = (x0**2) + (x1**2) + (x2**2)

    explanation = tape.explain(y, [x0, x1, x2, x3])
    assert [c.status for c in explanation] == statuses(tape, y, [x0, x1, x2, x3])
    assert [c.input for c in explanation] == ["x0", "x1", "x2", "x3"]
    assert [c.cause for c in explanation] == [None, "not_trainable", "replaced_by_tensor", "unwatched"]
    assert line_of(explanation[1]) == 'x1 = tf.Variable(3.0, name="x1", trainable=False)'
    assert explanation[1].remedy.startswith("tape.watch(x1)")
    assert "x1 = tf.Variable(3.0, name='x1', trainable=True)" in explanation[1].remedy
    assert line_of(explanation[2]) == 'x2 = tf.Variable(2.0, name="x2") + 1.0'
    assert explanation[2].remedy == "x2 = tf.Variable(2.0 + 1.0, name='x2')"
    assert explanation[3].remedy.startswith("tape.watch(x3)")
    assert "Nor does anything in the block use it" in explanation[3].why


def test_section_4_watching_a_tensor():
    x = tf.constant(3.0)
    with tgk.ExplainingTape() as tape:
        tape.watch(x)
        y = x**2
    assert tape.explain(y, x).ok
    assert tape.gradient(y, x) == 6.0


def test_section_5_intermediate_results():
    x = tf.constant(3.0)
    with tgk.ExplainingTape() as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    assert tape.explain(z, [y, x]).ok
    assert tape.gradient(z, y) == 18.0


def test_section_6_a_persistent_tape():
    x = tf.constant([1, 3.0])
    with tgk.ExplainingTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    np.testing.assert_array_equal(tape.gradient(z, x), [4.0, 108.0])
    np.testing.assert_array_equal(tape.gradient(y, x), [2.0, 6.0])
    assert tape.explain([y, z], x).ok


def test_section_7_control_flow():
    x = tf.constant(1.0)

    v0 = tf.Variable(2.0)
    v1 = tf.Variable(2.0)

    with tgk.ExplainingTape(persistent=True) as tape:
        tape.watch(x)
        if x > 0.0:  # noqa: SIM108
            result = v0
        else:
            result = v1**2

    explanation = tape.explain(result, [v0, v1, x])
    assert [c.status for c in explanation] == statuses(tape, result, [v0, v1, x])
    assert [c.cause for c in explanation] == [None, "branch_not_taken", "not_differentiable"]
    assert {line_of(c) for c in explanation.findings} == {"if x > 0.0:  # noqa: SIM108"}
    assert explanation[2].op == "Greater"


def test_section_8_not_connected():
    x = tf.Variable(2.0)
    y = tf.Variable(3.0)

    with tgk.ExplainingTape() as tape:
        z = y * y
    (connection,) = tape.explain(z, x)
    assert (connection.status, connection.cause) == ("none", "unused")
    assert tape.gradient(z, x) is None


def test_section_8_1_a_variable_replaced_by_a_tensor():
    x = tf.Variable(2.0)
    said = []

    for _ in range(2):
        with tgk.ExplainingTape() as tape:
            y = x + 1

        said.append((tape.explain(y, x)[0], tape.gradient(y, x)))
        x = x + 1  # This should be `x.assign_add(1)`

    assert (said[0][0].status, said[0][1]) == ("connected", 1.0)
    connection, gradient = said[1]
    assert (connection.cause, gradient) == ("replaced_by_tensor", None)
    assert line_of(connection) == "x = x + 1  # This should be `x.assign_add(1)`"
    assert connection.remedy == "x.assign_add(1)"


def test_section_8_2_calculations_outside_of_tensorflow():
    x = tf.Variable([[1.0, 2.0], [3.0, 4.0]], dtype=tf.float32)

    with tgk.ExplainingTape() as tape:
        x2 = x**2

        # This step is calculated with NumPy
        y = np.mean(x2, axis=0)

        # Like most ops, reduce_mean will cast the NumPy array to a constant tensor
        y = tf.reduce_mean(y, axis=0)

    (connection,) = tape.explain(y, x)
    assert (connection.cause, connection.op) == ("left_tensorflow", "np.mean")
    assert line_of(connection) == "y = np.mean(x2, axis=0)"
    assert connection.remedy.splitlines()[1] == "y = tnp.mean(x2, axis=0)"
    assert tape.gradient(y, x) is None


def test_section_8_3_through_an_integer():
    x = tf.constant(10)

    with tgk.ExplainingTape() as tape:
        tape.watch(x)
        y = x * x

    (connection,) = tape.explain(y, x)
    assert (connection.status, connection.cause) == ("none", "not_floating")
    assert "tf.cast(x, tf.float32)" in connection.remedy
    assert tape.gradient(y, x) is None


def test_section_8_4_through_a_stateful_object():
    x0 = tf.Variable(3.0)
    x1 = tf.Variable(0.0)

    with tgk.ExplainingTape() as tape:
        # Update x1 = x1 + x0.
        x1.assign_add(x0)
        # The tape starts recording from x1.
        y = x1**2  # y = (x1 + x0)**2

    explanation = tape.explain(y, [x0, x1])
    assert [(c.status, c.cause) for c in explanation] == [("none", "state"), ("connected", None)]
    assert line_of(explanation[0]) == "x1.assign_add(x0)"
    assert explanation[0].remedy == "x1_new = x1 + x0"
    assert tape.gradient(y, x0) is None


def test_section_9_no_gradient_registered(monkeypatch):
    from tensorflow.python.framework.ops import gradient_registry

    for op, shipped in SHIPPED.items():
        if shipped.replaces is ABSENT:
            monkeypatch.delitem(gradient_registry._registry, op, raising=False)
    image = tf.Variable([[[0.5, 0.0, 0.0]]])
    delta = tf.Variable(0.1)

    with tgk.ExplainingTape() as tape:
        new_image = tf.image.adjust_contrast(image, delta)

    explanation = tape.explain(new_image, [image, delta])
    assert [(c.status, c.cause, c.op) for c in explanation] == [("error", "unregistered", "AdjustContrastv2")] * 2
    assert {line_of(c) for c in explanation} == {"new_image = tf.image.adjust_contrast(image, delta)"}
    with pytest.raises(LookupError, match="AdjustContrastv2"):
        tape.gradient(new_image, [image, delta])


def test_section_10_zeros_instead_of_none():
    x = tf.Variable([2.0, 2.0])
    y = tf.Variable(3.0)

    with tgk.ExplainingTape() as tape:
        z = y**2
    (connection,) = tape.explain(z, x)
    assert (connection.status, connection.cause) == ("none", "unused")
    zeros = tape.gradient(z, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_array_equal(zeros, [0.0, 0.0])
