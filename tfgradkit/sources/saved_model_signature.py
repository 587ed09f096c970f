"""A signature of a SavedModel as a function of one tensor, or of a dict of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..arguments import starts_unknown
from ..differentiable import Differentiable
from ..errors import ModelFileError, SignatureError


def from_saved_model(folder: Path, signature: str | None) -> Differentiable:
    """The signature of the SavedModel in ``folder``; batched where its first axis is unknown.

    Raises:
        ModelFileError: no SavedModel there, or a SavedModel that can't be loaded.
        SignatureError: no such signature.
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
    except Exception as error:  # The loader passes on the errors of its parsers and its C++ side.
        raise ModelFileError(
            "the SavedModel can't be loaded", subject=folder, got=str(error).strip().split("\n", 1)[0][:500]
        ) from error
    key = _key(loaded.signatures, signature, folder)
    function = loaded.signatures[key]
    inputs = dict(function.structured_input_signature[1])
    outputs = sorted(function.structured_outputs)
    single = len(inputs) == 1

    def call(*arguments: Any) -> Any:
        x = arguments[0] if len(arguments) == 1 else dict(zip(sorted(inputs), arguments, strict=True))
        # Through `loaded`, as the variables live only as long as it does.
        results = loaded.signatures[key](**({next(iter(inputs)): x} if single else x))
        return results[outputs[0]] if len(outputs) == 1 else dict(results)

    specs = {name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in inputs.items()}
    return Differentiable(
        call=call,
        name=folder.name,
        batched=bool(specs) and all(starts_unknown(spec.shape) for spec in specs.values()),
        input_specs=(next(iter(specs.values())) if single else specs,),
        variables=tuple(function.variables),
        trainable=lambda: tuple(function.trainable_variables),
        input_names=() if single else tuple(sorted(inputs)),
        output_names=() if len(outputs) == 1 else tuple(outputs),
    )


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
