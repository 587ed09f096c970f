"""A slope that is infinite at the end of a domain is that element's alone, whatever the way to it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

# The function, an end of its domain and a point inside, and the slopes there.
ENDS = {
    "sqrt": (tf.sqrt, [0.0, 4.0], [np.inf, 0.25]),
    "pow": (lambda x: x**0.25, [0.0, 16.0], [np.inf, 1 / 32]),
    "asin": (tf.asin, [1.0, 0.6], [np.inf, 1.25]),
    "acos": (tf.acos, [-1.0, 0.6], [-np.inf, -1.25]),
    "acosh": (tf.acosh, [1.0, 1.25], [np.inf, 4 / 3]),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("strategy", ["vectorize", "loop"])
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("name", ENDS)
def test_other_elements_have_theirs(name, mode, strategy, jit_compile):
    f, x, slopes = ENDS[name]
    found = tgk.jacobian(f, mode=mode, strategy=strategy, jit_compile=jit_compile)(np.array(x))
    np.testing.assert_allclose(found, [[slopes[0], 0], [0, slopes[1]]], rtol=1e-12)


@pytest.mark.parametrize("name", ["asin", "acos"])
def test_slopes_next_to_the_end(name):
    """1 − x² loses half of the digits there."""
    f, _, _ = ENDS[name]
    x = 1 - 2.0**-40
    exact = 1 / np.sqrt(2.0**-40 * (2 - 2.0**-40))
    np.testing.assert_allclose(abs(tgk.gradient(lambda x: tf.reduce_sum(f(x)))(np.array([x]))), [exact], rtol=1e-14)
