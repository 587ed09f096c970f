"""What TensorFlow's vectorized loop gets wrong comes out right, and quietly: closed forms, and the plain loop."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

X = np.random.default_rng(0).normal(size=(4, 3))


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_roll(axis, mode):
    found = tgk.jacobian(lambda x: tf.roll(x, 1, axis), batched=True, mode=mode)(X)
    np.testing.assert_array_equal(found, np.broadcast_to(np.roll(np.eye(3), 1, 0), (4, 3, 3)))


def test_second_order_of_roll():
    """Σ xᵢ xᵢ₋₁, around a ring."""
    found = tgk.hessian(lambda x: tf.reduce_sum(x * tf.roll(x, 1, -1), -1), batched=True)(X)
    np.testing.assert_array_equal(
        found, np.broadcast_to(np.roll(np.eye(3), 1, 0) + np.roll(np.eye(3), -1, 0), (4, 3, 3))
    )


def test_a_pad_by_variables_keeps_its_value():
    v = tf.Variable(2.0, dtype=tf.float64)
    f = lambda z: tf.pad(z, [[0, 0], [1, 0]], constant_values=3.0) * v  # noqa: E731
    value, (jacobian,) = tgk.value_and_jacobian(f, wrt=[v], batched=True)(X)
    padded = np.pad(X, [[0, 0], [1, 0]], constant_values=3)
    np.testing.assert_allclose(value, 2 * padded)
    np.testing.assert_allclose(jacobian, padded)


def test_more_segments_than_ids():
    f = lambda z: tf.sparse.segment_sum(z, [0, 2, 1], [0, 0, 2], num_segments=4)  # noqa: E731
    expected = np.zeros((4, 5))
    expected[0, [0, 2]] = expected[2, 1] = 1
    np.testing.assert_array_equal(tgk.jacobian(f)(np.arange(5.0)[:, None])[:, 0, :, 0], expected)


def test_a_convolution_with_explicit_padding_by_its_kernel():
    x, kernel = np.random.default_rng(1).normal(size=(1, 5, 5, 2)), np.random.default_rng(2).normal(size=(2, 2, 2, 3))
    f = lambda k: tf.reduce_sum(tf.nn.conv2d(x, k, 1, [[0, 0], [1, 0], [0, 1], [0, 0]]), [1, 2])  # noqa: E731
    np.testing.assert_allclose(tgk.jacobian(f)(kernel), tgk.jacobian(f, strategy="loop")(kernel), atol=1e-13)


def test_a_sample_keeps_its_own_random_numbers():
    """A mask by a seed is the same at every call; that of a sample, by variables too, is its row of the batch's."""
    v = tf.Variable([1.0, 2.0, 3.0], dtype=tf.float64)
    f = lambda z: tf.nn.experimental.stateless_dropout(z * v, 0.5, seed=[1, 2])  # noqa: E731
    value, (jacobian,) = tgk.value_and_jacobian(f, wrt=[v], batched=True)(X)
    expected = f(tf.constant(X)).numpy()
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(jacobian, (expected / v.numpy())[..., None] * np.eye(3), atol=1e-14)


def test_a_sample_may_take_a_branch_that_no_other_takes():
    """By variables each sample takes its own; here all take one, so that the other has nothing to do."""
    v = tf.Variable([1.0, 2.0, 3.0], dtype=tf.float64)

    def f(z):
        return tf.map_fn(
            lambda row: tf.cond(row[0] > 0, lambda: tf.reshape(row * v, [-1, 1])[:, 0], lambda: tf.roll(row, 1, -1)), z
        )

    x = np.abs(X)
    found = tgk.jacobian(f, wrt=[v], batched=True)(x)
    np.testing.assert_allclose(found[0], x[..., None] * np.eye(3))


def test_quiet():
    """What can't be vectorized is done in another way, without TensorFlow's pages on why."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    try:
        f = lambda x: tf.linalg.matmul(tf.linalg.sqrtm(x), x)  # noqa: E731
        derivative = tgk.jacobian(f, mode="reverse")
        derivative(np.diag([1.0, 2.0]) + 0.1)
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in records if "pfor" in record.getMessage()] == []


@pytest.mark.parametrize("options", [{}, {"strategy": "loop"}, {"chunk_size": 2}])
@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda z: tf.reduce_sum(tf.pad(z, [[1, 1]], constant_values=3.0) ** 3), 36.0),
        (lambda z: tf.reduce_sum(tf.pad(z, [[1, 0]], constant_values=z[0]) ** 3), 42.0),
        (lambda z: tf.reduce_sum(tf.cumsum(z) ** 3), 150.0),
        (lambda z: tf.reduce_sum(tf.roll(z, 1, -1) ** 3), 36.0),
        (lambda z: tf.reduce_sum(tf.reverse(z, [-1]) ** 3), 36.0),
        (lambda z: tf.reduce_max(z) ** 2, 2.0),
    ],
)
def test_laplacians(f, expected, options):
    np.testing.assert_allclose(tgk.laplacian(f, **options)(np.array([1.0, 2.0, 3.0])), expected)


def test_laplacians_of_lists_of_results():
    def split(z):
        first, second = tf.sparse.split(sp_input=tf.sparse.from_dense(z), num_split=2, axis=0)
        return tf.reduce_sum(tf.sparse.to_dense(first) ** 3) + tf.reduce_sum(tf.sparse.to_dense(second) ** 2)

    def ragged(z):
        parts = [tf.RaggedTensor.from_row_lengths(z, [1, 1]), tf.RaggedTensor.from_row_lengths(z * z, [0, 2])]
        return tf.reduce_sum(tf.concat(parts, 1).flat_values ** 2)

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(tgk.laplacian(split)(x), 6 + 2)
    np.testing.assert_allclose(tgk.laplacian(ragged)(x), 2 * 2 + 12 * (1 + 4))


def test_laplacian_of_a_resized_picture():
    x = np.random.default_rng(0).normal(size=(1, 3, 3, 1))
    f = lambda z: tf.reduce_sum(tf.image.resize(z, [5, 5]) ** 3)  # noqa: E731
    trace = np.trace(tgk.hessian(f)(x).numpy().reshape(9, 9))
    np.testing.assert_allclose(tgk.laplacian(f)(x), trace, rtol=1e-5)
