"""Samples by the parameters of their distribution: derivatives leave the share of the distribution below as it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk


def below(x, mean, deviation, low, high):
    """The share of a truncated normal distribution below x, by the upper tails."""
    tail, first, last = (math.erfc((end - mean) / deviation / math.sqrt(2)) for end in (x, low, high))
    return (first - tail) / (first - last)


def moved(x, before, after):
    """Where the share below is the same for other parameters, by bisection."""
    share, low, high = below(x, *before), after[2], after[3]
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle, *after) < share else (low, middle)
    return low


@pytest.mark.parametrize("parameters", [(0.3, 1.2, -1.0, 2.0), (0.3, 1.2, 4.0, 6.0)])
def test_truncated_normal(parameters):
    def f(*xs):
        return tf.random.stateless_parameterized_truncated_normal([3], [1, 2], *xs)

    xs = [tf.constant(x, tf.float64) for x in parameters]
    found = np.stack(tgk.jacobian(f, argnums=(0, 1, 2, 3))(*xs), -1)
    for x, row in zip(f(*xs).numpy(), found, strict=True):
        for n, slope in enumerate(row):
            more, less = ([p + h * (i == n) for i, p in enumerate(parameters)] for h in (1e-5, -1e-5))
            difference = (moved(x, parameters, more) - moved(x, parameters, less)) / 2e-5
            assert slope == pytest.approx(difference, rel=1e-4, abs=1e-6)


def test_truncated_normal_without_ends_moves_as_a_whole():
    def f(mean, deviation):
        far = tf.constant(50.0, tf.float64)  # in the place of infinity, which TensorFlow's kernel may refuse
        return tf.random.stateless_parameterized_truncated_normal([4], [1, 2], mean, deviation, -far, far)

    mean, deviation = tf.constant(0.3, tf.float64), tf.constant(1.2, tf.float64)
    by_mean, by_deviation = tgk.jacobian(f, argnums=(0, 1))(mean, deviation)
    np.testing.assert_allclose(by_mean, np.ones(4))
    np.testing.assert_allclose(by_deviation, (f(mean, deviation) - 0.3) / 1.2)
