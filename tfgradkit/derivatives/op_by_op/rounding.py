"""How exactly derivatives can be compared at all, by dtype."""

from __future__ import annotations

# By dtype, the largest relative error that counts as right.
TOLERANCE = {"float64": 1e-6, "float32": 2e-3, "float16": 1e-1, "bfloat16": 3e-1}
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# Of a sum of a thousand numbers of the value's size, that is what rounding leaves.
_TERMS = 1e3
# By so much derivatives at a few points may differ more than those that were looked at.
_SCATTERS = 30


def epsilon_of(dtype: str) -> float:
    """The relative rounding of one number."""
    return _EPSILON[dtype]


def value_floor(value: float, epsilon: float) -> float:
    """A change of ``value``, along a direction of the size of x, below which it is zero as far as anybody can tell."""
    return _TERMS * epsilon * value


def comparison_floor(value: float, scatter: float, dtype: str) -> float:
    """Below this size the components of a derivative have fewer digits than are compared.

    Args:
        value: how large the function is.
        scatter: how far the derivative scatters where x is moved by its own rounding.
        dtype: that of both.
    """
    return max(value_floor(value, epsilon_of(dtype)), _SCATTERS * scatter) / TOLERANCE[dtype]
