"""Arguments of a caller and results of a function as tensors, in any nest; and the sizes of their axes.

A list of Python numbers, or of lists of numbers, is an array. Every other list, tuple or dict is a structure
(``tf.nest``). Where the specs of an argument are known, they decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .errors import SignatureError

_NUMBERS = (bool, int, float, complex)
_INSTEAD = {
    "KerasTensor": "pass numbers; to build a Keras model with a derivative inside, tfgradkit.layers.Derivative(model)",
    "RaggedTensor": "x.to_tensor(), and a mask in the function",
    "SparseTensor": "tf.sparse.to_dense(x)",
}


def as_floating(x: Any, role: str, dtype: tf.DType | None, *, wide: bool = False) -> tf.Tensor:
    """``x`` as a tensor of ``dtype`` (of its own dtype, if None); integers are refused.

    Python numbers become float64 first where ``dtype`` is known, or with ``wide``: TensorFlow would make them
    float32 first, and lose half of their digits.
    """
    try:
        numbers = (wide or dtype is not None) and not isinstance(x, (np.ndarray, tf.Tensor))
        tensor = tf.convert_to_tensor(_exact(x) if numbers else x)
    except (TypeError, ValueError) as error:
        raise SignatureError(
            f"{role} can't be made a tensor",
            expected="a tensor, a NumPy array, or nested lists of numbers",
            got=type(x).__name__,
            hint=_INSTEAD.get(type(x).__name__) or str(error).split("\n", 1)[0],
        ) from error
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        raise SignatureError(
            f"{role} is not floating, so nothing can be differentiated by it",
            expected="float16, bfloat16, float32, float64 or complex",
            got=tensor.dtype.name,
            hint=f"pass tf.cast({role}, tf.float32); of an embedding, differentiate by the embedded vectors; "
            "argnums= leaves an argument out",
        )
    if dtype is None or dtype == tensor.dtype:
        return tensor
    if not dtype.is_floating:
        raise SignatureError(
            "the function takes integers, so nothing can be differentiated by them",
            expected="a floating input",
            got=dtype.name,
            hint="differentiate the part of the model behind the embedding or the cast: "
            'wrt="layer:NAME", or argnums= for another argument',
        )
    return tf.cast(tensor, dtype)


def as_constant(x: Any, dtype: tf.DType | None, like: tf.DType | None) -> Any:
    """An argument that is not differentiated.

    Arrays become tensors; Python floats become tensors of ``like``, the dtype of the differentiated arguments.
    Python integers, and values that aren't numbers, stay as they are: a trace is made for each value.
    """
    if x is None or isinstance(x, (str, bool)) or callable(x) or (type(x) is int and dtype is None):
        return x
    try:
        return tf.convert_to_tensor(_exact(x), dtype or (like if isinstance(x, float) else None))
    except (TypeError, ValueError):
        return x if dtype is None else tf.cast(tf.convert_to_tensor(x), dtype)


def map_leaves(convert: Callable[..., Any], nest: Any, spec: Any, role: str) -> Any:
    """``nest`` with ``convert(leaf, role, spec)`` for each leaf, along the structure of ``spec`` where there is one.

    Keys of a dict that ``spec`` doesn't have are left out, as Keras does. None in a structure is an empty branch.

    Raises:
        SignatureError: the structure isn't that of ``spec``.
    """
    if isinstance(spec, tf.TensorSpec) or (spec is None and _is_leaf(nest)):
        wrapped = spec is not None and isinstance(nest, (list, tuple))
        return convert(_unwrapped(nest) if wrapped else nest, role, spec)
    wanted = nest if spec is None else spec
    if isinstance(wanted, dict) and isinstance(nest, dict) and set(wanted) <= set(nest):
        return type(nest)({k: _branch(convert, nest[k], _at(spec, k), f"{role}[{k!r}]") for k in wanted})
    if isinstance(wanted, (list, tuple)) and isinstance(nest, (list, tuple)) and len(wanted) == len(nest):
        items = [_branch(convert, v, _at(spec, i), f"{role}[{i}]") for i, v in enumerate(nest)]
        return type(nest)(*items) if hasattr(nest, "_fields") else type(nest)(items)
    raise SignatureError(f"{role} has the wrong structure", expected=structure_text(spec), got=structure_text(nest))


def _branch(convert: Callable[..., Any], nest: Any, spec: Any, role: str) -> Any:
    return None if nest is None and spec is None else map_leaves(convert, nest, spec, role)


def tensors_of(nest: Any) -> list[Any]:
    """The leaves of a nest of tensors, without the empty branches."""
    return [leaf for leaf in tf.nest.flatten(nest) if leaf is not None]


def packed_like(structure: Any, flat: Sequence[Any]) -> Any:
    """``flat`` in a structure of tensors, None where it has an empty branch."""
    given = iter(flat)
    return tf.nest.map_structure(lambda leaf: None if leaf is None else next(given), structure)


def _is_leaf(x: Any) -> bool:
    return not isinstance(x, (dict, list, tuple)) or is_numbers(x)


def _unwrapped(given: Any) -> Any:
    """The array of ``[array]`` where one array is expected: Keras' own ``inputs`` come in a list."""
    return given[0] if len(given) == 1 and isinstance(given[0], (np.ndarray, tf.Tensor, tf.Variable)) else given


def _at(spec: Any, key: Any) -> Any:
    return None if spec is None else spec[key]


def is_numbers(x: Any) -> bool:
    """Whether ``x`` is a Python number or nested lists of numbers, and so an array rather than a structure."""
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return bool(x) and all(is_numbers(item) for item in x)
    return isinstance(x, (*_NUMBERS, np.generic))


def _exact(x: Any) -> Any:
    """Python numbers as a NumPy array, which keeps all their digits; anything else as it is."""
    return np.asarray(x) if isinstance(x, _NUMBERS) or is_numbers(x) else x


def leaves(arguments: Sequence[Any]) -> list[tf.Tensor]:
    """The tensors among the arguments, in the order of ``tf.nest``."""
    tensors = []
    for leaf in tf.nest.flatten(list(arguments)):
        if isinstance(leaf, (tf.Tensor, tf.Variable)):
            tensors.append(leaf)
    return tensors


def floating_results(y: Any, name: str) -> list[tf.Tensor]:
    """The leaves of a function's result as floating tensors.

    Raises:
        SignatureError: one is no tensor, or has no derivative.
    """
    found = []
    for leaf in tf.nest.flatten(y):
        try:
            tensor = None if leaf is None else tf.convert_to_tensor(leaf)
        except (TypeError, ValueError) as error:
            raise SignatureError(
                "the function's result can't be made a tensor",
                subject=name,
                expected="tensors, in any structure of dicts, lists and tuples",
                got=type(leaf).__name__,
                hint=str(error).split("\n", 1)[0],
            ) from error
        if tensor is None or not (tensor.dtype.is_floating or tensor.dtype.is_complex):
            raise _not_floating(tensor, name)
        found.append(tensor)
    return found


def _not_floating(y: tf.Tensor | None, name: str) -> SignatureError:
    if y is None:
        return SignatureError(
            "the function's result holds no tensor", subject=name, got="None", hint="is a return statement missing?"
        )
    return SignatureError(
        "the function's result is not floating, so it has no derivative",
        subject=name,
        expected="a floating result",
        got=f"{y.dtype.name} {shape_text(y.shape)}",
        hint="return the value before argmax, round or the cast to integers; or as aux, with has_aux=True",
    )


Dims = list[Any]


def dims(tensor: tf.Tensor) -> Dims:
    """The shape as a list of ints, with scalar tensors for what only the run knows."""
    sizes = tensor.shape.as_list()
    if None in sizes:
        dynamic = tf.shape(tensor)
        for axis, known in enumerate(sizes):
            sizes[axis] = dynamic[axis] if known is None else known
    return sizes


def split(tensor: tf.Tensor, batched: bool) -> tuple[Dims, Dims]:
    """The batch axis (none or one) and the axes of a sample."""
    sizes = dims(tensor)
    return (sizes[:1], sizes[1:]) if batched else ([], sizes)


def size(sample: Dims) -> Any:
    """How many elements a sample has."""
    count: Any = 1
    for axis in sample:
        count = count * axis
    return count


def is_scalar_sample(y: tf.Tensor, batched: bool) -> bool:
    """Whether y counts as scalar-valued: no axis, or batched ``[B]`` and ``[B, 1]``."""
    sizes = y.shape[batched:].as_list()
    return not sizes or (batched and sizes == [1])


def repeated(tensor: tf.Tensor, copies: Any) -> tf.Tensor:
    """The batch ``copies`` times, one after another."""
    return tf.tile(tensor, [copies, *[1] * (tensor.shape.rank - 1)])


def structure_text(nest: Any) -> str:
    """``{'a': [B, 2], 'b': [B]}`` for a nest of specs, arrays or tensors."""
    if isinstance(nest, dict):
        return "{" + ", ".join(f"{key!r}: {structure_text(nest[key])}" for key in nest) + "}"
    if isinstance(nest, (list, tuple)) and not is_numbers(nest):
        return "(" + ", ".join(structure_text(item) for item in nest) + ("," if len(nest) == 1 else "") + ")"
    shape = getattr(nest, "shape", None)
    return type(nest).__name__ if shape is None else shape_text(tf.TensorShape(shape))


def starts_unknown(shape: tf.TensorShape) -> bool:
    """Whether the first axis has an unknown size, as the batch axis of a graph."""
    return bool(shape.rank) and shape[0] is None


def shape_text(shape: tf.TensorShape) -> str:
    """``[B, 2]`` rather than ``(None, 2)``: an unknown first size is the batch's."""
    if shape.rank is None:
        return "any shape"
    names = [
        "B" if axis == 0 and size is None else "?" if size is None else str(size) for axis, size in enumerate(shape)
    ]
    return f"[{', '.join(names)}]"
