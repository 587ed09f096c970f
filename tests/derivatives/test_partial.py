"""Partial derivatives by position and by name, their errors, and small PDE networks trained on them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk

X = np.random.default_rng(3).uniform(0.3, 1.2, (4, 3))
POINTS = X[:, 0], X[:, 1]


def polynomial(x):
    return x[..., 0] ** 4 * x[..., 1] ** 3 * tf.sin(x[..., 2])


def wave(x, t):
    return tf.exp(-3 * t) * tf.sin(2 * x)


# Directions, and the answer by hand.
PARTIALS = {
    "first": ((0,), lambda a, b, c: 4 * a**3 * b**3 * np.sin(c)),
    "second": ((0, 0), lambda a, b, c: 12 * a**2 * b**3 * np.sin(c)),
    "mixed": ((1, 0), lambda a, b, c: 12 * a**3 * b**2 * np.sin(c)),
    "from_the_end": ((-1, -1), lambda a, b, c: -(a**4) * b**3 * np.sin(c)),
    "third": ((0, 1, 0), lambda a, b, c: 36 * a**2 * b**2 * np.sin(c)),
    "fourth": ((2, 0, 0, 2), lambda a, b, c: -12 * a**2 * b**3 * np.sin(c)),
}


@pytest.mark.parametrize("name", PARTIALS)
def test_partial_by_position_is_the_closed_form(name):
    directions, closed = PARTIALS[name]
    value, got = tgk.value_and_partial(polynomial, *directions, batched=True)(X)
    np.testing.assert_allclose(got, closed(*X.T), rtol=1e-12)
    np.testing.assert_allclose(value, polynomial(X), rtol=1e-14)
    np.testing.assert_allclose(tgk.partial(polynomial, *directions)(X[0]), closed(*X[0]), rtol=1e-12)


# The same without rules: by nested reverse passes.
@tf.custom_gradient
def own_sine(x):
    return tf.sin(x), lambda u: u * tf.cos(x)


@pytest.mark.parametrize("directions", [(0, 0), (0, 1), (1, 0, 0)])
def test_partial_through_a_custom_gradient(directions):
    own = tgk.partial(lambda x: own_sine(x[..., 0] * x[..., 1]), *directions, batched=True)
    plain = tgk.partial(lambda x: tf.sin(x[..., 0] * x[..., 1]), *directions, batched=True)
    np.testing.assert_allclose(own(X), plain(X), rtol=1e-12)


def wave_partial(x, t, by_x, by_t):
    sines = [np.sin, np.cos, lambda a: -np.sin(a)]
    return (-3) ** by_t * np.exp(-3 * t) * 2**by_x * sines[by_x](2 * x)


@pytest.mark.parametrize("names", [("x",), ("t",), ("x", "x"), ("x", "t"), ("t", "x"), ("t", "t")], ids="".join)
@pytest.mark.parametrize("shape", ["scalar", "points", "batch", "column"])
def test_partial_by_name_is_the_closed_form(names, shape):
    x, t = {
        "scalar": (POINTS[0][0], POINTS[1][0]),
        "points": POINTS,
        "batch": POINTS,
        "column": (POINTS[0][:, None], POINTS[1][:, None]),
    }[shape]
    batched = shape in ("batch", "column")
    got = tgk.partial(wave, *names, batched=batched)(x, t)
    np.testing.assert_allclose(got, wave_partial(x, t, names.count("x"), names.count("t")), rtol=1e-13)


def test_pairs_of_name_and_position():
    u = lambda x, t: x[..., 0] ** 2 * x[..., 1] * t**3  # noqa: E731
    x, t = X[:, :2], X[:, 2]
    derivative = tgk.partial(u, ("x", 0), ("x", 1), "t", batched=True)
    np.testing.assert_allclose(derivative(x, t), 6 * x[:, 0] * t**2, rtol=1e-13)


def test_names_of_keys_and_of_a_models_inputs():
    u = lambda point: point["x"] ** 3 * point["t"]  # noqa: E731
    got = tgk.partial(u, "x", "t", batched=True)({"x": POINTS[0], "t": POINTS[1]})
    np.testing.assert_allclose(got, 3 * POINTS[0] ** 2, rtol=1e-13)
    x, t = keras.Input((1,), name="x", dtype="float64"), keras.Input((1,), name="t", dtype="float64")
    product = keras.layers.Multiply(dtype="float64")([x, x, t])
    columns = [p[:, None] for p in POINTS]
    for inputs, given in (([x, t], columns), ({"x": x, "t": t}, dict(zip("xt", columns, strict=True)))):
        model = keras.Model(inputs, product)
        np.testing.assert_allclose(tgk.partial(model, "x", "t")(given), 2 * columns[0], rtol=1e-13)
        np.testing.assert_allclose(tgk.partial(model, "x", "x")(given), 2 * columns[1], rtol=1e-13)


def test_output_picks_a_component_of_anything():
    f = lambda x: {"u": tf.stack([x[..., 0] ** 2, x[..., 0] ** 3], -1), "p": (x[..., 1], x[..., 0] * x[..., 1])}  # noqa: E731
    a, b = X[:, 0], X[:, 1]
    cases = {("u", 1): 3 * a**2, ("u", -2): 2 * a, ("p", 1): b}
    for output, expected in cases.items():
        np.testing.assert_allclose(tgk.partial(f, 0, output=output, batched=True)(X), expected, rtol=1e-13)
    got = tgk.partial(f, 0, output="u", batched=True)(X)
    np.testing.assert_allclose(got, np.stack([2 * a, 3 * a**2], 1), rtol=1e-13)
    value, got, aux = tgk.value_and_partial(
        lambda x: (x**2, 2 * x), 0, output=0, batched=True, has_aux=True
    )(X)  # fmt: skip
    np.testing.assert_allclose(value, a**2)
    np.testing.assert_allclose(got, 2 * a)
    np.testing.assert_allclose(aux, 2 * X)


def test_partials_of_an_mlp_are_entries_of_the_hessian():
    model = build(mlp(3, 2, width=5), "float64")
    hessian = tgk.hessian(model)(X).numpy()
    for i, j in ((0, 0), (0, 2)):
        np.testing.assert_allclose(tgk.partial(model, i, j)(X), hessian[:, :, i, j], rtol=1e-11, atol=1e-13)
    got = tgk.partial(tgk.gradient(lambda x: model(x)[:, 0], batched=True), 1)(X)
    np.testing.assert_allclose(got, hessian[:, 0, :, 1], rtol=1e-11, atol=1e-13)


def test_unconnected_direction():
    u = lambda x, t: (x**2, t)  # noqa: E731
    squared, other = tgk.partial(u, "x", batched=True, unconnected="none")(*POINTS)
    np.testing.assert_allclose(squared, 2 * POINTS[0])
    assert other is None
    assert not tgk.partial(u, "x", batched=True)(*POINTS)[1].numpy().any()


WRONG = {
    "no_direction": (wave, (), {}, POINTS, "needs a direction"),
    "no_such_kind": (wave, (1.5,), {}, POINTS, "got: 1.5"),
    "position_among_several_arguments": (wave, ("x", "t", 0), {}, POINTS, 'a name, or a pair: "x" or ("x", 0)'),
    "unknown_name": (wave, ("y",), {"batched": True}, POINTS, "no such argument"),
    "names_and_argnums": (wave, ("x",), {"argnums": 1}, POINTS, "leave argnums= out"),
    "position_too_large": (polynomial, (3,), {"batched": True}, (X,), "-3 to 2"),
    "a_name_for_several_coordinates": (lambda x: x[:, 0] ** 2, ("x",), {"batched": True}, (X,), '("x", 0)'),
    "no_such_output": (lambda x: x**2, (0,), {"batched": True, "output": 3}, (X,), "output=3"),
    "no_such_key": (lambda x: {"a": x}, (0,), {"batched": True, "output": "b"}, (X,), "output='b'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_directions_are_told(name):
    fn, directions, keywords, arguments, told = WRONG[name]
    with pytest.raises(tgk.errors.SignatureError) as raised:
        tgk.partial(fn, *directions, **keywords)(*arguments)
    assert told in str(raised.value)


def test_burgers_residual_by_names():
    # u = x / (1 + t) solves u_t + u u_x = ν u_xx.
    u = lambda x, t: x / (1 + t)  # noqa: E731
    u_t, u_x, u_xx = (tgk.partial(u, *names, batched=True) for names in (("t",), ("x",), ("x", "x")))

    @tf.function
    def residual(x, t):
        return u_t(x, t) + u(x, t) * u_x(x, t) - 0.1 * u_xx(x, t)

    np.testing.assert_allclose(residual(*map(tf.constant, POINTS)), np.zeros(4), atol=1e-15)


def test_outer_tapes_by_weights_and_inputs():
    model = build(mlp(2, 1, width=3), "float64")
    u = lambda x, t: model(tf.stack([x, t], -1))[..., 0]  # noqa: E731
    second = tgk.partial(u, "x", "x", batched=True)
    x, t = map(tf.constant, POINTS)
    kernel = model.trainable_variables[0].value
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        total = tf.reduce_sum(second(x, t))
    third = tgk.partial(u, "x", "x", "x", batched=True)(x, t)
    np.testing.assert_allclose(tape.gradient(total, x), third, rtol=1e-11)
    slope, h, start = tape.gradient(total, kernel).numpy(), 1e-4, kernel.numpy()
    quotients = np.zeros_like(start)
    for index in np.ndindex(start.shape):
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * h
            kernel.assign(moved)
            quotients[index] += sign * np.sum(second(x, t)) / (2 * h)
    np.testing.assert_allclose(slope, quotients, rtol=1e-6, atol=1e-7)


class Poisson(keras.Model):
    """−Δu = f in the unit square, u = 0 on its edges, as a Keras model that ``fit`` trains."""

    def __init__(self):
        super().__init__()
        self.network = keras.Sequential(
            [keras.Input((2,)), *[keras.layers.Dense(20, "tanh") for _ in range(2)], keras.layers.Dense(1)]
        )
        self.laplacian = tgk.laplacian(self.solution, batched=True)

    def solution(self, x):
        edges = 16 * tf.reduce_prod(x * (1 - x), -1, keepdims=True)
        return edges * self.network(x)

    def call(self, x):
        return -self.laplacian(x)


def test_a_poisson_network_trained_by_fit_reaches_the_solution():
    keras.utils.set_random_seed(3)
    x = np.random.default_rng(0).uniform(size=(600 * 128, 2)).astype("float32")
    solution = np.prod(np.sin(np.pi * x), 1, keepdims=True)
    model = Poisson()
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 600)
    model.compile(keras.optimizers.Adam(rate), "mse", jit_compile=True, steps_per_execution=50)
    model.fit(x, 2 * np.pi**2 * solution, batch_size=128, verbose=0)
    assert np.abs(model.solution(x[:500]) - solution[:500]).max() < 1e-2
