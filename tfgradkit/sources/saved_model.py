"""A signature of a SavedModel as a function of one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..differentiable import Differentiable
from ..errors import ModelFileError, SignatureError


def from_saved_model(folder: Path, signature: str | None) -> Differentiable:
    """The signature of the SavedModel in ``folder``; batched where its first axis is unknown.

    Raises:
        ModelFileError: no SavedModel there, or not one that can be loaded.
        SignatureError: no such signature, or not one input and one output.
    """
    if not (folder / "saved_model.pb").is_file():
        raise ModelFileError(
            "the folder holds no SavedModel",
            subject=folder,
            expected="saved_model.pb",
            got=sorted(p.name for p in folder.iterdir())[:8],
        )
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # The loader raises what its parsers and its C++ side raise.
        raise ModelFileError(
            "the SavedModel can't be loaded", subject=folder, got=str(error).strip().split("\n", 1)[0][:500]
        ) from error
    key = _key(loaded.signatures, signature, folder)
    function = loaded.signatures[key]
    arguments = function.structured_input_signature[1]
    if len(arguments) != 1 or len(function.structured_outputs) != 1:
        raise SignatureError(
            "the signature must have one input and one output", subject=f"{folder}, {key}",
            got=f"inputs {sorted(arguments)}, outputs {sorted(function.structured_outputs)}",
        )  # fmt: skip
    ((name, spec),) = arguments.items()
    (output,) = function.structured_outputs

    def call(x: tf.Tensor) -> tf.Tensor:
        # Through `loaded`: its variables live as long as it does.
        return loaded.signatures[key](**{name: x})[output]

    batched = spec.shape.rank is not None and spec.shape.rank > 0 and spec.shape[0] is None
    return Differentiable(call, folder.name, batched, tf.TensorSpec(spec.shape, spec.dtype), tuple(function.variables))


def _key(signatures: Mapping[str, Any], wanted: str | None, folder: Path) -> str:
    key = wanted or ("serving_default" if "serving_default" in signatures else next(iter(signatures), None))
    if key is None or key not in signatures:
        raise SignatureError(
            "there is no such signature",
            subject=folder,
            expected=" | ".join(signatures) or "a SavedModel with signatures",
            got=wanted or "none",
        )
    return key
