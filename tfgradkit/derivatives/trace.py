"""One traced signature: a ``tf.function`` of flat tensors, and how its results go together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .choices import JitCompile
from .plan import Step


class Trace:
    """A derivative traced for one signature, called with any batch size."""

    def __init__(
        self,
        pick: Callable[[Any], Any],
        evaluate: Callable[..., Any],
        arguments: list[Any],
        seed: Any,
        batched: bool,
        jit_compile: JitCompile,
    ) -> None:
        self.steps: tuple[Step, ...] = ()
        self._pick, self._evaluate = pick, evaluate
        self._batched = batched
        self._structure = (arguments, seed)
        self._layout: Any = None
        batch = _batch_of(arguments, batched)
        leaves = tf.nest.flatten(self._structure)
        self._tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tf.Tensor)]
        specs = [_spec(leaves[i], batch) for i in self._tensors]
        self._function = tf.function(
            self._flat, input_signature=specs, jit_compile=jit_compile is True, autograph=False
        )
        # Called through tf.function, not its concrete function: that binds arguments in half the time.
        self._function.get_concrete_function()
        self._statics = [None if isinstance(leaf, tf.Tensor) else leaf for leaf in leaves]
        self._structure = tf.nest.map_structure(lambda _: 0, self._structure)

    def __call__(self, arguments: list[Any], seed: Any) -> Any:
        """The results, in the structures of the caller."""
        tensors = [leaf for leaf in tf.nest.flatten((arguments, seed)) if isinstance(leaf, tf.Tensor)]
        if self._batched and tensors and _is_empty(tensors):
            return self._on_empty(tensors)
        return self._packed(self._function(*tensors))

    def _flat(self, *tensors: tf.Tensor) -> list[tf.Tensor]:
        """What is traced: flat tensors to flat tensors; a trace can't return None."""
        leaves = list(getattr(self, "_statics", tf.nest.flatten(self._structure)))
        for position, tensor in zip(self._tensors, tensors, strict=True):
            leaves[position] = tensor
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
            lambda t: t[:0] if isinstance(t, tf.Tensor) and t.shape.rank else t, self._packed(self._function(*filled))
        )


def signature_of(nest: Any, batched: bool) -> Any:
    """A key: structure, dtypes and shapes without the batch size, and what is no tensor as it is."""
    batch = _batch_of(nest[0], batched)
    return _key(nest, batch)


def _key(nest: Any, batch: int | None) -> Any:
    if isinstance(nest, tf.Tensor):
        shape = nest.shape.as_list()
        return nest.dtype.as_datatype_enum, tuple(["B", *shape[1:]] if shape and shape[0] == batch else shape)
    if isinstance(nest, dict):
        return type(nest), tuple((key, _key(nest[key], batch)) for key in sorted(nest))
    if isinstance(nest, (list, tuple)):
        return type(nest), tuple(_key(item, batch) for item in nest)
    return type(nest), nest if getattr(nest, "__hash__", None) else id(nest)


def _batch_of(arguments: Any, batched: bool) -> int | None:
    """The batch size: that of the first tensor that has axes."""
    if not batched:
        return None
    return next((t.shape[0] for t in tf.nest.flatten(arguments) if isinstance(t, tf.Tensor) and t.shape.rank), None)


def _spec(tensor: tf.Tensor, batch: int | None) -> tf.TensorSpec:
    shape = tensor.shape.as_list()
    return tf.TensorSpec(
        [None, *shape[1:]] if batch is not None and shape and shape[0] == batch else shape, tensor.dtype
    )


def _is_empty(tensors: list[tf.Tensor]) -> bool:
    return any(t.shape.rank and t.shape[0] == 0 for t in tensors)
