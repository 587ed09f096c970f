"""The arguments and results of an explained function, as tensors with names."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import as_floating, is_numbers, structure_text
from ...differentiable import Differentiable
from ...errors import SignatureError
from ..graph.graph_view import leaf_names
from .named_tensors import NamedTensor

# Sizes for unknown ones in specs, and the distance of a point nearby, relative.
_BATCH, _SIZE, _NEAR = 4, 8, 1e-2


def near(nest: Any) -> Any:
    """A point nearby: each floating tensor moved by a hundredth of its size; other leaves unchanged."""
    random = np.random.default_rng(1)

    def moved(leaf: Any) -> Any:
        if not isinstance(leaf, tf.Tensor) or not leaf.dtype.is_floating:
            return leaf
        step = tf.cast(random.uniform(_NEAR / 2, _NEAR, leaf.shape), leaf.dtype)
        return leaf + step * (1 + tf.abs(leaf))

    return tf.nest.map_structure(moved, nest)


def to_tensors(arguments: list[Any], source: Differentiable) -> list[Any]:
    """The arguments, with a tensor of its own for each number and array.

    Python integers and flags are mostly options, and stay; only if nothing else is a tensor, integers become some.

    Raises:
        SignatureError: no argument can be a tensor.
    """
    names = source.argument_names or ("x",)
    converted = [_to_tensors(x, names[i] if i < len(names) else f"argument {i}") for i, x in enumerate(arguments)]
    if not _has_tensor(converted):
        converted = [
            tf.convert_to_tensor(x) if isinstance(x, int) and not isinstance(x, bool) else x for x in converted
        ]
    if _has_tensor(converted):
        return converted
    raise SignatureError(
        "no argument is a tensor", subject=source.name, expected="tensors or arrays", got=structure_text(arguments)
    )


def _has_tensor(nest: Any) -> bool:
    return any(isinstance(leaf, (tf.Tensor, tf.Variable)) for leaf in tf.nest.flatten(nest))


def _to_tensors(x: Any, role: str) -> Any:
    if is_numbers(x) and not isinstance(x, (int, bool)):
        return tf.convert_to_tensor(x)
    if isinstance(x, dict):
        return type(x)({key: _to_tensors(value, f"{role}[{key!r}]") for key, value in x.items()})
    if isinstance(x, (list, tuple)):
        items = [_to_tensors(value, f"{role}[{i}]") for i, value in enumerate(x)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return _to_tensor(x, role)


def _to_tensor(x: Any, role: str) -> Any:
    if x is None or isinstance(x, (str, bytes, bool, int, tf.Variable)) or NamedTensor("", x).variable is not None:
        return x
    if callable(x) and not hasattr(x, "__array__"):
        return x
    if isinstance(x, tf.TensorSpec):
        return _random_tensor(x)
    try:
        return tf.identity(tf.convert_to_tensor(x))
    except (TypeError, ValueError):
        return as_floating(x, role, None)


def random_arguments(source: Differentiable) -> list[Any]:
    """Random arguments by the function's own specs.

    Raises:
        SignatureError: it has no specs.
    """
    if source.input_specs is None:
        raise SignatureError(
            "the function has no specs of its own",
            subject=source.name,
            hint="pass its arguments, or a tf.TensorSpec each",
        )
    return list(tf.nest.map_structure(_random_tensor, list(source.input_specs)))


def _random_tensor(spec: tf.TensorSpec) -> tf.Tensor:
    """Random numbers for a spec: normally distributed; 0 and 1 for integers."""
    random = np.random.default_rng(0)
    sizes = spec.shape.as_list() if spec.shape.rank is not None else [None, _SIZE]
    shape = [size or (_SIZE if axis else _BATCH) for axis, size in enumerate(sizes)]
    if spec.dtype.is_floating or spec.dtype.is_complex:
        return tf.cast(random.normal(size=shape), spec.dtype)
    if spec.dtype == tf.string:
        return tf.fill(shape, "")
    return tf.cast(random.integers(0, 2, shape), spec.dtype)


def inputs_of(arguments: list[Any], source: Differentiable) -> list[NamedTensor]:
    """The tensors and variables among the arguments, with their names."""
    roots = source.argument_names or ("x",)
    leaves = tf.nest.flatten(arguments)
    names = list(source.input_names) if len(source.input_names) == len(leaves) else leaf_names(arguments, roots)
    pairs = zip(names, leaves, strict=True)
    kept = [(name, x) for name, x in pairs if isinstance(x, tf.Tensor) or NamedTensor("", x).variable is not None]
    return [NamedTensor(name, x, frozenset({name.split("[")[0]})) for name, x in kept]


def outputs_of(result: Any, source: Differentiable) -> list[NamedTensor]:
    """The leaves of a result as tensors, with their names.

    Raises:
        SignatureError: there are no leaves, or one can't be a tensor.
    """
    leaves = tf.nest.flatten([result])
    own = source.output_names
    names = list(own) if len(own) == len(leaves) else leaf_names([result], ("y",))
    outputs = [NamedTensor(name, as_tensor(leaf)) for name, leaf in zip(names, leaves, strict=True) if leaf is not None]
    if outputs:
        return outputs
    raise SignatureError(
        "the function's result holds no tensor", subject=source.name, got="None", hint="is a return statement missing?"
    )


def as_tensor(leaf: Any) -> Any:
    """A tensor or variable as it is, a number or array as a constant.

    Raises:
        SignatureError: it is none of these.
    """
    if isinstance(leaf, (tf.Tensor, tf.Variable)) or NamedTensor("", leaf).variable is not None:
        return leaf
    try:
        return tf.convert_to_tensor(leaf)
    except (TypeError, ValueError) as error:
        raise SignatureError(
            "a result or source can't be made a tensor",
            expected="tensors, in any structure of dicts, lists and tuples",
            got=type(leaf).__name__,
        ) from error


def floating(dtype: tf.DType) -> bool:
    """Whether a tape watches tensors of ``dtype`` without a warning."""
    return dtype.is_floating or dtype.is_complex
