"""The result of ``audit``, for programs and for people, and what to use instead of each op that stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...public import public

ObstacleKind = Literal["no gradient", "left out", "cut", "no kernel", "not vectorized", "not compiled", "not exported"]


@public("types")
@dataclass(frozen=True)
class Obstacle:
    """An op that stands in the way.

    Attributes:
        kind: "no gradient": differentiating raises an error; "left out": TensorFlow would leave it out in silence,
            and the operators refuse it; "cut": its derivative is zero or None; "no kernel": it can't run on CPU with
            its dtypes; "not vectorized": it works, but one sample or seed after another; "not compiled",
            "not exported": XLA or the C library doesn't have it.
        order: of the derivative that it stands in the way of; 0 for the value.
        op, name: its type and its name in the graph.
        forward_op: for an op of a derivative, the type of the op that it comes from.
        fails: whether the derivative can't be had; else it is had, but slower or without this op's part.
        count: how many such ops there are in the same place.
        layer: the Keras layer.
        where, code: "file.py:LINE" of the user's code, and the line itself.
        text: what is wrong.
        remedy: what to use instead.
    """

    kind: ObstacleKind
    order: int
    op: str
    name: str
    fails: bool
    text: str
    remedy: str
    forward_op: str | None = None
    count: int = 1
    layer: str | None = None
    where: str | None = None
    code: str | None = None

    def facts(self) -> dict[str, str]:
        """The same by short names, for people."""
        op = f"{self.op}, in the derivative of {self.forward_op}" if self.forward_op else self.op
        times = f" ({self.count} of them)" if self.count > 1 else ""
        found = {
            "fails" if self.fails else "note": f"{op}{times}: {self.text}",
            "layer": self.layer,
            "in": f"{self.where}: {self.code}" if self.where else None,
            "instead": self.remedy,
        }
        return {name: text for name, text in found.items() if text}

    def __str__(self) -> str:
        (mark, text), *others = self.facts().items()
        return "\n".join([f"{mark:<5}  {text}", *(f"       {name:<7} {fact}" for name, fact in others)])


@public("types")
@dataclass(frozen=True)
class Audit:
    """What would stand in the way of derivatives of a function; iterate it for every :class:`Obstacle`.

    Attributes:
        function: its name.
        order, target: what was asked for.
        obstacles: those that fail first.
        incomplete: why not all of it could be looked at, or None.
    """

    function: str
    order: int
    target: str
    obstacles: tuple[Obstacle, ...] = ()
    incomplete: str | None = None

    def __iter__(self) -> Iterator[Obstacle]:
        return iter(self.obstacles)

    def __len__(self) -> int:
        return len(self.obstacles)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def ok(self) -> bool:
        """Whether nothing fails."""
        return not any(obstacle.fails for obstacle in self.obstacles)

    def as_dict(self) -> dict[str, Any]:
        """The same for ``json.dumps``."""
        return {"ok": self.ok, **asdict(self)}

    @property
    def summary(self) -> str:
        """One line."""
        failing = sum(obstacle.fails for obstacle in self.obstacles)
        verdict = f"{failing} kind{'s' * (failing > 1)} of op fail{'s' * (failing == 1)}"
        order = f"derivatives of order {self.order}, {self.target}"
        return f"{self.function}, {order}: {'nothing stands in the way' if self.ok else verdict}"

    def __str__(self) -> str:
        lines = [self.summary, *map(str, self.obstacles)]
        return "\n".join([*lines, *([f"note   {self.incomplete}"] if self.incomplete else [])])


# Remedies, by type of op.
_STRAIGHT = "tgk.straight_through({})(x), which passes the gradient on"
_EXTERNAL = "tgk.wrap_external(fn, output_spec, derivative=…), which says what the derivative is"
_OWN = "other ops; or the rule yourself: tgk.custom_rule(fn, vjp=…), or @tgk.register_gradient({!r}) for the op"
_CUTS = {
    "Round": _STRAIGHT.format("tf.round"),
    "Rint": _STRAIGHT.format("tf.math.rint"),
    "Floor": _STRAIGHT.format("tf.floor"),
    "Ceil": _STRAIGHT.format("tf.math.ceil"),
    "Sign": _STRAIGHT.format("tf.sign") + "; or tf.tanh(k * x), smooth",
    "FloorDiv": "x / y where it need not be whole; " + _STRAIGHT.format("lambda q: tf.floor(q)"),
    "Cast": "stay floating; round by tgk.straight_through(tf.round)(x)",
    "ArgMax": "tf.nn.softmax(k * x), which is smooth; tf.reduce_max(x) where the value is meant",
    "ArgMin": "tf.nn.softmax(-k * x), which is smooth; tf.reduce_min(x) where the value is meant",
    "SearchSorted": "interpolation: weights from distances to the neighbours",
    "Bucketize": "tf.sigmoid(k * (x - edge)) for each edge, smooth",
    "OneHot": "tf.nn.softmax(k * x), which is smooth",
    "PyFunc": _EXTERNAL,
    "PyFuncStateless": _EXTERNAL,
    "EagerPyFunc": _EXTERNAL,
    "RandomPoisson": "the mean, or the score function: tfp.distributions with reparameterized samples",
}
_COMPARED = "tf.sigmoid(k * (x - y)) in place of x > y, smooth"
_CUTS |= dict.fromkeys(("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"), _COMPARED)
_CUTS |= dict.fromkeys(("UpperBound", "LowerBound"), "interpolation: weights from distances to the neighbours")
_LEFT_OUT = {
    "HSVToRGB": "tf.image.hsv_to_rgb called by the function itself, which is replaced by its formula here",
    "ExtractGlimpse": "tf.image.extract_glimpse of TensorFlow 2",
    "OneHot": "off + (on - off) * tf.one_hot(indices, depth)",
    "SparseConcat": "tf.concat of tf.sparse.to_dense",
    "DrawBoundingBoxes": "boxes drawn outside of what is differentiated",
    "PyFunc": _EXTERNAL,
    "PyFuncStateless": _EXTERNAL,
}
_NO_GRADIENT = {
    "EagerPyFunc": _EXTERNAL,
    "MatrixExponential": "tf.linalg.expm of small matrices as a series, or eigh: V exp(λ) Vᵀ",
    "Dilation2D": "tf.nn.max_pool2d, or tf.nn.max_pool of shifted sums",
    "ResourceApplyGradientDescent": "the step outside of what is differentiated",
    "NonMaxSuppressionV3": "tf.stop_gradient on scores; boxes by tf.gather of the chosen indices",
}
_DETERMINANT = "tf.linalg.lu's diagonal; of a symmetric positive matrix 2 Σ log diag(tf.linalg.cholesky(m))"
_RESIZED = "bilinear or nearest interpolation without antialias"
_NOT_COMPILED = {
    **dict.fromkeys(("MatrixDeterminant", "LogMatrixDeterminant"), _DETERMINANT),
    **dict.fromkeys(
        ("ResizeBicubic", "ResizeBicubicGrad", "ResizeArea", "ScaleAndTranslate", "ScaleAndTranslateGrad"), _RESIZED
    ),
    "EagerPyFunc": "the same in TensorFlow ops; outside calculations can't be compiled",
    "PyFunc": "the same in TensorFlow ops; outside calculations can't be compiled",
    "EuclideanNorm": "tf.norm(x, axis=…)",
    "Dilation2D": "tf.nn.max_pool2d of shifted sums",
    "ResizeNearestNeighborGrad": "tf.repeat along rows and columns",
    "EmptyTensorList": "tf.while_loop(…, maximum_iterations=N); a recurrent layer with unroll=True",
    "TensorListReserve": "tf.while_loop(…, maximum_iterations=N); a recurrent layer with unroll=True",
}
_OUTSIDE = 'jit_compile=False; or the same in ops that XLA has (target="xla" lists what it hasn\'t)'
_SAVED = "tgk.export_saved_model, which takes it as it is; or the part of the model without it"
_NOT_EXPORTED = (
    ("maximum_iterations", "tf.while_loop(…, maximum_iterations=N); or tgk.export_saved_model"),
    ("random", "the model in inference: training=False"),
)


def for_cut(op_type: str) -> str:
    """Instead of an op whose derivative is zero or None."""
    return _CUTS.get(op_type, _OWN.format(op_type))


def for_left_out(op_type: str) -> str:
    """Instead of an op that TensorFlow leaves out in silence."""
    return _LEFT_OUT.get(op_type, _OWN.format(op_type))


def for_failing_gradient(op_type: str, message: str) -> str:
    """For an op whose gradient raises an error."""
    if "recompute_grad" in message:
        return "tgk.checkpoint(fn), which has derivatives of every order"
    return for_no_gradient(op_type)


def for_no_gradient(op_type: str) -> str:
    """Instead of an op without a gradient."""
    return _NO_GRADIENT.get(op_type, _OWN.format(op_type))


def for_no_kernel(dtype: str) -> str:
    """Instead of an op that has no kernel for a dtype."""
    wider = "float32" if dtype in ("float16", "bfloat16", "float64") else "another dtype"
    return f"tf.cast to {wider} around it; or jit_compile=True, where XLA has it"


def for_not_compiled(op_type: str) -> str:
    """Instead of an op that XLA doesn't have."""
    return _NOT_COMPILED.get(op_type, _OUTSIDE)


def for_not_exported(op_type: str, why: str) -> str:
    """Instead of an op that can't be in a C library."""
    return next((remedy for word, remedy in _NOT_EXPORTED if word in why), _NOT_COMPILED.get(op_type, _SAVED))
