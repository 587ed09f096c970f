"""A function linearized at a point in one direction: forward, from its xs, or reverse, from its ys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from .point import Point, or_zeros
from .primitives import Product, Pullback, Tensors, pullback, transposed
from .shapes import Dims, dims, size, split


@dataclass(frozen=True)
class Linear:
    """Products with the Jacobian at a point.

    Attributes:
        point: where.
        pull: the function, evaluated there.
        forward: whether seeds are tangents of the xs; else they are gradients of the ys.
        product: from seeds to results.
        colours: where a seed is the sum of the unit vectors of a colour, the colour of each; else None.
    """

    point: Point
    pull: Pullback
    forward: bool
    product: Product
    colours: np.ndarray | None = None

    @property
    def seeded(self) -> Tensors:
        """What the seeds are shaped like."""
        return self.point.xs if self.forward else self.pull.ys

    @property
    def likes(self) -> Tensors:
        """What the results are shaped like."""
        return self.pull.ys if self.forward else self.point.xs

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """The results for a seed of one tensor, the others zero."""
        seeds = [seed if i == index else None for i in range(len(self.seeded))]
        return [or_zeros(r, like) for r, like in zip(self.product(seeds), self.likes, strict=True)]

    def repeated(self, copies: Any) -> Linear:
        """The same, evaluated anew for the batch repeated."""
        return replace(linearized(self.point.repeat(copies), self.forward), colours=self.colours)

    def sample(self, index: int) -> Dims:
        """The axes of one sample of a seeded tensor."""
        return split(self.seeded[index], self.point.batched)[1]

    def units(self, index: int, ids: Any) -> tf.Tensor:
        """Unit seeds, or colours, by number: ``[count, 1, *sample]``, without the 1 where not batched."""
        sample, dtype = self.sample(index), self.seeded[index].dtype
        lead = [1] if self.point.batched else []
        if self.colours is not None:
            wanted = tf.convert_to_tensor(np.asarray(ids, np.int32) if isinstance(ids, range) else ids)
            chosen = tf.constant(self.colours, wanted.dtype)[None] == wanted[:, None]
            return tf.reshape(tf.cast(chosen, dtype), [-1, *lead, *sample])
        if isinstance(ids, range) and isinstance(size(sample), int):
            rows = np.zeros((len(ids), size(sample)))
            rows[np.arange(len(ids)), np.asarray(ids, int)] = 1
            return tf.constant(rows.reshape([len(ids), *lead, *sample]), dtype)
        return tf.reshape(tf.one_hot(ids, size(sample), dtype=dtype), [-1, *lead, *sample])

    def filled(self, index: int, seed: tf.Tensor) -> tf.Tensor:
        """A unit seed for every sample of the batch."""
        return tf.broadcast_to(seed, dims(self.seeded[index]))


def linearized(point: Point, forward: bool, pull: Pullback | None = None) -> Linear:
    """The function of ``point``, evaluated there unless ``pull`` is that already."""
    pull = pull or pullback(point.call, point.xs)
    product: Callable[..., Any] = transposed(pull) if forward else pull.product
    return Linear(point, pull, forward, product)
