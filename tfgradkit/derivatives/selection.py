"""By what a function is differentiated: some of its arguments, its variables, or a layer's result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from ..arguments import leaves
from ..differentiable import Differentiable
from ..errors import GradientError, SignatureError
from ..sources.callables import floating_results
from ..sources.layer_results import PREFIX, find_layer, intermediate, layer_output, substituted
from .choices import Options
from .point import PointFunction
from .primitives import Tensors
from .shapes import repeated


@dataclass
class CallResults:
    """What the function returned beside flat tensors, the first time it was called."""

    structure: Any = None
    aux: Any = None
    seen: bool = False

    def keep(self, y: Any, aux: Any) -> None:
        """Remembers the first call's."""
        if not self.seen:
            self.structure, self.aux, self.seen = y, aux, True


@dataclass
class Selection:
    """A function of flat tensors.

    Attributes:
        f: from (xs, copies) to ys.
        xs: where.
        structure: the nest that xs come from.
        results: fills up when f is called.
        variables: whether xs are variables.
    """

    f: PointFunction
    xs: Tensors
    structure: Any
    results: CallResults = field(default_factory=CallResults)
    variables: bool = False


def narrowed(source: Differentiable, options: Options) -> Differentiable:
    """``source`` with ``of=`` applied."""
    return source if options.of is None else layer_output(source, options.of)


def positions(options: Options, count: int, name: str) -> tuple[int, ...]:
    """Which of ``count`` arguments have to be floating: those of ``argnums``, from the front.

    Raises:
        SignatureError: there is no such argument.
    """
    picked = tuple(p + count if p < 0 else p for p in options.positions)
    if any(not 0 <= p < count for p in picked):
        raise SignatureError(
            "argnums picks an argument that isn't there",
            subject=name,
            expected=f"0 to {count - 1}",
            got=options.argnums,
        )
    return picked


def batch_axis(options: Options, arguments: Sequence[Any]) -> tf.TensorShape:
    """The batch size, of rank 1: the first axis of the first tensor in the arguments that ``argnums`` picks."""
    count = len(arguments)
    picked = [arguments[p] for p in positions(options, count, "argnums") if p < count]
    return next((t.shape[:1] for t in leaves([*picked, *arguments]) if t.shape.rank), tf.TensorShape([None]))


def is_batched(leaf: Any, batch: tf.TensorShape) -> bool:
    """Whether the first axis of an argument is the batch."""
    return isinstance(leaf, tf.Tensor) and bool(leaf.shape.rank) and leaf.shape[:1].as_list() == batch.as_list()


def first_samples(options: Options, arguments: Sequence[Any]) -> list[Any]:
    """The arguments with no more than the first two samples: a specimen that doesn't keep the batch."""
    batch = batch_axis(options, arguments)
    return tf.nest.map_structure(lambda leaf: leaf[:2] if is_batched(leaf, batch) else leaf, list(arguments))


def select(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Selection:
    """The function to differentiate, at ``arguments``.

    Raises:
        SignatureError: no such argument, layer or variables.
    """
    if options.by_inputs:
        return _by_arguments(source, options, arguments)
    if isinstance(options.wrt, str) and options.wrt.startswith(PREFIX):
        return _by_layer(source, options, arguments)
    return _by_variables(source, options, arguments)


def _by_arguments(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Selection:
    picked = positions(options, len(arguments), source.name)
    structure = tuple(arguments[p] for p in picked) if isinstance(options.argnums, tuple) else arguments[picked[0]]
    xs = tf.nest.flatten(structure)
    batch = xs[0].shape[:1] if source.batched and xs else None
    results = CallResults()

    def f(flat: Tensors, copies: Any) -> Tensors:
        packed = tf.nest.pack_sequence_as(structure, flat)
        chosen = dict(zip(picked, packed if isinstance(options.argnums, tuple) else [packed], strict=True))
        filled = [chosen[i] if i in chosen else _repeated(a, batch, copies) for i, a in enumerate(arguments)]
        return called(source, options, filled, results)

    return Selection(f, xs, structure, results)


def _by_layer(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Selection:
    layer = find_layer(source, options.wrt)
    structure = intermediate(source, layer, tuple(arguments))
    batch = batch_axis(options, arguments) if source.batched else None
    results = CallResults()

    def f(flat: Tensors, copies: Any) -> Tensors:
        filled = [_repeated(a, batch, copies) for a in arguments]
        y = substituted(source, layer, tuple(filled), tf.nest.pack_sequence_as(structure, flat))
        return split_aux(y, options, source.name, results)

    return Selection(f, tf.nest.flatten(structure), structure, results)


def _by_variables(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Selection:
    variables = wanted_variables(source, options)
    structure = variables[0] if is_variable(options.wrt) else list(variables)
    results = CallResults()
    # The function reads the variables itself.
    return Selection(lambda _, copies: called(source, options, arguments, results), variables, structure, results, True)


def is_variable(x: Any) -> bool:
    """A TensorFlow variable, or a Keras one around it."""
    return isinstance(x, tf.Variable) or isinstance(getattr(x, "value", None), tf.Variable)


def wanted_variables(source: Differentiable, options: Options) -> list[tf.Variable]:
    """The TensorFlow variables that ``wrt=`` names.

    Raises:
        SignatureError: it names none.
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


def called(source: Differentiable, options: Options, arguments: Sequence[Any], results: CallResults) -> Tensors:
    """The function's results as flat tensors; their structure and the aux are kept in ``results``."""
    try:
        y = source.call(*arguments)
    except NotImplementedError as error:
        # How NumPy's functions refuse a tensor of a graph.
        if "symbolic tf.Tensor" not in str(error):
            raise
        raise GradientError(
            "the calculation leaves TensorFlow, where nothing can be differentiated",
            subject=source.name,
            got=str(error).split("\n", 1)[0],
            hint="the same function of tf.math or tf.linalg in place of NumPy's",
        ) from error
    return split_aux(y, options, source.name, results)


def split_aux(y: Any, options: Options, name: str, results: CallResults) -> Tensors:
    """The flat tensors of y, without the aux.

    Raises:
        SignatureError: ``has_aux``, and y is no pair.
    """
    aux = None
    if options.has_aux:
        if not isinstance(y, (list, tuple)) or len(y) != 2:
            raise SignatureError(
                "with has_aux=True the function returns a pair",
                subject=name,
                expected="(y, aux)",
                got=f"a {type(y).__name__}" + (f" of {len(y)}" if isinstance(y, (list, tuple)) else ""),
            )
        y, aux = y
    if not tf.nest.flatten(y):
        raise GradientError("the function returns nothing", subject=name, got=repr(y))
    flat = floating_results(y, name)
    results.keep(y, aux)
    return flat


def _repeated(argument: Any, batch: tf.TensorShape | None, copies: Any) -> Any:
    """An argument that is not differentiated, where the batch comes several times."""
    if batch is None or (isinstance(copies, int) and copies == 1):
        return argument

    return tf.nest.map_structure(lambda x: repeated(x, copies) if is_batched(x, batch) else x, argument)
