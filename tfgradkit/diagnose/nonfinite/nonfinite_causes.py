"""Why an op makes NaN or Inf of finite numbers, and the same calculation written so that it doesn't.

The safe forms are code, run by the tests. The double ``tf.where`` is an old trick: in the branch that is not taken, the
argument is replaced by a harmless one, since the gradient of that branch is multiplied by 0, and 0 · Inf is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The inputs of an op at one element; None where there is no such element.
OpNumbers = Sequence[float | complex | None]


@dataclass(frozen=True)
class Reason:
    """The reason in words, and the safe form as code of the user's ``x`` (or ``a`` and ``b``)."""

    text: str
    remedy: str


def guarded(call: str, condition: str = "x > 0", harmless: str = "1.0") -> str:
    """The double ``tf.where`` around ``call``, an expression of ``safe``."""
    return f"safe = tf.where({condition}, x, {harmless})\ny = tf.where({condition}, {call}, 0.0)"


NORM = "squares = tf.reduce_sum(x * x, -1)\n" + guarded("tf.sqrt(safe)").replace("x > 0", "squares > 0").replace(
    ", x, ", ", squares, "
)
SPREAD = "y = tf.sqrt(tf.math.reduce_variance(x) + 1e-12)"
DIVIDE = "y = tf.math.divide_no_nan(a, b)  # 0 where b is 0; or a / (b + epsilon)"
SOFTMAX = """\
y = tf.nn.softmax(x)  # for exp(x) / sum(exp(x))
y = tf.reduce_logsumexp(x)  # for log(sum(exp(x)))
y = tf.math.softplus(x)  # for log(1 + exp(x))
y = tf.exp(tf.minimum(x, {limit}))  # else"""
LOG = "y = tf.math.log(tf.maximum(x, 1e-30))  # or, to have 0 there:\n" + guarded("tf.math.log(safe)")
CLIP = "x = tf.clip_by_value(x, -1.0 + 1e-6, 1.0 - 1e-6)\ny = {call}(x)"
POWER = guarded("tf.pow(safe, p)")
ATAN2 = "away = (a != 0) | (b != 0)\ny = tf.where(away, tf.atan2(a, tf.where(away, b, 1.0)), 0.0)"
SINGULAR = "y = tf.linalg.solve(m + 1e-6 * tf.eye(n, dtype=m.dtype), b)  # regularised; or float64"
CHOLESKY = "y = tf.linalg.cholesky(m + 1e-6 * tf.eye(n, dtype=m.dtype))  # regularised; or float64"
OUTSIDE = "x = np.maximum(x, 1e-30)  # in the function: keep its numbers where it is finite"
MEAN = "y = tf.math.divide_no_nan(tf.reduce_sum(x), tf.cast(tf.size(x), x.dtype))"


def _by_sign(x: float | complex | None, zero: str, negative: str) -> str:
    if isinstance(x, (int, float)):
        return zero if x == 0 else negative if x < 0 else "a result this large has no place in its dtype"
    return f"{zero}; {negative}"


def _overflow(operation: str) -> Callable[[OpNumbers, str], Reason]:
    def cause(values: OpNumbers, dtype: str) -> Reason:
        largest = {"float16": "65504", "bfloat16": "3.4e38", "float32": "3.4e38", "float64": "1.8e308"}
        limit = largest.get(dtype, "the largest number")
        return Reason(f"{operation} goes beyond {limit}, the largest {dtype}", _wider(operation, dtype))

    return cause


def _wider(operation: str, dtype: str) -> str:
    wider = {"float16": "float32", "float32": "float64"}.get(dtype)
    if wider is None:
        return "scale the inputs, or work with logarithms"
    return f"x = tf.cast(x, tf.{wider})  # or scale the inputs, or work with logarithms"


def _fixed(text: str, remedy: str) -> Callable[[OpNumbers, str], Reason]:
    return lambda values, dtype: Reason(text, remedy)


def _exp(values: OpNumbers, dtype: str) -> Reason:
    limit = {"float16": 11, "float64": 709}.get(dtype, 88)
    return Reason(f"exp(x) overflows {dtype} beyond x = {limit}", SOFTMAX.format(limit=f"{limit - 1}.0"))


def _divide(values: OpNumbers, dtype: str) -> Reason:
    bottom = values[-1] if values else None
    if bottom in (0, None):
        return Reason("a division by 0", DIVIDE)
    return _overflow("the quotient")(values, dtype)


def _power(values: OpNumbers, dtype: str) -> Reason:
    base = values[0] if values else None
    if isinstance(base, (int, float)) and base < 0:
        return Reason("a negative number to a power that isn't whole", POWER)
    if base == 0:
        return Reason("0 to a negative power", POWER)
    return _overflow("the power")(values, dtype)


def _softmax(values: OpNumbers, dtype: str) -> Reason:
    return Reason(
        "a row in which everything is masked: exp(-Inf) / 0",
        "y = tf.nn.softmax(tf.maximum(x, -1e9))  # finite masks; or leave such rows out",
    )


def _cast(values: OpNumbers, dtype: str) -> Reason:
    return _overflow("the number")(values, dtype)


# By type of the op that made it.
FORWARD: dict[str, Callable[[OpNumbers, str], Reason]] = {
    "Sqrt": _fixed("the square root of a negative number", guarded("tf.sqrt(safe)")),
    "Rsqrt": lambda v, d: Reason(
        _by_sign(v[0], "1 / √0 is infinite", "the square root of a negative number"), guarded("tf.math.rsqrt(safe)")
    ),
    "Log": lambda v, d: Reason(_by_sign(v[0], "log(0) is infinite", "the logarithm of a negative number"), LOG),
    "Log1p": _fixed("log(1 + x) has a value for x > -1 alone", guarded("tf.math.log1p(safe)", "x > -1")),
    "RealDiv": _divide,
    "Div": _divide,
    "Xdivy": _divide,
    "FloorMod": _fixed("a remainder of a division by 0", "y = tf.where(b == 0, 0.0, a % tf.where(b == 0, 1.0, b))"),
    "Reciprocal": _fixed("a division by 0", guarded("1.0 / safe", "x != 0")),
    "Inv": _fixed("a division by 0", guarded("1.0 / safe", "x != 0")),
    "Pow": _power,
    "Exp": _exp,
    "Expm1": _exp,
    "Sinh": _exp,
    "Cosh": _exp,
    "Acos": _fixed("acos has a value for |x| ≤ 1 alone", CLIP.format(call="tf.acos")),
    "Asin": _fixed("asin has a value for |x| ≤ 1 alone", CLIP.format(call="tf.asin")),
    "Atanh": _fixed("atanh has a value for |x| < 1 alone", CLIP.format(call="tf.atanh")),
    "Acosh": _fixed("acosh has a value for x ≥ 1 alone", "y = tf.acosh(tf.maximum(x, 1.0 + 1e-6))"),
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Mean": _fixed("the mean of nothing: 0 / 0", MEAN),
    "Cast": _cast,
    **dict.fromkeys(("EagerPyFunc", "PyFunc", "PyFuncStateless"), _fixed("the Python function returns it", OUTSIDE)),
    "Mul": _overflow("the product"),
    "Square": _overflow("the square"),
    "SquaredDifference": _overflow("the square"),
    "MatMul": _overflow("the product"),
    "BatchMatMulV2": _overflow("the product"),
    "Einsum": _overflow("the product"),
    "Conv2D": _overflow("the convolution"),
    "Sum": _overflow("the sum"),
    "Prod": _overflow("the product"),
    "Cumsum": _overflow("the sum"),
    "Cumprod": _overflow("the product"),
    "Add": _overflow("the sum"),
    "AddV2": _overflow("the sum"),
    "AddN": _overflow("the sum"),
    "BiasAdd": _overflow("the sum"),
    "Sub": _overflow("the difference"),
    "Lgamma": _fixed("lgamma is infinite at 0, -1, -2, …", guarded("tf.math.lgamma(safe)")),
    "Digamma": _fixed("digamma is infinite at 0, -1, -2, …", guarded("tf.math.digamma(safe)")),
    "Erfinv": _fixed("erfinv has a finite value for |x| < 1 alone", CLIP.format(call="tf.math.erfinv")),
    "MatrixInverse": _fixed("a singular matrix", SINGULAR),
    "MatrixSolve": _fixed("a singular matrix", SINGULAR),
    "MatrixTriangularSolve": _fixed("a 0 on the diagonal of a triangular matrix", SINGULAR),
    "Cholesky": _fixed("a matrix that is not positive definite", CHOLESKY),
    "LogMatrixDeterminant": _fixed("the determinant is 0", "sign, y = tf.linalg.slogdet(m + 1e-6 * tf.eye(n))"),
}  # fmt: skip

_DISTINCT = """\
apart = m + tf.linalg.diag(1e-3 * tf.range(n, dtype=m.dtype))
y, vectors = tf.linalg.eigh(apart)  # or tf.linalg.eigvalsh(m): values have a derivative"""
_SVD = "y = tf.linalg.svd(m, compute_uv=False)  # values alone have a derivative"
# By type of the op in whose gradient it was made.
BACKWARD: dict[str, Reason] = {
    "Sqrt": Reason("the derivative of √x is infinite at x = 0", guarded("tf.sqrt(safe)")),
    "Rsqrt": Reason("1 / √x is infinite at x = 0", guarded("tf.math.rsqrt(safe)")),
    "Log": Reason("the derivative of log(x) is 1 / x, infinite at x = 0", LOG),
    "Log1p": Reason("the derivative of log(1 + x) is infinite at x = -1", guarded("tf.math.log1p(safe)", "x > -1")),
    "RealDiv": Reason("a division by 0: the derivative of a / b is 1 / b, and -a / b²", DIVIDE),
    "Div": Reason("a division by 0: the derivative of a / b is 1 / b, and -a / b²", DIVIDE),
    "Reciprocal": Reason("the derivative of 1 / x is infinite at x = 0", guarded("1.0 / safe", "x != 0")),
    "Pow": Reason("the derivative of xᵖ at x = 0: p xᵖ⁻¹ is infinite for p < 1, as is log(x) for that by p", POWER),
    "Acos": Reason("the derivative of acos is infinite at x = ±1", CLIP.format(call="tf.acos")),
    "Asin": Reason("the derivative of asin is infinite at x = ±1", CLIP.format(call="tf.asin")),
    "Acosh": Reason("the derivative of acosh is infinite at x = 1", "y = tf.acosh(tf.maximum(x, 1.0 + 1e-6))"),
    "Atanh": Reason("the derivative of atanh is infinite at x = ±1", CLIP.format(call="tf.atanh")),
    "Erfinv": Reason("the derivative of erfinv is infinite at x = ±1", CLIP.format(call="tf.math.erfinv")),
    "Atan2": Reason("atan2 has no derivative at (0, 0): there it is 0 / 0", ATAN2),
    "EuclideanNorm": Reason("a norm has no derivative at 0: there it is x / 0", NORM),
    "Exp": Reason("the derivative of exp(x), times what comes from above, overflows", SOFTMAX.format(limit="80.0")),
    "Xdivy": Reason("a division by 0", DIVIDE),
    "Xlogy": Reason("log(y) and x / y are infinite at y = 0", "y = tf.math.xlogy(x, tf.maximum(y, 1e-30))"),
    "SelfAdjointEigV2": Reason(
        "the derivative of eigenvectors divides by a distance of eigenvalues, here 0", _DISTINCT),
    "Svd": Reason("the derivative of singular vectors divides by a distance of singular values, here 0", _SVD),
    "MatrixDeterminant": Reason("the derivative of the determinant uses the inverse of a singular matrix", SINGULAR),
    "Cholesky": Reason("the matrix is singular, or nearly", CHOLESKY),
}  # fmt: skip
_MASKED = ". tf.where multiplies it by 0, and 0 · Inf is NaN: both branches have to be finite"


def cause_of(
    op_type: str, values: OpNumbers, dtype: str, forward: str | None = None, name: str = "", hidden: bool = False
) -> Reason:
    """Why an op made NaN or Inf, with the safe form.

    Args:
        op_type: of the op.
        values: its inputs at the element; None where there is no such element.
        dtype: of its result.
        forward: for an op of a gradient, the type of the op that was differentiated.
        name: of that op, else of the op itself: TensorFlow's names tell norms and standard deviations.
        hidden: whether a ``tf.where`` hides the number from the result.
    """
    reason = _backward(op_type, values, dtype, forward) if forward else None
    reason = reason or _forward(op_type, values, dtype)
    if forward == "Sqrt" and ("norm" in name.lower() or "std" in name.lower()):
        spread = "std" in name.lower()
        text = "a standard deviation" if spread else "a norm"
        reason = Reason(f"{text} has no derivative at 0: {reason.text}", SPREAD if spread else NORM)
    return Reason(reason.text + _MASKED, reason.remedy) if hidden else reason


def _backward(op_type: str, values: OpNumbers, dtype: str, forward: str | None) -> Reason | None:
    if op_type == "Cast":
        return FORWARD["Cast"](values, dtype)
    return BACKWARD.get(forward or "")


def _forward(op_type: str, values: OpNumbers, dtype: str) -> Reason:
    rule = FORWARD.get(op_type)
    if rule is not None:
        return rule(values or [None], dtype)
    return Reason(
        f"{op_type} makes it of finite numbers",
        "keep its inputs within the range in which it has a finite value: tf.clip_by_value",
    )
