"""``ExplainingTape``: a drop-in ``tf.GradientTape``, and what it says inside graphs and of higher orders."""

from __future__ import annotations

import inspect
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

X = tf.constant([1.0, 2.0])


def test_signatures_are_those_of_tensorflows_tape():
    for name in ("__init__", "watch", "gradient", "stop_recording", "reset", "watched_variables"):
        own = list(inspect.signature(getattr(tgk.ExplainingTape, name)).parameters)
        assert own == list(inspect.signature(getattr(tf.GradientTape, name)).parameters), name
    assert issubclass(tgk.ExplainingTape, tf.GradientTape)


def numbers(make):
    """What a tape of a kind gives for the calls that people make."""
    v = tf.Variable([3.0, 1.0])
    with make(persistent=True) as tape:
        tape.watch(X)
        y = v * X**2
        with tape.stop_recording():
            z = y**2
    found = [
        tape.gradient(y, [X, v]),
        tape.gradient(y, {"a": X}, output_gradients=[[2.0, 3.0]]),
        tape.gradient(z, X, unconnected_gradients=tf.UnconnectedGradients.ZERO),
        tape.jacobian(y, v),
        tape.jacobian(y, [v, X], experimental_use_pfor=False),
    ]
    with make(watch_accessed_variables=False) as tape:
        tape.watch(X)
        rows = tf.reshape(X, [2, 1]) ** 3 + tf.reduce_sum(v)
        found.append([w is v for w in tape.watched_variables()])
    return [*found, tape.gradient(rows, [X, v])[0]]


def test_the_same_numbers():
    mine, stock = numbers(tgk.ExplainingTape), numbers(tf.GradientTape)
    for a, b in zip(tf.nest.flatten(mine), tf.nest.flatten(stock), strict=True):
        np.testing.assert_array_equal(a, b)


def test_batch_jacobian():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tgk.ExplainingTape() as tape:
        tape.watch(x)
        y = x**2
    np.testing.assert_allclose(tape.batch_jacobian(y, x), [np.diag([2, 4]), np.diag([6, 8])])


@pytest.mark.parametrize("method", ["gradient", "jacobian"])
def test_a_tape_that_is_not_persistent_gives_one_gradient_and_still_explains(method):
    with tgk.ExplainingTape() as tape:
        tape.watch(X)
        y = X**2
    assert tape.explain(y, X).ok
    getattr(tape, method)(y, X)
    with pytest.raises(RuntimeError, match="non-persistent"):
        getattr(tape, method)(y, X)
    assert tape.explain(y, X).ok


def test_reset_and_watched_variables():
    v = tf.Variable(2.0)
    with tgk.ExplainingTape() as tape:
        y = v**2
        assert tape.watched_variables()[0] is v
        tape.reset()
        z = 3 * v
    assert tape.explain(z, v).ok
    (connection,) = tape.explain(y, v)
    assert connection.status == "none"
    assert tape.gradient(y, v) is None


def test_explaining_inside_the_block():
    with tgk.ExplainingTape(persistent=True) as tape:
        tape.watch(X)
        y = tf.round(X)
        (inside,) = tape.explain(y, X)
        z = X**2
    assert inside.cause == "not_differentiable"
    assert tape.explain(z, X).ok
    np.testing.assert_array_equal(tape.gradient(z, X), 2 * X)


def test_an_error_in_the_block_leaves_nothing_behind():
    before = type(X)._numpy
    with pytest.raises(KeyError), tgk.ExplainingTape():
        raise KeyError
    assert type(X)._numpy is before
    with tgk.ExplainingTape() as tape:
        tape.watch(X)
        y = X * 2
    assert tape.explain(y, X).ok


def test_names_of_variables_and_layers():
    layer = keras.layers.Dense(1, name="only")
    other = keras.layers.Dense(1, name="other")
    other.build((None, 2))
    with tgk.ExplainingTape() as tape:
        loss = tf.reduce_sum(layer(X[None]))
    explanation = tape.explain(loss, [*layer.trainable_variables, *other.trainable_variables, X])
    assert [c.input for c in explanation] == ["only/kernel", "only/bias", "other/kernel", "other/bias", "X"]
    assert {c.output for c in explanation} == {"loss"}
    assert [c.cause for c in explanation] == [None, None, "unused", "unused", "unwatched"]


def test_attributes_of_self_have_names():
    class Trainer:
        def __init__(self):
            self.weight = tf.Variable(1.0)

        def step(self):
            with tgk.ExplainingTape() as tape:
                loss = self.weight**2
            self.weight = self.weight - 0.1
            with tgk.ExplainingTape() as tape:
                loss = self.weight**2
            return tape.explain(loss, self.weight)

    (connection,) = Trainer().step()
    assert (connection.input, connection.cause) == ("self.weight", "replaced_by_tensor")
    assert connection.remedy == "self.weight.assign_sub(0.1)"


def test_threads_do_not_hear_each_other():
    f = tf.function(lambda x: tf.floor(x) * 2)
    f(X)
    found = []

    def work(pause):
        with tgk.ExplainingTape() as tape:
            tape.watch(X)
            h = X * 2
            pause.wait(60)
            y = f(h)
        found.append(tape.explain(y, X)[0])

    # The second begins later and ends earlier than the first.
    first, second = threading.Event(), threading.Event()
    threads = [threading.Thread(target=work, args=(pause,)) for pause in (first, second)]
    for thread in threads:
        thread.start()
    second.set()
    threads[1].join()
    first.set()
    threads[0].join()
    assert [(c.cause, c.op) for c in found] == [("not_differentiable", "Floor")] * 2


def test_second_order():
    with tgk.ExplainingTape() as outer:
        outer.watch(X)
        with tf.GradientTape() as inner:
            inner.watch(X)
            y = X**3
        first = inner.gradient(y, X)
        steps = tf.floor(first)
    assert outer.explain(first, X).ok
    (connection,) = outer.explain(steps, X)
    assert (connection.cause, connection.op) == ("not_differentiable", "Floor")


@pytest.mark.parametrize("autograph", [True, False])
def test_in_a_graph(autograph):
    said = []

    def f(x, w):
        with tgk.ExplainingTape() as tape:
            tape.watch(x)
            y = tf.round(x) + w
            z = tf.sin(x)
        said.append(tape.explain([y, z], [x, w]))
        return tape.gradient(z, x)

    np.testing.assert_allclose(tf.function(f, autograph=autograph)(X, X), tf.cos(X))
    found = [(c.output, c.input, c.status, c.cause) for c in said[0]]
    assert found == [
        ("y", "x", "none", "not_differentiable"),
        ("y", "w", "none", "unwatched"),
        ("z", "x", "connected", None),
        ("z", "w", "none", "unwatched"),
    ]
    line = f.__code__.co_firstlineno + 3
    assert said[0][0].where == f"test_explaining_tape.py:{line}"


def test_variables_in_a_graph():
    v, fixed = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0], trainable=False)
    said = []

    @tf.function
    def step():
        with tgk.ExplainingTape() as tape:
            tape.watch(X)
            y = tf.sin(v) * fixed + X
            z = tf.floor(v)
        said.append(tape.explain([y, z], [v, fixed, X]))
        return tape.gradient(y, v)

    np.testing.assert_allclose(step(), tf.cos(v) * fixed)
    assert [c.cause for c in said[0]] == [None, "not_trainable", None, "not_differentiable", "not_trainable", "unused"]


def test_a_variable_that_an_op_reads_by_itself_is_found():
    v, w = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    with tgk.ExplainingTape() as tape:
        y = tf.raw_ops.Floor(x=v)
        z = tf.raw_ops.AddV2(x=v, y=X)
    assert [c.cause for c in tape.explain(y, [v, w])] == ["not_differentiable", "unused"]
    assert tape.explain(z, v).ok


def test_a_target_that_is_no_tensor_any_more():
    v = tf.Variable([1.0, 2.0])
    with tgk.ExplainingTape() as tape:
        loss = tf.reduce_sum(v**2)
        number = float(loss)
    (connection,) = tape.explain(number, v)
    assert (connection.status, connection.cause, connection.code) == (
        "none",
        "left_tensorflow",
        "number = float(loss)",
    )
    with pytest.raises(tgk.errors.SignatureError, match="can't be made a tensor"):
        tape.explain(None, v)


def test_what_is_only_printed_is_not_to_blame(capsys):
    v = tf.Variable([1.0, 2.0])
    with tgk.ExplainingTape() as tape:
        h = v**2
        print(h.numpy(), np.mean(h))
        y = X * 2
    (connection,) = tape.explain(y, v)
    assert connection.cause == "unused"
