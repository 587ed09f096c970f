"""Seeds from the caller: ``output_gradients=`` and ``tangents=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from ..arguments import as_floating, map_leaves, shape_text
from ..errors import SignatureError
from .operator_table import SEED_NAMES
from .options import Options
from .problem import batch_axis, positions


def wanted_seed(operator: str, given: Mapping[str, Any], name: str) -> Any:
    """The seed of the operator among the keywords; None where it takes none.

    Raises:
        SignatureError: the operator's seed is missing, or a seed is there that it does not take.
    """
    wanted = SEED_NAMES.get(operator)
    for keyword, seed in given.items():
        if keyword == wanted and seed is None:
            raise SignatureError(f"{keyword}= is missing", subject=name, expected=f"(x, {keyword}=...)", got="(x)")
        if keyword != wanted and seed is not None:
            raise SignatureError(
                f"{keyword}= is not an argument",
                subject=name,
                expected="(x)" if wanted is None else f"(x, {wanted}=...)",
                got=f"(x, {keyword}=...)",
            )
    return given[wanted] if wanted else None


def converted_seed(
    seed: Any, operator: str, options: Options, arguments: Sequence[Any], *, batched: bool, name: str
) -> Any:
    """A seed of tensors that fits the arguments; whether it fits the results is seen when they are there.

    Raises:
        SignatureError: another structure or shape.
    """
    role = SEED_NAMES[operator]
    if role == "tangents" and options.by_inputs:
        picked = [arguments[p] for p in positions(options, len(arguments), name)]
        like = tuple(picked) if isinstance(options.argnums, tuple) else picked[0]
        specs = tf.nest.map_structure(lambda x: None if x is None else tf.TensorSpec.from_tensor(x), like)
        return map_leaves(lambda leaf, leaf_role, spec: _like(leaf, leaf_role, spec, name), seed, specs, role)
    batch = batch_axis(options, arguments) if batched and role == "output_gradients" else None
    return map_leaves(lambda leaf, leaf_role, _: _with_batch(leaf, leaf_role, batch, name), seed, None, role)


def _like(leaf: Any, role: str, spec: tf.TensorSpec, name: str) -> tf.Tensor:
    tensor = as_floating(leaf, role, spec.dtype, wide=True)
    if not spec.shape.is_compatible_with(tensor.shape):
        raise SignatureError(
            f"{role} has the wrong shape",
            subject=name,
            expected=f"{shape_text(spec.shape)}, like the argument",
            got=shape_text(tensor.shape),
        )
    return tensor


def _with_batch(leaf: Any, role: str, batch: tf.TensorShape | None, name: str) -> tf.Tensor:
    tensor = as_floating(leaf, role, None, wide=True)
    if batch is not None and tensor.shape.rank and not tensor.shape[:1].is_compatible_with(batch):
        raise SignatureError(
            f"{role} and x have different batch sizes",
            subject=name,
            expected=f"{shape_text(batch)}, then the axes of the result",
            got=shape_text(tensor.shape),
        )
    return tensor
