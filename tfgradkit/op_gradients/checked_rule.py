"""A user's rule, checked when it is registered and each time that it answers; and the line where it was written."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..arguments import shape_text
from ..errors import RuleError, TfGradKitError
from .registry import Rule, definition, names


def source_of(rule: Any) -> str:
    """``file.py:line`` of a function, or its name where it has no source."""
    while isinstance(rule, functools.partial):
        rule = rule.func
    rule = inspect.unwrap(rule)
    # A callable object has its code in its class.
    code = getattr(rule, "__code__", None) or getattr(type(rule).__call__, "__code__", None)
    return repr(rule) if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def check_arguments(op_type: Any, rule: Any) -> None:
    """Raises :class:`RuleError` where there is no such op, or the rule can't be one for it."""
    if not isinstance(op_type, str):
        raise RuleError(
            "register_gradient wants the type of an op",
            expected='"OpType", as in @register_gradient("OpType")',
            got=repr(op_type),
        )
    if definition(op_type) is None:
        raise RuleError(
            "TensorFlow has no such op",
            subject=op_type,
            expected="the type of an op, as in tf.raw_ops",
            hint=", ".join(_similar_names(op_type)) or "load the library that has it before (tf.load_op_library)",
        )
    if rule is not None:
        _check_signature(op_type, rule)


def checked(op_type: str, rule: Rule) -> Rule:
    """``rule`` with a check of its results: their number, and the shape and dtype of each."""

    @functools.wraps(rule, updated=())
    def gradient(op: Any, *upstream: Any) -> list[Any]:
        results = _results(op_type, rule, op, upstream)
        # A tape drops the inputs that TensorFlow's own rule doesn't use.
        inputs = list(op.inputs or ())
        count = len(inputs) or _input_count(op)
        if len(results) != count:
            raise RuleError(
                "a rule gave the wrong number of gradients",
                subject=f"{op_type}, {source_of(rule)}",
                expected=f"{count}, one for each input: {_input_names(op_type)}",
                got=len(results),
                hint="None for an input that has no gradient",
            )
        pairs = zip(results, inputs or [None] * count, strict=True)
        return [_check_gradient(result, x, i, op_type, rule) for i, (result, x) in enumerate(pairs)]

    return gradient


def _results(op_type: str, rule: Rule, op: Any, upstream: Sequence[Any]) -> list[Any]:
    try:
        results = rule(op, *upstream)
    except TfGradKitError:
        raise
    except Exception as error:
        if _has_dropped_tensors(op):
            raise RuleError(
                "a rule failed, perhaps for want of an input or a result that the tape has not kept",
                subject=f"{op_type}, {source_of(rule)}",
                expected="a rule that uses no other inputs and results than TensorFlow's own",
                got=f"{type(error).__name__}: {error}",
                hint="the same calculation inside a tf.custom_gradient",
            ) from error
        raise
    return list(results) if isinstance(results, (list, tuple)) else [results]


def _check_gradient(result: Any, x: Any, index: int, op_type: str, rule: Rule) -> Any:
    """A rule's result as the gradient of input ``x``; ``x`` is None where the tape has dropped it."""
    if result is None or isinstance(result, tf.IndexedSlices) or x is None:
        return result
    if not (x.dtype.is_floating or x.dtype.is_complex):
        if x.dtype in (tf.resource, tf.variant):
            return result
        raise _misfit(op_type, rule, index, f"None, since {x.dtype.name} carries no gradient", "a tensor")
    try:
        # Python numbers and arrays take the input's dtype; a tensor has its own.
        tensor = result if tf.is_tensor(result) else tf.convert_to_tensor(result, x.dtype)
    except (TypeError, ValueError) as error:
        raise _misfit(op_type, rule, index, f"a {x.dtype.name} tensor", repr(result)) from error
    if tensor.dtype != x.dtype or not tensor.shape.is_compatible_with(x.shape):
        raise _misfit(op_type, rule, index, _dtype_and_shape(x), _dtype_and_shape(tensor))
    return tensor


def _misfit(op_type: str, rule: Rule, index: int, expected: str, got: str) -> RuleError:
    return RuleError(
        f"a rule gave a gradient that does not fit input {index}",
        subject=f"{op_type}, {source_of(rule)}",
        expected=expected,
        got=got,
        hint="the shape and dtype of the input; where it was broadcast, sum over the axes that were added",
    )


def _dtype_and_shape(tensor: tf.Tensor) -> str:
    return f"{tensor.dtype.name} {shape_text(tensor.shape)}"


def _has_dropped_tensors(op: Any) -> bool:
    """Whether a tape has dropped inputs or results of the op."""
    return not op.inputs or not op.outputs or any(x is None for x in [*op.inputs, *op.outputs])


def _input_count(op: Any) -> int:
    """The number of inputs of an op, of which a tape may have kept none."""
    total = 0
    for argument in definition(op.type).input_arg:
        if argument.number_attr:
            total += op.get_attr(argument.number_attr)
        elif argument.type_list_attr:
            total += len(op.get_attr(argument.type_list_attr))
        else:
            total += 1
    return total


def _input_names(op_type: str) -> str:
    return ", ".join(argument.name for argument in definition(op_type).input_arg)


def _check_signature(op_type: str, rule: Any) -> None:
    outputs = definition(op_type).output_arg
    if not callable(rule):
        raise RuleError("a rule is a function", subject=op_type, expected="rule(op, *gradients)", got=repr(rule))
    if any(output.number_attr or output.type_list_attr for output in outputs):
        return  # the number of results differs from op to op
    try:
        inspect.signature(rule).bind(None, *outputs)
    except TypeError as error:
        raise RuleError(
            "the rule does not take what the op gives",
            subject=f"{op_type}, {source_of(rule)}",
            expected=f"rule(op, {', '.join(output.name for output in outputs)})",
            got=f"rule{inspect.signature(rule)}",
        ) from error
    except ValueError:
        return  # a built-in function without a signature


def _similar_names(op_type: str) -> list[str]:
    plain = {name.lower(): name for name in names()}
    close = difflib.get_close_matches(op_type.lower().replace("_", ""), plain, n=3, cutoff=0.6)
    return [plain[name] for name in close]
