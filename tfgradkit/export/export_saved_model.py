"""``export_saved_model``: one signature a kind, for any TensorFlow client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from ..differentiable import Differentiable
from ..errors import ExportError, SignatureError
from ..sources.resolve import resolve
from .captured_tensors import name_captured_tensors
from .functions.entries import describe
from .functions.interface import check_kinds
from .functions.tf_functions import argument_specs, exported, with_specs
from .native.compile.unsupported import refuse_python
from .native.library.atomic_folder import output_folder

MARKER = "saved_model.pb"


def export_saved_model(
    fn: Any,
    path: str | os.PathLike[str],
    derivatives: Sequence[str] = ("jacobian",),
    *,
    batch: int | None = None,
    input_specs: Any = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> None:
    """Writes a SavedModel with a signature for the value and for each derivative.

    ``serving_default`` is ``value``. A signature's inputs are the model's plus
    ``output_gradients`` or ``tangents``; its outputs are the value by its name and the derivative by its kind.
    TensorFlow Serving, ``saved_model_cli run`` and TensorFlow's C API load it.

    Args:
        fn: a Keras model or layer, or a function with ``input_specs``; any number of inputs and outputs. Derivatives
            are by the floating inputs; those of integers, booleans and strings are held fixed.
        path: the folder to write; must not exist or be empty.
        derivatives: of "jacobian", "vjp", "jvp", "gradient", "hessian", "hvp"; "value" is always there.
        batch: a fixed batch size; None for any.
        input_specs: a ``tf.TensorSpec`` for each input where the function has none of its own.
        input_names: a name for each input, in place of "x" or the model's own.
        output_names: a name for each output, in place of "y" or the model's own.
        overwrite: replace an earlier export in ``path``.
        progress: is told each step's name.

    Raises:
        UnsupportedModelError: it calls Python code.
        OutputFolderError: the folder exists, isn't empty, or can't be written.
        SignatureError: no such derivative, batch size or name, or no specs.
        SourceError: ``fn`` is no function or model.
        GradientError: a derivative does not exist.
        ExportError: TensorFlow can't save the function. Nothing is left behind.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])
        >>> tgk.export_saved_model(model, folder / "model")
        >>> sorted(tf.saved_model.load(str(folder / "model")).signatures)
        ['jacobian', 'serving_default', 'value']
    """
    kinds = check_kinds(tuple(derivatives) if not isinstance(derivatives, str) else (derivatives,))
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise SignatureError(
            "no such batch size", subject="batch", expected="a whole number from 1 on, or None", got=repr(batch)
        )
    with output_folder(path, overwrite=overwrite, marker=MARKER) as folder:
        progress("tracing")
        source = with_specs(resolve(fn), input_specs)
        signatures = {
            entry.kind: tf.function(exported(source, entry), autograph=False).get_concrete_function(
                **argument_specs(entry, batch)
            )
            for entry in describe(source, kinds, input_names, output_names)
        }
        refuse_python(signatures.values(), source.name)
        progress("saving")
        module = _carrier(source, signatures.values())
        try:
            tf.saved_model.save(module, str(folder), {**signatures, "serving_default": signatures["value"]})
        except (AssertionError, ValueError) as error:
            raise ExportError(
                "TensorFlow can't save the function",
                subject=source.name,
                got=str(error).strip().split("\n", 1)[0][:500],
                hint="what it uses, such as a lookup table, has to belong to the model",
            ) from error
        name_captured_tensors(folder, source.name)


def _carrier(source: Differentiable, signatures: Iterable[Any]) -> tf.Module:
    """A module that tracks the TensorFlow variables themselves.

    Loaders outside Python restore the variables that the module tracks. They don't look into a Keras 3 variable,
    which wraps its TensorFlow variable ("Could not find variable ..."), nor into the closure of a function.
    """
    variables = {id(v): v for v in source.variables}
    for signature in signatures:
        variables |= {id(v): v for v in signature.graph.variables if id(v) not in variables}
    module = tf.Module()
    module.weights = list(variables.values())
    return module
