"""Whether one op leads the gradient on: TensorFlow's own gradient function is asked, op by op."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from ...graph.user_line import Location, Site, is_users
from ...op_gradients.registry import ABSENT, SHIPPED, entry
from ..trace_ops.recording import Step
from .explanation import Cause
from .user_code.source_lines import SourceCode

_BY_TYPE: dict[str, Cause] = {
    "StopGradient": "stop_gradient",
    "PyFunc": "left_tensorflow",
    "PyFuncStateless": "left_tensorflow",
    "numpy": "left_tensorflow",
    "Cast": "not_floating",
}
_STATE = re.compile("^(Assign|ResourceScatter|ResourceApply|ResourceSparse|Scatter(Add|Sub|Update)$)")
_SUPPLY = re.compile("Dataset|Iterator|Queue|^Stage$|^Unstage$|Barrier")
# What Keras calls to run a model without a tape, from the user's line.
_RUNS = frozenset({"predict", "predict_on_batch", "predict_step", "evaluate", "fit", "train_on_batch"})
_STOPPED = "This ran while the tape was not recording, so to the tape its result is a constant."


@dataclass(frozen=True, eq=False)
class Cut:
    """Where a gradient ends.

    Attributes:
        cause: why.
        step: the op.
        calls: the ops that call the function it is in, outermost first.
        fails: whether TensorFlow raises there, rather than going on without a word.
        op: what cuts it, where that is no op.
        why, remedy: where there is more to say than for every such cause.
        flat: whether the way is there, with a gradient of zero.
    """

    cause: Cause
    step: Step
    calls: tuple[Step, ...] = ()
    fails: bool = False
    op: str = ""
    why: str = ""
    remedy: str = ""
    flat: bool = False


def cut_by(step: Step, entering: Sequence[int]) -> Cut | None:
    """What cuts the gradient of a step's results by its inputs number ``entering``; None if it goes on."""
    if not step.recorded:
        return Cut("unwatched", step, why=_STOPPED, remedy="take the line out of tape.stop_recording()")
    cause = _by_kind(step)
    if cause is not None:
        return Cut(cause, step)
    if not any(carries(tensor.dtype) for tensor in step.outputs):
        return Cut(_without_floats(step), step)
    return _by_rule(step, entering)


def carries(dtype: tf.DType) -> bool:
    """Whether tensors of a dtype can have a gradient; resources and variants stand for what they hold."""
    return dtype.is_floating or dtype.is_complex or dtype in (tf.resource, tf.variant)


def stock_rule(op_type: str) -> Any:
    """TensorFlow's own gradient function, whatever tfgradkit adds: None for "not differentiable", or ``ABSENT``."""
    return SHIPPED[op_type].replaces if op_type in SHIPPED else entry(op_type)


def _by_kind(step: Step) -> Cause | None:
    if step.site.called in _RUNS and not step.type.startswith("Assign"):
        return "left_tensorflow"
    if step.type != "Cast" and step.type in _BY_TYPE:
        return _BY_TYPE[step.type]
    if _STATE.match(step.type):
        return "state"
    return "iterator" if _SUPPLY.search(step.type) else None


def _without_floats(step: Step) -> Cause:
    text = any(tensor.dtype == tf.string for tensor in step.outputs)
    return "not_floating" if text or step.type in ("Cast", "Bitcast") else "not_differentiable"


def _by_rule(step: Step, entering: Sequence[int]) -> Cut | None:
    own = step.rule or _rule_in_graph(step)
    rule = own or stock_rule(step.type)
    if rule is ABSENT:
        return Cut("unregistered", step, fails=True)
    if rule is None:
        return Cut("not_differentiable", step)
    try:
        partials = _partials(step, rule)
    except LookupError as error:  # PreventGradient, or an op within
        return Cut("unregistered", step, fails=True, why=f"TensorFlow says: {_first_line(error)}")
    except Exception as error:
        # A gradient function may want more than an op without its tape; only the user's own is to blame.
        why = f"The gradient function of {step.type} fails: {_first_line(error)}"
        return Cut("custom_gradient", step, fails=True, why=why) if step.rule else None
    if any(i < len(partials) and partials[i] is not None for i in entering):
        return None
    if own is None:
        return Cut("not_differentiable", step)
    name = "tf.custom_gradient" if step.rule is None else step.type
    return Cut("custom_gradient", replace(step, site=_written(own, step.site)), op=name)


def _written(rule: Callable[..., Any], site: Site) -> Site:
    """Where the user's gradient function returns, inside of what TensorFlow has made of it."""
    for cell in getattr(rule, "__closure__", None) or ():
        code = getattr(cell.cell_contents, "__code__", None)
        if code is not None and is_users(code.co_filename):
            returns = SourceCode(Location(code.co_filename, code.co_firstlineno)).returns()
            return replace(site, location=Location(code.co_filename, returns or code.co_firstlineno))
    return site


def _rule_in_graph(step: Step) -> Callable[..., Any] | None:
    """The rule of a ``tf.custom_gradient`` in a graph, which is an IdentityN of results and arguments."""
    if step.type != "IdentityN" or isinstance(step.operation, type(None)) or not hasattr(step.operation, "node_def"):
        return None
    attribute = step.operation.node_def.attr.get("_gradient_op_type")
    rule = entry(attribute.s.decode()) if attribute is not None else ABSENT
    return rule if callable(rule) else None


def _partials(step: Step, rule: Callable[..., Any]) -> list[Any]:
    """The gradients by a step's inputs for ones upstream; of a graph's op they go into a graph of their own."""
    with tf.__internal__.FuncGraph("probe").as_default() if _symbolic(step) else tf.init_scope():
        upstream = [_ones(tensor) for tensor in step.outputs]
        found = rule(*upstream) if step.rule else rule(step.operation, *upstream)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _symbolic(step: Step) -> bool:
    return not hasattr(step.outputs[0], "numpy")


def _ones(tensor: Any) -> Any:
    if tensor.dtype == tf.resource:
        return None
    return tf.zeros_like(tensor) if tensor.dtype == tf.variant else tf.ones_like(tensor)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
