"""The matrix exponential and square root, with derivatives of every order.

The derivative of a function of matrices, in the direction E, is the corner of the function of [[A, E], [0, A]]
(Mathias 1996; Higham, "Functions of Matrices", 2008, thm 3.6): the gradient of an exponential is an exponential, too.
TensorFlow's exponential computes five Padé approximants and picks one, in a loop, and tapes differentiate through
all of that.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from ..registry import take_over

# Higham, "The scaling and squaring method for the matrix exponential revisited" (2005): the coefficients of the
# Padé approximant of degree 13 in double precision, 7 in single; and the norms up to which it is exact to rounding.
_COEFFICIENTS = {
    13: [64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1],
    7: [17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1],
}  # fmt: skip
# Of a matrix of norm 5 million.
_MOST_HALVINGS = 20
_NORMS = {13: 5.371920351148152, 7: 3.925724783138660}


def expm(input: Any, name: str | None = None) -> tf.Tensor:
    """The exponential of matrices [..., n, n], as ``tf.linalg.expm``."""
    with tf.name_scope(name or "matrix_exponential"):
        a = tf.convert_to_tensor(input)
        norm = tf.reduce_max(tf.reduce_sum(tf.abs(a), -2), -1)
        halvings = tf.math.ceil(tf.math.log(norm / _NORMS[_degree(a)]) / math.log(2.0))
        # By none where there is no finite number, so that the result is none.
        halvings = tf.where(tf.math.is_finite(norm), tf.maximum(halvings, 0), tf.zeros([], norm.dtype))
        return _exponential(a, tf.stop_gradient(halvings))


@tf.custom_gradient
def _exponential(a: tf.Tensor, halvings: tf.Tensor) -> Any:
    """exp(a) of a/2^halvings, squared as often; a block matrix keeps the number of its diagonal blocks."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        adjoint, size = tf.linalg.adjoint(a), tf.shape(a)[-1] if a.shape[-1] is None else a.shape[-1]
        above = tf.concat([adjoint, upstream], -1)
        below = tf.concat([tf.zeros_like(adjoint), adjoint], -1)
        return _exponential(tf.concat([above, below], -2), halvings)[..., :size, size:], None

    return _approximant(a, halvings), gradient


def _degree(a: tf.Tensor) -> int:
    return 13 if a.dtype in (tf.float64, tf.complex128) else 7


def _approximant(a: tf.Tensor, halvings: tf.Tensor) -> tf.Tensor:
    degree = _degree(a)
    a /= tf.cast(2**halvings, a.dtype)[..., None, None]
    c = [tf.constant(number, a.dtype) for number in _COEFFICIENTS[degree]]
    one = tf.eye(tf.shape(a)[-1], dtype=a.dtype)
    two = a @ a
    four = two @ two
    six = four @ two
    odd = c[7] * six + c[5] * four + c[3] * two + c[1] * one
    even = c[6] * six + c[4] * four + c[2] * two + c[0] * one
    if degree == 13:
        odd += six @ (c[13] * six + c[11] * four + c[9] * two)
        even += six @ (c[12] * six + c[10] * four + c[8] * two)
    odd = a @ odd
    return _squared(tf.linalg.solve(even - odd, even + odd), halvings)


def _squared(x: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """x^(2^times), of each matrix as often as it was halved; in no loop, so that it vectorizes and compiles."""
    times = times[..., None, None]
    for done in range(_MOST_HALVINGS):
        x = tf.where(done < times, x @ x, x)
    return tf.where(times <= _MOST_HALVINGS, x, tf.cast(math.nan, x.dtype))


@take_over("MatrixSquareRoot")
def _square_root(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """R R = A: Rᴴ Ā + Ā Rᴴ = R̄, a Sylvester equation, as n² linear ones. TensorFlow's transposes for the adjoint."""
    root = op.outputs[0]
    size = tf.shape(root)[-1]
    adjoint, one = tf.linalg.adjoint(root), tf.eye(size, dtype=root.dtype)
    # Row after row, M X is (M ⊗ 1) x and X M is (1 ⊗ Mᵀ) x.
    left = adjoint[..., :, None, :, None] * one[:, None, :]
    right = one[:, None, :, None] * tf.math.conj(root)[..., None, :, None, :]
    batch = tf.shape(root)[:-2]
    system = tf.reshape(left + right, tf.concat([batch, [size * size, size * size]], 0))
    flat = tf.reshape(upstream, tf.concat([batch, [size * size, 1]], 0))
    return tf.ensure_shape(tf.reshape(tf.linalg.solve(system, flat), tf.shape(root)), root.shape)
