"""Gradients of complex functions, compiled and not, against their closed forms, on the axes and beside them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

Z = np.array([-2 + 0j, -1e-3 + 0j, 2j, -2j, 1.5 + 0.5j, -3 - 4j, -3 + 4j])
SLOPES = {
    "sqrt": (tf.sqrt, lambda z: 0.5 / np.sqrt(z)),
    "rsqrt": (tf.math.rsqrt, lambda z: -0.5 / (z * np.sqrt(z))),
    "reciprocal": (tf.math.reciprocal, lambda z: -1 / z**2),
    "log": (tf.math.log, lambda z: 1 / z),
    "pow": (lambda z: tf.pow(z, tf.constant(0.3, z.dtype)), lambda z: 0.3 * z ** (-0.7 + 0j)),
    "pow by the exponent": (
        lambda z: tf.pow(tf.constant(-2 + 0j, z.dtype), z),
        lambda z: (-2 + 0j) ** z * np.log(-2 + 0j),
    ),
    "tanh": (tf.tanh, lambda z: 1 - np.tanh(z) ** 2),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", SLOPES)
def test_slopes(name, jit_compile):
    f, slope = SLOPES[name]
    found = tgk.vjp(f, jit_compile=jit_compile)(Z, output_gradients=np.ones_like(Z))
    np.testing.assert_allclose(found, slope(Z), rtol=1e-10)
