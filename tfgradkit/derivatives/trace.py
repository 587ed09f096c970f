"""One traced signature: a ``tf.function`` of flat tensors, and how its results go together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..graph.python_code import functions_called, refuse_compiled
from ..op_gradients.register_gradient import rules_in_force
from .plan import Step
from .refusals import meant


class Trace:
    """A derivative traced for one signature, called with any batch size."""

    def __init__(
        self,
        pick: Callable[[Any], Any],
        evaluate: Callable[..., Any],
        arguments: list[Any],
        seed: Any,
        batch: int | None,
        *,
        jit_compile: bool,
    ) -> None:
        self.steps: tuple[Step, ...] = ()
        self._pick, self._evaluate = pick, evaluate
        self._rules = rules_in_force()
        self._batched, self._compiled = batch is not None, jit_compile
        self._layout: Any = None
        self._structure = (arguments, seed)
        self._leaves = tf.nest.flatten(self._structure)
        self._places = [i for i, leaf in enumerate(self._leaves) if isinstance(leaf, tf.Tensor)]
        specs = [spec_of(self._leaves[place], batch) for place in self._places]
        self._alone = _alone(arguments, seed, specs)
        self._function = tf.function(self._flat, input_signature=specs, jit_compile=jit_compile, autograph=False)
        self._concrete = self._function.get_concrete_function()
        self._captured = self._concrete.captured_inputs
        if jit_compile:
            refuse_compiled(functions_called(self._concrete.graph.get_operations()))
        # The first call's tensors are not needed any more.
        self._leaves = [None if isinstance(leaf, tf.Tensor) else leaf for leaf in self._leaves]
        self._structure = tf.nest.map_structure(lambda _: 0, self._structure)

    def __call__(self, arguments: list[Any], seed: Any) -> Any:
        """The results, in the structures of the caller."""
        tensors = [leaf for leaf in tf.nest.flatten((arguments, seed)) if isinstance(leaf, tf.Tensor)]
        if self._batched and tensors and any(t.shape.rank and t.shape[0] == 0 for t in tensors):
            return self._on_empty(tensors)
        return self._packed(self._run(tensors))

    def takes(self, x: Any, rules: tuple[Any, ...]) -> bool:
        """Whether ``x`` is the one tensor that this trace is for: asked before everything else is looked at."""
        spec = self._alone
        if rules != self._rules or spec is None or not isinstance(x, tf.Tensor) or x.dtype != spec.dtype:
            return False
        return spec.shape.is_compatible_with(x.shape) and not (self._batched and x.shape[0] == 0)

    def at(self, x: tf.Tensor) -> Any:
        """The results at the one tensor that this trace is for."""
        return self._packed(self._run([x]))

    def _run(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        # A third of the time of a call through tf.function, which would bind and check the arguments again.
        try:
            return self._concrete._call_flat(tensors, self._captured)
        except tf.errors.OpError as error:
            found = meant(error, self._compiled)
            if found is None:
                raise
            raise found from found.__cause__ or error

    def _flat(self, *tensors: tf.Tensor) -> list[tf.Tensor]:
        """What is traced: flat tensors to flat tensors; a trace can't return None."""
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, tensors, strict=True):
            leaves[place] = tensor
        arguments, seed = tf.nest.pack_sequence_as(self._structure, leaves)
        evaluated = self._evaluate(arguments, seed)
        self.steps = evaluated.steps
        results = self._pick(evaluated)
        flat = [leaf for leaf in tf.nest.flatten(results) if leaf is not None]
        numbers = iter(range(len(flat)))
        self._layout = tf.nest.map_structure(lambda leaf: None if leaf is None else next(numbers), results)
        return flat

    def _packed(self, flat: list[tf.Tensor]) -> Any:
        layout = self._layout
        if isinstance(layout, int):
            return flat[0]
        if type(layout) is tuple and all(isinstance(item, int) for item in layout):
            return tuple(flat)
        return tf.nest.map_structure(lambda number: None if number is None else flat[number], layout)

    def _on_empty(self, tensors: list[tf.Tensor]) -> Any:
        """Vectorized loops divide by the batch size: an empty batch runs as one sample, dropped again."""
        filled = [tf.ones([1, *t.shape[1:]], t.dtype) if t.shape.rank and t.shape[0] == 0 else t for t in tensors]
        return tf.nest.map_structure(
            lambda t: t[:0] if isinstance(t, tf.Tensor) and t.shape.rank else t, self._packed(self._run(filled))
        )


def signature_of(nest: Any, batch: int | None) -> Any:
    """A key: structure, dtypes, shapes without the batch size, and what is no tensor as it is."""
    if isinstance(nest, tf.Tensor):
        shape = nest.shape.as_list()
        return nest.dtype.as_datatype_enum, tuple(["B", *shape[1:]] if shape and shape[0] == batch else shape)
    if isinstance(nest, dict):
        return type(nest), tuple((key, signature_of(nest[key], batch)) for key in sorted(nest))
    if isinstance(nest, (list, tuple)):
        return type(nest), tuple(signature_of(item, batch) for item in nest)
    return type(nest), nest if getattr(nest, "__hash__", None) else id(nest)


def spec_of(tensor: tf.Tensor, batch: int | None) -> tf.TensorSpec:
    """Shape and dtype, of any batch size where the first axis is the batch."""
    shape = tensor.shape.as_list()
    return tf.TensorSpec(
        [None, *shape[1:]] if batch is not None and shape and shape[0] == batch else shape, tensor.dtype
    )


def _alone(arguments: list[Any], seed: Any, specs: list[tf.TensorSpec]) -> tf.TensorSpec | None:
    """The spec of the only argument, where that is one tensor."""
    return specs[0] if seed is None and len(arguments) == 1 and isinstance(arguments[0], tf.Tensor) else None
