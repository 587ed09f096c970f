"""What is differentiated by what, where and how: some of a function's arguments, its variables, or a layer's result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import tensorflow as tf

from ..arguments import (
    floating_results,
    is_scalar_sample,
    leaves,
    packed_like,
    repeated,
    shape_text,
    split,
    tensors_of,
)
from ..differentiable import Differentiable
from ..errors import GradientError, SignatureError
from ..sources.layer_results import PREFIX, find_layer, intermediate, layer_output, substituted
from .options import Options
from .pullback import Partials, Tensors

# The name of the op that looks, where only the run knows the size of a result, whether it is one number a sample.
SCALAR_VALUED = "scalar_valued"
# f(xs, copies): with the batch of xs repeated, f repeats its other arguments.
ProblemFunction = Callable[[Tensors, Any], Tensors]


@dataclass
class FirstCall:
    """Structure and aux of the function's results, kept from its first call."""

    structure: Any = None
    aux: Any = None
    done: bool = False


@dataclass(frozen=True)
class Problem:
    """A function of flat tensors, where it is differentiated, and the choices of the caller.

    Attributes:
        f: from (xs, copies) to ys; the batch of xs comes ``copies`` times, and so do ys.
        xs: what is differentiated by: tensors, or variables.
        name: for messages.
        batched: whether the first axis of xs, ys and seeds counts independent samples.
        options: the choices.
        source: the function that f calls.
        arguments: all that it is called with, as the caller gave it.
        structure: the nest that xs come from.
        first: fills up when f is called.
        variables: whether xs are variables.
        seeds: like ys for vjp, like xs for jvp and hvp.
        inlined: whether the graph belongs to the caller, who may differentiate or compile it.
        extra: arguments of single operators (directions of a partial, probes of an estimate).
        log: the decisions, for ``Derivative.plan``.
        copies: how often the batch of xs is there.
        twice: whether what is found is differentiated once more.
    """

    f: ProblemFunction
    xs: Tensors
    name: str
    batched: bool
    options: Options
    source: Differentiable | None = None
    arguments: Sequence[Any] = ()
    structure: Any = None
    first: FirstCall = field(default_factory=FirstCall)
    variables: bool = False
    seeds: Tensors = field(default_factory=list)
    inlined: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)
    copies: Any = 1
    twice: bool = False

    def call(self, xs: Tensors) -> Tensors:
        """f at other arguments."""
        return self.f(xs, self.copies)

    @property
    def repeatable(self) -> bool:
        """Whether f surely takes any batch.

        A plain function may close over data of its own batch; a function with declared inputs doesn't.
        """
        source = self.source
        if source is None or not self.batched:
            return False
        specs = tf.nest.flatten(source.input_specs or ())
        return (source.model is not None or bool(specs)) and all(spec.shape[0] is None for spec in specs if spec.shape)

    def of(self, f: ProblemFunction) -> Problem:
        """The same place for another function."""
        return replace(self, f=f)

    def repeat(self, copies: Any) -> Problem:
        """The same problem, the batch ``copies`` times: its own copies come first."""
        return replace(
            self,
            xs=[repeated(x, copies) for x in self.xs],
            seeds=[repeated(seed, copies) for seed in self.seeds],
            copies=self.copies * copies,
        )

    def filled(self, derivative: tf.Tensor | None, like: Callable[[], tf.Tensor]) -> tf.Tensor | None:
        """``derivative``; where there is no connection, what ``unconnected`` says."""
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

    def scalar(self, operator: str) -> Problem:
        """The same problem for a function whose one result has no axis but the batch's.

        Raises (when f is called):
            GradientError: f has more than one output a sample.
        """
        return self.of(lambda xs, copies: [scalar_result(self.f(xs, copies), self, operator)])


def scalar_result(ys: Tensors, problem: Problem, operator: str) -> tf.Tensor:
    """The one scalar that a function returns, as ``[B]``, or a scalar where not batched.

    Raises:
        GradientError: there are several results, or the one is no scalar.
    """
    if len(ys) == 1 and problem.batched and ys[0].shape.rank == 2 and ys[0].shape[1] is None:
        ys = [tf.ensure_shape(ys[0], [None, 1], name=SCALAR_VALUED)]
    if len(ys) == 1 and is_scalar_sample(ys[0], problem.batched):
        return tf.reshape(ys[0], split(ys[0], problem.batched)[0])
    raise GradientError(
        f"{operator} needs a scalar-valued function",
        subject=problem.name,
        expected="[B] or [B, 1]" if problem.batched else "a scalar",
        got=", ".join(shape_text(y.shape) for y in ys),
        hint="jacobian for all outputs, vjp for a weighted sum of them, or return the one output you mean",
    )


def check_seeds(
    seeds: Sequence[tf.Tensor], like: Sequence[tf.Tensor], role: Literal["output_gradients", "tangents"], name: str
) -> None:
    """Raises :class:`SignatureError` where a seed has another shape than its tensor."""
    for seed, tensor in zip(seeds, like, strict=True):
        if not tensor.shape.is_compatible_with(seed.shape):
            raise SignatureError(
                f"{role} has the wrong shape",
                subject=name,
                expected=f"{shape_text(tensor.shape)}, like the {'argument' if role == 'tangents' else 'result'}",
                got=shape_text(seed.shape),
            )


def positions(options: Options, count: int, name: object) -> tuple[int, ...]:
    """Which of ``count`` arguments have to be floating: those of ``argnums``, from the front.

    Raises:
        SignatureError: there is no such argument.
    """
    picked = []
    for position in options.positions:
        if not -count <= position < count:
            raise SignatureError(
                "argnums picks an argument that isn't there",
                subject=str(name),
                expected=f"0 to {count - 1}",
                got=options.argnums,
            )
        picked.append(position % count)
    return tuple(picked)


def batch_axis(options: Options, arguments: Sequence[Any]) -> tf.TensorShape:
    """The batch size, of rank 1: the first axis of the first tensor in the arguments that ``argnums`` picks."""
    picked = map(list(arguments).__getitem__, positions(options, len(arguments), "argnums"))
    for tensor in leaves([*picked, *arguments]):
        if tensor.shape.rank:
            return tensor.shape[:1]
    return tf.TensorShape([None])


def is_batched(leaf: Any, batch: tf.TensorShape) -> bool:
    """Whether the first axis of an argument is the batch."""
    return isinstance(leaf, tf.Tensor) and bool(leaf.shape.rank) and leaf.shape[:1].as_list() == batch.as_list()


def narrowed(source: Differentiable, options: Options) -> Differentiable:
    """``source`` with ``of=`` applied."""
    return source if options.of is None else layer_output(source, options.of)


def select(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Problem:
    """The function to differentiate, at ``arguments``, by what ``argnums`` and ``wrt`` say.

    Raises:
        SignatureError: no such argument, layer or variables.
    """
    if options.by_inputs:
        return _by_arguments(source, options, arguments)
    if isinstance(options.wrt, str) and options.wrt.startswith(PREFIX):
        return _by_layer(source, options, arguments)
    return _by_variables(source, options, arguments)


def _by_arguments(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Problem:
    picked = positions(options, len(arguments), source.name)
    several = isinstance(options.argnums, tuple)
    structure = tuple(arguments[position] for position in picked) if several else arguments[picked[0]]
    xs = tf.nest.flatten(structure)
    hollow = type(None) in map(type, xs)  # an empty branch
    xs = tensors_of(structure) if hollow else xs
    batch = xs[0].shape[:1] if source.batched and xs else None
    first = FirstCall()

    def f(flat: Tensors, copies: Any) -> Tensors:
        packed = packed_like(structure, flat) if hollow else tf.nest.pack_sequence_as(structure, flat)
        once = batch is None or (isinstance(copies, int) and copies == 1)
        filled = list(arguments) if once else _all_repeated(arguments, batch, copies)
        for position, x in zip(picked, packed if several else [packed], strict=True):
            filled[position] = x
        return _results(partial(source.call, *filled), source, options, first)

    return Problem(f, xs, source.name, source.batched, options, source, arguments, structure, first)


def _by_layer(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Problem:
    layer = find_layer(source, options.wrt)
    structure = intermediate(source, layer, tuple(arguments))
    batch = batch_axis(options, arguments) if source.batched else None
    first = FirstCall()

    def f(flat: Tensors, copies: Any) -> Tensors:
        filled = tuple(_all_repeated(arguments, batch, copies))
        result = tf.nest.pack_sequence_as(structure, flat)
        return _results(partial(substituted, source, layer, filled, result), source, options, first)

    xs = tf.nest.flatten(structure)
    return Problem(f, xs, source.name, source.batched, options, source, arguments, structure, first)


def _by_variables(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Problem:
    variables = wanted_variables(source, options)
    structure = variables[0] if is_variable(options.wrt) else list(variables)
    first = FirstCall()

    def f(_: Tensors, copies: Any) -> Tensors:
        # The function reads the variables itself.
        return _results(partial(source.call, *arguments), source, options, first)

    place = (arguments, structure, first)
    return Problem(f, variables, source.name, source.batched, options, source, *place, variables=True)


def is_variable(x: Any) -> bool:
    """A TensorFlow variable, or a Keras one around it."""
    return isinstance(x, tf.Variable) or isinstance(getattr(x, "value", None), tf.Variable)


def wanted_variables(source: Differentiable, options: Options) -> list[tf.Variable]:
    """The TensorFlow variables that ``wrt=`` names.

    Raises:
        SignatureError: ``wrt`` names no variables.
    """
    wrt = options.wrt
    if isinstance(wrt, str) and wrt == "parameters":
        found = list(source.trainable())
        if found:
            return found
        raise SignatureError(
            "the function has no trainable variables that are known",
            subject=source.name,
            expected="a Keras model that is built, or a tf.Module with trainable variables",
            hint="wrt=[variables] names those that the function uses",
        )
    given = [wrt] if is_variable(wrt) else list(wrt) if isinstance(wrt, (list, tuple)) else []
    if not given or not all(is_variable(v) for v in given):
        raise SignatureError(
            "no such choice",
            subject="wrt",
            expected='"inputs" | "parameters" | "layer:NAME" | a list of variables',
            got=repr(wrt),
        )
    return [v if isinstance(v, tf.Variable) else v.value for v in given]


def _results(call: Callable[[], Any], source: Differentiable, options: Options, first: FirstCall) -> Tensors:
    """The results of ``call`` as flat tensors without the aux; structure and aux are kept in ``first``.

    Raises:
        SignatureError: ``has_aux``, and there is no pair; or a result is no floating tensor.
        GradientError: there is no result.
    """
    y = call()
    y, aux = _pair(y, source.name) if options.has_aux else (y, None)
    flat = floating_results(y, source.name)
    if not flat:
        raise GradientError("the function returns nothing", subject=source.name, got=repr(y))
    if not first.done:
        first.structure, first.aux, first.done = y, aux, True
    return flat


def _pair(y: Any, name: str) -> tuple[Any, Any]:
    if isinstance(y, (list, tuple)) and len(y) == 2:
        return y[0], y[1]
    raise SignatureError(
        "with has_aux=True the function returns a pair",
        subject=name,
        expected="(y, aux)",
        got=f"a {type(y).__name__}" + (f" of {len(y)}" if isinstance(y, (list, tuple)) else ""),
    )


def _all_repeated(arguments: Sequence[Any], batch: tf.TensorShape | None, copies: Any) -> list[Any]:
    """The arguments where the batch comes several times."""
    if batch is None:
        return list(arguments)
    return tf.nest.map_structure(lambda x: repeated(x, copies) if is_batched(x, batch) else x, list(arguments))
