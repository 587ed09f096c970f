"""The operators on plain functions: closed forms, shapes, dtypes, published numbers, unconnected results."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

RNG = np.random.default_rng(7)
A = RNG.normal(size=(4, 3))
I3, I2 = np.eye(3), np.eye(2)
PLANS = [(mode, strategy) for mode in ("forward", "reverse") for strategy in ("vectorize", "loop")]
close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)

# name: function (of one sample or of a batch of them), sample shape, value, Jacobian, Hessian of a sample
CLOSED_FORMS = {
    "scalar_to_scalar": (
        lambda x: x * tf.sin(x),
        (),
        lambda x: x * np.sin(x),
        lambda x: np.sin(x) + x * np.cos(x),
        lambda x: 2 * np.cos(x) - x * np.sin(x),
    ),
    "vector_to_scalar": (
        lambda x: tf.reduce_sum(x**2, -1) ** 2,
        (3,),
        lambda x: (x @ x) ** 2,
        lambda x: 4 * (x @ x) * x,
        lambda x: 4 * (x @ x) * I3 + 8 * np.outer(x, x),
    ),
    "matrix_to_scalar": (
        lambda x: tf.linalg.trace(x @ x @ x),
        (2, 2),
        lambda x: np.trace(x @ x @ x),
        lambda x: 3 * (x @ x).T,
        lambda x: 3 * (np.einsum("li,jk->ijkl", x, I2) + np.einsum("jk,il->ijkl", x, I2)),
    ),
    "scalar_to_vector": (
        lambda x: tf.stack([x, x**2, x**3], -1),
        (),
        lambda x: np.array([x, x**2, x**3]),
        lambda x: np.array([1, 2 * x, 3 * x**2]),
        lambda x: np.array([0, 2, 6 * x]),
    ),
    "vector_to_vector": (
        lambda x: tf.einsum("ij,...j->...i", tf.constant(A), tf.sin(x)),
        (3,),
        lambda x: A @ np.sin(x),
        lambda x: A * np.cos(x),
        lambda x: -np.einsum("ij,jk->ijk", A * np.sin(x), I3),
    ),
    "vector_to_matrix": (
        lambda x: tf.einsum("...i,...j->...ij", x, x),
        (3,),
        lambda x: np.outer(x, x),
        lambda x: np.einsum("ik,j->ijk", I3, x) + np.einsum("jk,i->ijk", I3, x),
        lambda x: np.einsum("ik,jl->ijkl", I3, I3) + np.einsum("jk,il->ijkl", I3, I3),
    ),
    "matrix_to_vector": (
        lambda x: tf.reduce_sum(x**3, -1),
        (2, 3),
        lambda x: (x**3).sum(-1),
        lambda x: np.einsum("ij,jk->ijk", I2, 3 * x**2),
        lambda x: np.einsum("ij,il,km,jk->ijklm", I2, I2, I3, 6 * x),
    ),
    "matrix_to_matrix": (
        lambda x: x @ x,
        (2, 2),
        lambda x: x @ x,
        lambda x: np.einsum("ik,lj->ijkl", I2, x) + np.einsum("ik,lj->ijkl", x, I2),
        lambda x: np.einsum("ik,lm,jn->ijklmn", I2, I2, I2) + np.einsum("im,kn,lj->ijklmn", I2, I2, I2),
    ),
}
SCALAR = [name for name in CLOSED_FORMS if name.endswith("to_scalar")]


def case(name, batched):
    """The function, a point or three, and value, Jacobian and Hessian there."""
    f, shape, *forms = CLOSED_FORMS[name]
    points = np.random.default_rng(3).uniform(0.3, 1.2, (3, *shape))
    x = points if batched else points[0]
    return f, x, *(np.stack([form(p) for p in points]) if batched else form(x) for form in forms)


def contract(tensor, seed, axes, batched):
    """Sums over the last ``axes`` axes of ``tensor``, sample by sample."""
    if batched:
        return np.stack([contract(t, s, axes, False) for t, s in zip(tensor, seed, strict=True)])
    return np.tensordot(tensor, seed, axes)


def check(result, expected):
    """The shape exactly, the dtype of x, and the numbers."""
    assert result.shape == np.shape(expected)
    assert result.dtype == tf.float64
    close(result, expected)


batches = pytest.mark.parametrize("batched", [False, True], ids=["one_sample", "batched"])
plans = pytest.mark.parametrize(("mode", "strategy"), PLANS, ids=["_".join(p) for p in PLANS])


@pytest.mark.parametrize("name", CLOSED_FORMS)
@batches
@plans
def test_jacobian_is_the_closed_form(name, batched, mode, strategy):
    f, x, y, j, _ = case(name, batched)
    value, result = tgk.value_and_jacobian(f, batched=batched, mode=mode, strategy=strategy)(x)
    check(value, y)
    check(result, j)


@pytest.mark.parametrize("name", CLOSED_FORMS)
@batches
def test_products_are_the_closed_form_and_each_others_adjoint(name, batched):
    f, x, y, j, _ = case(name, batched)
    u, v = RNG.normal(size=y.shape), RNG.normal(size=x.shape)
    ju = np.moveaxis(j, range(int(batched), y.ndim), range(-y.ndim + int(batched), 0)) if y.ndim > batched else j
    expected = {"vjp": contract(ju, u, y.ndim - batched, batched), "jvp": contract(j, v, x.ndim - batched, batched)}
    seeds = {"vjp": {"output_gradients": u}, "jvp": {"tangents": v}}
    for operator in ("vjp", "jvp"):
        check(getattr(tgk, operator)(f, batched=batched)(x, **seeds[operator]), expected[operator])
        value, product = getattr(tgk, f"value_and_{operator}")(f, batched=batched)(x, **seeds[operator])
        check(value, y)
        check(product, expected[operator])
    uj, jv = (getattr(tgk, o)(f, batched=batched)(x, **seeds[o]).numpy() for o in ("vjp", "jvp"))
    close(np.sum(uj * v), np.sum(u * jv))


# Three axes or more are in the next test: written out, their many passes take seconds to trace.
@pytest.mark.parametrize("name", [name for name in CLOSED_FORMS if not name.endswith("to_matrix")])
@plans
def test_hessian_is_the_closed_form(name, mode, strategy):
    f, x, y, j, h = case(name, batched=True)
    derivative = tgk.value_gradient_and_hessian(f, batched=True, mode=mode, strategy=strategy)
    for result, expected in zip(derivative(x), (y, j, h), strict=True):
        check(result, expected)


@pytest.mark.parametrize("name", CLOSED_FORMS)
@batches
def test_derivatives_without_value_and_keywords(name, batched):
    f, x, _, j, h = case(name, batched)
    check(tgk.jacobian(f, batched=batched)(x), j)
    check(tgk.hessian(f, batched=batched)(x), h)


@pytest.mark.parametrize("name", SCALAR)
@batches
def test_gradient_and_hessian_product_are_the_closed_form(name, batched):
    f, x, y, g, h = case(name, batched)
    v = RNG.normal(size=x.shape)
    check(tgk.gradient(f, batched=batched)(x), g)
    check(tgk.hvp(f, batched=batched)(x, tangents=v), contract(h, v, x.ndim - batched, batched))
    for result, expected in zip(tgk.value_and_gradient(f, batched=batched)(x), (y, g), strict=True):
        check(result, expected)
    value, product = tgk.value_and_hvp(f, batched=batched)(x, tangents=v)
    check(value, y)
    check(product, contract(h, v, x.ndim - batched, batched))


def test_batched_results_of_one_number_drop_its_axis_except_in_the_jacobian():
    f, x, y, g, h = case("vector_to_scalar", batched=True)
    column = lambda x: f(x)[:, None]  # noqa: E731
    v = RNG.normal(size=x.shape)
    check(tgk.gradient(column, batched=True)(x), g)
    check(tgk.hessian(column, batched=True)(x), h)
    check(tgk.hvp(column, batched=True)(x, tangents=v), contract(h, v, 1, True))
    for result, expected in zip(tgk.value_gradient_and_hessian(column, batched=True)(x), (y, g, h), strict=True):
        check(result, expected)
    for result, expected in zip(tgk.value_and_gradient(column, batched=True)(x), (y, g), strict=True):
        check(result, expected)
    check(tgk.jacobian(column, batched=True)(x), g[:, None])


def _seen(x):
    return tf.stack([2 * x[0] ** 2, x[1] ** 3, x[2] + x[1]])


def _branch(x):
    if x > 0.0:
        return x**2
    return -x


# operator, function, x, seeds, keywords, published result
PUBLISHED = {
    "cubic_slope": ("gradient", lambda x: 5 * x**3, 0.1, {}, {}, 0.15),
    "cubic_second": ("hessian", lambda x: 5 * x**3, 0.1, {}, {}, 3.0),
    "two_partials": ("gradient", lambda x: 2 * x[0] ** 2 + 3 * x[0] * x[1], [2.0, 1.0], {}, {}, [11, 6]),
    "square_at_three": ("gradient", lambda x: x**2, 3.0, {}, {}, 6.0),
    "square_of_nine": ("gradient", lambda y: y * y, 9.0, {}, {}, 18.0),
    "fourth_powers": ("gradient", lambda x: (x * x) ** 2, [1.0, 3.0], {}, {"batched": True}, [4, 108]),
    "squares": ("gradient", lambda x: x * x, [1.0, 3.0], {}, {"batched": True}, [2, 6]),
    "two_results_apart": ("jacobian", lambda x: tf.stack([x**2, -4 * x]), 2.0, {}, {}, [4, -4]),
    "two_results_summed": ("gradient", lambda x: x**2 - 4 * x, 2.0, {}, {}, 0.0),
    "sigmoid_slopes": (
        "gradient", tf.nn.sigmoid, [-1.0, 0.0, 1.0], {}, {"batched": True}, [0.19661194, 0.25, 0.19661193]),
    "three_by_three": ("jacobian", _seen, [1.0, 1.0, 1.0], {}, {}, [[4, 0, 0], [0, 3, 0], [0, 1, 1]]),
    "weighted_squares": ("vjp", lambda x: x * x, [1.0, 2.0], {"output_gradients": [2.0, 3.0]}, {}, [4, 12]),
    "summed_squares": ("vjp", lambda x: x * x, [1.0, 2.0], {"output_gradients": [1.0, 1.0]}, {}, [2, 4]),
    "unconnected": ("gradient", lambda x: tf.constant(9.0), [2.0, 2.0], {}, {}, [0, 0]),
    "upper_branch": ("gradient", _branch, 3.0, {}, {}, 6.0),
    "lower_branch": ("gradient", _branch, -3.0, {}, {}, -1.0),
    "linear_model": (
        "gradient", lambda x: x @ tf.constant([[0.17217076], [-0.2723155]]) + 0.5, [[9.0, 2], [8, 2], [8, 1]], {},
        {"batched": True}, [[0.17217076, -0.2723155]] * 3),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_number(name):
    operator, f, x, seeds, keywords, expected = PUBLISHED[name]
    result = getattr(tgk, operator)(f, **keywords)(x, **seeds)
    assert result.shape == np.shape(expected)
    assert result.dtype == tf.float32
    # The published numbers have eight digits, and float32 carries seven.
    np.testing.assert_allclose(result, expected, rtol=2e-7, atol=1e-7)


def test_published_network_of_two_linear_layers():
    w, u = tf.constant([[-0.03283963, -0.04337479]], tf.float64), tf.constant([-0.01133743, 0.08387997], tf.float64)
    v = tf.constant([[0.0123421], [0.08048297]], tf.float64)
    y, g = tgk.value_and_gradient(lambda x: (x @ w + u) @ v, batched=True)(np.array([[0.0], [0.5], [1.0]]))
    np.testing.assert_allclose(y, [0.00661098, 0.00466286, 0.00271474], atol=6e-9)
    np.testing.assert_allclose(g, np.full((3, 1), 0.00271474 - 0.00661098), atol=1.2e-8)


DTYPES = {
    "Python_float": (2.0, tf.float32),
    "list_of_floats": ([2.0, 3.0], tf.float32),
    "NumPy_float32": (np.float32([2, 3]), tf.float32),
    "NumPy_float64": (np.array([2.0, 3.0]), tf.float64),
    "tensor_float64": (tf.constant([2.0, 3.0], tf.float64), tf.float64),
    "variable": (tf.Variable([2.0, 3.0]), tf.float32),
    "float16": (tf.constant([2.0, 3.0], tf.float16), tf.float16),
    "bfloat16": (tf.constant([2.0, 3.0], tf.bfloat16), tf.bfloat16),
}


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_plain_function_keeps_the_dtype(name, mode):
    x, dtype = DTYPES[name]
    parts = tgk.value_gradient_and_hessian(lambda x: tf.reduce_sum(x**3), mode=mode)(x)
    assert [p.dtype for p in parts] == [dtype] * 3
    # Small integers, so that every dtype holds the exact result.
    n = np.array([2, 3]) if parts[1].shape.rank else np.array(2)
    for part, expected in zip(parts, ((n**3).sum(), 3 * n**2, np.diag(6 * n) if n.ndim else 6 * n), strict=True):
        np.testing.assert_array_equal(tf.cast(part, tf.float64), expected)


def test_complex_jacobian_has_one_value_whatever_the_mode():
    z = tf.constant([1 + 2j, 0.5 - 1j], tf.complex128)
    forward, reverse = (tgk.jacobian(lambda z: z**2, mode=mode)(z) for mode in ("forward", "reverse"))
    close(forward, reverse)


SEEDS = {"vjp": {"output_gradients": 1.0}, "jvp": {"tangents": [1.0, 1.0]}, "hvp": {"tangents": [1.0, 1.0]}}
SHAPES = {"gradient": [2], "jacobian": [2], "vjp": [2], "jvp": [], "hvp": [2], "hessian": [2, 2]}


@pytest.mark.parametrize("operator", SHAPES)
def test_unconnected_is_zero_or_none(operator):
    constant = lambda x: tf.constant(2.0)  # noqa: E731
    seeds = SEEDS.get(operator, {})
    result = getattr(tgk, operator)(constant)([1.0, 2.0], **seeds)
    np.testing.assert_array_equal(result, np.zeros(SHAPES[operator]))
    assert getattr(tgk, operator)(constant, unconnected="none")([1.0, 2.0], **seeds) is None


def test_forward_mode_feeds_no_zero():
    """TensorFlow's gradient of this norm divides by the gradient that comes back, and calls 0/0 what should be y."""
    weights = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    f = lambda s: tf.math.reduce_euclidean_norm(s * weights, 1)  # noqa: E731
    for mode in ("auto", "forward", "reverse"):
        np.testing.assert_allclose(tgk.jacobian(f, mode=mode)(2.0), [np.sqrt(5), 5], rtol=1e-6)
    np.testing.assert_allclose(tgk.jvp(f)(2.0, tangents=1.0), [np.sqrt(5), 5], rtol=1e-6)


def test_forward_mode_feeds_nothing_that_is_known_to_be_zero():
    """TensorFlow's gradient of a cross entropy leaves out a gradient that it knows to be zero."""
    z, labels = np.array([[0.3, -1.0, 0.5]]), tf.constant([[0.0, 1.0, 0.0]], tf.float64)
    f = lambda z: tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=z, labels=labels).backprop  # noqa: E731
    p = tf.nn.softmax(z).numpy()[0]
    expected = (np.diag(p) - np.outer(p, p))[None, :, None]
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(tgk.jacobian(f, mode=mode)(z), expected, rtol=1e-6)


def test_forward_mode_lets_a_clipped_gradient_through():
    @tf.custom_gradient
    def clipped(x):
        return 3 * x, lambda u: 3 * tf.clip_by_value(u, -1.0, 1.0)

    np.testing.assert_allclose(tgk.jacobian(clipped, mode="forward")(tf.constant([1.0, 2.0])), 3 * np.eye(2), rtol=1e-6)
