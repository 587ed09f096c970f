"""Gradients of layers, activations and ops replaced inside a model, whose own stay what they are."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError, SignatureError
from tfgradkit.sources.method_patch import replaced

L = keras.layers
X = np.random.default_rng(3).normal(size=(4, 3))


def guided(op, upstream):
    """Springenberg et al. 2015."""
    return tf.where((op.outputs[0] > 0) & (upstream > 0), upstream, tf.zeros_like(upstream))


@keras.saving.register_keras_serializable(package="tests")
def doubled(op, upstream):
    return 2 * op.vjp(upstream)[0]


class Nested(keras.Model):
    """A subclassed model with a model inside, and with an activation that belongs to no layer."""

    def __init__(self, inner, last, **keywords):
        super().__init__(**keywords)
        self.inner, self.last = inner, last

    def call(self, x):
        return self.last(keras.ops.relu(self.inner(x)))


def layers():
    keras.utils.set_random_seed(7)
    widths = ((5, "relu"), (4, None), (1, None))
    made = [
        L.Dense(n, a, dtype="float64", name=f"dense{i}", bias_initializer="normal") for i, (n, a) in enumerate(widths)
    ]
    return [made[0], made[1], L.ReLU(dtype="float64", name="kink"), made[2]]


def sequential():
    return keras.Sequential([keras.Input((3,), dtype="float64"), *layers()])


def functional():
    x = keras.Input((3,), dtype="float64", name="x")
    y = x
    for layer in layers():
        y = layer(y)
    return keras.Model({"x": x}, {"y": y})


def subclassed():
    first, second, _, last = layers()
    model = Nested(keras.Sequential([first, second]), last, dtype="float64")
    model(X)
    return model


def by_hand(model, first, second=None):
    """The gradient of the network of ``layers()``, with rules for its kinks, written out."""
    w0, b0, w1, b1, w2, _ = model.get_weights()
    h0 = X @ w0 + b0
    h1 = np.maximum(h0, 0) @ w1 + b1
    u = np.ones((len(X), 1)) @ w2.T
    u = (second or first)(h1, u) @ w1.T
    return first(h0, u) @ w0.T


def passing(h, u):
    return u * (h > 0) * (u > 0)


def plain(h, u):
    return u * (h > 0)


def given(model):
    return {"x": X} if isinstance(getattr(model, "_inputs_struct", None), dict) else X


def gradient(model, **keywords):
    return tf.nest.flatten(tgk.gradient(model, **keywords)(given(model)))[0]


MODELS = {"sequential": sequential, "functional, of a dict": functional, "subclassed, nested": subclassed}
KEYS = {
    "op": {"Relu": guided},
    "activation and class": {keras.activations.relu: guided, L.ReLU: guided},
    "layer": {"layer:kink": guided, keras.activations.relu: guided},
}


@pytest.mark.parametrize("rules", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_guided_backpropagation(make, rules):
    model = make()
    # The second kink of the subclassed model is no layer's: only the rule for an op finds it.
    found = make is not subclassed or rules is KEYS["op"]
    rules = rules if found else {keras.activations.relu: guided}
    before = gradient(model)
    np.testing.assert_allclose(before, by_hand(model, plain), rtol=1e-12)
    other = tgk.override_gradient(model, rules)
    np.testing.assert_array_equal(*(tf.nest.flatten(m(given(model)))[0] for m in (other, model)))
    expected = by_hand(model, passing, passing if found else plain)
    assert not np.allclose(expected, before)
    np.testing.assert_allclose(gradient(other), expected, rtol=1e-12)
    np.testing.assert_array_equal(gradient(model), before)
    assert len(other.weights) == 6
    assert all(mine is theirs for mine, theirs in zip(other.weights, model.weights, strict=True))
    model.set_weights([1.1 * w for w in model.get_weights()])
    expected = by_hand(model, passing, passing if found else plain)
    np.testing.assert_allclose(gradient(other), expected, rtol=1e-12)


def test_on_a_tape_in_a_graph_and_compiled():
    model = sequential()
    other = tgk.override_gradient(model, {"Relu": guided})

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = other(x)
        return tape.gradient(y, x)

    expected = by_hand(model, passing)
    for way in (slope, tf.function(slope, autograph=False), tf.function(slope, autograph=False, jit_compile=True)):
        np.testing.assert_allclose(way(tf.constant(X)), expected, rtol=1e-12)


def test_traces_that_are_there_already_stay_as_they_are():
    model = sequential()
    traced = tf.function(model)

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = traced(x)
        return tape.gradient(y, x)

    x = tf.constant(X)
    before = slope(x)
    for other in (tgk.override_gradient(fn, {"Relu": guided}) for fn in (model, traced)):
        np.testing.assert_allclose(tgk.gradient(other, batched=True)(X), by_hand(model, passing), rtol=1e-12)
    np.testing.assert_array_equal(slope(x), before)
    assert all("call" not in vars(layer) and not hasattr(layer.call, "replacements") for layer in model.layers)


def test_other_threads_find_the_method_itself():
    class Owner:
        def method(self):
            return "its own"

    owner, found = Owner(), []
    with replaced(owner, "method", lambda method: f"not {method()}"):
        with replaced(owner, "method", lambda method: f"surely {method()}"):
            assert owner.method() == "surely not its own"
        thread = threading.Thread(target=lambda: found.append(owner.method()))
        thread.start()
        thread.join()
        assert owner.method() == "not its own"
    assert found == ["its own"]
    assert vars(owner) == {}


def test_weights_keep_their_own_gradient():
    """Feedback alignment (Lillicrap et al. 2016): errors go back through fixed random weights."""
    model = sequential()
    random = np.random.default_rng(0).normal(size=(1, 4))
    other = tgk.override_gradient(model, {"layer:dense2": lambda op, u: u @ random})
    found = tgk.gradient(other, wrt="parameters")(X)
    w0, b0, w1, b1, _, _ = model.get_weights()
    h0 = np.maximum(X @ w0 + b0, 0)
    h1 = h0 @ w1 + b1
    np.testing.assert_allclose(found[4][:, :, 0], np.maximum(h1, 0), rtol=1e-12)
    np.testing.assert_allclose(found[2], np.einsum("bi,bj->bij", h0, plain(h1, random)), rtol=1e-12)


def test_the_gradient_that_is_replaced_can_be_used():
    model = sequential()
    other = tgk.override_gradient(model, {"layer:dense1": doubled, "Relu": lambda op, u: op.vjp(u)})
    np.testing.assert_allclose(gradient(other), 2 * by_hand(model, plain), rtol=1e-12)
    np.testing.assert_allclose(tgk.jacobian(other, mode="forward")(X)[:, 0], gradient(other), rtol=1e-12)


def test_a_recurrent_layer():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3, 2)), L.SimpleRNN(3), L.Dense(1)])

    def slope(rule):
        x = tf.ones([2, 3, 2])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tgk.override_gradient(model, {keras.activations.tanh: rule})(x) if rule else model(x)
        return tape.gradient(y, x)

    np.testing.assert_allclose(slope(lambda op, u: op.vjp(u)[0]), slope(None), rtol=1e-5)
    assert not np.any(slope(lambda op, u: tf.zeros_like(u)))


def tripled(op, upstream):
    return 3 * upstream


@tf.function
def called(x):
    return tf.nn.relu(x)


def branched(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.nn.relu(x) * x, lambda: x)


def looped(x):
    return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, tf.nn.relu(y) * x), (0, x))[1]


V = np.array([0.5, 2.0])
FUNCTIONS = {
    "plain": (lambda x: tf.nn.relu(x) ** 2, 6 * V),
    "called": (lambda x: called(x) * x, 3 * V + V),
    "in a branch": (branched, 3 * V + V),
    # y1 = r(x)·x, y2 = r(y1)·x, r' = 3: y2' = 3·(3x + x)·x + x²
    "in a loop": (looped, 13 * V**2),
    "beside a gradient of its own": (lambda x: tf.nn.silu(tf.nn.relu(x)), None),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_ops_of_a_function(name):
    f, expected = FUNCTIONS[name]
    if expected is None:
        expected = 3 * tgk.gradient(lambda x: tf.reduce_sum(f(x)))(V)
    own = tgk.gradient(lambda x: tf.reduce_sum(f(x)))
    before = own(V)
    other = tgk.override_gradient(f, {"Relu": tripled})
    np.testing.assert_array_equal(other(tf.constant(V)), f(tf.constant(V)))
    with tf.GradientTape() as tape:
        x = tf.Variable(V)
        y = other(x)
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-12)
    for keywords in ({}, {"jit_compile": True}) if name != "in a loop" else ({},):
        total = tgk.gradient(lambda x: tf.reduce_sum(other(x)), **keywords)
        np.testing.assert_allclose(total(V), expected, rtol=1e-12)
    np.testing.assert_array_equal(own(V), before)


@pytest.mark.parametrize("most", ["a number", "a tensor"])
def test_xla_differentiates_a_loop_with_maximum_iterations(most):
    def f(x):
        turns = 2 if most == "a number" else tf.size(x)
        unbounded = (lambda i, y: i < 9, lambda i, y: (i + 1, tf.nn.relu(y) * x), (0, x))
        return tf.while_loop(*unbounded, maximum_iterations=turns)[1]

    other = tgk.override_gradient(f, {"Relu": tripled})
    np.testing.assert_array_equal(other(tf.constant(V)), V**3)
    for keywords in ({}, {"jit_compile": True}):
        total = tgk.gradient(lambda x: tf.reduce_sum(other(x)), **keywords)
        np.testing.assert_allclose(total(V), 13 * V**2, rtol=1e-12)


def test_a_loop_whose_second_variable_is_another_number_runs_to_its_end():
    """An op of which ``tf.while_loop`` knows nothing: twice around for a limit of 1."""
    vector = tf.TensorSpec([2], tf.float64)
    counts = [tf.TensorSpec([], tf.int32)] * 2

    @tf.function(input_signature=[*counts, vector], autograph=False)
    def condition(i, limit, y):
        return (i < limit) & tf.reduce_all(y < 9)

    @tf.function(input_signature=[*counts, vector], autograph=False)
    def body(i, limit, y):
        return i + tf.cast(y[1] > 3, tf.int32), limit, tf.nn.relu(y) * V

    def f(x):
        functions = {"cond": condition.get_concrete_function(), "body": body.get_concrete_function()}
        return tf.raw_ops.StatelessWhile(input=[tf.constant(0), tf.constant(1), x], **functions)[2]

    other = tgk.override_gradient(f, {"Relu": tripled})
    np.testing.assert_array_equal(f(tf.constant(V)), V**3)
    np.testing.assert_array_equal(other(tf.constant(V)), V**3)


def test_a_second_derivative_is_that_of_the_rule():
    other = tgk.override_gradient(tf.sin, {"Sin": lambda op, u: u * op.inputs[0] ** 3})
    np.testing.assert_allclose(tgk.hessian(lambda x: tf.reduce_sum(other(x)))(V), np.diag(3 * V**2), rtol=1e-12)


def test_variables_of_a_module_and_its_training():
    class Module(tf.Module):
        def __init__(self):
            self.w = tf.Variable(V)

        def __call__(self, x):
            return tf.reduce_sum(tf.nn.relu(x * self.w))

    module = Module()
    other = tgk.override_gradient(module, {"Relu": tripled})
    np.testing.assert_allclose(tgk.gradient(other, wrt="parameters")(V)[0], 3 * V)
    with tf.GradientTape() as tape:  # which watches variables that are read
        y = other(tf.constant(V))
    np.testing.assert_allclose(tape.gradient(y, module.w), 3 * V)


def test_a_loaded_saved_model(tmp_path):
    module = tf.Module()
    module.w = tf.Variable(V)
    spec = tf.TensorSpec([None, 2], tf.float64)
    module.f = tf.function(lambda x: {"y": tf.nn.relu(called(x) * module.w)}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.f})
    loaded = tgk.load(tmp_path)
    other = tgk.override_gradient(loaded, {"Relu": tripled})
    u = np.ones((1, 2))
    np.testing.assert_allclose(tgk.vjp(other)(V[None], output_gradients=u), 9 * V[None])
    np.testing.assert_allclose(tgk.vjp(loaded)(V[None], output_gradients=u), V[None])


def test_saved_with_registered_rules(tmp_path):
    model = tgk.override_gradient(sequential(), {"layer:dense1": doubled, L.ReLU: doubled})
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(gradient(again), gradient(model))
    with pytest.raises(SignatureError, match="register_keras_serializable"):
        tgk.override_gradient(sequential(), {"Relu": guided}).save(tmp_path / "unnamed.keras")


class Traced(L.Layer):
    """A layer that keeps traces of its own."""

    def __init__(self):
        super().__init__(name="traced")
        self.inner = L.Dense(2, name="inner")
        self.traced = tf.function(lambda x: self.inner(x), autograph=False)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.traced(x)


ERRORS = {
    "no such op": (lambda: {"Tanh": guided}, "no such op.*'Tanh'(.|\n)*MatMul | Relu"),
    "no such type of op": (lambda: {"Reluu": guided}, "'Relu'"),
    "no such layer": (lambda: {"layer:dens1": guided}, "try: layer:dense1"),
    "a layer without the prefix": (lambda: {"kink": guided}, "'layer:kink'"),
    "no such class": (lambda: {L.LSTM: guided}, "Dense | ReLU(.|\n)*got: LSTM"),
    "no such activation": (lambda: {keras.activations.gelu: guided}, "expected: relu(.|\n)*got: gelu"),
    "no function": (lambda: {"Relu": 3}, "no function(.|\n)*int"),
    "no rule": (dict, "no rule"),
}


@pytest.mark.parametrize(("rules", "words"), ERRORS.values(), ids=ERRORS)
def test_what_is_not_there(rules, words):
    with pytest.raises(SignatureError) as raised:
        tgk.override_gradient(sequential(), rules())
    raised.match(words)


WRONG = {
    "shape": (lambda op, u: u[:, :1], r"Relu(.|\n)*float64 \[B, 4\](.|\n)*float64 \[B, 1\]"),
    "dtype": (lambda op, u: tf.cast(u, tf.float32), "float32"),
    "number": (lambda op, u: (u, u), "1, one for each input"),
}


@pytest.mark.parametrize(("rule", "words"), WRONG.values(), ids=WRONG)
def test_a_rule_of_the_wrong_form(rule, words):
    other = tgk.override_gradient(sequential(), {"Relu": rule})
    with pytest.raises(SignatureError) as raised:
        gradient(other)
    raised.match(words)


def test_what_is_out_of_reach():
    with pytest.raises(GradientError, match="gradient of its own"):
        tgk.override_gradient(tf.nn.silu, {"Sigmoid": guided})(tf.constant(V))
    model = keras.Sequential([keras.Input((2,)), Traced(), L.Dense(1)])
    with pytest.raises(GradientError, match=r"a tf\.function of its own"):
        tgk.gradient(tgk.override_gradient(model, {"layer:inner": doubled}))(X[:, :2])
    layer = Traced()
    layer.build((None, 2))
    with pytest.raises(GradientError, match=r"a tf\.function of its own"):
        tgk.override_gradient(layer, {"layer:inner": doubled})(X[:, :2])
    with pytest.raises(SignatureError, match="only a Keras model has layers"):
        tgk.override_gradient(tf.sin, {"layer:inner": guided})
    with pytest.raises(SignatureError, match="no such op"):
        tgk.override_gradient(tf.sin, {"Relu": guided})(tf.constant(V))
