"""Ops of one graph written anew elsewhere, with other inputs.

There are two ways. :func:`emit` calls TensorFlow's Python function of the op, so that tapes record it. :func:`copied`
makes the op itself, which tapes don't see, but which there is for every op.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from .ops import CALLS, functions_of

# Attributes that hold in the old place alone: the shapes of the results, and the ops to share a device with.
_STALE = frozenset({"_output_shapes", "_class"})


class NoRuleError(LookupError):
    """An op can't be written anew, or has no rule for the values that are carried along with its results."""


def emit(operation: Any, inputs: Sequence[tf.Tensor], *, name: str | None = None, **changed: Any) -> list[tf.Tensor]:
    """``operation`` with other inputs and ``changed`` attributes, in the current graph and on the tapes that watch it.

    Not for branches and loops: the new op would share its functions with ``operation``, and a gradient of one of the
    two changes them for both. Write the ops in these functions anew instead.

    Raises:
        NoRuleError: TensorFlow has no such op in Python.
    """
    if operation.type == "Const":
        return [tf.constant(tf.make_ndarray(operation.get_attr("value")), operation.get_attr("dtype"), name=name)]
    function = getattr(tf.raw_ops, operation.type, None)
    if function is None:
        raise NoRuleError(operation.type)
    _add_functions(operation)
    given = _inputs(operation, list(inputs)) | _attributes(operation) | changed
    names = _python_names(operation.type, tuple(given))
    result = function(**{names[key]: value for key, value in given.items()}, name=name)
    if not operation.outputs:
        return []
    return list(tf.nest.flatten(list(result))) if isinstance(result, (list, tuple)) else [result]


def copied(operation: Any, inputs: Sequence[tf.Tensor], **changed: Any) -> list[tf.Tensor]:
    """``operation`` with other inputs and ``changed`` attributes, in the current graph; shapes are inferred anew."""
    _add_functions(operation)
    attributes = {key: value for key, value in operation.node_def.attr.items() if key not in _STALE} | changed
    graph = tf.compat.v1.get_default_graph()
    return list(graph.create_op(operation.type, list(inputs), attrs=attributes, name=operation.name).outputs)


def inlined(body: Any, arguments: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The results of ``body``, the graph of a function, for ``arguments``.

    Each op is :func:`copied`, and functions that it calls are written out. Shapes are inferred anew from those of the
    arguments.
    """
    tensors = {inner.ref(): given for inner, given in zip(body.inputs, arguments, strict=True)}
    for operation in body.get_operations():
        if operation.type == "Placeholder" and operation.outputs[0].ref() in tensors:
            continue
        inputs = [tensors[t.ref()] for t in operation.inputs]
        graphs = functions_of(operation) if operation.type in CALLS else [None]
        results = copied(operation, inputs) if graphs[0] is None else inlined(graphs[0], inputs)
        # A function may have more results than its call: see interpret.own_outputs.
        tensors |= {old.ref(): new for old, new in zip(operation.outputs, results, strict=False)}
    return [tensors[y.ref()] for y in body.outputs]


def executed(operation: Any, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The results of ``operation`` for eager ``values``."""
    try:
        return emit(operation, values)
    except NoRuleError:
        specs = [tf.TensorSpec(value.shape, value.dtype) for value in values]
        alone = tf.compat.v1.wrap_function(lambda *given: copied(operation, given), specs)
        return list(alone(*values)) if operation.outputs else []


def computed(operation: Any, values: Sequence[Any], as_dtype: tf.DType | None = None) -> list[np.ndarray] | None:
    """The results of ``operation`` for arrays, as arrays; None where TensorFlow can't run it.

    ``as_dtype`` stands in for the dtype of all floating inputs.
    """
    changed = {} if as_dtype is None else dict.fromkeys(_floating_attributes(operation), _type_attribute(as_dtype))
    dtypes = [_replaced(tensor.dtype.base_dtype, as_dtype) for tensor in operation.inputs]
    try:
        with tf.Graph().as_default() as graph:
            inputs = [tf.constant(value, dtype) for value, dtype in zip(values, dtypes, strict=True)]
            results = copied(operation, inputs, **changed)
            with tf.compat.v1.Session(graph=graph) as session:
                return list(session.run(results))
    except (tf.errors.OpError, ValueError, TypeError):
        return None


def _replaced(dtype: tf.DType, as_dtype: tf.DType | None) -> tf.DType:
    return as_dtype if as_dtype is not None and dtype.is_floating else dtype


def _type_attribute(dtype: tf.DType) -> Any:
    return tf.compat.v1.AttrValue(type=dtype.as_datatype_enum)


def _floating_attributes(operation: Any) -> Iterator[str]:
    attributes = operation.node_def.attr
    names = {argument.type_attr for argument in operation.op_def.input_arg}
    return (n for n in names if n in attributes and tf.as_dtype(attributes[n].type).is_floating)


def _add_functions(operation: Any) -> None:
    """Makes the functions that an op calls known to the current graph."""
    for attribute in operation.op_def.attr:
        if attribute.type in ("func", "list(func)") and not tf.executing_eagerly():
            value = operation.get_attr(attribute.name)
            for function in value if isinstance(value, list) else [value]:
                known = operation.graph._get_function(function.name)
                if known is not None:
                    tf.compat.v1.get_default_graph()._add_function_recursive(known)


@cache
def _python_names(op_type: str, names: tuple[str, ...]) -> dict[str, str]:
    """The parameter of ``tf.raw_ops`` for each input and attribute: a few have other names there, in the same order."""
    parameters = [p for p in inspect.signature(getattr(tf.raw_ops, op_type)).parameters if p != "name"]
    own = iter(p for p in parameters if p not in names)
    return {name: name if name in parameters else next(own, name) for name in names}


def _inputs(operation: Any, rest: list[tf.Tensor]) -> dict[str, Any]:
    """The tensors by the names in the op's definition, where one name may stand for several of them."""
    named: dict[str, Any] = {}
    for argument in operation.op_def.input_arg:
        if argument.number_attr or argument.type_list_attr:
            count = operation.get_attr(argument.number_attr or argument.type_list_attr)
            count = count if isinstance(count, int) else len(count)
            named[argument.name], rest = rest[:count], rest[count:]
        else:
            named[argument.name], *rest = rest
    return named


def _attributes(operation: Any) -> dict[str, Any]:
    """The attributes that don't follow from the inputs."""
    follow = {
        name for arg in operation.op_def.input_arg for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)
    }
    return {a.name: operation.get_attr(a.name) for a in operation.op_def.attr if a.name not in follow}
