"""``Derivative``: what an operator returns. Traced once per input signature, then only called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import tensorflow as tf

from ..arguments import structure_text
from ..differentiable import Differentiable
from ..errors import GradientError, SignatureError
from ..op_gradients import register_gradient
from ..public import not_pickled, public
from .evaluate import Evaluated, Trace, evaluate, signature_of
from .failures.retraced import Way, another_way
from .operator_table import EXACT_PRODUCTS, SEED_NAMES
from .options import Options
from .problem import batch_axis, positions
from .seeds import converted_seed, wanted_seed
from .self_check import check_first
from .sweep.memory import evaluate_within_limit
from .sweep.plan import Plan


@public("types")
@not_pickled("pickle the function or model, and make the derivative of it again")
class Derivative:
    """A derivative as a function. Make it once, call it often.

    The first call with new shapes or dtypes traces; later calls with the same run the trace,
    whatever their batch size. Inside ``tf.function`` a call becomes part of that function. Calls
    work under an outer ``tf.GradientTape``, with respect to the arguments and to the variables of the function.
    """

    def __init__(
        self,
        source: Differentiable,
        operator: str,
        parts: tuple[str, ...],
        options: Options,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.source = source
        self.operator = operator
        self.parts = parts
        self.options = options
        self.extra = extra or {}
        self._way = Way(source, options)
        self._named: dict[tuple[str, ...], Derivative] = {}
        self._traces: dict[Any, Trace] = {}
        self._latest: Trace | None = None

    # A tf.function around the call would rewrite this whole package for AutoGraph: seconds, for nothing.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, *arguments: Any, output_gradients: Any = None, tangents: Any = None, **keywords: Any) -> Any:
        """The derivative at the arguments; with several parts, a tuple, the value first, aux last.

        Args:
            arguments: what the function takes: nests of tensors, NumPy arrays or nested lists, each
                ``[B] + x`` where batched.
            keywords: what it takes by name.
            output_gradients: for ``vjp``, in the structure of the function's results.
            tangents: for ``jvp`` and ``hvp``, in the structure of what is differentiated by.

        Raises:
            SignatureError: wrong structure, shape or dtype, or a missing or unwanted keyword.
            GradientError: no such derivative (a gradient of a vector-valued function).
        """
        if keywords:
            by_name = self._by_name(tuple(keywords))
            return by_name(*arguments, *keywords.values(), output_gradients=output_gradients, tangents=tangents)
        latest = self._latest  # once: another thread may trace another signature meanwhile
        single = len(arguments) == 1 and output_gradients is tangents is None
        if (
            single
            and latest is not None
            and tf.executing_eagerly()
            and latest.takes(arguments[0], register_gradient.in_force)
        ):
            return self._presented(latest.at(arguments[0]), latest, arguments)
        seed = None
        if self.operator in SEED_NAMES or not output_gradients is tangents is None:
            seed = wanted_seed(self.operator, {"output_gradients": output_gradients, "tangents": tangents}, str(self))
        converted = self.converted(arguments)
        if seed is not None:
            batched = self.source.batched
            seed = converted_seed(seed, self.operator, self.options, converted, batched=batched, name=str(self))
        if tf.executing_eagerly():
            trace = self._traced(converted, seed)
            try:
                results = trace(converted, seed)
            except GradientError as error:  # XLA compiles where a trace runs first
                if self.options.jit_compile is not True:
                    raise
                trace, results = self._otherwise(error, converted, seed)
            if not trace.verified:
                self._verify(trace, converted, seed, results)
            return self._presented(results, trace, arguments)
        # Part of the caller's graph, whose tensors the function may close over.
        return self._presented(self.evaluate(converted, seed, inlined=True).results, None, arguments)

    @property
    def trace_count(self) -> int:
        """How many signatures have been traced so far."""
        return len(self._traces)

    @property
    def plan(self) -> Plan:
        """What was chosen for the latest signature, and why; before any call, for the function's own specs.

        Raises:
            SignatureError: it was not called yet, and the function has no specs.
        """
        if self._latest is None:
            self._traced(*self._sample_arguments())
        assert self._latest is not None
        return Plan(str(self), tuple(step.counted() for step in self._latest.steps), self.options.jit_compile is True)

    def evaluate(self, arguments: Sequence[Any], seed: Any = None, *, inlined: bool = False) -> Evaluated:
        """The parts as tensors of the surrounding graph: for exports and other operators.

        ``inlined``: the graph belongs to the caller, who may differentiate or compile it.
        """
        return self._evaluation(inlined=inlined)(arguments, seed)

    def as_differentiable(self, batched: bool | None = None) -> Differentiable:
        """This derivative as a function that another operator differentiates; its seed is a last argument."""
        if batched is not None and batched != self.source.batched:
            raise SignatureError(
                "batched differs from the inner derivative's",
                subject=str(self),
                expected=self.source.batched,
                got=batched,
            )
        inner = Derivative(
            self.source, self.operator, self.parts, replace(self.options, unconnected="zero"), self.extra
        )
        seeded = self.operator in SEED_NAMES
        specs = None if seeded else self.source.input_specs
        checked = self.source.checked or self.operator not in EXACT_PRODUCTS
        return replace(
            self.source, call=inner._inlined, name=str(self), input_specs=specs, output_names=(), checked=checked
        )

    def __repr__(self) -> str:
        by = "" if self.options.by_inputs else f" by {_by(self.options.wrt)}"
        return f"{'_and_'.join(self.parts)}({self.source.name}{by})"

    def _presented(self, results: Any, trace: Trace | None, arguments: tuple[Any, ...]) -> Any:
        """The results as the caller gets them; ``trace`` is None where they are tensors of the caller's graph."""
        return results

    def _verify(self, trace: Trace, arguments: list[Any], seed: Any, results: Any) -> None:
        """Compares the first results of a trace with a plain product; see :mod:`self_check`.

        Raises:
            VerificationError: they differ.
        """
        several = len(self.parts) > 1 or self.options.has_aux
        parts = dict(zip(self.parts, results if several else [results], strict=False))
        pattern = getattr(trace.steps[-1], "pattern", None) if trace.steps else None
        given = (self.source, self.operator, self.options, self.extra)
        check_first(*given, arguments, seed, parts, trace.graph.get_operations(), pattern, self._alike)
        trace.verified = True

    def _alike(self, source: Differentiable, operator: str, parts: tuple[str, ...], options: Options) -> Derivative:
        """An operator like this one of another function."""
        return Derivative(source, operator, parts, options)

    def _by_name(self, names: tuple[str, ...]) -> Derivative:
        """The same derivative, of a function whose last arguments are those called ``names``."""
        if names not in self._named:
            source, count = self.source, len(names)

            def call(*arguments: Any) -> Any:
                return source.call(*arguments[:-count], **dict(zip(names, arguments[-count:], strict=True)))

            specs = None if source.input_specs is None else (*source.input_specs, *[None] * count)
            named = replace(source, call=call, input_specs=specs, argument_names=())
            self._named[names] = type(self)(named, self.operator, self.parts, self.options, self.extra)
        return self._named[names]

    def _inlined(self, *arguments: Any) -> Any:
        *given, seed = arguments if self.operator in SEED_NAMES else (*arguments, None)
        return self.evaluate(given, seed, inlined=True).results

    def _evaluation(self, way: Way | None = None, **known: Any) -> Callable[[Sequence[Any], Any], Evaluated]:
        """The function from arguments and seed to the operator's results."""
        source, options = (self.source, self.options) if way is None else (way.source, way.options)
        run = evaluate_within_limit if options.limited and source.batched else evaluate
        return partial(run, source, self.operator, self.parts, options, extra=self.extra, **known)

    def converted(self, arguments: Sequence[Any]) -> list[Any]:
        """The caller's arguments as nests of tensors.

        Raises:
            SignatureError: an argument doesn't fit the function, or is not floating where it is differentiated by.
        """
        # Arguments that nothing is differentiated by need not be floating.
        picked = positions(self.options, max(1, len(arguments)), self) if self.options.by_inputs else ()
        return self.source.to_arguments(arguments, picked)

    def _traced(self, arguments: list[Any], seed: Any, way: Way | None = None) -> Trace:
        known, way = way is None, way or self._way
        batch = batch_axis(self.options, arguments)[0] if self.source.batched and not way.fixed else None
        key = signature_of((arguments, seed), batch), register_gradient.in_force
        trace = self._traces.get(key)
        if trace is None:
            run = self._evaluation(way, inlined=False, sample_arguments=arguments)
            compiled = self.options.jit_compile is True
            try:
                trace = Trace(run, arguments, seed, batch, jit_compile=compiled, name=self)
                trace.verified = self.options.verify == "off"
            except Exception as error:
                if not known:
                    raise
                return self._otherwise(error, arguments, seed)[0]
            self._traces[key] = trace
        self._latest = trace
        return trace

    def _otherwise(self, error: Exception, arguments: list[Any], seed: Any) -> tuple[Trace, Any]:
        """A trace that is made in another way than the one that ended in ``error``; compiled, with its results."""
        kept = self._traces

        def attempt(way: Way) -> tuple[Trace, Any]:
            self._traces = {}
            trace = self._traced(arguments, seed, way)
            return trace, trace(arguments, seed) if self.options.jit_compile is True else None

        try:
            self._way, found = another_way(error, self._way, arguments, attempt)
        except Exception:
            self._traces, self._latest = kept, None
            raise
        return found

    def _sample_arguments(self) -> tuple[list[Any], Any]:
        specs = self.source.input_specs
        if not self.options.by_inputs and specs is None and not self.source.argument_names:
            return [], None
        if specs is None or self.operator in SEED_NAMES:
            raise SignatureError("a plan needs a signature", subject=str(self), hint="call the derivative once first")
        # Only shapes matter here; an unknown size counts as one sample, or one element.
        return [
            tf.nest.map_structure(lambda s: tf.ones([n or 1 for n in s.shape], s.dtype), spec) for spec in specs
        ], None


def _by(wrt: Any) -> str:
    return wrt if isinstance(wrt, str) else structure_text(wrt)
