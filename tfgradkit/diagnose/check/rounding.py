"""How exactly derivatives can be compared at all, by dtype."""

from __future__ import annotations

# By dtype, the largest relative error that counts as right.
TOLERANCE = {"float64": 1e-6, "float32": 2e-3, "float16": 1e-1, "bfloat16": 3e-1}
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# Of a sum of a thousand numbers of the value's size, that is what rounding leaves.
_TERMS = 1e3


def epsilon_of(dtype: str) -> float:
    """The relative rounding of one number."""
    return _EPSILON[dtype]


def value_floor(value: float, epsilon: float) -> float:
    """A change of ``value``, along a direction of the size of x, below which it is zero as far as anybody can tell."""
    return _TERMS * epsilon * value
