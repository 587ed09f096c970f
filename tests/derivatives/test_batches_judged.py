"""Batches whose samples influence each other, or whose axis changes, are refused; what nobody knows is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import BatchWarning, GradientError

X = np.arange(1.0, 9.0).reshape(4, 2)

CHANGED = {
    "reshape": lambda z: tf.reshape(z, [2, 4]),
    "first": lambda z: z[:2],
    "middle": lambda z: z[1:3],
    "strided": lambda z: z[::2],
    "gather": lambda z: tf.gather(z, [0, 1]),
    "boolean_mask": lambda z: tf.boolean_mask(z, [True, False, True, False]),
    "repeat": lambda z: tf.repeat(z, 2, 0),
    "concat": lambda z: tf.concat([z, z], 0),
    "pad": lambda z: tf.pad(z, [[1, 0], [0, 0]]),
    "split": lambda z: tf.split(z, 2)[0],
    "transpose": lambda z: tf.transpose(z),
    "dynamic_partition": lambda z: tf.dynamic_partition(z, [0, 1, 0, 1], 2)[0],
}


@pytest.mark.parametrize("f", CHANGED.values(), ids=CHANGED)
def test_a_change_of_the_batch_axis_is_refused(f):
    with pytest.raises(GradientError, match=r"no axis for the samples|influence each other"):
        tgk.value_and_jacobian(f, batched=True)(X)


def test_what_keeps_the_axis_in_one_batch_alone_is_judged_in_each():
    derivative = tgk.jacobian(lambda z: z[:2] ** 2, batched=True)
    np.testing.assert_allclose(derivative(X[:2]), 2 * np.einsum("bi,ij->bij", X[:2], np.eye(2)))
    with pytest.raises(GradientError, match="no axis for the samples"):
        derivative(X)
    np.testing.assert_allclose(derivative(X[:1]), 2 * np.einsum("bi,ij->bij", X[:1], np.eye(2)))
    own = tgk.jacobian(lambda z: tf.reshape(tf.reshape(z, [8]) ** 2, [4, 2]), batched=True)
    np.testing.assert_allclose(own(X), 2 * np.einsum("bi,ij->bij", X, np.eye(2)))


@pytest.mark.parametrize("count", [2, 3, 4, 20])
def test_what_turns_the_samples_is_refused_in_any_batch(count):
    x = np.arange(3.0 * count).reshape(count, 3)
    with pytest.raises(GradientError, match="influence each other"):
        tgk.jacobian(lambda z: tf.concat([z[2:], z[:2]], 0) ** 2, batched=True)(x)


@pytest.mark.parametrize("count", [3, 4, 20])
def test_products_of_the_samples_are_refused_in_any_batch(count):
    x = np.random.default_rng(0).normal(size=(count, count))
    for f in (lambda z: z @ z, lambda z: tf.linalg.inv(z @ tf.transpose(z) + tf.eye(count, dtype=tf.float64))):
        with pytest.raises(GradientError, match=r"influence each other(.|\n)*(MatMul|MatrixInverse|Transpose)"):
            tgk.jacobian(f, batched=True)(x)


def test_what_the_screen_knows_is_refused_without_a_probe():
    """Of zero gradients a probe says nothing."""
    with pytest.raises(GradientError, match="Sum mixes samples, and a probe was not possible"):
        tgk.jacobian(lambda z: z - z + tf.stop_gradient(tf.reduce_sum(z)) + 0 * tf.reduce_sum(z, 0), batched=True)(X)


def test_what_nobody_knows_is_said_once():
    @tf.custom_gradient
    def strange(z):
        return tf.identity(z), lambda u: 0 * u

    def f(z):
        return strange(z)

    derivative = tgk.jacobian(f, batched=True)
    with pytest.warns(BatchWarning, match="IdentityN"):
        derivative(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchWarning)
        derivative(np.ones((3, 5)))


def test_independent_samples_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchWarning)
        tgk.jacobian(lambda z: z * tf.linalg.norm(z, axis=1, keepdims=True), batched=True)(X)
        tgk.jacobian(lambda z: tf.stack([row**2 for row in tf.unstack(z)]), batched=True)(X)
