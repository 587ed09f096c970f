"""A slope that is infinite at the end of a domain is that element's alone, whatever the way to it."""

from __future__ import annotations

import numpy as np
import pytest

import tfgradkit as tgk

# The function, an end of its domain and a point inside, and the slopes there.
ENDS = {
    "pow": (lambda x: x**0.25, [0.0, 16.0], [np.inf, 1 / 32]),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("strategy", ["vectorize", "loop"])
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("name", ENDS)
def test_other_elements_have_theirs(name, mode, strategy, jit_compile):
    f, x, slopes = ENDS[name]
    found = tgk.jacobian(f, mode=mode, strategy=strategy, jit_compile=jit_compile)(np.array(x))
    np.testing.assert_allclose(found, [[slopes[0], 0], [0, slopes[1]]], rtol=1e-12)
