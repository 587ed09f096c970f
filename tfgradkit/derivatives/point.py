"""Where and how a derivative is taken: what every operator works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import tensorflow as tf

from ..arguments import shape_text
from ..errors import GradientError, SignatureError
from .choices import Options
from .primitives import Partials, Tensors
from .shapes import is_scalar_sample, repeated, split

# f(xs, copies): with the batch of xs repeated, f repeats what else it takes.
PointFunction = Callable[[Tensors, Any], Tensors]


@dataclass(frozen=True)
class Point:
    """A function, flat lists of its arguments and seeds, and the choices of the caller.

    Attributes:
        f: from (xs, copies) to ys; the batch of xs comes ``copies`` times, and so do ys.
        xs: what is differentiated by: tensors, or variables.
        seeds: like ys for vjp, like xs for jvp and hvp.
        name: for messages.
        batched: whether the first axis of xs, ys and seeds counts independent samples.
        repeatable: whether f surely takes any batch; a plain function may close over a batch of its own.
        inlined: whether the graph is somebody's own, who may differentiate or compile it.
        extra: what single operators take beside (positions of a partial, probes of an estimate).
        structure: the nest that xs come from, for names.
        log: what was decided, for ``Derivative.plan``.
        arguments: all that the function is called with, as the caller gave it.
        reselect: the selection of xs for other arguments.
    """

    f: PointFunction
    xs: Tensors
    name: str
    batched: bool
    options: Options
    seeds: Tensors = field(default_factory=list)
    repeatable: bool = False
    inlined: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)
    copies: Any = 1
    arguments: Sequence[Any] = ()
    reselect: Callable[[Sequence[Any]], Any] | None = None
    structure: Any = None

    def call(self, xs: Tensors) -> Tensors:
        """f at other arguments."""
        return self.f(xs, self.copies)

    def of(self, f: PointFunction) -> Point:
        """The same place for another function."""
        return replace(self, f=f)

    def repeat(self, copies: Any) -> Point:
        """The same point, the batch ``copies`` times: its own copies come first."""
        return replace(
            self,
            xs=[repeated(x, copies) for x in self.xs],
            seeds=[repeated(seed, copies) for seed in self.seeds],
            copies=self.copies * copies,
        )

    def filled(self, derivative: tf.Tensor | None, like: Callable[[], tf.Tensor]) -> tf.Tensor | None:
        """``derivative``, or what the caller wants where there is no connection."""
        if derivative is not None:
            return derivative
        if self.options.unconnected == "raise":
            raise GradientError(
                "the output does not depend on the input",
                subject=self.name,
                hint='unconnected="zero" for zeros, "none" for None',
            )
        return None if self.options.unconnected == "none" else like()

    def filled_like_x(self, derivatives: Partials) -> Partials:
        """Each derivative by an x, filled."""
        return [self.filled(d, partial(tf.zeros_like, x)) for d, x in zip(derivatives, self.xs, strict=True)]

    def scalar(self, operator: str) -> Point:
        """The same point of a function whose one result has no axis but the batch's.

        Raises (when f is called):
            GradientError: f has more than one output a sample.
        """
        return self.of(lambda xs, copies: [scalar_result(self.f(xs, copies), self, operator)])


def scalar_result(ys: Tensors, point: Point, operator: str) -> tf.Tensor:
    """The one scalar that a function returns, as ``[B]``, or a scalar where not batched.

    Raises:
        GradientError: there are several, or it is none.
    """
    if len(ys) == 1 and is_scalar_sample(ys[0], point.batched):
        return tf.reshape(ys[0], split(ys[0], point.batched)[0])
    raise GradientError(
        f"{operator} needs a scalar-valued function",
        subject=point.name,
        expected="[B] or [B, 1]" if point.batched else "a scalar",
        got=", ".join(shape_text(y.shape) for y in ys),
        hint="jacobian for all outputs, vjp for a weighted sum of them, or return the one output you mean",
    )


def check_seeds(
    seeds: Sequence[tf.Tensor], like: Sequence[tf.Tensor], role: Literal["output_gradients", "tangents"], name: str
) -> None:
    """Raises :class:`SignatureError` where a seed has another shape than what it belongs to."""
    for seed, tensor in zip(seeds, like, strict=True):
        if not tensor.shape.is_compatible_with(seed.shape):
            raise SignatureError(
                f"{role} has the wrong shape",
                subject=name,
                expected=f"{shape_text(tensor.shape)}, like the {'argument' if role == 'tangents' else 'result'}",
                got=shape_text(seed.shape),
            )


def or_zeros(derivative: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
    """``derivative``, zeros where there is no connection."""
    if derivative is None:
        return tf.zeros_like(like)
    # Inside a loop of the graph a gradient may have lost its shape.
    derivative.set_shape(like.shape if derivative.shape.rank is None else derivative.shape)
    return derivative
