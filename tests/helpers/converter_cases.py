# ruff: noqa: C408, E731, SIM905 -- a table, whose lines are cases
"""Cases for every converter of TensorFlow's vectorized loop, and for ours: an op over its attributes.

``tests/graph/test_converters.py`` compares the vectorized loop with the loop, for every choice of which inputs
differ from turn to turn.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

R = tf.raw_ops
# From a seed to an array: another one for each turn.
Made = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A function through one op.

    Attributes:
        op: its type.
        f: of tensors, to one or several.
        args: makers of the arguments.
        vary: which of them may differ from turn to turn; the others are constants.
        sizes: whether turns may have other sizes than in the trace: shapes that the trace does not know.
        compiled: whether only XLA has a kernel.
        kept_off: why the vectorized loop refuses it; where nothing is said, it has to be done if all vary.
        exact: whether the numbers are to be equal; False for random ones, of which only the shape is compared.
    """

    op: str
    f: Callable[..., Any]
    args: tuple[Made, ...]
    vary: tuple[int, ...]
    sizes: bool = True
    compiled: bool = False
    kept_off: str = ""
    exact: bool = True


CASES: list[Case] = []


def case(op: str, f: Callable[..., Any], *args: Any, vary: tuple[int, ...] | None = None, **more: Any) -> None:
    """Adds one; an argument that is no maker is a constant."""
    made = tuple(a if callable(a) else constant(a) for a in args)
    free = tuple(i for i, a in enumerate(args) if callable(a)) if vary is None else vary
    CASES.append(Case(op, f, made, free, **more))


def constant(value: Any) -> Made:
    return lambda seed: np.asarray(value, np.int32) if isinstance(value, (int, list)) else np.asarray(value)


def floats(*shape: int, low: float = -1.0, high: float = 1.0, dtype: str = "float64") -> Made:
    return lambda seed: np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def ints(*shape: int, low: int = 0, high: int = 5, dtype: str = "int32") -> Made:
    return lambda seed: np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def bools(*shape: int) -> Made:
    return lambda seed: np.random.default_rng(seed).uniform(size=shape) > 0.5


def complexes(*shape: int) -> Made:
    def made(seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        return generator.normal(size=shape) + 1j * generator.normal(size=shape)

    return made


def positive_definite(*shape: int) -> Made:
    def made(seed: int) -> np.ndarray:
        a = np.random.default_rng(seed).normal(size=shape)
        return a @ np.swapaxes(a, -1, -2) + 3 * np.eye(shape[-1])

    return made


def ordered(*shape: int, high: int = 4, dtype: str = "int32") -> Made:
    """Ascending along the last axis."""
    return lambda seed: np.sort(np.random.default_rng(seed).integers(0, high, shape), -1).astype(dtype)


# Elementwise.

_UNARY = """Abs Acos Acosh Asin Asinh Atan Atanh BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0
BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Ceil Cos Cosh Dawsn Digamma Elu Erf Erfc Erfinv Exp Expint Expm1 Floor
FresnelCos FresnelSin Identity Inv IsFinite IsInf IsNan LeakyRelu Lgamma Log Log1p LogSoftmax Ndtri Neg OnesLike
Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softmax Softplus Softsign Spence Sqrt Square
StopGradient Tan Tanh ZerosLike""".split()
_BINARY = """Add AddV2 Atan2 Complex Div DivNoNan Equal FloorDiv FloorMod Greater GreaterEqual Igamma IgammaGradA
Igammac Less LessEqual Maximum Minimum Mod Mul MulNoNan NotEqual Polygamma Pow RealDiv SquaredDifference Sub
TruncateMod Xdivy Xlog1py Xlogy Zeta""".split()
_SAME_SHAPE = """ApproximateEqual EluGrad LeakyReluGrad ReciprocalGrad Relu6Grad ReluGrad RsqrtGrad SeluGrad
SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad TanhGrad""".split()
_SHAPES = (((2, 3), (2, 3)), ((3,), (2, 3)), ((2, 3), (3,)), ((), (2, 3)), ((2, 3), ()), ((2, 1), (3,)), ((), ()))


def by_order(op: str, **attributes: Any) -> Callable[..., Any]:
    """The raw op of its inputs in their order."""
    raw = getattr(R, op)
    names = list(inspect.signature(raw).parameters)
    return lambda *xs: raw(**dict(zip(names, xs, strict=False)), **attributes)


for _op in _UNARY:
    _range = {"Acosh": (1.5, 3.0), "Polygamma": (1, 3)}.get(_op, (0.2, 0.9))
    for _shape in [(2, 3), (3,), ()]:
        if _shape or _op not in ("Softmax", "LogSoftmax"):
            case(_op, by_order(_op), floats(*_shape, low=_range[0], high=_range[1]))
_ATTRIBUTES: dict[str, dict[str, Any]] = {"Complex": {"Tout": tf.complex128}}
for _op in _BINARY:
    _range = {"Zeta": (1.5, 3.0)}.get(_op, (0.2, 0.9))
    for _one, _two in _SHAPES:
        _first = (lambda shape: lambda seed: np.ones(shape) + seed)(_one) if _op == "Polygamma" else None
        case(_op, by_order(_op, **_ATTRIBUTES.get(_op, {})), _first or floats(*_one, low=_range[0], high=_range[1]),
             floats(*_two, low=_range[0], high=_range[1]))  # fmt: skip
for _op in _SAME_SHAPE:
    case(_op, by_order(_op), floats(2, 3), floats(2, 3))
    case(_op, by_order(_op), floats(), floats())
for _op in ("Angle", "Imag", "Real", "ComplexAbs"):
    _type = {"Tout": tf.float64}
    case(_op, by_order(_op, **_type), complexes(2, 3))
case("Conj", by_order("Conj"), complexes(2, 3))
for _op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift", "TruncateDiv"):
    for _one, _two in _SHAPES:
        case(_op, by_order(_op), ints(*_one, low=1), ints(*_two, low=1))
case("Invert", by_order("Invert"), ints(2, 3))
for _op in ("LogicalAnd", "LogicalOr"):
    for _one, _two in _SHAPES:
        case(_op, by_order(_op), bools(*_one), bools(*_two))
case("LogicalNot", by_order("LogicalNot"), bools(2, 3))
for _op in ("Equal", "NotEqual"):
    case(_op, by_order(_op, incompatible_shape_error=False), ints(2, 3), ints(3))
    case(_op, by_order(_op, incompatible_shape_error=False), ints(2), ints(3),
         kept_off="sizes that don't fit give one False, whatever the turns")  # fmt: skip
case("ApproximateEqual", by_order("ApproximateEqual", tolerance=0.5), floats(2, 3), floats(2, 3))
for _op in ("LeakyRelu", "LeakyReluGrad"):
    case(_op, by_order(_op, alpha=0.3), *[floats(2, 3)] * (1 + _op.endswith("Grad")))
for _to in (tf.float32, tf.int32, tf.complex128, tf.bool):
    case("Cast", lambda x, to=_to: tf.cast(x, to), floats(2, 3, low=-3, high=3))
case("Cast", lambda x: R.Cast(x=x, DstT=tf.bfloat16, Truncate=True), floats(2, 3, dtype="float32"))
case("AddN", lambda *xs: R.AddN(inputs=xs), floats(2, 3), floats(2, 3), floats(2, 3))
case("IdentityN", lambda *xs: tf.identity_n(xs), floats(2, 3), ints(2))
case("CheckNumerics", lambda x: R.CheckNumerics(tensor=x, message="m"), floats(2, 3))
case("CheckNumerics", lambda x, y: x * R.CheckNumerics(tensor=y, message="m"), floats(2, 3), floats(3))
case("Bucketize", lambda x: R.Bucketize(input=x, boundaries=[-0.5, 0.0, 0.5]), floats(2, 3))
for _shape in ((2, 3), ()):
    case("ClipByValue", lambda x, a, b: R.ClipByValue(t=x, clip_value_min=a, clip_value_max=b),
         floats(2, 3), floats(*_shape, low=-1, high=-0.2), floats(*_shape, low=0.2, high=1))  # fmt: skip
for _c, _t in (((), ()), ((), (2, 3)), ((2,), (2,)), ((2,), (2, 3)), ((2, 3), (2, 3)), ((2, 3, 2), (2, 3, 2))):
    case("Select", lambda c, t, e: R.Select(condition=c, x=t, y=e), bools(*_c), floats(*_t), floats(*_t))
for _c, _t, _e in (((), (2, 3), (3,)), ((2, 3), (), (2, 1)), ((3,), (2, 1), (2, 3)), ((2, 1), (3,), ())):
    case("SelectV2", lambda c, t, e: R.SelectV2(condition=c, t=t, e=e), bools(*_c), floats(*_t), floats(*_e))
case("Cross", by_order("Cross"), floats(2, 3), floats(2, 3))
case("Cross", by_order("Cross"), floats(3), floats(3))

# Reductions and scans.

for _op, _made in itertools.product(("Sum", "Prod", "Max", "Min", "Mean", "All", "Any"), (floats,)):
    _make = bools if _op in ("All", "Any") else floats
    for _axis in (0, -1, 1, -3, [0, -1], [-2], [], [0, 1, 2]):
        for _keep in (False, True):
            case(_op, lambda x, op=_op, axis=_axis, keep=_keep: getattr(R, op)(
                input=x, axis=tf.constant(axis, tf.int32), keep_dims=keep), _make(2, 3, 2))  # fmt: skip
    case(_op, lambda x, op=_op: getattr(R, op)(input=x, axis=tf.constant([-1, 0], tf.int64)), _make(2, 3, 2))
for _op, _axis, _type in itertools.product(("ArgMax", "ArgMin"), (0, -1, 1, -2), (tf.int32, tf.int64)):
    case(_op, lambda x, op=_op, axis=_axis, t=_type: getattr(R, op)(input=x, dimension=axis, output_type=t),
         floats(2, 3, 2))  # fmt: skip
for _op, _axis, _exclusive, _reverse in itertools.product(
    ("Cumsum", "Cumprod"), (0, -1, 1, -3), (False, True), (False, True)
):
    case(_op, lambda x, op=_op, axis=_axis, e=_exclusive, r=_reverse: getattr(R, op)(
        x=x, axis=axis, exclusive=e, reverse=r), floats(2, 3, 2))  # fmt: skip
case("Cumsum", lambda x: R.Cumsum(x=x, axis=tf.constant(-1, tf.int64)), floats(2, 3))
for _sorted, _k in itertools.product((True, False), (1, 2, 3)):
    case("TopKV2", lambda x, s=_sorted, k=_k: R.TopKV2(input=x, k=k, sorted=s), floats(2, 3))
case(
    "TopKV2",
    lambda x, k: R.TopKV2(input=x, k=k),
    floats(3),
    ints(low=2, high=3),
    vary=(1,),
    kept_off="results of other sizes",
)

# Shapes.

for _shape in ([3, 2], [-1], [6], [2, -1, 1], [1, 2, 3]):
    case("Reshape", lambda x, s=_shape: R.Reshape(tensor=x, shape=s), floats(2, 3))
case("Reshape", lambda x: R.Reshape(tensor=x, shape=tf.constant([3, -1], tf.int64)), floats(2, 3))
case("Reshape", lambda x: R.Reshape(tensor=x, shape=tf.constant([], tf.int32)), floats(1, 1))
case("Reshape", lambda x: R.Reshape(tensor=x, shape=[-1]), floats())
case("Reshape", lambda x: R.Reshape(tensor=x, shape=[3, 0, 2]), floats(2, 0))
for _axis in ([], [0], [-1], [0, 2], [-3], [0, -1]):
    case("Squeeze", lambda x, a=_axis: R.Squeeze(input=x, axis=a), floats(1, 3, 1))
case("Squeeze", lambda x: tf.squeeze(x), floats(1, 1))
case("Squeeze", lambda x: tf.squeeze(x), floats(2, 3))
for _axis in (0, -1, 1, -2, -3):
    case("ExpandDims", lambda x, a=_axis: R.ExpandDims(input=x, axis=a), floats(2, 3))
case("ExpandDims", lambda x: R.ExpandDims(input=x, axis=tf.constant([-1], tf.int64)), floats(2, 3))
for _perm in ([0, 1, 2], [2, 0, 1], [1, 0, 2]):
    case("Transpose", lambda x, p=_perm: R.Transpose(x=x, perm=p), floats(2, 3, 4))
    case("ConjugateTranspose", lambda x, p=_perm: R.ConjugateTranspose(x=x, perm=p), complexes(2, 3, 4))
case("Transpose", lambda x: R.Transpose(x=x, perm=tf.constant([1, 0], tf.int64)), floats(2, 3))
for _axis in ([0], [-1], [0, 1], [-2, -1], []):
    case("ReverseV2", lambda x, a=_axis: R.ReverseV2(tensor=x, axis=tf.constant(a, tf.int32)), floats(2, 3))
case("ReverseV2", lambda x: R.ReverseV2(tensor=x, axis=tf.constant([-1], tf.int64)), floats(2, 3))
for _shift, _axis in itertools.product((1, -2, 7), (0, 1, -1, -2)):
    case("Roll", lambda x, s, a=_axis: R.Roll(input=x, shift=s, axis=a), floats(2, 3),
         (lambda shift: lambda seed: np.int32(shift + seed))(_shift))  # fmt: skip
for _axis in ([0, 1], [-1, 0], [-1, -1], [1, -2]):
    case("Roll", lambda x, s, a=_axis: R.Roll(input=x, shift=s, axis=a), floats(2, 3), ints(2))
case("Roll", lambda x, s: R.Roll(input=x, shift=s, axis=tf.constant([-1], tf.int64)), floats(2, 3), ints(1))
for _shape in ([2, 3], [4, 2, 3], [2, 2, 3]):
    case("BroadcastTo", lambda x, s=_shape: R.BroadcastTo(input=x, shape=s), floats(3))
    case("BroadcastTo", lambda x, s=_shape: R.BroadcastTo(input=x, shape=tf.constant(s, tf.int64)), floats(2, 1))
    case("BroadcastTo", lambda x, s=_shape: R.BroadcastTo(input=x, shape=s), floats())
for _shape in ((1, 2, 1, 2, 1), (2, 1, 2), (1, 2, 1, 1, 2), (2, 1, 2, 1, 2)):
    # Too many axes for the kernel, with that of the turns.
    case("BroadcastTo", lambda x: R.BroadcastTo(input=x, shape=[2, 2, 2, 2, 2]), floats(*_shape))
for _mode, _type in itertools.product(("REFLECT", "SYMMETRIC"), ("int32", "int64")):
    _paddings = np.array([[1, 1], [0, 2]], _type)
    case("MirrorPad", lambda x, m=_mode, p=_paddings: R.MirrorPad(input=x, paddings=p, mode=m), floats(2, 3))
    case("MirrorPadGrad", lambda x, m=_mode, p=_paddings: R.MirrorPadGrad(input=x, paddings=p, mode=m), floats(4, 5))
for _type, _dims in itertools.product((tf.int32, tf.int64), ([2, 3], [], [4])):
    case("Fill", lambda v, t=_type, d=_dims: R.Fill(dims=tf.constant(d, t), value=v), floats())
    case("Tile", lambda x, t=_type: R.Tile(input=x, multiples=tf.constant([2, 3], t)), floats(2, 3))
    case("Pad", lambda x, t=_type: R.Pad(input=x, paddings=tf.constant([[1, 0], [0, 2]], t)), floats(2, 3))
    case("PadV2", lambda x, v, t=_type: R.PadV2(
        input=x, paddings=tf.constant([[1, 0], [0, 2]], t), constant_values=v), floats(2, 3), floats())  # fmt: skip
    case("Slice", lambda x, b, t=_type: R.Slice(input=x, begin=tf.cast(b, t), size=tf.constant([1, 2], t)),
         floats(2, 3), ints(2, high=2))  # fmt: skip
    case("Slice", lambda x, t=_type: R.Slice(input=x, begin=tf.constant([0, 1], t), size=tf.constant([-1, 2], t)),
         floats(2, 3))  # fmt: skip
    case("Slice", lambda x, b, t=_type: R.Slice(
        input=x, begin=tf.stack([tf.constant(0, t), tf.cast(b, t)]), size=tf.constant([-1, 1], t)),
        floats(2, 3), ints(high=2))  # fmt: skip
for _axis in (0, 1, -1, -2, 2, -3):
    case("Pack", lambda x, y, a=_axis: R.Pack(values=[x, y], axis=a), floats(2, 3), floats(2, 3))
for _axis in (0, 1, -1, -2):
    case("Unpack", lambda x, a=_axis: R.Unpack(value=x, num=[2, 3][a], axis=a), floats(2, 3))
    case("Split", lambda x, a=_axis: R.Split(axis=a, value=x, num_split=2), floats(2, 4))
    case("SplitV", lambda x, a=_axis: R.SplitV(value=x, size_splits=[1, -1], axis=a, num_split=2), floats(2, 4))
    case("SplitV", lambda x, a=_axis: R.SplitV(
        value=x, size_splits=tf.constant([1, 3] if a % 2 else [1, 1], tf.int64), axis=a, num_split=2),
        floats(2, 4))  # fmt: skip
    case("ConcatV2", lambda x, y, a=_axis: R.ConcatV2(values=[x, y], axis=a), floats(2, 3), floats(2, 3))
case("ConcatV2", lambda x, y: R.ConcatV2(values=[x, y], axis=tf.constant(-1, tf.int64)), floats(2, 3), floats(2, 1))
_SLICES: list[Callable[[tf.Tensor], tf.Tensor]] = [
    lambda x: x[1], lambda x: x[-1], lambda x: x[:, -1], lambda x: x[..., 1], lambda x: x[..., ::-1],
    lambda x: x[::2, 1:], lambda x: x[tf.newaxis, :, -2:], lambda x: x[:, tf.newaxis], lambda x: x[..., tf.newaxis],
    lambda x: x[-1:0:-1], lambda x: x[0, ..., -1], lambda x: x[..., tf.newaxis, 1], lambda x: x[1:1],
]  # fmt: skip
for _slice in _SLICES:
    case("StridedSlice", _slice, floats(3, 4, 2))
    case("StridedSliceGrad", lambda x, dy, f=_slice: _slice_gradient(f, x, dy), floats(3, 4, 2),
         (lambda f: lambda seed: np.random.default_rng(seed).normal(size=f(np.zeros((3, 4, 2))).shape))(_slice),
         vary=(1,))  # fmt: skip
case("StridedSlice", lambda x, b: R.StridedSlice(input=x, begin=b, end=b + 1, strides=[1], shrink_axis_mask=1),
     floats(3, 2), ints(1, high=2), vary=(1,), kept_off="a begin that varies is not done")  # fmt: skip
case("StridedSlice", lambda x: R.StridedSlice(
    input=x, begin=tf.constant([1], tf.int64), end=tf.constant([-1], tf.int64), strides=tf.constant([1], tf.int64)),
    floats(4, 2))  # fmt: skip


def _slice_gradient(f: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x, output_gradients=dy)


for _type in (tf.int32, tf.int64):
    case("Shape", lambda x, t=_type: (R.Shape(input=x, out_type=t), x), floats(2, 3))
    case("ShapeN", lambda x, y, t=_type: (*R.ShapeN(input=[x, y], out_type=t), x), floats(2, 3), floats(4))
    case("Size", lambda x, t=_type: (R.Size(input=x, out_type=t), x), floats(2, 3))
case("Rank", lambda x: (R.Rank(input=x), x), floats(2, 3))
for _shape in ([2, 3], [None, 3]):
    case("EnsureShape", lambda x, s=_shape: R.EnsureShape(input=x, shape=s), floats(2, 3))

# Indices.

for _axis, _batch in ((0, 0), (1, 0), (-1, 0), (2, 0), (1, 1), (2, 1), (-1, 1), (2, 2), (-1, 2), (1, -1), (-1, -1)):
    _indices = ints(2, 3, high=2) if _batch else ints(2, high=2)
    case("GatherV2", lambda x, i, a=_axis, b=_batch: R.GatherV2(params=x, indices=i, axis=a, batch_dims=b),
         floats(2, 3, 2) if _batch != 2 else floats(2, 3, 4), _indices)  # fmt: skip
case(
    "GatherV2", lambda x, i: R.GatherV2(params=x, indices=i, axis=tf.constant(-1, tf.int64)), floats(2, 3), ints(high=3)
)
case("GatherV2", lambda x, i: R.GatherV2(params=x, indices=i, axis=0), floats(3), ints(2, 2, high=3, dtype="int64"))
case("GatherV2", lambda x, i: R.GatherV2(params=x, indices=i, axis=0), floats(3, 2), ints(high=3))
case("Gather", lambda x, i: R.Gather(params=x, indices=i), floats(3, 2), ints(2, high=3))
for _depth, _type in itertools.product((1, 2, 0), ("int32", "int64")):
    case(
        "GatherNd", lambda x, i: R.GatherNd(params=x, indices=i), floats(3, 2, 2), ints(4, _depth, high=2, dtype=_type)
    )
case("GatherNd", lambda x, i: R.GatherNd(params=x, indices=i), floats(3, 2), ints(2, high=2))
for _axis, _type in itertools.product((-1, 0, 1), ("int32", "int64")):
    case("OneHot", lambda i, on, off, a=_axis: R.OneHot(indices=i, depth=4, on_value=on, off_value=off, axis=a),
         ints(3, dtype=_type), floats(), floats())  # fmt: skip
for _type in ("int32", "int64"):
    case("TensorScatterUpdate", lambda x, i, u: R.TensorScatterUpdate(tensor=x, indices=i, updates=u),
         floats(4, 3), lambda seed, t=_type: (np.array([[0], [2]]) + seed % 2).astype(t), floats(2, 3))  # fmt: skip
    case("TensorScatterUpdate", lambda x, i, u: R.TensorScatterUpdate(tensor=x, indices=i, updates=u),
         floats(4, 3), lambda seed, t=_type: (np.array([[0, 1], [2, 2]]) + np.array([seed % 2, 0])).astype(t),
         floats(2))  # fmt: skip
for _op, _type in itertools.product(("Add", "Sub", "Max", "Min"), ("int32", "int64")):
    # Repeated indices, and none.
    case(f"TensorScatter{_op}",
         lambda x, i, u, op=_op: getattr(R, f"TensorScatter{op}")(tensor=x, indices=i, updates=u),
         floats(4, 3), ints(5, 1, high=4, dtype=_type), floats(5, 3))  # fmt: skip
    case(f"TensorScatter{_op}",
         lambda x, i, u, op=_op: getattr(R, f"TensorScatter{op}")(tensor=x, indices=i, updates=u),
         floats(4, 3), ints(2, 2, 2, high=3, dtype=_type), floats(2, 2))  # fmt: skip
for _type in ("int32", "int64"):
    for _indices, _updates in (((5, 1), (5, 3)), ((2, 3, 2), (2, 3)), ((2, 1), (2, 3)), ((0, 1), (0, 3))):
        case("ScatterNd", lambda i, u, t=_type: R.ScatterNd(indices=i, updates=u, shape=tf.constant([4, 3], t)),
             ints(*_indices, high=3, dtype=_type), floats(*_updates))  # fmt: skip
for _op, _type in itertools.product(("LowerBound", "UpperBound"), (tf.int32, tf.int64)):
    case(_op, lambda s, v, op=_op, t=_type: getattr(R, op)(sorted_inputs=s, values=v, out_type=t),
         ordered(2, 5, high=9), ints(2, 3, high=9))  # fmt: skip

# Segments.

for _op in ("Sum", "Max", "Min", "Prod"):
    for _ids, _number in itertools.product(("int32", "int64"), (tf.int32, tf.int64)):
        case(f"UnsortedSegment{_op}", lambda x, i, op=_op, t=_number: getattr(R, f"UnsortedSegment{op}")(
            data=x, segment_ids=i, num_segments=tf.constant(4, t)), floats(5, 2), ints(5, low=-1, high=4, dtype=_ids))  # fmt: skip
    case(f"UnsortedSegment{_op}", lambda x, i, op=_op: getattr(R, f"UnsortedSegment{op}")(
        data=x, segment_ids=i, num_segments=3), floats(2, 3, 2), ints(2, 3, high=3))  # fmt: skip
    case(f"UnsortedSegment{_op}", lambda x, i, op=_op: getattr(R, f"UnsortedSegment{op}")(
        data=x, segment_ids=i, num_segments=3), floats(2, 3), ints(2, 3, high=3))  # fmt: skip
for _op, _index, _id in itertools.product(("Sum", "Mean", "SqrtN"), ("int32", "int64"), ("int32", "int64")):
    case(f"SparseSegment{_op}", lambda x, i, op=_op, t=_id: getattr(R, f"SparseSegment{op}")(
        data=x, indices=i, segment_ids=tf.constant([0, 0, 2], t)), floats(4, 2), ints(3, high=4, dtype=_index))  # fmt: skip
    for _number in (tf.int32, tf.int64):
        case(f"SparseSegment{_op}WithNumSegments",
             lambda x, i, s, op=_op, t=_number: getattr(R, f"SparseSegment{op}WithNumSegments")(
                 data=x, indices=i, segment_ids=s, num_segments=tf.constant(5, t)),
             floats(4, 2), ints(3, high=4, dtype=_index), ordered(3, dtype=_id))  # fmt: skip
    case(f"SparseSegment{_op}Grad", lambda g, i, s, op=_op: getattr(R, f"SparseSegment{op}Grad")(
        grad=g, indices=i, segment_ids=s, output_dim0=4), floats(5, 2), ints(3, high=4, dtype=_index),
        ordered(3, dtype=_id))  # fmt: skip

# Products and linear algebra.

for _ta, _tb in itertools.product((False, True), (False, True)):
    for _m, _k, _n in ((2, 3, 4), (1, 3, 1), (3, 3, 3), (2, 1, 2)):
        case("MatMul", lambda a, b, ta=_ta, tb=_tb: R.MatMul(a=a, b=b, transpose_a=ta, transpose_b=tb),
             floats(*((_k, _m) if _ta else (_m, _k))), floats(*((_n, _k) if _tb else (_k, _n))))  # fmt: skip
    for _op, _lead in itertools.product(("BatchMatMul", "BatchMatMulV2"), ((), (2,), (2, 3))):
        case(_op, lambda a, b, op=_op, ta=_ta, tb=_tb: getattr(R, op)(x=a, y=b, adj_x=ta, adj_y=tb),
             complexes(*_lead, *((3, 2) if _ta else (2, 3))), complexes(*_lead, *((2, 3) if _tb else (3, 2))))  # fmt: skip
for _one, _two in (((2,), ()), ((), (2,)), ((1, 3), (2, 1)), ((2, 3), (3,)), ((1,), ()), ((1, 1), ()), ((), (2, 1))):
    case("BatchMatMulV2", lambda a, b: R.BatchMatMulV2(x=a, y=b), floats(*_one, 2, 3), floats(*_two, 3, 4))
for _one, _two in (((2,), (1,)), ((1,), (1,)), ((), (1,)), ((2, 2), (1, 1)), ((1, 2), (1,))):
    # One matrix for the whole batch of the other.
    case("BatchMatMulV2", lambda a, b: R.BatchMatMulV2(x=a, y=b), floats(*_one, 2, 3), floats(*_two, 3, 4))
    case("BatchMatMulV2", lambda a, b: R.BatchMatMulV2(x=a, y=b, adj_x=True, adj_y=True),
         floats(*_two, 3, 2), floats(*_one, 4, 3))  # fmt: skip
for _equation, _shapes in {
    "ij,jk->ik": ((2, 3), (3, 4)), "...ij,jk->...ik": ((2, 2, 3), (3, 4)), "ii->i": ((3, 3),), "ij->": ((2, 3),),
    "ij->ji": ((2, 3),), "i,i->": ((3,), (3,)), "bij,bj->bi": ((2, 3, 4), (2, 4)), "ij,->ij": ((2, 3), ()),
    "...i,...i->...": ((2, 3), (3,)), "ab...,...c->...ca": ((2, 3, 2), (2, 4)), "aab->ab": ((2, 2, 3),),
    "i->ii": ((3,),), "ai,a->aii": ((2, 3), (2,)), "b...i->b...ii": ((2, 2, 3),),
}.items():  # fmt: skip
    case("Einsum", lambda *xs, e=_equation: R.Einsum(inputs=xs, equation=e), *(floats(*s) for s in _shapes))
for _lead in ((), (2,)):
    case("Cholesky", by_order("Cholesky"), positive_definite(*_lead, 3, 3))
    case("LogMatrixDeterminant", by_order("LogMatrixDeterminant"), positive_definite(*_lead, 3, 3))
    case("SelfAdjointEigV2", lambda x: R.SelfAdjointEigV2(input=x, compute_v=False)[0], positive_definite(*_lead, 3, 3))
    case("SelfAdjointEigV2", lambda x: R.SelfAdjointEigV2(input=x), positive_definite(*_lead, 3, 3))
    for _adjoint in (False, True):
        case("MatrixInverse", by_order("MatrixInverse", adjoint=_adjoint), positive_definite(*_lead, 3, 3))
        case("MatrixSolve", by_order("MatrixSolve", adjoint=_adjoint), complexes(*_lead, 3, 3), complexes(*_lead, 3, 2))
        for _lower in (False, True):
            case("MatrixTriangularSolve", by_order("MatrixTriangularSolve", adjoint=_adjoint, lower=_lower),
                 positive_definite(*_lead, 3, 3), floats(*_lead, 3, 2))  # fmt: skip
case("MatrixTriangularSolve", by_order("MatrixTriangularSolve"), positive_definite(3, 3), floats(2, 3, 2))
case("MatrixTriangularSolve", by_order("MatrixTriangularSolve"), positive_definite(2, 3, 3), floats(3, 2))
for _lower, _upper in ((0, -1), (1, 0), (-1, 1)):
    case("MatrixBandPart", lambda x, low=_lower, up=_upper: R.MatrixBandPart(input=x, num_lower=low, num_upper=up),
         floats(2, 3, 3))  # fmt: skip
case("Diag", by_order("Diag"), floats(3))
case("Diag", by_order("Diag"), floats(2, 3))
case("DiagPart", by_order("DiagPart"), floats(3, 3))
case("DiagPart", by_order("DiagPart"), floats(2, 3, 2, 3))
for _lead in ((), (2,)):
    case("MatrixDiag", by_order("MatrixDiag"), floats(*_lead, 3))
    case("MatrixDiagPart", by_order("MatrixDiagPart"), floats(*_lead, 3, 2))
    case("MatrixSetDiag", by_order("MatrixSetDiag"), floats(*_lead, 3, 2), floats(*_lead, 2))
    for _k in (0, 1, -1, [-1, 1], [0, 1]):
        _count = () if isinstance(_k, int) else (_k[1] - _k[0] + 1,)
        _long = 3 if not isinstance(_k, int) or not _k else 2
        for _align in ("", "LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"):
            _op, _more = ("V3", {"align": _align}) if _align else ("V2", {})
            case(f"MatrixDiag{_op}", lambda d, v, k=_k, op=_op, more=_more: getattr(R, f"MatrixDiag{op}")(
                diagonal=d, k=k, num_rows=-1, num_cols=-1, padding_value=v, **more),
                floats(*_lead, *_count, _long), floats(), vary=(0,))  # fmt: skip
            case(f"MatrixDiagPart{_op}", lambda x, v, k=_k, op=_op, more=_more: getattr(R, f"MatrixDiagPart{op}")(
                input=x, k=k, padding_value=v, **more), floats(*_lead, 3, 3), floats(), vary=(0,))  # fmt: skip
            case(f"MatrixSetDiag{_op}", lambda x, d, k=_k, op=_op, more=_more: getattr(R, f"MatrixSetDiag{op}")(
                input=x, diagonal=d, k=k, **more), floats(*_lead, 3, 3), floats(*_lead, *_count, _long))  # fmt: skip
for _number, _op in itertools.product(("", "2D", "3D"), ("FFT", "IFFT", "RFFT", "IRFFT")):
    _rank, _sizes = int(_number[:1] or 1), (4, 3, 4)
    for _lead in ((), (2,)):
        _shape = (*_lead, *_sizes[:_rank])
        if _op in ("FFT", "IFFT"):
            case(_op + _number, by_order(_op + _number), complexes(*_shape))
            continue
        for _length in ([4, 3, 4][:_rank], [2, 2, 3][:_rank]):
            case(_op + _number, lambda x, op=_op + _number, n=_length: getattr(R, op)(
                input=x, fft_length=n, **({"Treal": tf.float64} if op[0] == "I" else {"Tcomplex": tf.complex128})),
                (complexes if _op == "IRFFT" else floats)(*_shape))  # fmt: skip

# Networks.

_WINDOWS = [
    dict(strides=[1, s, s, 1], padding=p, dilations=[1, d, d, 1], **({"explicit_paddings": [0, 0, 1, 2, 0, 1, 0, 0]} if p == "EXPLICIT" else {}))
    for s, d, p in ((1, 1, "SAME"), (2, 1, "VALID"), (2, 1, "SAME"), (1, 2, "VALID"), (1, 1, "EXPLICIT"), (2, 1, "EXPLICIT"))
]  # fmt: skip


def output_of(f: Callable[..., Any], *shapes: tuple[int, ...], like: Callable[..., Made] = floats) -> Made:
    """Numbers of the shape that f gives."""
    return lambda seed: like(*f(*(tf.constant(like(*shape)(0)) for shape in shapes)).shape)(seed)


for _window, (_groups, _out) in itertools.product(_WINDOWS, ((1, 4), (1, 1), (2, 4))):
    _x, _k = (2, 6, 5, 2 * _groups), (3, 2, 2, _out)
    _f = lambda x, k, w=_window: R.Conv2D(input=x, filter=k, **w)
    case("Conv2D", _f, floats(*_x), floats(*_k))
    if _window["dilations"][1] == 1 and _groups == 1:
        case("Conv2DBackpropInput", lambda k, dy, w=_window, s=_x: R.Conv2DBackpropInput(
            input_sizes=list(s), filter=k, out_backprop=dy, **w), floats(*_k), output_of(_f, _x, _k))  # fmt: skip
        case("Conv2DBackpropFilter", lambda x, dy, w=_window, s=_k: R.Conv2DBackpropFilter(
            input=x, filter_sizes=list(s), out_backprop=dy, **w), floats(*_x), output_of(_f, _x, _k))  # fmt: skip
    elif _groups == 2 and _window["dilations"][1] == 1:
        case("Conv2DBackpropInput", lambda k, dy, w=_window, s=_x: R.Conv2DBackpropInput(
            input_sizes=list(s), filter=k, out_backprop=dy, **w), floats(*_k), output_of(_f, _x, _k),
            compiled=True)  # fmt: skip
        case("Conv2DBackpropFilter", lambda x, dy, w=_window, s=_k: R.Conv2DBackpropFilter(
            input=x, filter_sizes=list(s), out_backprop=dy, **w), floats(*_x), output_of(_f, _x, _k),
            compiled=True)  # fmt: skip
    else:
        case("Conv2DBackpropInput", lambda k, dy, w=_window, s=_x: R.Conv2DBackpropInput(
            input_sizes=list(s), filter=k, out_backprop=dy, **w), floats(*_k), output_of(_f, _x, _k),
            compiled=True)  # fmt: skip
        case("Conv2DBackpropFilter", lambda x, dy, w=_window, s=_k: R.Conv2DBackpropFilter(
            input=x, filter_sizes=list(s), out_backprop=dy, **w), floats(*_x), output_of(_f, _x, _k),
            compiled=True)  # fmt: skip
case("Conv2DBackpropInput", lambda k, dy: R.Conv2DBackpropInput(
    input_sizes=[6, 5], filter=k, out_backprop=dy, strides=[1, 1, 1, 1], padding="SAME"),
    floats(3, 2, 2, 4), floats(2, 6, 5, 4))  # fmt: skip
for _window in _WINDOWS:
    _first = dict(_window, data_format="NCHW")
    for _key in ("strides", "dilations"):
        _first[_key] = [1, 1, _window[_key][1], _window[_key][2]]
    if "explicit_paddings" in _window:
        _first["explicit_paddings"] = [0, 0, 0, 0, 1, 2, 0, 1]
    _x, _k = (2, 2, 6, 5), (3, 2, 2, 4)
    _size = {"padding": _window["padding"], "dilations": _window["dilations"], "strides": _window["strides"]}
    _f = lambda x, k, w=_window: tf.transpose(
        R.Conv2D(input=tf.transpose(x, [0, 2, 3, 1]), filter=k, **w), [0, 3, 1, 2]
    )
    case("Conv2D", lambda x, k, w=_first: R.Conv2D(input=x, filter=k, **w), floats(*_x), floats(*_k), compiled=True)
    case("Conv2DBackpropInput", lambda k, dy, w=_first, s=_x: R.Conv2DBackpropInput(
        input_sizes=list(s), filter=k, out_backprop=dy, **w), floats(*_k), output_of(_f, _x, _k), compiled=True)  # fmt: skip
    case("Conv2DBackpropFilter", lambda x, dy, w=_first, s=_k: R.Conv2DBackpropFilter(
        input=x, filter_sizes=list(s), out_backprop=dy, **w), floats(*_x), output_of(_f, _x, _k), compiled=True)  # fmt: skip
for _window, _layout in itertools.product(_WINDOWS, ("NHWC", "NCHW")):
    if _window["dilations"][1] != 1:
        continue
    _more = dict(_window, dilations=[1, 1, 1, 1])
    _x, _k = (2, 6, 5, 2), (3, 2, 2, 3)
    _f = lambda x, k, w=_more: R.DepthwiseConv2dNative(input=x, filter=k, **w)
    _shape = tuple(_f(tf.zeros(_x), tf.zeros(_k)).shape)
    if _layout == "NCHW":
        _x, _shape = (_x[0], _x[3], *_x[1:3]), (_shape[0], _shape[3], *_shape[1:3])
        _more = dict(_more, data_format="NCHW", strides=[1, 1, *_window["strides"][1:3]])
        if "explicit_paddings" in _more:
            _more["explicit_paddings"] = [0, 0, 0, 0, 1, 2, 0, 1]
    _compiled = _layout == "NCHW"
    case("DepthwiseConv2dNative", lambda x, k, w=_more: R.DepthwiseConv2dNative(input=x, filter=k, **w),
         floats(*_x), floats(*_k), compiled=_compiled)  # fmt: skip
    case("DepthwiseConv2dNativeBackpropInput", lambda k, dy, w=_more, s=_x: R.DepthwiseConv2dNativeBackpropInput(
        input_sizes=list(s), filter=k, out_backprop=dy, **w), floats(*_k), floats(*_shape), compiled=_compiled)  # fmt: skip
    case("DepthwiseConv2dNativeBackpropFilter", lambda x, dy, w=_more, s=_k: R.DepthwiseConv2dNativeBackpropFilter(
        input=x, filter_sizes=list(s), out_backprop=dy, **w), floats(*_x), floats(*_shape), compiled=_compiled)  # fmt: skip
for _stride, _padding in ((1, "SAME"), (2, "VALID"), (2, "SAME")):
    _flat = dict(ksize=[1, 2, 2, 1], strides=[1, _stride, _stride, 1], padding=_padding)
    _deep = dict(ksize=[1, 2, 2, 2, 1], strides=[1, _stride, _stride, _stride, 1], padding=_padding)
    for _kind, _more, _x in (("", _flat, (2, 4, 5, 2)), ("3D", _deep, (2, 4, 5, 4, 2))):
        _made = partial(floats, dtype="float32" if _kind else "float64")
        for _pool in ("AvgPool", "MaxPool"):
            _f = lambda x, op=_pool + _kind, m=_more: getattr(R, op)(
                **{("value" if op == "AvgPool" else "input"): x}, **m
            )
            case(_pool + _kind, _f, _made(*_x))
            if _pool == "AvgPool":
                case(f"AvgPool{_kind}Grad", lambda dy, op=f"AvgPool{_kind}Grad", m=_more, s=_x: getattr(R, op)(
                    orig_input_shape=list(s), grad=dy, **m), output_of(_f, _x, like=_made))  # fmt: skip
        _f = lambda x, op="MaxPool" + _kind, m=_more: getattr(R, op)(input=x, **m)
        case(f"MaxPool{_kind}Grad", lambda x, dy, f=_f, op=f"MaxPool{_kind}Grad", m=_more: getattr(R, op)(
            orig_input=x, orig_output=f(x), grad=dy, **m), _made(*_x), output_of(_f, _x, like=_made))  # fmt: skip
        if _padding == "VALID":  # else its kernel takes wrong elements, and we have a gradient of our own
            case(f"MaxPool{_kind}GradGrad", lambda x, dx, f=_f, op=f"MaxPool{_kind}GradGrad", m=_more: getattr(R, op)(
            orig_input=x, orig_output=f(x), grad=dx, **m), _made(*_x), _made(*_x))  # fmt: skip
    _v2 = {k: v for k, v in _flat.items() if k == "padding"}
    _f = lambda x, m=_flat: R.MaxPoolV2(input=x, **m)
    case("MaxPoolV2", _f, floats(2, 4, 5, 2))
    case("MaxPoolGradV2", lambda x, dy, f=_f, m=_flat: R.MaxPoolGradV2(orig_input=x, orig_output=f(x), grad=dy, **m),
         floats(2, 4, 5, 2), output_of(_f, (2, 4, 5, 2)))  # fmt: skip
    if _padding == "VALID":
        case("MaxPoolGradGradV2", lambda x, dx, f=_f, m=_flat: R.MaxPoolGradGradV2(
        orig_input=x, orig_output=f(x), grad=dx, **m), floats(2, 4, 5, 2), floats(2, 4, 5, 2))  # fmt: skip
_EXPLICIT = dict(
    ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="EXPLICIT", explicit_paddings=[0, 0, 1, 0, 0, 1, 0, 0]
)
case("MaxPool", lambda x: R.MaxPool(input=x, **_EXPLICIT), floats(2, 4, 5, 2))
case("MaxPoolGrad", lambda x, dy: R.MaxPoolGrad(orig_input=x, orig_output=R.MaxPool(input=x, **_EXPLICIT), grad=dy, **_EXPLICIT),
     floats(2, 4, 5, 2), output_of(lambda x: R.MaxPool(input=x, **_EXPLICIT), (2, 4, 5, 2)))  # fmt: skip
for _labels in ((2, 3), (1, 3), (2, 1)):
    case(
        "SoftmaxCrossEntropyWithLogits",
        by_order("SoftmaxCrossEntropyWithLogits"),
        floats(2, 3),
        floats(*_labels, low=0),
    )
    case(
        "SoftmaxCrossEntropyWithLogits",
        by_order("SoftmaxCrossEntropyWithLogits"),
        floats(*_labels),
        floats(2, 3, low=0),
    )
case(
    "SparseSoftmaxCrossEntropyWithLogits",
    by_order("SparseSoftmaxCrossEntropyWithLogits"),
    floats(2, 3),
    ints(2, high=3),
)
for _data, _rank in (("NHWC", 2), ("NHWC", 3), ("NHWC", 4), ("NHWC", 5), ("NCHW", 3), ("NCHW", 4), ("NCHW", 5)):
    for _sizes in ((2, 3, 4, 5, 6), (3, 3, 3, 3, 3)):
        _channels = _sizes[1] if _data == "NCHW" else _sizes[_rank - 1]
        case("BiasAdd", lambda x, b, d=_data: R.BiasAdd(value=x, bias=b, data_format=d),
             floats(*_sizes[:_rank]), floats(_channels))  # fmt: skip
        case("BiasAddGrad", lambda g, d=_data: R.BiasAddGrad(out_backprop=g, data_format=d), floats(*_sizes[:_rank]))
for _op, _x in (("DepthToSpace", (2, 3, 2, 4)), ("SpaceToDepth", (2, 4, 2, 3))):
    case(_op, lambda x, op=_op: getattr(R, op)(input=x, block_size=2), floats(*_x))
case(
    "SpaceToBatchND",
    lambda x: R.SpaceToBatchND(input=x, block_shape=[2, 3], paddings=[[0, 0], [1, 0]]),
    floats(2, 4, 5, 3),
)
case("SpaceToBatchND", lambda x: R.SpaceToBatchND(input=x, block_shape=[2], paddings=[[1, 1]]), floats(3, 4))
case(
    "BatchToSpaceND",
    lambda x: R.BatchToSpaceND(input=x, block_shape=[2, 3], crops=[[0, 0], [1, 0]]),
    floats(12, 4, 5, 3),
)
case("BatchToSpaceND", lambda x: R.BatchToSpaceND(input=x, block_shape=[2], crops=[[1, 0]]), floats(6, 4))
for _data, _training, _factor in itertools.product(("NHWC", "NCHW", "NDHWC", "NCDHW"), (True, False), (1.0, 0.3)):
    _inner = (3, 2, 4) if "D" in _data else (3, 4)
    _x = (2, 3, *_inner) if _data[1] == "C" else (2, *_inner, 3)
    _attributes = dict(is_training=_training, data_format=_data, epsilon=1e-3)
    case("FusedBatchNormV3", lambda x, s, o, m, v, a=_attributes, e=_factor: R.FusedBatchNormV3(
        x=x, scale=s, offset=o, mean=m, variance=v, exponential_avg_factor=e, **a)[: 3 if a["is_training"] else 1],
        floats(*_x, dtype="float32"), *[floats(3, low=0.5, high=1.5, dtype="float32")] * 4,
        vary=(0,) if not _training else None, compiled=_data != "NHWC")  # fmt: skip
    if _factor == 1.0:
        case("FusedBatchNormGradV3", lambda dy, x, s, m, v, a=_attributes: R.FusedBatchNormGradV3(
            y_backprop=dy, x=x, scale=s, reserve_space_1=m, reserve_space_2=v, reserve_space_3=tf.zeros([0]), **a)[:3],
            floats(*_x, dtype="float32"), floats(*_x, dtype="float32"),
            *[floats(3, low=0.5, high=1.5, dtype="float32")] * 3, compiled=_data != "NHWC")  # fmt: skip

# Pictures.

for _op, _name in (("AdjustContrastv2", "contrast_factor"), ("AdjustHue", "delta"), ("AdjustSaturation", "scale")):
    for _shape in ((4, 5, 3), (2, 4, 5, 3)):
        case(_op, lambda x, v, op=_op, n=_name: getattr(R, op)(images=x, **{n: v}),
             floats(*_shape, low=0, dtype="float32"), floats(low=0.1, high=0.9, dtype="float32"), vary=(0,))  # fmt: skip

# Numbers by chance: their shape.

for _op in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal"):
    case(_op, lambda x, op=_op: getattr(R, op)(shape=[2, 3], dtype=tf.float64) * x, floats(), exact=False)
case(
    "RandomUniformInt",
    lambda x: x + tf.cast(R.RandomUniformInt(shape=[2], minval=0, maxval=5), tf.float64),
    floats(),
    exact=False,
)
case("RandomGamma", lambda a: R.RandomGamma(shape=[4], alpha=a), floats(2, 3, low=0.5), exact=False)
case(
    "RandomGamma",
    lambda a, x: x * R.RandomGamma(shape=[4], alpha=a),
    floats(2, low=0.5),
    floats(),
    vary=(1,),
    exact=False,
)
case("RandomPoissonV2", lambda a: R.RandomPoissonV2(shape=[4], rate=a), floats(2, 3, low=0.5), exact=False)
case("Multinomial", lambda x: R.Multinomial(logits=x, num_samples=5), floats(2, 3), exact=False)
case("Multinomial", lambda x, y: y + tf.cast(R.Multinomial(logits=x, num_samples=5), tf.float64), floats(2, 3), floats(),
     vary=(1,), exact=False)  # fmt: skip
_SEEDS = ints(2, low=1, high=100)
for _op in ("StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncatedNormal"):
    case(_op, lambda s, op=_op: getattr(R, op)(shape=[2, 3], seed=s), _SEEDS)
case("StatelessRandomUniformInt", lambda s: R.StatelessRandomUniformInt(shape=[3], seed=s, minval=0, maxval=9), _SEEDS)
case("StatelessRandomUniformFullInt", lambda s: R.StatelessRandomUniformFullInt(shape=[3], seed=s), _SEEDS)
case("StatelessRandomBinomial", lambda s, c, p: R.StatelessRandomBinomial(shape=[3], seed=s, counts=c, probs=p),
     _SEEDS, floats(low=3, high=9), floats(low=0.2))  # fmt: skip
case(
    "StatelessRandomGammaV2", lambda s, a: R.StatelessRandomGammaV2(shape=[3], seed=s, alpha=a), _SEEDS, floats(low=0.5)
)
case("StatelessRandomPoisson", lambda s, a: R.StatelessRandomPoisson(shape=[3], seed=s, lam=a, dtype=tf.float32), _SEEDS,
     floats(low=0.5))  # fmt: skip
case("StatelessMultinomial", lambda s, x: R.StatelessMultinomial(logits=x, num_samples=4, seed=s), _SEEDS, floats(2, 3))
case("StatelessParameterizedTruncatedNormal", lambda s, m: R.StatelessParameterizedTruncatedNormal(
    shape=[3], seed=s, means=m, stddevs=tf.ones([], tf.float64), minvals=-2 * tf.ones([], tf.float64),
    maxvals=2 * tf.ones([], tf.float64)), _SEEDS, floats())  # fmt: skip

# Control flow, whose ops are made by TensorFlow's functions: a case for each op that is in the function.


def ops_in(graph: Any) -> set[str]:
    """Types of the ops of a graph and of all functions that it may call."""
    found = {operation.type for operation in graph.get_operations()}
    library = graph.as_graph_def().library.function
    return found | {node.op for function in library for node in function.node_def}


def through(ops: str, f: Callable[..., Any], *args: Any, **more: Any) -> None:
    for op in ops.split():
        case(op, f, *args, **more)


_V = floats(3)
through("StatelessIf", lambda p, x: tf.cond(p, lambda: tf.sin(x), lambda: x * x), bools(), _V)
through(
    "StatelessIf",
    lambda p, x: tf.cond(p, lambda: (tf.reshape(x, [-1, 1]), x[0]), lambda: (x[:, None] * 2, x[1])),
    bools(),
    _V,
)
through("StatelessIf", lambda p, q, x: tf.cond(
    p, lambda: tf.cond(q, lambda: tf.sin(x), lambda: x), lambda: tf.squeeze(x[None])), bools(), bools(), _V)  # fmt: skip
through(
    "If", lambda p, x: tf.cond(p, lambda: tf.random.uniform([3], dtype=tf.float64) * 0 + x, lambda: x * x), bools(), _V
)
through(
    "StatelessCase", lambda i, x: tf.switch_case(i, [lambda: x, lambda: x * x, lambda: tf.sin(x)]), ints(high=3), _V
)
through(
    "StatelessCase",
    lambda i, x: tf.switch_case(i, [lambda: (x, x[0]), lambda: (x * x, x[1])]),
    ints(low=-1, high=4),
    _V,
)
through("Case", lambda i, x: tf.switch_case(
    i, [lambda: tf.debugging.check_numerics(x, "m"), lambda: x * x]), ints(high=2), _V)  # fmt: skip
through("PartitionedCall", lambda x, y: tf.function(lambda a, b: (a * b, tf.roll(a, 1, -1)))(x, y), _V, _V)
through("StatefulPartitionedCall", lambda x, y: tf.function(
    lambda a, b: (a * b + 0 * tf.random.uniform([3], dtype=tf.float64), a))(x, y), _V, _V)  # fmt: skip


def power(x: tf.Tensor, count: Any) -> tf.Tensor:
    return tf.while_loop(
        lambda i, y: i < count, lambda i, y: (i + 1, tf.sin(y) * x), (tf.constant(0), tf.ones_like(x))
    )[1]


def grown(x: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda y: tf.reduce_sum(tf.abs(y)) < limit, lambda y: (1.5 * y + 0.1,), (x,))[0]


def gradient_of(f: Callable[..., Any]) -> Callable[..., Any]:
    def product(x: tf.Tensor, *more: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x, *more)
        return tape.gradient(y, x)

    return product


through("StatelessWhile", lambda x: power(x, 3), _V)
through("StatelessWhile", power, _V, ints(low=1, high=5))
through("StatelessWhile", grown, _V, floats(low=3, high=9))
through("While", lambda x: tf.while_loop(
    lambda i, y: i < 3, lambda i, y: (i + 1, y * x + 0 * tf.random.uniform([], dtype=tf.float64)),
    (tf.constant(0), x))[1], _V)  # fmt: skip
_LISTS = "TensorListReserve TensorListSetItem TensorListGetItem TensorListStack"
through(f"{_LISTS} TensorListFromTensor", lambda x: tf.map_fn(lambda r: tf.sin(r) * 2, x), floats(3, 2))
through(_LISTS.replace(" TensorListGetItem", ""), lambda x: tf.scan(lambda a, r: a * r + 0.5, x), floats(4, 2))
through("TensorListReserve", lambda x: tf.scan(lambda a, r: a * r, x, reverse=True), floats(4))
through("TensorListPopBack TensorListPushBack", gradient_of(lambda x: power(x, 3)), _V)
through("TensorListPopBack TensorListPushBack", gradient_of(power), _V, ints(low=1, high=5), vary=(0,))
through("TensorListPopBack TensorListPushBack", gradient_of(power), _V, ints(low=1, high=5), vary=(1,),
        kept_off="lists in a loop that turns leave apart")  # fmt: skip
through("TensorListPopBack TensorListPushBack", gradient_of(grown), _V, floats(low=3, high=9),
        kept_off="lists in a loop that turns leave apart")  # fmt: skip


def written(x: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """Steps into an array, until they are large."""
    array = tf.TensorArray(x.dtype, 4, element_shape=[3])
    return tf.while_loop(lambda i, y, _: (i < 4) & (tf.reduce_sum(tf.abs(y)) < limit),
                         lambda i, y, a: (i + 1, 1.5 * y + 0.1, a.write(i, y)), (0, x, array))[2].stack()  # fmt: skip


through("TensorListReserve TensorListSetItem TensorListStack StatelessWhile", written, _V, floats(low=3, high=9),
        kept_off="lists in a loop that turns leave apart")  # fmt: skip


def with_array(x: tf.Tensor, read: Callable[[Any], Any], **options: Any) -> Any:
    array = tf.TensorArray(x.dtype, size=3, **options).unstack(x)
    return read(array)


through("TensorListGather", lambda x, i: with_array(x, lambda a: a.gather(i)), floats(3, 2), ints(2, high=3))
through("TensorListGetItem", lambda x, i: with_array(x, lambda a: a.read(i)), floats(3, 2), ints(high=3))
through("TensorListConcatV2", lambda x: with_array(x, lambda a: a.concat()), floats(3, 2, 2))
through("TensorListScatterIntoExistingList", lambda x, y, i: tf.TensorArray(tf.float64, 4, element_shape=[2]).unstack(x)
        .scatter(i, y).stack(), floats(4, 2), floats(2, 2),
        lambda seed: (np.array([0, 2]) + seed % 2).astype("int32"))  # fmt: skip
through("TensorListSetItem", lambda x, y, i: tf.TensorArray(tf.float64, 3, element_shape=[2]).unstack(x).write(i, y).stack(),
        floats(3, 2), floats(2), ints(high=3), vary=(0, 1))  # fmt: skip

# Converters without a case, and why.
NO_CASE: dict[str, str] = {
    **dict.fromkeys(
        ("DecodeCSV", "ParseExampleV2", "ParseSingleExample", "StringFormat"), "text, which has no derivative"
    ),
    **dict.fromkeys(("Assert", "Print", "PrintV2"), "no results"),
    **dict.fromkeys(("StackPopV2", "StackPushV2"), "of the loops of TensorFlow 1, which are not vectorized"),
    **dict.fromkeys(
        [f"TensorArray{name}V3" for name in ("", "Gather", "Grad", "Read", "Scatter", "Size", "Write")],
        "of the loops of TensorFlow 1, which are not vectorized",
    ),
    **dict.fromkeys(("OptionalFromValue", "OptionalGetValue"), "of data sets"),
    "TensorListElementShape": "right where sizes are known, as in our loops; of others its length is lost",
    "TensorListLength": "a number that no turn changes",
    **dict.fromkeys(("XlaEinsum", "XlaSharding"), "made by XLA, after the loop is vectorized"),
    **dict.fromkeys(("LogicalXor", "TopK"), "not an op of TensorFlow 2"),
    "_EagerConst": "made when a function runs, after the loop is vectorized",
}
