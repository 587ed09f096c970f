"""``explain``: which inputs of a function reach which outputs, and what cuts the gradient where they don't."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

from ...derivatives.failures.foreign_errors import translating
from ...differentiable import Differentiable
from ...graph.user_line import Location, is_users, users_frame
from ...sources.resolve import resolve
from ..trace_ops.recording import Recording
from .answer import answers
from .explained_arguments import floating, inputs_of, near, outputs_of, random_arguments, to_tensors
from .explaining_tape import ExplainingTape
from .explanation import Connection, Explanation
from .named_tensors import NamedTensor, chosen_variables, is_frozen
from .recorded_block import RecordedBlock
from .user_code.source_lines import SourceCode


@translating
def explain(fn: Any, *args: Any, wrt: Any = "inputs", training: bool = False) -> Explanation:
    """Whether each output of ``fn`` has a gradient by each input; if not, what cuts it, and what to write instead.

    The function runs once, eagerly, under a tape. What the tape returns is the status; the ops that ran tell
    the cause. So the answer is about these arguments: another branch may be taken for others. Where a
    gradient is zero, it is asked again with other output gradients than ones, and at a second point nearby; a zero that
    is gone there is no finding.

    Args:
        fn: what the operators take: a model, a layer, a function, a derivative.
        args: its arguments; of a model they may be left out, and random numbers are tried.
        wrt: "inputs"; "parameters", the variables made to be trained, those of frozen layers, too; or variables.
        training: what Keras layers are told.

    Returns:
        An :class:`~tfgradkit.Explanation`: iterate it for a :class:`~tfgradkit.Connection` of each (output, input),
        take ``.findings`` for those that are not connected, or ``print`` it.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: an argument or ``wrt`` can't be used, or the result holds no tensor.

    Example:
        >>> found = tgk.explain(lambda x: tf.round(x), tf.constant([0.5]))
        >>> found.ok, found[0].status, found[0].op
        (False, 'none', 'Round')
    """
    source = resolve(fn, training=training)
    is_plain = inspect.isfunction(fn) or inspect.ismethod(fn)
    explanations = _Explanations(fn if is_plain else source.call, source, wrt, *_source_code(fn))
    arguments = to_tensors(list(args) or random_arguments(source), source)
    explanation = explanations.at(arguments)
    if not any(c.status == "zero" for c in explanation):
        return explanation
    nearby = replace(explanations, seeded=True)
    return _without_chance_zeros(explanation, nearby.at([near(leaf) for leaf in arguments]))


@dataclass(frozen=True)
class _Explanations:
    """The answers for a function at any arguments.

    Attributes:
        call: the function.
        source: the same as every operator sees it.
        wrt: as of :func:`explain`.
        code: the source of the function, where it can be read.
        lines: its first and last line.
        seeded: whether the tape is asked with random output gradients.
    """

    call: Any
    source: Differentiable
    wrt: Any
    code: SourceCode | None
    lines: tuple[int, int] | None
    seeded: bool = False

    def at(self, arguments: list[Any]) -> Explanation:
        """The answer for these arguments."""
        inputs = inputs_of(arguments, self.source)
        by_inputs = isinstance(self.wrt, str) and self.wrt == "inputs"
        sources = inputs if by_inputs else chosen_variables(self.wrt, self.call, self.source)
        try:
            explanation = self._under_tape(arguments, inputs, sources)
        except LookupError:  # a tf.function is differentiated when a tape sees it called
            explanation = self._by_ops(arguments, sources)
        except (NotImplementedError, AttributeError, TypeError):  # NumPy in a tf.function
            if not hasattr(self.call, "python_function"):
                raise
            eager = replace(self, call=self.call.python_function)
            return Explanation(tuple(_as_error(c) for c in eager.at(arguments)))
        repeated = sources * (len(explanation) // len(sources))
        return Explanation(tuple(self._with_frozen(c, x) for c, x in zip(explanation, repeated, strict=True)))

    def _under_tape(self, arguments: list[Any], inputs: list[NamedTensor], sources: list[NamedTensor]) -> Explanation:
        """By what the tape of a run returns; several runs, where a tape can give one gradient only."""
        watched = [x.value for x in inputs if x.variable is None and floating(x.dtype)]
        connections: list[Connection] = []
        while True:
            tape = ExplainingTape(persistent=True)
            tape._asks_seeded = self.seeded
            with tape:
                tape.watch(watched)
                result = self.call(*arguments)
            outputs = outputs_of(result, self.source)[len(connections) // len(sources) :]
            if any(step.type == "EagerPyFunc" for step in tape._record.steps):
                outputs = outputs[:1]  # tf.py_function keeps what it needs for one gradient only
            connections += tape._explanation(outputs, sources, self.code, self.lines, self.source.layer_names)
            if len(connections) >= len(sources) * len(outputs_of(result, self.source)):
                return Explanation(tuple(connections))

    def _by_ops(self, arguments: list[Any], sources: list[NamedTensor]) -> Explanation:
        """By the ops that ran alone, where a tape would fail."""
        recording = Recording()
        recording.start()
        try:
            result = self.call(*arguments)
        finally:
            recording.stop()
        watched = {x.tensor.ref(): 0 for x in sources if x.variable is None or x.variable.trainable}
        block = RecordedBlock(recording.steps, watched, self.code, self.lines, layer_names=self.source.layer_names)
        return answers(block, outputs_of(result, self.source), sources)

    def _with_frozen(self, connection: Connection, parameter: NamedTensor) -> Connection:
        """``connection``, cut where the parameter is frozen: the tape has its gradient, ``trainable_variables`` not."""
        if self.wrt != "parameters" or connection.status == "none" or not is_frozen(parameter, self.source):
            return connection
        return replace(
            connection,
            status="none",
            cause="not_trainable",
            where=str(self.code.location) if self.code else None,
            layer=parameter.layer,
            why=f"Layer {parameter.layer} is frozen, so model.trainable_variables leaves {parameter.name} out.",
            remedy=f'model.get_layer("{parameter.layer}").trainable = True',
        )


def _without_chance_zeros(explanation: Explanation, nearby: Explanation) -> Explanation:
    """``explanation``, where zeros that are gone in the one for a point nearby count as connected."""
    if len(nearby) != len(explanation):
        return explanation
    pairs = zip(explanation, nearby, strict=True)
    return Explanation(tuple(_as_connected(c) if c.status == "zero" != other.status else c for c, other in pairs))


def _as_error(connection: Connection) -> Connection:
    """A connection that leaves TensorFlow as an error: its function can't be traced, so that there is no value."""
    return replace(connection, status="error") if connection.cause == "left_tensorflow" else connection


def _as_connected(connection: Connection) -> Connection:
    return Connection(connection.output, connection.input, "connected")


def _source_code(fn: Any) -> tuple[SourceCode | None, tuple[int, int] | None]:
    """The source and the lines of a function; of other things, the user's line that asks."""
    method = type(fn).call if hasattr(type(fn), "call") else fn  # a subclassed Keras model's
    function = inspect.unwrap(getattr(method, "python_function", method))
    code = getattr(function, "__code__", None)
    if code is not None and is_users(code.co_filename):
        source = SourceCode(Location(code.co_filename, code.co_firstlineno), anonymous=code.co_name == "<lambda>")
        return source, source.lines
    frame = users_frame()
    if frame is None:
        return None, None
    return SourceCode(Location(frame.f_code.co_filename, frame.f_lineno)), (0, 0)
