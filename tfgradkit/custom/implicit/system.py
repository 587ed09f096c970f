"""The system residual(u, p) = 0: the unknown u, any nest of tensors, as one vector a sample, and its equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...arguments import Dims, dims, structure_text
from ...errors import SignatureError

# From u [B, n] and the inputs to the residual [B, n]; B is 1 where not batched.
Residual = Callable[[tf.Tensor, Sequence[tf.Tensor]], tf.Tensor]


@dataclass(frozen=True)
class System:
    """The layout of u.

    Attributes:
        structure: a nest of its leaves' specs, without the batch axis.
        batched: whether the first axis of u counts samples.
        batch: the number of samples, an int or a scalar tensor; 1 where not batched.
        name: of the implicit function, for messages.
    """

    structure: Any
    batched: bool
    batch: Any
    name: str

    @property
    def dtype(self) -> tf.DType:
        """The dtype of all leaves."""
        return tf.nest.flatten(self.structure)[0].dtype

    @property
    def sizes(self) -> list[int]:
        """The number of elements of each leaf in a sample."""
        return [leaf.shape.num_elements() for leaf in tf.nest.flatten(self.structure)]

    @property
    def size(self) -> int:
        """The number of unknowns of a sample."""
        return sum(self.sizes)

    def flat(self, u: Any) -> tf.Tensor:
        """u as ``[B, n]``."""
        return _join(tf.nest.flatten(u), self.sizes, self.batch)

    def packed(self, vector: tf.Tensor) -> Any:
        """``[B, n]`` as u."""
        specs, lead = tf.nest.flatten(self.structure), self._lead(vector)
        parts = tf.split(vector, self.sizes, axis=1) if len(specs) > 1 else [vector]
        leaves = [tf.reshape(part, [*lead, *spec.shape]) for part, spec in zip(parts, specs, strict=True)]
        return tf.nest.pack_sequence_as(self.structure, leaves)

    def equations(self, residual: Callable[..., Any], parameters: Sequence[Any]) -> Residual:
        """``residual(u, *parameters)`` as a function of vectors and of the floating tensors among the parameters.

        Raises (when it is called):
            SignatureError: as many equations as unknowns are needed, of u's dtype.
        """
        leaves = tf.nest.flatten(list(parameters))

        def call(vector: tf.Tensor, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
            floating = iter(inputs)
            filled = [next(floating) if is_floating(leaf) else leaf for leaf in leaves]
            result = residual(self.packed(vector), *tf.nest.pack_sequence_as(list(parameters), filled))
            tensors = [_residual_tensor(leaf, self) for leaf in tf.nest.flatten(result)]
            return _join(tensors, self.check(tensors), self.batch)

        return call

    def check(self, leaves: Sequence[tf.Tensor]) -> list[int]:
        """The number of elements that each leaf of the residual has in a sample.

        Raises:
            SignatureError: all together are more or fewer than the unknowns, or the batch axis is missing.
        """
        first = int(self.batched)
        fits = all(leaf.shape.rank is not None and leaf.shape.rank >= first for leaf in leaves)
        sizes = [leaf.shape[first:].num_elements() for leaf in leaves] if fits else [None]
        batch = tf.TensorShape([self.batch if isinstance(self.batch, int) else None])
        same = not self.batched or all(leaf.shape[:1].is_compatible_with(batch) for leaf in leaves if fits)
        if None in sizes or not same or sum(n for n in sizes if n) != self.size:
            raise SignatureError(
                "the residual does not have as many elements as the unknown",
                subject=self.name,
                expected=self._text(),
                got=structure_text(list(leaves) if len(leaves) != 1 else leaves[0]),
                hint="one equation for each element of u, in any structure; initial= says what u looks like"
                + (", and the first axis counts the samples" if self.batched else ""),
            )
        return [n for n in sizes if n is not None]

    def _lead(self, vector: tf.Tensor) -> Dims:
        return dims(vector)[:1] if self.batched else []

    def _text(self) -> str:
        lead = [None] if self.batched else []
        whole = tf.nest.map_structure(lambda s: tf.TensorSpec([*lead, *s.shape], s.dtype), self.structure)
        return structure_text(whole)


def is_floating(leaf: Any) -> bool:
    """Whether ``leaf`` is a floating tensor, which the equations can be differentiated by."""
    return isinstance(leaf, tf.Tensor) and leaf.dtype.is_floating


def system_of(start: Any, batched: bool, batch: Any, name: str) -> System:
    """The layout of an unknown like ``start``.

    Raises:
        SignatureError: no floating tensors of one dtype and known shape.
    """
    leaves = tf.nest.flatten(start)
    first = int(batched)
    known = leaves and all(
        leaf.shape.rank is not None and leaf.shape.rank >= first and leaf.shape[first:].is_fully_defined()
        for leaf in leaves
    )
    if not known or len({leaf.dtype for leaf in leaves}) != 1 or not leaves[0].dtype.is_floating:
        dtypes = ", ".join(sorted({leaf.dtype.name for leaf in leaves}))
        raise SignatureError(
            "the unknown can't be solved for",
            subject=name,
            expected="floating tensors of one dtype, of known shapes" + (" [B, ...]" if batched else ""),
            got=f"{structure_text(start)} {dtypes}",
            hint="what leaves TensorFlow loses its shape: tf.ensure_shape(u, shape) at the end of the solver",
        )
    structure = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[first:], leaf.dtype), start)
    return System(structure, batched, batch, name)


def _residual_tensor(leaf: Any, system: System) -> tf.Tensor:
    """A leaf of the residual as a tensor; raises :class:`SignatureError` where it has another dtype than u."""
    tensor = tf.convert_to_tensor(leaf)
    if tensor.dtype != system.dtype:
        raise SignatureError(
            "the residual has another dtype than the unknown",
            subject=system.name,
            expected=system.dtype.name,
            got=tensor.dtype.name,
            hint="initial= sets the dtype of u; tf.cast in the residual",
        )
    return tensor


def _join(leaves: Sequence[tf.Tensor], sizes: Sequence[int], batch: Any) -> tf.Tensor:
    """Leaves of these sizes as ``[B, n]``."""
    rows = [tf.reshape(leaf, [batch, size]) for leaf, size in zip(leaves, sizes, strict=True)]
    return rows[0] if len(rows) == 1 else tf.concat(rows, 1)
