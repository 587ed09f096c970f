"""The gradients that TensorFlow lacks or gets wrong: in every mode and strategy, first and second order."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError

SAMPLE = (3, 4, 1)
X = np.random.default_rng(0).uniform(0.1, 0.9, (2, *SAMPLE))
# No two colours alike, and no hue at a multiple of a sixth.
PIXELS = np.array([[0.7, 0.45, 0.2], [0.3, 0.55, 0.8], [0.15, 0.6, 0.35]])[:, None, None]
TURNED = tf.constant([[0.92, -0.39, 0.7, 0.39, 0.92, -0.3, 0.01, -0.02], [1.3, 0.1, -0.7, 0.2, 0.7, -0.3, 0, 0]])


def resize(method, size, **keywords):
    return lambda z: tf.image.resize(z, size, method, **keywords)


def warp(interpolation, fill_mode):
    return lambda z: tf.raw_ops.ImageProjectiveTransformV3(
        images=z, transforms=TURNED, output_shape=[4, 3], fill_value=0.3,
        interpolation=interpolation, fill_mode=fill_mode,
    )  # fmt: skip


# Affine in the image, computed in float32 (but for nearest, warp): a whole step is an exact difference quotient.
LINEAR = {
    "bilinear": resize("bilinear", [5, 7]),
    "bilinear_corners": lambda z: tf.compat.v1.image.resize(z, [2, 3], align_corners=True),
    "bilinear_antialias": resize("bilinear", [2, 3], antialias=True),
    "lanczos": resize("lanczos3", [5, 7]),
    "nearest": resize("nearest", [5, 7]),
    "bicubic": resize("bicubic", [5, 7]),
    "area": resize("area", [2, 3]),
    "crop": lambda z: tf.image.crop_and_resize(z, [[0.1, 0.2, 0.8, 0.9], [0.0, 0.0, 1.0, 1.0]], [0, 1], [4, 5]),
    "crop_nearest": lambda z: tf.image.crop_and_resize(z, [[0.1, 0.2, 0.8, 0.9]] * 2, [0, 1], [4, 5], "nearest"),
    "glimpse": lambda z: tf.image.extract_glimpse(
        tf.cast(z, tf.float32), [3, 3], [[0.5, 0.2], [-0.3, 0.1]], noise="zero"),
    "contrast": lambda z: tf.image.adjust_contrast(z, 1.7),
    "max_pool_argmax": lambda z: tf.nn.max_pool_with_argmax(z, 2, 1, "SAME")[0],
    "max_pool_argmax_of_batch": lambda z: tf.nn.max_pool_with_argmax(z, 2, 1, "SAME", include_batch_in_index=True)[0],
    "fake_quant": lambda z: tf.quantization.fake_quant_with_min_max_args(tf.cast(z, tf.float32), -0.5, 0.5),
    **{f"warp_{i}_{f}".lower(): warp(i, f)
       for i, f in (("BILINEAR", "CONSTANT"), ("BILINEAR", "REFLECT"), ("BILINEAR", "WRAP"), ("NEAREST", "NEAREST"))},
}  # fmt: skip
# Selections: their derivative is that of what they select, found with a step that leaves the selection.
SELECTING = {"max_pool_argmax", "max_pool_argmax_of_batch"}
# What pfor has a form of, or none of whose ops needs one.
VECTORIZED = {"area", "glimpse", "contrast", "fake_quant", *(name for name in LINEAR if name.startswith("warp"))}


@functools.cache
def matrix(name):
    """The Jacobian of one sample, [2, outputs, inputs]."""
    f, size = LINEAR[name], np.prod(SAMPLE)
    if name == "fake_quant":  # its rounding is passed by: the derivative is by intent that of clipping
        return np.stack([np.diag((x < 0.5).astype(float)) for x in X.reshape(2, -1)])
    step = 1e-6 if name in SELECTING else 1.0
    columns = [f(tf.constant(X + step * unit.reshape(SAMPLE))) - f(tf.constant(X)) for unit in np.eye(size)]
    return np.stack([column.numpy().reshape(2, -1) for column in columns], -1) / step


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_of_an_image_op(name, mode):
    jacobian = tgk.jacobian(LINEAR[name], batched=True, mode=mode)(X)
    assert jacobian.shape[-3:] == SAMPLE
    np.testing.assert_allclose(np.reshape(jacobian, matrix(name).shape), matrix(name), atol=2e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_vectorized_or_an_error_that_says_what_to_do(name):
    derivative = tgk.jacobian(LINEAR[name], batched=True, mode="reverse", strategy="vectorize")
    if name in VECTORIZED:
        np.testing.assert_allclose(np.reshape(derivative(X), matrix(name).shape), matrix(name), atol=2e-6)
    else:
        with pytest.raises(GradientError, match=r"can't be vectorized[^$]*strategy=\"tile\""):
            derivative(X)


@pytest.mark.parametrize("name", LINEAR)
def test_second_order_through_an_image_op(name):
    """Of Σ sin(A x) + Σ x³: the second term tells a lost op from one that is none at all."""

    def f(z):
        y = tf.cast(LINEAR[name](z), z.dtype)
        return tf.reduce_sum(tf.sin(y), [1, 2, 3]) + tf.reduce_sum(z**3, [1, 2, 3])

    size = np.prod(SAMPLE)
    a, y = matrix(name), LINEAR[name](tf.constant(X)).numpy().reshape(2, -1)
    expected = np.einsum("bik,bi,bil->bkl", a, -np.sin(y), a) + np.stack([np.diag(6 * x.ravel()) for x in X])
    if name in ("bilinear", "nearest", "bicubic", "contrast"):
        hessian = tgk.hessian(f, batched=True)(X)
        np.testing.assert_allclose(np.reshape(hessian, (2, size, size)), expected, atol=5e-6)
    v = np.random.default_rng(1).normal(size=X.shape)
    product = tgk.hvp(f, batched=True)(X, tangents=v)
    np.testing.assert_allclose(
        np.reshape(product, (2, size)), np.einsum("bkl,bl->bk", expected, v.reshape(2, -1)), atol=2e-5
    )


def lrn(x):
    """Krizhevsky et al. 2012, sec. 3.3, in float64; TensorFlow's op has none."""
    near = np.abs(np.arange(3)[:, None] - np.arange(3)) <= 1
    return x * (1.2 + 0.4 * (x**2) @ near) ** -0.7


# A smooth function of the image, and the same in NumPy where TensorFlow has it in float32 alone.
SMOOTH = {
    "hsv_to_rgb": (lambda z: tf.image.hsv_to_rgb(z), None),
    "rgb_to_hsv": (tf.image.rgb_to_hsv, None),
    "hue": (lambda z: tf.image.adjust_hue(tf.cast(z, tf.float32), 0.1), None),
    "saturation": (lambda z: tf.image.adjust_saturation(tf.cast(z, tf.float32), 0.7), None),
    "local_response": (lambda z: tf.nn.lrn(tf.cast(z, tf.float32), 1, 1.2, 0.4, 0.7), lrn),
    "softsign": (tf.nn.softsign, None),
}


def exact(name):
    """The function in float64."""
    from tfgradkit.op_gradients.ops import images

    f, numpy = SMOOTH[name]
    if numpy is not None:
        return numpy
    if name in ("hue", "saturation"):
        turned = {"hue": lambda h, s, v: (np.mod(h + np.float32(0.1), 1), s, v),
                  "saturation": lambda h, s, v: (h, np.clip(s * np.float32(0.7), 0, 1), v)}[name]  # fmt: skip
        hsv = lambda x: np.moveaxis(tf.image.rgb_to_hsv(tf.constant(x)).numpy(), -1, 0)  # noqa: E731
        return lambda x: images.hsv_to_rgb(np.stack(turned(*hsv(x)), -1)).numpy()
    return lambda x: f(tf.constant(x)).numpy()


def slopes(f, x, h=1e-4):
    """Central differences along each number of a pixel's colour, exact to h**4; pixels don't mix."""
    units = np.eye(x.shape[-1]) * h
    near, far = (np.stack([f(x + k * u) - f(x - k * u) for u in units], -1) for k in (1, 2))
    return (8 * near - far) / (12 * h)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_colours_first_and_second_order(name, mode):
    """f'(x), and the second derivative of Σ f³ + Σ x³ times a vector; pixels are samples."""
    f, _ = SMOOTH[name]
    np.testing.assert_allclose(f(tf.constant(PIXELS)), exact(name)(PIXELS), atol=1e-6)
    expected = slopes(exact(name), PIXELS)
    v = np.random.default_rng(2).normal(size=PIXELS.shape)
    if mode == "forward":
        product, along = tgk.jvp(f, batched=True)(PIXELS, tangents=v), np.einsum("nabij,nabj->nabi", expected, v)
        np.testing.assert_allclose(product, along, atol=1e-5 * np.abs(expected).max())
        return
    product, along = tgk.vjp(f, batched=True)(PIXELS, output_gradients=v), np.einsum("nabij,nabi->nabj", expected, v)
    np.testing.assert_allclose(product, along, atol=1e-5 * np.abs(expected).max())
    weighted = lambda z: tf.reduce_sum(tf.cast(f(z), z.dtype) ** 3 + z**3, [1, 2, 3])  # noqa: E731

    def gradient(x):
        return 3 * np.einsum("nabi,nabij->nabj", exact(name)(x) ** 2, slopes(exact(name), x)) + 3 * x**2

    second = np.einsum("nabij,nabj->nabi", slopes(gradient, PIXELS, h=1e-3), v)
    product = tgk.hvp(weighted, batched=True)(PIXELS, tangents=v)
    np.testing.assert_allclose(product, second, atol=2e-5 * np.abs(second).max())


def test_rules_hold_for_any_tape():
    """A user's own tape, around a tf.function or not, has them, too."""
    x = tf.constant(X, tf.float32)
    for f in (LINEAR["bilinear"], tf.function(LINEAR["bilinear"])):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(tf.sin(f(x)))
            slope = inner.gradient(y, x)
        second = outer.gradient(slope, x)
        expected = np.einsum("bik,bi,bil->bk", matrix("bilinear"), -np.sin(f(x)).reshape(2, -1), matrix("bilinear"))
        np.testing.assert_allclose(np.reshape(second, (2, -1)), expected, atol=1e-5)


def test_tensorflows_own_rule_for_warping_is_not_the_adjoint():
    """Why it is taken over: when this fails, TensorFlow has mended it, and the rule can go."""
    x, upstream = tf.constant(X), np.random.default_rng(3).normal(size=(2, 4, 3, 1))
    # The rule as TensorFlow has it: the inverse transform of what comes from above.
    square = np.concatenate([TURNED.numpy(), np.ones((2, 1))], 1).reshape(2, 3, 3)
    inverse = np.linalg.inv(square).reshape(2, 9)
    stock = tf.raw_ops.ImageProjectiveTransformV3(
        images=upstream, transforms=(inverse / inverse[:, 8:])[:, :8].astype("float32"), output_shape=[3, 4],
        fill_value=0.0, interpolation="BILINEAR",
    )  # fmt: skip
    exact_one = tgk.vjp(LINEAR["warp_bilinear_constant"], batched=True)(x, output_gradients=upstream)
    assert np.abs(stock - exact_one).max() > 0.1


COLOURS = np.random.default_rng(5).uniform(0.1, 0.9, (2, 2, 3, 3)).astype("float32")
SILENT = {
    "HSVToRGB": lambda x: tf.raw_ops.HSVToRGB(images=x) + x,
    "ExtractGlimpse": lambda x: tf.compat.v1.image.extract_glimpse(x, [2, 3], [[0.0, 0.0]] * 2) + x,
    "PyFunc": lambda x: tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), x.shape) + x,
    "DrawBoundingBoxes": lambda x: tf.raw_ops.DrawBoundingBoxes(images=x, boxes=tf.zeros([2, 1, 4])) + x,
    "RandomShuffle": lambda x: tf.transpose(tf.random.shuffle(tf.transpose(x, [1, 0, 2, 3])), [1, 0, 2, 3]) + x,
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("operator", ["jacobian", "gradient", "jvp"])
def test_what_would_be_lost_is_an_error_that_names_the_op(name, operator):
    f = SILENT[name] if operator in ("jacobian", "jvp") else lambda x: tf.reduce_sum(SILENT[name](x), [1, 2, 3])
    seeds = {"tangents": COLOURS} if operator == "jvp" else {}
    with pytest.raises(GradientError, match=name):
        getattr(tgk, operator)(f, batched=True)(COLOURS, **seeds)


@pytest.mark.parametrize("cut", ["stop_gradient", "custom_gradient", "integers", "not_in_the_result"])
def test_an_op_that_leads_no_derivative_is_no_error(cut):
    @tf.custom_gradient
    def own(x):
        return tf.raw_ops.HSVToRGB(images=x), lambda u: 2 * u

    def f(x):
        rgb = tf.raw_ops.HSVToRGB(images=x)
        if cut == "custom_gradient":
            return own(x)
        if cut == "not_in_the_result":
            return 2 * x
        return 2 * x + (tf.stop_gradient(rgb) if cut == "stop_gradient" else tf.cast(tf.cast(rgb, tf.int32), x.dtype))

    product = tgk.jvp(f, batched=True)(COLOURS, tangents=COLOURS)
    np.testing.assert_array_equal(product, 2 * COLOURS)
