"""Ops that XLA compiles to calls of a library, or not at all, in ops that become kernels.

A Fourier transform is a product with the matrix of the discrete Fourier transform, which is as fast as any for the
small fixed sizes of a model (C. Van Loan, "Computational Frameworks for the Fast Fourier Transform", SIAM 1992,
section 1.1). A convolution over three axes is a sum of convolutions over two, one for each place of the kernel along
the first axis. A determinant is the product of the pivots of Gaussian elimination.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ....errors import GraphError
from ....graph.emit import copied

Substitute = Callable[..., Any]


def determinant(operation: Any, x: tf.Tensor) -> tf.Tensor:
    """``MatrixDeterminant``: of a singular matrix exactly zero only where a pivot is."""
    sign, pivots = _eliminated(x)
    return sign * tf.reduce_prod(pivots, -1)


def logarithm_of_determinant(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """``LogMatrixDeterminant``: the sign, and the logarithm of the magnitude; of a singular matrix 0, −∞."""
    sign, pivots = _eliminated(x)
    return sign * tf.reduce_prod(tf.sign(pivots), -1), tf.reduce_sum(tf.math.log(tf.abs(pivots)), -1)


def _eliminated(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gaussian elimination with partial pivoting (G. Golub and C. Van Loan, "Matrix Computations", section 3.4).

    Returns:
        The sign of the permutation ``[...]``, and the pivots ``[..., n]``; of a singular matrix one of them is zero.
    """
    size = x.shape[-1]
    sign, pivots = tf.ones(x.shape[:-2], x.dtype), []
    for step in range(size):
        column = tf.abs(x[..., 0])
        largest = tf.one_hot(tf.argmax(column, -1), size - step, dtype=x.dtype)
        # The row with the pivot changes places with the first one.
        row = tf.reduce_sum(tf.where(largest[..., None] != 0, x, tf.zeros_like(x)), -2)
        pivot = row[..., 0]
        sign = tf.where(largest[..., 0] != 0, sign, -sign)
        pivots.append(pivot)
        rest = tf.where(largest[..., None] != 0, x[..., :1, :], x)[..., 1:, :]
        factors = tf.math.divide_no_nan(rest[..., 0], pivot[..., None])
        x = (rest - factors[..., None] * row[..., None, :])[..., 1:]
    return sign, tf.stack(pivots, -1)


def eigenvalues(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """``SelfAdjointEigV2``: XLA stops rotating at 1e-9, whatever it is asked for, so its answer is refined.

    The refinement is T. Ogita and K. Aishima's ("Iterative refinement for symmetric eigenvalue decomposition", Japan J.
    Indust. Appl. Math. 35, 2018, algorithm 1), which squares the error.
    """
    if x.dtype.is_complex:
        return tuple(copied(operation, [x]))
    _, vectors = copied(operation, [x], compute_v=tf.compat.v1.AttrValue(b=True))
    x = tf.linalg.band_part(x, -1, 0) + tf.linalg.matrix_transpose(tf.linalg.band_part(x, -1, 0))
    x = tf.linalg.set_diag(x, tf.linalg.diag_part(x) / 2)
    defect = tf.eye(x.shape[-1], dtype=x.dtype) - tf.matmul(vectors, vectors, transpose_a=True)
    rotated = tf.matmul(vectors, x @ vectors, transpose_a=True)
    values = tf.linalg.diag_part(rotated) / (1 - tf.linalg.diag_part(defect))
    gaps = values[..., None, :] - values[..., :, None]
    largest = tf.reduce_max(tf.abs(rotated), [-2, -1], keepdims=True)
    apart = tf.abs(gaps) > tf.cast(1e-6, x.dtype) * largest
    change = (rotated + values[..., None, :] * defect) / tf.where(apart, gaps, tf.ones_like(gaps))
    vectors += vectors @ tf.where(apart, change, defect / 2)
    return values, vectors if operation.get_attr("compute_v") else _nothing(operation.outputs[1])


# TensorFlow asks XLA for singular vectors to 1e-6, whatever the dtype; they converge quadratically, so that one more
# round of rotations makes them exact (Golub and Van Loan, section 8.5).
_ROTATED = {tf.float32: 1e-7, tf.float64: 1e-15}
_MOST_ROUNDS = 100


def singular_values(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """``Svd``."""
    if x.dtype not in _ROTATED:
        return tuple(copied(operation, [x]))
    values, left, right = _xla_op("XlaSvd", x, precision_config="")
    if not operation.get_attr("compute_uv"):
        return values, _nothing(operation.outputs[1]), _nothing(operation.outputs[2])
    if operation.get_attr("full_matrices"):
        return values, left, right
    return values, left[..., : min(x.shape[-2:])], right[..., : min(x.shape[-2:])]


def _nothing(result: tf.Tensor) -> tf.Tensor:
    """In place of a result that wasn't asked for."""
    return tf.zeros([n or 0 for n in result.shape.as_list()] if result.shape.rank else [0], result.dtype)


def _xla_op(op: str, x: tf.Tensor, **attributes: Any) -> list[tf.Tensor]:
    """An op that only XLA has, and that TensorFlow's Python has no name for."""
    given = {"max_iter": _MOST_ROUNDS, "epsilon": _ROTATED[x.dtype], **attributes}
    values = {key: _attribute(value) for key, value in given.items()}
    values["T"] = tf.compat.v1.AttrValue(type=x.dtype.as_datatype_enum)
    return list(tf.compat.v1.get_default_graph().create_op(op, [x], attrs=values).outputs)


def _attribute(value: Any) -> Any:
    if isinstance(value, bool):
        return tf.compat.v1.AttrValue(b=value)
    if isinstance(value, int):
        return tf.compat.v1.AttrValue(i=value)
    return tf.compat.v1.AttrValue(f=value) if isinstance(value, float) else tf.compat.v1.AttrValue(s=value.encode())


def fourier(operation: Any, x: tf.Tensor, *, axes: int, inverse: bool) -> tf.Tensor:
    """The discrete Fourier transform of complex numbers along the last ``axes``."""
    real, imaginary = tf.math.real(x), tf.math.imag(x)
    for axis in range(-axes, 0):
        real, imaginary = _along(axis, real, imaginary, x.shape[axis], x.shape[axis], inverse)
    return tf.complex(real, imaginary)


def real_fourier(operation: Any, x: tf.Tensor, length: tf.Tensor, *, axes: int) -> tf.Tensor:
    """The transform of real numbers: along the last axis the frequencies up to one half."""
    lengths = _lengths(operation)
    x = _fitted(x, lengths)
    real, imaginary = _along(-1, x, tf.zeros_like(x), lengths[-1], lengths[-1] // 2 + 1, False)
    for axis in range(-axes, -1):
        real, imaginary = _along(axis, real, imaginary, lengths[axis], lengths[axis], False)
    return tf.complex(real, imaginary)


def real_inverse(operation: Any, x: tf.Tensor, length: tf.Tensor, *, axes: int) -> tf.Tensor:
    """From the frequencies up to one half to real numbers; the imaginary parts of the first and last don't count."""
    lengths = _lengths(operation)
    bins = lengths[-1] // 2 + 1
    x = _fitted(x, [*lengths[:-1], bins])
    real, imaginary = tf.math.real(x), tf.math.imag(x)
    for axis in range(-axes, -1):
        real, imaginary = _along(axis, real, imaginary, lengths[axis], lengths[axis], True)
    # Every frequency but 0 and one half stands for its opposite, too.
    weights = np.full(bins, 2.0)
    weights[0] = 1
    if lengths[-1] % 2 == 0:
        weights[-1] = 1
    cosines, sines = _waves(bins, lengths[-1])
    scale = (weights / lengths[-1])[:, None]
    return _times(real, scale * cosines) - _times(imaginary, scale * sines)


def _lengths(operation: Any) -> list[int]:
    value = tf.get_static_value(operation.inputs[1])
    if value is None:
        raise GraphError("the length of a Fourier transform is not fixed", subject=operation.name)
    return [int(n) for n in np.ravel(value)]


def _fitted(x: tf.Tensor, lengths: Sequence[int]) -> tf.Tensor:
    """``x`` cut or filled with zeros to ``lengths`` along its last axes."""
    lead = x.shape.rank - len(lengths)
    kept = x[(..., *(slice(0, n) for n in lengths))]
    missing = [max(0, n - size) for n, size in zip(lengths, x.shape[lead:], strict=True)]
    return tf.pad(kept, [[0, 0]] * lead + [[0, m] for m in missing]) if any(missing) else kept


def _waves(rows: int, columns: int, length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of 2π j k / length; the product is reduced first, so that large ones stay exact."""
    length = columns if length is None else length
    angle = 2 * np.pi * (np.outer(np.arange(rows), np.arange(columns)) % length) / length
    return np.cos(angle), np.sin(angle)


def _along(
    axis: int, real: tf.Tensor, imaginary: tf.Tensor, length: int, bins: int, inverse: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The transform along one axis, of real and imaginary parts."""
    cosines, sines = _waves(length, bins, length)
    sines = sines if inverse else -sines
    scale = 1 / length if inverse else 1.0
    parts = [_moved(part, axis) for part in (real, imaginary)]
    rotated = _times(parts[0], cosines) - _times(parts[1], sines), _times(parts[0], sines) + _times(parts[1], cosines)
    a, b = (_moved(part, axis) * tf.constant(scale, part.dtype) for part in rotated)
    return a, b


def _moved(x: tf.Tensor, axis: int) -> tf.Tensor:
    """``x`` with an axis and the last one exchanged."""
    if axis == -1:
        return x
    order = list(range(x.shape.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return tf.transpose(x, order)


def _times(x: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """The last axis times a matrix."""
    lead = x.shape[:-1]
    return tf.reshape(tf.reshape(x, [-1, x.shape[-1]]) @ tf.constant(matrix, x.dtype), [*lead, matrix.shape[-1]])


def convolution(operation: Any, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``Conv3D``, plane by plane."""
    if operation.get_attr("data_format") == b"NDHWC":
        return _planes(operation, x, kernel)
    return tf.transpose(_planes(operation, tf.transpose(x, _LAST), kernel), _FIRST)


# From channels first to channels last, and back.
_LAST, _FIRST = (0, 2, 3, 4, 1), (0, 4, 1, 2, 3)


def _planes(operation: Any, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of ``[n, depth, height, width, channels]``: a sum over the kernel's planes."""
    channels_last = operation.get_attr("data_format") == b"NDHWC"
    axes = slice(1, 4) if channels_last else slice(2, 5)
    strides, dilations = operation.get_attr("strides")[axes], operation.get_attr("dilations")[axes]
    padding = operation.get_attr("padding").decode()
    count, span = kernel.shape[0], (kernel.shape[0] - 1) * dilations[0] + 1
    depth = x.shape[1]
    out = -(-depth // strides[0]) if padding == "SAME" else -(-(depth - span + 1) // strides[0])
    before = max(0, (out - 1) * strides[0] + span - depth) // 2 if padding == "SAME" else 0
    behind = max(0, (out - 1) * strides[0] + span - depth - before)
    x = tf.pad(x, [[0, 0], [before, behind], [0, 0], [0, 0], [0, 0]])
    parts = []
    for plane in range(count):
        first = plane * dilations[0]
        seen = x[:, first : first + (out - 1) * strides[0] + 1 : strides[0]]
        flat = tf.reshape(seen, [-1, *seen.shape[2:]])
        parts.append(tf.nn.conv2d(flat, kernel[plane], strides[1:], padding, dilations=dilations[1:]))
    return tf.reshape(tf.add_n(parts), [-1, out, *parts[0].shape[1:]])


def by_image(operation: Any, sizes: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """``Conv3DBackpropInputV2``: the convolution is linear, so its gradient at zero is that everywhere."""
    image = tf.zeros(operation.outputs[0].shape, kernel.dtype)
    return tf.gradients(convolution(operation, image, kernel), image, upstream)[0]


def by_kernel(operation: Any, image: tf.Tensor, sizes: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """``Conv3DBackpropFilterV2``, in the same way."""
    kernel = tf.zeros(operation.outputs[0].shape, image.dtype)
    return tf.gradients(convolution(operation, image, kernel), kernel, upstream)[0]


SUBSTITUTES: dict[str, Substitute] = {
    "MatrixDeterminant": determinant,
    "LogMatrixDeterminant": logarithm_of_determinant,
    "SelfAdjointEigV2": eigenvalues,
    "Svd": singular_values,
    "Conv3D": convolution,
    "Conv3DBackpropInputV2": by_image,
    "Conv3DBackpropFilterV2": by_kernel,
    **{f"FFT{n}": partial(fourier, axes=axes, inverse=False) for n, axes in (("", 1), ("2D", 2), ("3D", 3))},
    **{f"IFFT{n}": partial(fourier, axes=axes, inverse=True) for n, axes in (("", 1), ("2D", 2), ("3D", 3))},
    **{f"RFFT{n}": partial(real_fourier, axes=axes) for n, axes in (("", 1), ("2D", 2), ("3D", 3))},
    **{f"IRFFT{n}": partial(real_inverse, axes=axes) for n, axes in (("", 1), ("2D", 2), ("3D", 3))},
}
