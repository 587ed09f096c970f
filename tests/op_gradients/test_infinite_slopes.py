"""The slope of a power that is infinite at 0 is that element's alone, whatever the way to it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

# Functions, and their slope at 16; at 0 it is infinite.
POWERS = {
    "constant exponent": (lambda x: x**0.25, 1 / 32),
    "exponents by element": (lambda x: tf.pow(x, np.array([0.75, 0.5])), 1 / 8),
    "exponent that is calculated": (lambda x: tf.pow(x, tf.cos(0.0 * x[1]) / 2), 1 / 8),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("strategy", ["vectorize", "loop"])
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("name", POWERS)
def test_other_elements_have_theirs(name, mode, strategy, jit_compile):
    f, slope = POWERS[name]
    found = tgk.jacobian(f, mode=mode, strategy=strategy, jit_compile=jit_compile)(np.array([0.0, 16.0]))
    np.testing.assert_allclose(found, [[np.inf, 0], [0, slope]], rtol=1e-12)
