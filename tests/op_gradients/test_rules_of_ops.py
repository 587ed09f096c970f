"""Each rule for an op that TensorFlow has none for: against differences, in both modes, to second order, batched."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from rule_cases import CASES, Case

import tfgradkit as tgk
from tfgradkit.derivatives.failures.runtime_errors import refusal
from tfgradkit.errors import GradientError
from tfgradkit.op_gradients import ops as _builtin  # noqa: F401  registers them, as a first derivative does
from tfgradkit.op_gradients.registry import SHIPPED


def as_vector(case: Case):
    """The function, and its float64 reference, of one vector and to one vector; and the vector."""
    shapes = [x.shape for x in case.args]
    ends = np.cumsum([x.size for x in case.args])

    def flat(xs, f, join):
        parts = [xs[end - int(np.prod(shape)) : end] for end, shape in zip(ends, shapes, strict=True)]
        ys = f(*(part.reshape(shape) if isinstance(part, np.ndarray) else tf.reshape(part, shape)
                 for part, shape in zip(parts, shapes, strict=True)))  # fmt: skip
        return join(ys if isinstance(ys, tuple) else (ys,))

    def f(x):
        return flat(x, case.f, lambda ys: tf.concat([tf.reshape(y, [-1]) for y in ys], 0))

    def reference(x):
        if case.shadow is None:
            return f(tf.constant(x)).numpy()
        return flat(x, case.shadow, lambda ys: np.concatenate([np.ravel(y) for y in ys]))

    return f, reference, np.concatenate([np.ravel(x) for x in case.args])


def slope(g, h):
    """g'(0) by central differences, exact to h**4."""
    return (8 * (g(h) - g(-h)) - (g(2 * h) - g(-2 * h))) / (12 * h)


def by_differences(reference, x, step):
    return np.stack([slope(lambda t, unit=unit: reference(x + t * unit), step) for unit in np.eye(x.size)], -1)


@functools.cache
def jacobian_by_differences(name):
    _, reference, x = as_vector(CASES[name])
    return by_differences(reference, x, CASES[name].step)


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_order(name):
    """The second order of Σ y² + Σ x³: its gradient is 2 Jᵀ y + 3 x², with the Jacobian that was tested first.

    Where the op is float32 alone, with that of the reference.
    """
    case = CASES[name]
    f, reference, x = as_vector(case)
    if case.shadow is not None:
        np.testing.assert_allclose(f(tf.constant(x)), reference(x), atol=1e-5)
    expected = jacobian_by_differences(name)
    scale = max(1, np.abs(expected).max())
    derivative = tgk.value_and_jacobian(f, mode="reverse", strategy="vectorize" if case.vectorized else "loop")
    np.testing.assert_allclose(derivative(x)[1], expected, atol=case.tolerance * scale)

    v = np.random.default_rng(1).normal(size=x.size)
    np.testing.assert_allclose(tgk.jvp(f)(x, tangents=v), expected @ v, atol=case.tolerance * scale * np.abs(v).sum())

    def gradient(t):
        z = x + t * v
        if case.shadow is not None:
            return 2 * reference(z) @ by_differences(reference, z, case.step) + 3 * z**2
        y, jacobian = derivative(z)
        return 2 * y.numpy() @ jacobian.numpy() + 3 * z**2

    along = slope(gradient, case.step)
    product = tgk.hvp(lambda z: tf.reduce_sum(f(z) ** 2) + tf.reduce_sum(z**3))(x, tangents=v)
    np.testing.assert_allclose(product, along, atol=10 * case.tolerance * max(1, np.abs(along).max()))


@pytest.mark.parametrize("name", CASES)
def test_on_a_plain_tape_in_a_graph_in_a_saved_model_and_compiled(name, tmp_path):
    case = CASES[name]
    f, reference, x = as_vector(case)
    u = np.random.default_rng(2).normal(size=reference(x).size)

    def product(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x, output_gradients=tf.constant(u))

    module = tf.Module()
    module.product = tf.function(product, input_signature=[tf.TensorSpec(x.shape, x.dtype)], autograph=False)
    tf.saved_model.save(module, str(tmp_path))
    ways = {"eager": product, "graph": module.product, "saved": tf.saved_model.load(str(tmp_path)).product}
    found = {way: call(tf.constant(x)) for way, call in ways.items()}
    try:
        found["compiled"] = tf.function(product, jit_compile=True, autograph=False)(tf.constant(x))
    except tf.errors.OpError as error:
        assert refusal(str(error)) is not None, error  # noqa: PT017  XLA has no kernel for some of the ops
    expected = u @ jacobian_by_differences(name)
    for way, result in found.items():
        scale = max(1, np.abs(expected).max()) * np.abs(u).sum()
        np.testing.assert_allclose(result, expected, atol=case.tolerance * scale, err_msg=way)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.batched])
def test_batched_in_every_strategy(name):
    """Samples are the blocks on the diagonal of the Jacobian of all."""
    case = CASES[name]
    count = case.args[0].shape[0]
    sizes = [x.size // count for x in case.args]
    starts = np.cumsum([0, *(x.size for x in case.args)])
    whole = jacobian_by_differences(name)
    whole = whole.reshape(count, -1, whole.shape[1])
    expected = [
        np.stack([whole[b, :, start + b * size : start + (b + 1) * size] for b in range(count)])
        for start, size in zip(starts, sizes, strict=False)
    ]
    scale = max(1, np.abs(whole).max())
    for strategy in ("vectorize", "tile", "loop") if case.vectorized else ("tile", "loop"):
        jacobian = tgk.jacobian(
            case.f, batched=True, argnums=tuple(range(len(case.args))), mode="reverse", strategy=strategy
        )
        for block, wanted in zip(jacobian(*case.args), expected, strict=True):
            np.testing.assert_allclose(
                np.reshape(block, wanted.shape), wanted, atol=case.tolerance * scale, err_msg=strategy
            )


@pytest.mark.parametrize("name", ["MatrixLogarithm"])
def test_what_cannot_be_vectorized_says_so_and_auto_goes_around(name):
    f, _, x = as_vector(CASES[name])
    with pytest.raises(GradientError, match=r"can't be vectorized[^$]*strategy=\"tile\""):
        tgk.jacobian(f, mode="reverse", strategy="vectorize")(x)
    np.testing.assert_allclose(tgk.jacobian(f, mode="reverse")(x), jacobian_by_differences(name), atol=1e-8)


@pytest.mark.parametrize(("reduce", "op"), [(tf.reduce_sum, "Sum"), (tf.reduce_max, "Max"), (tf.reduce_min, "Min"),
                                            (tf.reduce_prod, "Prod")])  # fmt: skip
def test_segments_under_xla(reduce, op):
    """TensorFlow has kernels of these for XLA alone."""
    x = tf.constant([[0.3, -2.0], [1.5, 0.7], [0.9, 1.1]])

    def f(x):
        return getattr(tf.raw_ops, f"Segment{op}V2")(data=x, segment_ids=[0, 0, 1], num_segments=2)

    def expected(x):
        return tf.stack([reduce(x[:2], 0), x[2]])

    ours = tgk.value_gradient_and_hessian(lambda x: tf.reduce_sum(f(x) ** 2), jit_compile=True)(x)
    theirs = tgk.value_gradient_and_hessian(lambda x: tf.reduce_sum(expected(x) ** 2))(x)
    for part, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-5)


def test_every_rule_has_a_case():
    """The others are above, in test_rules.py, or where it says."""
    there = {f"FakeQuantWithMinMax{kind}" for kind in ("Args", "Vars", "VarsPerChannel")}
    there |= {"StatelessParameterizedTruncatedNormal"}  # test_samples.py
    there |= {"QuantizeAndDequantizeV4"}  # entries of the table of conformance
    there |= {"AdjustContrastv2", "AdjustHue", "AdjustSaturation", "CropAndResizeGradImage", "ExtractGlimpseV2"}
    there |= {"ResizeBilinear", "ResizeBicubicGrad", "ResizeNearestNeighborGrad", "ResizeArea"}
    there |= {"ScaleAndTranslate", "ScaleAndTranslateGrad", "LRNGrad", "SoftsignGrad"}
    there |= {"ImageProjectiveTransformV2", "ImageProjectiveTransformV3"}
    there |= {"MaxPoolGrad", "MaxPool3DGrad", "MaxPoolGradWithArgmax"}
    there |= {"Conv2D"}  # in groups: tests/derivatives/test_layers.py
    segments = {f"Segment{op}V2" for op in ("Sum", "Max", "Min", "Prod")}
    assert {case.op for case in CASES.values()} | there | segments == set(SHIPPED)
