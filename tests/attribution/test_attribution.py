"""Attributions: closed forms, completeness, where the shape is, and what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit import attribution
from tfgradkit.errors import SignatureError

L = keras.layers
X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
WEIGHTS = np.array([[2.0, -1.0], [0.5, 3.0], [-4.0, 1.0]])


def linear(x):
    return tf.linalg.matmul(x, tf.constant(WEIGHTS)) + 7.0


def cubic(x):
    return tf.reduce_sum(x**3 * tf.constant(WEIGHTS[:, 0]), -1, keepdims=True) + x[:, :1] * x[:, 1:2]


@pytest.fixture(scope="module")
def shapes(root):
    return tgk.load(root / "saved_models" / "shapes.keras")


@pytest.fixture(scope="module")
def images(root):
    return np.load(root / "saved_models" / "shapes.npz")


def test_of_a_linear_function():
    slopes = np.array([WEIGHTS[:, 1], WEIGHTS[:, 1]])
    np.testing.assert_allclose(attribution.saliency(linear)(X, 1).values, np.abs(slopes))
    np.testing.assert_allclose(attribution.saliency(linear, absolute=False)(X, 1).values, slopes)
    np.testing.assert_allclose(attribution.gradient_times_input(linear)(X, 1).values, X * slopes)
    np.testing.assert_allclose(attribution.smooth_grad(linear, samples=3)(X, 1).values, slopes)
    shares = attribution.integrated_gradients(linear, baseline=1.0, steps=1)(X, 1)
    np.testing.assert_allclose(shares.values, (X - 1) * slopes)
    np.testing.assert_allclose(shares.completeness_error, [0, 0], atol=1e-12)


def test_integrated_gradients_along_the_line_are_exact_for_polynomials():
    found = attribution.integrated_gradients(cubic, steps=2)(X)
    # ∫ of the gradient along t·x: a third of 3·w·x² each, and half of each factor of the product.
    expected = X**3 * WEIGHTS[:, 0] + 0.5 * np.array([[a * b, a * b, 0] for a, b, _ in X])
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)
    np.testing.assert_allclose(found.completeness_error, [0, 0], atol=1e-11)


def test_the_completeness_error_is_that_of_the_quadrature():
    errors = [
        attribution.integrated_gradients(cubic, steps=n, method="trapezoid")(X).completeness_error.numpy()
        for n in (11, 21)
    ]
    np.testing.assert_allclose(errors[0] / errors[1], [4, 4], rtol=1e-6)  # second order, exactly so for a cubic
    found = attribution.integrated_gradients(cubic, steps=11, method="trapezoid")(X)
    gained = (cubic(tf.constant(X)) - cubic(tf.zeros_like(X)))[:, 0].numpy()
    np.testing.assert_allclose(found.completeness_error, found.values.numpy().sum(1) - gained, atol=1e-12)


def test_smooth_grad_is_the_mean_over_copies_and_always_the_same():
    method = attribution.smooth_grad(lambda x: tf.reduce_sum(x**2, -1), samples=400, noise=0.1)
    first, second = method(X), method(X)
    np.testing.assert_array_equal(first.values, second.values)
    deviation = 2 * 0.1 * np.ptp(X, axis=1, keepdims=True) / np.sqrt(400)
    difference = np.abs(first.values - 2 * X) / deviation
    assert 0.01 < difference.max() < 5
    np.testing.assert_array_equal(
        attribution.smooth_grad(cubic, samples=2, noise=0)(X).values, tgk.gradient(cubic, batched=True)(X)
    )


def test_targets():
    method = attribution.saliency(linear, absolute=False)
    np.testing.assert_array_equal(method(X, [0, 1]).values, WEIGHTS.T)
    np.testing.assert_array_equal(method(X, -1).target, [1, 1])
    np.testing.assert_array_equal(method(X).target, np.argmax(X @ WEIGHTS, 1))
    square = attribution.saliency(lambda x: tf.reshape(tf.tile(x, [1, 2]), [-1, 2, 3]), absolute=False)
    np.testing.assert_array_equal(square(X, (1, 2)).values, [[0, 0, 1]] * 2)
    np.testing.assert_array_equal(square(X, (1, 2)).target, [5, 5])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (2, "0 to 1"),
        ((0, 0), "a tuple of places in"),
        ([0, 1, 0], "2 integers"),
        (0.5, "an int, a tuple"),
        ("a", "an int"),
    ],
)
def test_no_such_target(target, message):
    with pytest.raises(SignatureError, match=message):
        attribution.saliency(linear)(X, target)


def test_several_inputs_and_layers():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    middle = L.Dense(4, activation="tanh", name="middle")(L.Concatenate()([a, b]))
    model = keras.Model({"a": a, "b": b}, L.Dense(2)(middle))
    x = {"a": np.ones((2, 2), np.float32), "b": X.astype(np.float32)}
    for method in (attribution.saliency(model), attribution.smooth_grad(model, samples=2)):
        assert {name: value.shape for name, value in method(x).values.items()} == {"a": (2, 2), "b": (2, 3)}
    shares = attribution.integrated_gradients(model, steps=20, baseline={"a": 1.0, "b": np.zeros(3)})(x, 0)
    total = sum(value.numpy().sum(1) for value in shares.values.values())
    gained = (model(x) - model({"a": x["a"], "b": 0 * x["b"]}))[:, 0].numpy()
    np.testing.assert_allclose(total, gained, atol=1e-5)
    unit = attribution.saliency(model, of="layer:middle", absolute=False)(x, 3)
    expected = tgk.jacobian(model, of="layer:middle")(x)
    np.testing.assert_allclose(unit.values["b"], expected["b"][:, 3], rtol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_grad_cam_of_a_mean_over_the_image(axes):
    conv = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}[axes](2, 1, use_bias=False, name="features")
    mean = {1: L.GlobalAveragePooling1D, 2: L.GlobalAveragePooling2D, 3: L.GlobalAveragePooling3D}[axes]()
    model = keras.Sequential([keras.Input((4,) * axes + (2,)), conv, mean, L.Dense(2, use_bias=False)])
    weights = np.array([[1.0, 2.0], [-3.0, 0.5]], np.float32)
    model.set_weights([np.eye(2, dtype=np.float32).reshape([1] * axes + [2, 2]), weights])
    x = np.random.default_rng(0).normal(size=(3, *(4,) * axes, 2)).astype(np.float32)
    expected = np.maximum(x @ weights[:, 1] / 4**axes, 0)
    np.testing.assert_allclose(attribution.grad_cam(model)(x, 1).values, expected, rtol=1e-5, atol=1e-7)


def test_grad_cam_points_at_the_shape(shapes, images):
    """The pointing game of Zhang et al. 2016, up to one cell of the 8 × 8 features."""
    found = attribution.grad_cam(shapes)(images["images"], images["labels"]).values.numpy()
    assert found.shape == images["images"].shape[:3]
    cell = 32 // 8
    for seen, mask in zip(found, images["masks"], strict=True):
        peak = np.unravel_index(seen.argmax(), seen.shape)
        assert np.abs(np.argwhere(mask) - peak).max(1).min() <= cell


def test_guided_backpropagation_passes_back_what_is_positive():
    weights = [np.array([[1.0, -1.0, 2.0], [0.5, 1.0, -1.0]], np.float32), np.array([[3.0], [-2.0], [1.0]], np.float32)]
    model = keras.Sequential([keras.Input((2,)), L.Dense(3, "relu", use_bias=False), L.Dense(1, use_bias=False)])
    model.set_weights(weights)
    x = np.array([[1.0, 3.0], [2.0, -1.0]], np.float32)
    active = x @ weights[0] > 0
    expected = (active * np.maximum(weights[1][:, 0], 0)) @ weights[0].T
    np.testing.assert_allclose(attribution.guided_backpropagation(model)(x).values, expected, rtol=1e-6)
    plain = (active * weights[1][:, 0]) @ weights[0].T
    np.testing.assert_allclose(attribution.saliency(model, absolute=False)(x).values, plain, rtol=1e-6)
    with pytest.raises(SignatureError, match="Relu"):
        attribution.guided_backpropagation(linear)(X)


def test_a_layer_before_pooling_is_resized(shapes, images):
    x = images["images"][:2]
    small = attribution.grad_cam(shapes, layer="corners", resize=False)(x).values
    assert small.shape == (2, 16, 16)
    large = attribution.grad_cam(shapes, layer="corners")(x).values
    np.testing.assert_allclose(large, tf.image.resize(small[..., None], (32, 32))[..., 0], atol=1e-6)


def test_integrated_gradients_converge_through_kinks(shapes, images):
    """Along the line the gradient of a ReLU network jumps: the error of a quadrature is O(1 / steps)."""
    x, labels = images["images"], images["labels"]
    errors = [
        np.sqrt(np.mean(attribution.integrated_gradients(shapes, steps=n)(x, labels).completeness_error ** 2))
        for n in (10, 160)
    ]
    assert errors[0] > 4 * errors[1] > 0, errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: attribution.grad_cam(linear), "no convolution"),
        (lambda: attribution.grad_cam(keras.Sequential([keras.Input((2,)), L.Dense(1)])), "no convolution"),
        (lambda: attribution.integrated_gradients(linear, method="simpson"), "gausslegendre | trapezoid"),
        (lambda: attribution.integrated_gradients(linear, steps=0), "steps ≥ 1"),
        (lambda: attribution.integrated_gradients(linear, baseline=[X, X])(X), "2 arrays"),
        (lambda: attribution.integrated_gradients(linear, baseline=np.zeros(4))(X), "does not broadcast"),
        (lambda: attribution.smooth_grad(linear, samples=0), "samples ≥ 1"),
        (lambda: attribution.saliency(lambda x: (x, x))(X), "explains one result"),
        (lambda: attribution.saliency(linear)(np.ones((2, 3), int)), "float"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(SignatureError) as caught:
        make()
    assert message in str(caught.value)


def test_figures_have_a_row_an_image_and_a_column_a_method(shapes, images):
    pytest.importorskip("matplotlib")
    x = images["images"][:3]
    methods = {"saliency": attribution.saliency(shapes)(x), "Grad-CAM": attribution.grad_cam(shapes)(x)}
    figure = attribution.plot(x, methods, ["a", "b", "c"])
    assert len(figure.axes) == 9
    assert [axis.get_title() for axis in figure.axes[:3]] == ["", "saliency", "Grad-CAM"]
    with pytest.raises(SignatureError, match="does not belong to the images"):
        attribution.plot(x, {"other": np.ones((2, 32, 32))})


@pytest.mark.parametrize(
    "make",
    [
        attribution.saliency,
        attribution.smooth_grad,
        attribution.integrated_gradients,
        attribution.guided_backpropagation,
        attribution.grad_cam,
    ],
)
@pytest.mark.parametrize("target", [None, 1, []])
def test_an_empty_batch_is_an_empty_attribution(shapes, make, target):
    found = make(shapes)(np.zeros((0, 32, 32, 1), np.float32), np.array(target, int) if target == [] else target)
    assert found.values.shape == ((0, 32, 32) if make is attribution.grad_cam else (0, 32, 32, 1))
    assert found.target.shape == (0,)


def test_a_rule_of_the_users_is_heeded_while_it_is_in_force():
    method = attribution.saliency(lambda x: tf.reduce_sum(tf.sin(x), -1), absolute=False)
    before = method(X).values
    np.testing.assert_allclose(before, np.cos(X))
    with tgk.register_gradient("Sin", lambda op, upstream: 7 * upstream, replace=True):
        np.testing.assert_allclose(method(X).values, np.full_like(X, 7))
    np.testing.assert_allclose(method(X).values, before)
