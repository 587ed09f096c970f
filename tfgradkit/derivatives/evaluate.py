"""An operator inside a graph: select, judge the batch, run, pack the results; and such graphs, traced once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import tensorflow as tf

from ..arguments import packed_like, structure_text, tensors_of
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..graph.python_code import functions_called, refuse_compiled
from ..op_gradients import register_gradient
from ..op_gradients.exact_functions import exact_functions
from .batch.independence import check_whole_batch, independent
from .batch.per_sample import per_sample
from .failures.foreign_errors import of_run, of_trace
from .failures.runtime_errors import meant
from .first_order import Parts
from .operator_table import EXACT_PRODUCTS, LAYOUTS, OPERATORS, SEED_NAMES
from .options import Options
from .problem import Problem, check_seeds, narrowed, select
from .sweep.plan import PlanStep


class FlatSeed(list[tf.Tensor]):
    """A seed that is flat already, in the order of ``tf.nest``."""


@dataclass(frozen=True)
class Evaluated:
    """Results of an operator.

    Attributes:
        parts: by name, as nested flat lists.
        layouts: of the parts: a letter for each level of lists, y the results, x the arguments.
        structures: the nests that the letters stand for.
        aux: the second result of the function, with ``has_aux``.
        steps: the decisions, for ``Derivative.plan``.
        wanted: the parts that the caller gets.
        has_aux: whether the aux comes with them.
    """

    parts: Parts
    layouts: dict[str, str]
    structures: dict[str, Any]
    aux: Any
    steps: tuple[PlanStep, ...]
    wanted: tuple[str, ...] = ()
    has_aux: bool = False

    @property
    def results(self) -> Any:
        """The results in the caller's structures: one part, or a tuple of several, the aux last."""
        values = [self.aux] if self.has_aux else []
        for name in reversed(self.wanted):
            values.insert(0, _packed(self.structures, self.layouts[name], self.parts[name]))
        return values[0] if len(values) == 1 else tuple(values)


def evaluate(
    source: Differentiable,
    operator: str,
    parts: tuple[str, ...],
    options: Options,
    arguments: Sequence[Any],
    seed: Any = None,
    *,
    inlined: bool,
    extra: dict[str, Any],
    sample_arguments: Any = None,
    judge: bool | None = None,
) -> Evaluated:
    """``operator`` of ``source`` at ``arguments``, tensors of the current graph.

    Args:
        source, operator, parts, options, extra: the function, and the choices of the caller.
        arguments, seed: the point.
        inlined: whether the graph belongs to the caller, who may differentiate or compile it.
        sample_arguments: the values of the arguments for a few samples, where they are known.
        judge: whether to find out if samples influence each other; None: if the operator needs independent samples.

    Raises:
        SignatureError: a seed of the wrong structure or shape.
        GradientError: the derivative does not exist.
    """
    samples = sample_arguments or arguments
    unknown = source.batched and not source.checked and judge is not False
    # Who raised an exception is told by its traceback, off which TensorFlow would cut its own frames.
    filtering = tf.debugging.is_traceback_filtering_enabled()
    try:
        if filtering:
            tf.debugging.disable_traceback_filtering()
        with exact_functions():
            source = source if options.of is None else narrowed(source, options)
            problem = replace(select(source, options, arguments), inlined=inlined, extra=extra)
            rule = OPERATORS[operator]
            if problem.variables and source.batched:
                if unknown:
                    check_whole_batch(problem, samples)
                else:
                    problem.call(problem.xs)  # for the structure of the results
                rule = partial(per_sample, operator=operator, rule=rule)
            elif unknown and (judge or operator not in EXACT_PRODUCTS):
                problem = independent(problem, samples)
            if seed is not None:
                problem = replace(problem, seeds=_seeds(problem, seed, SEED_NAMES[operator]))
            computed = rule(problem)
    except Exception as error:
        raise of_trace(error, source.name)  # noqa: B904  its cause is set
    finally:
        if filtering:
            tf.debugging.enable_traceback_filtering()
    structures = {"y": problem.first.structure, "x": problem.structure}
    found = (computed, LAYOUTS[operator], structures, problem.first.aux, tuple(problem.log))
    return Evaluated(*found, parts, options.has_aux)


def _seeds(problem: Problem, seed: Any, role: str) -> list[tf.Tensor]:
    """``seed`` as flat tensors."""
    if role == "output_gradients":
        if not problem.first.done:
            problem.call(problem.xs)  # for the structure of the results
        return _flat_like(seed, problem.first.structure, role, problem.name)
    flat = _flat_like(seed, problem.structure, role, problem.name)
    flat = [tf.cast(v, x.dtype) for v, x in zip(flat, problem.xs, strict=True)]
    check_seeds(flat, problem.xs, "tangents", problem.name)
    return flat


def _flat_like(seed: Any, structure: Any, role: str, name: str) -> list[tf.Tensor]:
    if isinstance(seed, FlatSeed):
        return list(seed)
    try:
        tf.nest.assert_same_structure(structure, seed, check_types=False)
    except (ValueError, TypeError) as error:
        raise SignatureError(
            f"{role} has the wrong structure",
            subject=name,
            expected=structure_text(structure),
            got=structure_text(seed),
        ) from error
    return tensors_of(seed)


def _packed(structures: dict[str, Any], layout: str, part: Any) -> Any:
    """Nested lists, one level a letter of ``layout``, as nests of the caller's structures, outputs outside."""
    if not layout:
        return part
    inner, structure = list(map(partial(_packed, structures, layout[1:]), part)), structures[layout[0]]
    if type(None) in map(type, tf.nest.flatten(structure)):
        return packed_like(structure, inner)
    return tf.nest.pack_sequence_as(structure, inner)


class Traceable(Protocol):
    """The return value of a function that is traced: results (tensors and None in any nest) and decisions."""

    @property
    def results(self) -> Any:
        """In the structures of the caller."""

    @property
    def steps(self) -> tuple[PlanStep, ...]:
        """One a sweep."""


class Trace:
    """A function traced for one signature, called with any batch size.

    Attributes:
        steps: the decisions that were taken while tracing.
        graph: the traced graph.
        verified: whether its first results have been compared, or need not be.
    """

    verified = False

    def __init__(
        self,
        function: Callable[[Any, Any], Traceable],
        arguments: list[Any],
        seed: Any,
        batch: int | None,
        *,
        jit_compile: bool,
        name: object = "the function",
    ) -> None:
        """Traces ``function(arguments, seed)``; messages call it ``name``."""
        self._name = name
        self.steps: tuple[PlanStep, ...] = ()
        self._rules = register_gradient.in_force
        self._batched, self._compiled = batch is not None, jit_compile
        self._layout: Any = None
        self._leaves = tf.nest.flatten((arguments, seed))
        self._specs: dict[int, tf.TensorSpec] = {}
        for place, leaf in enumerate(self._leaves):
            if isinstance(leaf, tf.Tensor):
                self._specs[place] = spec_of(leaf, batch)
                self._leaves[place] = None  # the first call's tensors are not needed any more
        self._structure = tf.nest.pack_sequence_as((arguments, seed), [0] * len(self._leaves))
        specs = list(self._specs.values())
        # The spec of the only argument, where that is one tensor.
        self._alone = specs[0] if seed is None and len(arguments) == 1 and isinstance(arguments[0], tf.Tensor) else None
        self._concrete = tf.function(
            partial(self._flat, function), input_signature=specs, jit_compile=jit_compile, autograph=False
        ).get_concrete_function()
        self._captured = self._concrete.captured_inputs
        self.graph = self._concrete.graph
        if jit_compile:
            refuse_compiled(functions_called(self.graph.get_operations()))

    def __call__(self, arguments: list[Any], seed: Any) -> Any:
        """The results, in the structures of the caller."""
        tensors: list[tf.Tensor] = []
        empty = False
        for leaf in tf.nest.flatten((arguments, seed)):
            if isinstance(leaf, tf.Tensor):
                tensors.append(leaf)
                empty = empty or (bool(leaf.shape.rank) and leaf.shape[0] == 0)
        return self._on_empty(tensors) if empty and self._batched else self._packed(self._run(tensors))

    def takes(self, x: Any, rules: tuple[Any, ...]) -> bool:
        """Whether this trace is for a single tensor like ``x``: the quick question of every call."""
        spec = self._alone
        if (
            rules != self._rules
            or spec is None
            or not self.verified
            or not isinstance(x, tf.Tensor)
            or x.dtype != spec.dtype
        ):
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
            found = meant(error, compiled=False) or of_run(error, str(self._name), self._compiled)
            raise found from found.__cause__ or error

    def _flat(self, function: Callable[[Any, Any], Traceable], *tensors: tf.Tensor) -> list[tf.Tensor]:
        """The function that is traced: flat tensors to flat tensors, since a trace can't return None."""
        leaves = list(self._leaves)
        for place, tensor in zip(self._specs, tensors, strict=True):
            leaves[place] = tensor
        traced = function(*tf.nest.pack_sequence_as(self._structure, leaves))
        results, self.steps = traced.results, traced.steps
        flat: list[tf.Tensor] = []
        numbers: list[int | None] = []
        for leaf in tf.nest.flatten(results):
            numbers.append(None if leaf is None else len(flat))
            flat += [] if leaf is None else [leaf]
        self._layout = tf.nest.pack_sequence_as(results, numbers)
        return flat

    def _packed(self, flat: Sequence[tf.Tensor]) -> Any:
        layout = self._layout
        if isinstance(layout, int):
            return flat[0]
        if type(layout) is tuple and all(isinstance(item, int) for item in layout):
            return tuple(flat)
        return tf.nest.map_structure(lambda number: None if number is None else flat[number], layout)

    def _on_empty(self, tensors: list[tf.Tensor]) -> Any:
        """Vectorized loops divide by the batch size: an empty batch runs as one sample, dropped again."""
        filled = list(tensors)
        for place, spec in enumerate(self._specs.values()):
            if _has_batch(spec) and tensors[place].shape[0] == 0:
                filled[place] = tf.ones([1, *tensors[place].shape[1:]], spec.dtype)
        if all(given is t for given, t in zip(filled, tensors, strict=True)):
            return self._packed(self._run(tensors))  # what is empty is no batch
        flat = [t[:0] if _has_batch(y) else t for t, y in zip(self._run(filled), self._concrete.outputs, strict=True)]
        return self._packed(flat)


def _has_batch(like: Any) -> bool:
    """Whether the first axis of a tensor of a trace has any size."""
    return bool(like.shape.rank) and like.shape[0] is None


def signature_of(nest: Any, batch: int | None) -> Any:
    """A key: structure, dtypes, shapes without the batch size; leaves that are no tensors stand for themselves."""
    if isinstance(nest, tf.Tensor):
        shape = nest.shape.as_list()
        return nest.dtype.as_datatype_enum, tuple(["B", *shape[1:]] if shape and shape[0] == batch else shape)
    if isinstance(nest, dict):
        return type(nest), tuple((key, signature_of(nest[key], batch)) for key in sorted(nest))
    if isinstance(nest, (list, tuple)):
        return type(nest), tuple(map(partial(signature_of, batch=batch), nest))
    return type(nest), nest if getattr(nest, "__hash__", None) else id(nest)


def spec_of(tensor: tf.Tensor, batch: int | None) -> tf.TensorSpec:
    """Shape and dtype, of any batch size where the first axis is the batch."""
    shape = tensor.shape.as_list()
    return tf.TensorSpec(
        [None, *shape[1:]] if batch is not None and shape and shape[0] == batch else shape, tensor.dtype
    )
