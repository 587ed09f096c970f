"""The function that is differentiated, with the facts known beforehand: specs, names, variables, batch axis."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import tensorflow as tf

from .arguments import as_constant, as_floating, leaves, map_leaves, shape_text, structure_text
from .errors import SignatureError
from .public import not_pickled, public


@public("types")
@not_pickled("pickle the path of the model, and load it again")
@dataclass(frozen=True)
class Differentiable:
    """A function ``y = call(*arguments)``; arguments and y are any ``tf.nest`` of tensors.

    Attributes:
        call: the function; the operators trace it, and never run it eagerly.
        name: its name in messages and exported files.
        batched: whether the first axis of the arguments and of y counts independent samples.
        input_specs: for each argument the nest of its shapes and dtypes, where they are known; a batched shape
            starts with None.
        variables: the variables that an exported SavedModel holds.
        trainable: returns the variables of ``wrt="parameters"``, once they are needed.
        layer_names: names of the layers of a Keras model, for messages about its graph.
        argument_names: names of the arguments, where they have names.
        input_names, output_names: names of the leaves, in the order of ``tf.nest``, for exports.
        model: the Keras model whose layers ``of=`` and ``wrt=`` may name.
        checked: whether ``call`` itself refuses batches whose samples influence each other.
    """

    call: Callable[..., Any]
    name: str
    batched: bool
    input_specs: tuple[Any, ...] | None = None
    variables: tuple[Any, ...] = field(default=(), compare=False)
    trainable: Callable[[], Sequence[Any]] = field(default=tuple, compare=False)
    layer_names: tuple[str, ...] = ()
    argument_names: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    model: Any = field(default=None, compare=False)
    checked: bool = False

    def __call__(self, *arguments: Any) -> Any:
        """The function's value."""
        return self.call(*self.to_arguments(arguments, range(len(arguments))))

    def to_arguments(self, arguments: Sequence[Any], picked: Collection[int]) -> list[Any]:
        """The arguments as nests of tensors; the ``picked`` ones must be floating.

        Raises:
            SignatureError: integers, or a number, structure or shape that doesn't fit.
        """
        if not arguments and not picked and self.input_specs is None and not self.argument_names:
            return []  # a loss without arguments, by variables
        specs = self._specs_for(arguments)
        converted = list(arguments)
        inputs: list[tf.Tensor] = []
        for place in picked:
            role = self._role(place, len(arguments))
            converted[place] = map_leaves(self._floating, arguments[place], specs[place], role)
            inputs += leaves([converted[place]])
        constant = partial(self._constant, like=inputs[0].dtype if inputs else None)
        for place in set(range(len(arguments))).difference(picked):
            role = self._role(place, len(arguments))
            converted[place] = map_leaves(constant, arguments[place], specs[place], role)
        if self.batched and len(inputs) > 1:
            self._check_batch(inputs)
        return converted

    def _specs_for(self, arguments: Sequence[Any]) -> Sequence[Any]:
        count = len(arguments)
        if not count:
            raise SignatureError("no argument was given", subject=self.name, expected=self._signature())
        if self.input_specs is None:
            return [None] * count
        if count == len(self.input_specs):
            return self.input_specs
        inputs = tf.nest.flatten(self.input_specs)
        # A Keras model of several inputs takes them one by one, too.
        if self.model is not None and count == len(inputs):
            return inputs
        raise SignatureError(
            "wrong number of arguments", subject=self.name, expected=self._signature(), got=f"{count} arguments"
        )

    def _signature(self) -> str:
        if self.input_specs is None:
            return f"({', '.join(self.argument_names) or 'x'})"
        return ", ".join(structure_text(spec) for spec in self.input_specs)

    def _role(self, position: int, count: int) -> str:
        if position < len(self.argument_names):
            return self.argument_names[position]
        return "x" if count == 1 else f"argument {position}"

    def _floating(self, leaf: Any, role: str, spec: tf.TensorSpec | None) -> tf.Tensor:
        tensor = as_floating(leaf, role, None if spec is None else spec.dtype)
        if spec is not None and not spec.shape.is_compatible_with(tensor.shape):
            raise self._wrong_shape(tensor, role, spec)
        if self.batched and tensor.shape.rank == 0:
            raise SignatureError(
                f"{role} has no batch axis",
                subject=self.name,
                expected="an array whose first axis counts the samples",
                got="a scalar",
                hint="pass a batch, or batched=False to differentiate a function of one sample",
            )
        return tensor

    def _constant(self, leaf: Any, role: str, spec: tf.TensorSpec | None, *, like: tf.DType | None) -> Any:
        constant = as_constant(leaf, None if spec is None else spec.dtype, like)
        if isinstance(constant, tf.Tensor) and spec is not None and not spec.shape.is_compatible_with(constant.shape):
            raise self._wrong_shape(constant, role, spec)
        return constant

    def _wrong_shape(self, tensor: tf.Tensor, role: str, spec: tf.TensorSpec) -> SignatureError:
        return SignatureError(
            f"{role} has the wrong shape",
            subject=self.name,
            expected=shape_text(spec.shape),
            got=shape_text(tensor.shape),
            hint=_shape_hint(spec.shape, tensor.shape, role),
        )

    def _check_batch(self, batch: Sequence[tf.Tensor]) -> None:
        for tensor in batch[1:]:
            if not tensor.shape[:1].is_compatible_with(batch[0].shape[:1]):
                raise SignatureError(
                    "the inputs have different batch sizes",
                    subject=self.name,
                    expected=f"{batch[0].shape[0]} samples in each",
                    got=", ".join(shape_text(t.shape) for t in batch),
                )


def _shape_hint(expected: tf.TensorShape, got: tf.TensorShape, role: str) -> str:
    if expected.rank is not None and got.rank == expected.rank - 1 and expected[1:].is_compatible_with(got):
        return f"add the batch axis: {role}[None]"
    return f"pass {role} of shape {shape_text(expected)}"
