"""Rules of the user's own: both directions, every order, everywhere a function may be used."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import VerificationError

X = np.array([0.3, -1.2, 2.0])
SIGMOID = 1 / (1 + np.exp(-X))


def softplus(x):
    """Naively: what a rule is for."""
    return tf.math.log(1 + tf.exp(x))


def softplus_vjp(x, output_gradients):
    return output_gradients * tf.sigmoid(x)


def softplus_jvp(x, tangent):
    return tf.sigmoid(x) * tangent


RULES = {
    "both rules": {"vjp": softplus_vjp, "jvp": softplus_jvp},
    "vjp alone": {"vjp": softplus_vjp},
    "jvp alone": {"jvp": softplus_jvp},
}
each_rule = pytest.mark.parametrize("rules", RULES.values(), ids=RULES)


@each_rule
@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("strategy", ["vectorize", "loop"])
def test_jacobian(rules, mode, strategy):
    f = tgk.custom_rule(softplus, **rules)
    np.testing.assert_allclose(tgk.jacobian(f, mode=mode, strategy=strategy)(X), np.diag(SIGMOID), atol=1e-15)


def chain(f):
    """The gradients that come to the inner call depend on x, too: what a vectorized loop may lose."""
    return lambda x: f(f(x)) ** 2 * tf.reduce_sum(x)


@pytest.fixture(scope="module")
def second():
    return tgk.hessian(chain(tf.math.softplus))(X)


@pytest.mark.parametrize(
    ("rules", "mode", "strategy"),
    [
        ("both rules", "forward", "vectorize"),
        ("both rules", "reverse", "vectorize"),
        ("vjp alone", "forward", "vectorize"),
        ("jvp alone", "reverse", "vectorize"),
    ],
)
def test_second_order_through_a_chain(rules, mode, strategy, second):
    f = tgk.custom_rule(softplus, **RULES[rules])
    np.testing.assert_allclose(tgk.hessian(chain(f), mode=mode, strategy=strategy)(X), second, atol=1e-13)


def test_jacobian_of_jacobian_vectorized(second):
    f = tgk.custom_rule(softplus, **RULES["both rules"])
    inner = tgk.jacobian(chain(f), strategy="vectorize", mode="reverse")
    np.testing.assert_allclose(tgk.jacobian(inner, strategy="vectorize", mode="forward")(X), second, atol=1e-13)


def test_each_mode_takes_its_own_rule():
    f = tgk.custom_rule(softplus, vjp=lambda x, u: 2 * softplus_vjp(x, u), jvp=lambda x, v: 3 * softplus_jvp(x, v))
    np.testing.assert_allclose(tgk.vjp(f)(X, output_gradients=np.ones(3)), 2 * SIGMOID)
    np.testing.assert_allclose(tgk.jvp(f, verify="off")(X, tangents=np.ones(3)), 3 * SIGMOID)
    np.testing.assert_allclose(tgk.jacobian(f, mode="reverse")(X), np.diag(2 * SIGMOID))
    np.testing.assert_allclose(tgk.jacobian(f, mode="forward", verify="off")(X), np.diag(3 * SIGMOID))
    with pytest.raises(VerificationError, match="differs from a plain product"):
        tgk.jvp(f)(X, tangents=np.ones(3))
    # Second derivatives are those of the rule.
    slope = tgk.hvp(lambda x: tf.reduce_sum(f(x)))(X, tangents=np.ones(3))
    np.testing.assert_allclose(slope, 2 * SIGMOID * (1 - SIGMOID))


def test_tensorflows_forward_mode_ignores_its_custom_gradient_and_not_ours():
    seven = lambda x, u: 7 * u * tf.cos(x)  # noqa: E731
    theirs = tf.custom_gradient(lambda x: (tf.sin(x), lambda u: seven(x, u)))
    ours = tgk.custom_rule(tf.sin, vjp=seven)
    x = tf.constant(X)
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = theirs(x)
    np.testing.assert_allclose(accumulator.jvp(y), np.cos(X))  # the 7 is lost
    for f in (theirs, ours):
        np.testing.assert_allclose(tgk.jvp(f)(X, tangents=np.ones(3)), 7 * np.cos(X))
        np.testing.assert_allclose(tgk.jacobian(f, mode="forward")(X), np.diag(7 * np.cos(X)))
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = ours(x)
    np.testing.assert_allclose(accumulator.jvp(y), 7 * np.cos(X))


def test_nested_tapes_without_the_operators():
    f, x = tgk.custom_rule(softplus, **RULES["both rules"]), tf.constant(X)
    for call in (f, tf.function(f)):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(call(x))
            gradient = inner.gradient(y, x)
        np.testing.assert_allclose(gradient, SIGMOID)
        np.testing.assert_allclose(outer.gradient(gradient, x), SIGMOID * (1 - SIGMOID))


@tgk.custom_rule(
    vjp=lambda pair, times, shift, u: (
        {"a": times * u["y"] * pair["b"], "b": times * u["y"] * pair["a"]},
        u["y"] * pair["a"] * pair["b"],
        None,
    ),
    jvp=lambda pair, times, shift, d_pair, d_times, d_shift: {
        "y": times * (d_pair["a"] * pair["b"] + pair["a"] * d_pair["b"]) + d_times * pair["a"] * pair["b"],
        "count": None,
    },
)
def product(pair, times, shift=3):
    """Of dicts, several arguments, one that is an integer with a default, and an integer result."""
    return {"y": times * pair["a"] * pair["b"], "count": tf.size(pair["a"]) + shift}


PAIR = {"a": tf.constant([1.0, 2.0], tf.float64), "b": tf.constant([3.0, 5.0], tf.float64)}
TIMES = tf.constant([2.0, 7.0], tf.float64)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_structures_integers_and_defaults(mode):
    assert product(PAIR, TIMES, tf.constant(4))["count"] == 6
    found = tgk.jacobian(lambda p, t: product(p, t)["y"], argnums=(0, 1), mode=mode)(PAIR, TIMES)
    np.testing.assert_allclose(found[0]["a"], np.diag(TIMES * PAIR["b"]))
    np.testing.assert_allclose(found[0]["b"], np.diag(TIMES * PAIR["a"]))
    np.testing.assert_allclose(found[1], np.diag(PAIR["a"] * PAIR["b"]))
    # An integer tensor among what the rules need, to second order.
    mixed = tgk.jacobian(
        tgk.jacobian(lambda p, t: product(p, times=t, shift=tf.constant(1))["y"], mode=mode), argnums=1, mode=mode
    )(PAIR, TIMES)
    np.testing.assert_allclose(mixed["a"][0, 0, 0], PAIR["b"][0])


def test_structures_are_checked():
    assert product.check(PAIR, TIMES, 3).ok
    assert product.check(PAIR, times=TIMES).ok


def test_a_variable_inside_is_differentiated_as_usual():
    w = tf.Variable([1.0, 2.0, 3.0], dtype=tf.float64)
    f = tgk.custom_rule(lambda x: w**2 * x, vjp=lambda x, u: 10 * u * w**2)
    x = tf.constant(X)
    for call in (f, tf.function(f)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        by_x, by_w = tape.gradient(y, [x, w])
        np.testing.assert_allclose(by_x, 10 * w.numpy() ** 2)
        np.testing.assert_allclose(by_w, 2 * w.numpy() * X)
    np.testing.assert_allclose(tgk.jacobian(f, wrt=[w])(X)[0], np.diag(2 * w.numpy() * X))
    # An argument may be a variable.
    with tf.GradientTape() as tape:
        y = product(PAIR, tf.Variable(TIMES))
    assert y["y"].shape == [2]


@pytest.mark.parametrize("given", [("vjp", "jvp"), ("vjp",), ("jvp",)], ids=" and ".join)
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_mixed_derivatives_by_arguments_and_variables(given, graph):
    """In both orders: rules and functions that use a variable depend on it, and its gradient on the arguments."""
    w, x = tf.Variable([1.0, 2.0, 3.0], dtype=tf.float64), tf.constant(X)
    rule = lambda x, seed: seed * tf.cos(w * x) * w**2  # noqa: E731
    plain = lambda x: tf.sin(w * x) * w  # noqa: E731
    found = []
    for f in (tgk.custom_rule(plain, **dict.fromkeys(given, rule)), plain):
        call = tf.function(f, autograph=False) if graph else f
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(call(x) ** 2)
            slopes = inner.gradient(y, [x, w])
        found.append([*slopes, *(g for slope in slopes for g in outer.gradient(slope, [x, w]))])
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-12)


def scaled(s, x):
    return tgk.custom_rule(lambda x: x * s**2, vjp=lambda x, u: u * s**2)(x)


def test_tensors_that_are_closed_over():
    s = np.array([2.0, 3.0, 4.0])
    by_s = tgk.jacobian(scaled)
    np.testing.assert_allclose(by_s(s, X), np.diag(2 * s * X))
    np.testing.assert_allclose(tgk.jacobian(by_s, argnums=1)(s, X), np.einsum("ij,ik->ijk", np.diag(2 * s), np.eye(3)))
    s = tf.constant(s)
    with tf.GradientTape() as tape:
        tape.watch(s)
        y = scaled(s, tf.constant(X))
    np.testing.assert_allclose(tape.gradient(y, s), 2 * s * X)


def test_in_branches_loops_and_laplacians():
    f = tgk.custom_rule(softplus, **RULES["both rules"])
    branch = tgk.jacobian(lambda x: tf.cond(tf.reduce_sum(x) > -100, lambda: f(x), lambda: x))(X)
    np.testing.assert_allclose(branch, np.diag(SIGMOID))

    def thrice(g):
        return lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, g(x)), (0, x))[1]

    np.testing.assert_allclose(tgk.jacobian(thrice(f))(X), tgk.jacobian(thrice(tf.math.softplus))(X))
    expected = tgk.laplacian(chain(tf.math.softplus))(X)
    np.testing.assert_allclose(tgk.laplacian(chain(f))(X), expected, rtol=1e-12)


def test_autograph_works_inside_and_python_does_eagerly():
    @tgk.custom_rule(vjp=lambda x, u: 5 * u)
    def branching(x):
        if tf.reduce_sum(x) > 0:
            return x
        return -x

    np.testing.assert_allclose(tgk.jacobian(branching)(X), 5 * np.eye(3))
    np.testing.assert_allclose(tf.function(branching)(tf.constant(-X)), X)
    assert branching(tf.constant(X)).numpy() is not None


def test_complex_rules_follow_tensorflows_convention():
    z = np.array([1 + 2j, -0.5j])
    f = tgk.custom_rule(lambda z: z * z, vjp=lambda z, u: u * tf.math.conj(2 * z), jvp=lambda z, v: 2 * z * v)
    plain = lambda z: z * z  # noqa: E731
    u = np.array([1 - 1j, 2.0 + 0j])
    np.testing.assert_allclose(tgk.vjp(f)(z, output_gradients=u), tgk.vjp(plain)(z, output_gradients=u))
    np.testing.assert_allclose(tgk.jvp(f)(z, tangents=u), tgk.jvp(plain)(z, tangents=u))


def test_compiled_by_xla():
    f = tgk.custom_rule(softplus, **RULES["both rules"])
    np.testing.assert_allclose(tgk.jacobian(f, jit_compile=True)(X), np.diag(SIGMOID), atol=1e-15)
    found = tgk.hessian(lambda x: tf.reduce_sum(f(x)), jit_compile=True)(X)
    np.testing.assert_allclose(found, np.diag(SIGMOID * (1 - SIGMOID)), atol=1e-15)


def test_a_vectorized_loop_inside_and_outside():
    f = tgk.custom_rule(tf.sin, vjp=lambda x, u: 7 * u * tf.cos(x))
    inside = tf.vectorized_map(lambda x: tgk.gradient(f)(x), tf.constant(X))
    np.testing.assert_allclose(inside, 7 * np.cos(X))
    # TensorFlow drops the rule from a loop that it vectorizes: an error, not another derivative.
    with pytest.raises(tgk.errors.GradientError, match="a vectorized loop over sin has lost"):
        tgk.jacobian(lambda x: tf.vectorized_map(f, x))(X)
    mapped = tgk.jacobian(lambda x: tf.map_fn(f, x))(X)
    np.testing.assert_allclose(mapped, np.diag(7 * np.cos(X)), atol=1e-15)


def test_check_tells_right_from_wrong():
    right = tgk.custom_rule(softplus, **RULES["both rules"]).check(X, order=2)
    assert right.ok
    assert right.digits > 10
    wrong = tgk.custom_rule(softplus, vjp=softplus_vjp, jvp=lambda x, v: 1.01 * softplus_jvp(x, v)).check(X)
    assert wrong.status == "wrong"
    assert {finding.method for finding in wrong.findings if finding.status == "wrong"} == {
        "differences",
        "forward against reverse",
    }
    # Numbers that are no argument of the rule are passed on.
    assert tgk.custom_rule(lambda x, n: x**n, vjp=lambda x, n, u: (u * n * x ** (n - 1), None)).check(X, 3).ok


def two(x, scale):
    return scale * x


WRONG = {
    "one result of two": (lambda x, s, u: u * s, "the wrong number of results", "(argument x, argument scale)"),
    "None": (lambda x, s, u: (u * s, None), "returns None for argument scale", "floating"),
    "another shape": (lambda x, s, u: (u * s, tf.reduce_sum(u * x)), "another shape for argument scale", "[3]"),
    "another dtype": (lambda x, s, u: (tf.cast(u * s, tf.float32), u * x), "another dtype for argument x", "float32"),
    "another structure": (lambda x, s, u: ({"a": u * s}, u * x), "another structure for argument x", "{'a'"),
    "no tensor": (lambda x, s, u: ("gradient", u * x), "another dtype for argument x", "string"),
}


@pytest.mark.parametrize(("rule", "says", "and_says"), WRONG.values(), ids=WRONG)
def test_a_vjp_rule_that_does_not_fit(rule, says, and_says):
    f = tgk.custom_rule(two, vjp=rule)
    with pytest.raises(tgk.errors.GradientError) as caught:
        tgk.vjp(f, argnums=(0, 1))(X, X, output_gradients=X)
    assert "the vjp rule of two" in str(caught.value)
    assert says in str(caught.value)
    assert and_says in str(caught.value)


def test_a_jvp_rule_that_does_not_fit():
    f = tgk.custom_rule(softplus, jvp=lambda x, v: tf.reduce_sum(v * tf.sigmoid(x)))
    with pytest.raises(tgk.errors.GradientError, match="the jvp rule of softplus returns another shape for the result"):
        tgk.jvp(f)(X, tangents=X)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: tgk.custom_rule(softplus), "no rule was given: softplus"),
        (lambda: tgk.custom_rule(3, vjp=softplus_vjp), "a rule needs a function"),
        (lambda: tgk.custom_rule(softplus, vjp=3), "a rule is a function: vjp"),
        (lambda: tgk.custom_rule(two, vjp=lambda x, u: u), r"expected: \(x, scale, output_gradients\)"),
        (lambda: tgk.custom_rule(two, jvp=lambda x, s, v: v), r"expected: \(x, scale, d_x, d_scale\)"),
        (lambda: tgk.custom_rule(lambda x, *, n: x, vjp=lambda x, u: u)(X, n=2), "no keyword-only arguments"),
    ],
)
def test_rules_that_can_not_be(make, says):
    with pytest.raises(tgk.errors.SignatureError, match=says):
        make()


@tgk.custom_rule(**RULES["both rules"])
def smooth_step(x):
    return tf.math.log(1 + tf.exp(x))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, activation=smooth_step), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    return model


POINTS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def test_as_an_activation_of_keras(model, tmp_path):
    twin = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "softplus"), keras.layers.Dense(2)])
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(tgk.hessian(model)(POINTS), tgk.hessian(twin)(POINTS), atol=1e-6)
    assert tgk.check_gradients(model, POINTS).ok
    for ours, expected in zip(*(tgk.jacobian(m, wrt="parameters")(POINTS) for m in (model, twin)), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    # The file names the function; whoever loads it gives it.
    again = tgk.load(tmp_path / "model.keras", custom_objects={"smooth_step": smooth_step})
    np.testing.assert_array_equal(tgk.jacobian(again)(POINTS), tgk.jacobian(model)(POINTS))


ELSEWHERE = """
import sys, numpy as np, tensorflow as tf
points = np.load("points.npy")
saved = tf.saved_model.load("derivatives")
tangents = tf.ones_like(points)
found = {
    "jacobian": saved.signatures["jacobian"](x=tf.constant(points))["jacobian"],
    "jvp": saved.signatures["jvp"](x=tf.constant(points), tangents=tangents)["jvp"],
}
plain = tf.saved_model.load("plain")
x = tf.constant(points)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = plain(x)
found["gradient"] = tape.gradient(y, x)
assert not any(name.startswith("tfgradkit") for name in sys.modules)
import tfgradkit as tgk
from tfgradkit.errors import VerificationError
found["reverse"] = tgk.jacobian(plain, batched=True, mode="reverse")(points)
np.savez("found.npz", **found)
try:
    tgk.load("model.keras")
except tgk.errors.UnknownLayerError as error:
    assert "smooth_step" in str(error)
else:
    raise AssertionError("a file brought its code along")
"""


def test_saved_models_in_another_process(model, tmp_path):
    module = tf.Module()
    module.model = model
    module.__call__ = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "plain"))
    tgk.export_saved_model(model, tmp_path / "derivatives", ("jacobian", "jvp"))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "points.npy", POINTS)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    jacobian = tgk.jacobian(model)(POINTS)
    np.testing.assert_allclose(found["jacobian"], jacobian, rtol=1e-6)
    np.testing.assert_allclose(found["jvp"], tf.reduce_sum(jacobian, 2), rtol=1e-5)
    np.testing.assert_allclose(found["gradient"], tf.reduce_sum(jacobian, 1), rtol=1e-5)
    np.testing.assert_allclose(found["reverse"], jacobian, rtol=1e-5)


def test_in_the_c_library(model, tmp_path):
    library = tgk.export_native(model, tmp_path / "net", "net", ("jacobian",), targets=("x86-64",))
    np.testing.assert_allclose(library.jacobian(POINTS), tgk.jacobian(model)(POINTS), rtol=1e-5, atol=1e-6)
