"""Corners of arguments and options: empty ones, layers' results, complex divergences, long chains of constants."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk


def test_linearize_by_a_layers_result():
    layers = [keras.layers.Dense(4, "tanh", name="a"), keras.layers.Dense(2, "tanh", name="b")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    x, v = np.ones((2, 3), "float32"), np.ones((2, 4), "float32")
    _, matrix = tgk.linearize(model, wrt="layer:a")(x)
    np.testing.assert_allclose(matrix.matvec(v), tgk.jvp(model, wrt="layer:a")(x, tangents=v), rtol=1e-5)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_divergence_of_a_holomorphic_function(mode):
    z = np.array([1 + 2j, 3 - 1j])
    found = tgk.divergence(lambda z: 1j * z * z, mode=mode)(z)
    np.testing.assert_allclose(found, np.sum(2j * z))


def test_an_empty_batch_keeps_the_aux_and_other_empty_arguments():
    derivative = tgk.jacobian(lambda x: (2 * x, tf.constant([1.0, 2.0])), batched=True, has_aux=True)
    found, aux = derivative(np.ones((0, 3)))
    assert found.shape == (0, 3, 3)
    np.testing.assert_array_equal(aux, [1, 2])

    @tf.function(autograph=False)
    def limited(x):
        return tgk.jacobian(lambda x: x**2, batched=True, chunk_size="auto")(x)

    assert limited(tf.zeros([0, 3])).shape == (0, 3, 3)


def test_an_empty_argument_that_is_no_batch():
    derivative = tgk.jacobian(lambda x, w: x * (1.0 + tf.cast(tf.size(w), x.dtype)), batched=True)
    np.testing.assert_array_equal(derivative(np.ones((2, 3)), np.zeros((0, 3))), np.stack([np.eye(3)] * 2))


def test_a_long_chain_of_constants_is_folded():
    def f(x):
        one = tf.constant(1)
        for _ in range(1500):
            one = one * 1
        return tf.gather(x, [0, 2] * one)

    np.testing.assert_array_equal(tgk.sparse_jacobian(f)(np.ones(3)).toarray(), [[1, 0, 0], [0, 0, 1]])
