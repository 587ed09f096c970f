"""``explain``: which inputs of a function reach which outputs, and what cuts the gradient where they don't."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

from ...differentiable import Differentiable
from ...sources.resolve import resolve
from ..trace_ops.recording import Recording
from ..trace_ops.user_line import Location, is_users, users_frame
from .answer import answers
from .explained_arguments import floating, inputs_of, near, outputs_of, sample, tensors
from .explaining_tape import ExplainingTape
from .explanation import Connection, Explanation
from .named_tensors import NamedTensor, chosen, is_frozen
from .recorded_block import RecordedBlock
from .user_code.source_lines import SourceCode


def explain(fn: Any, *args: Any, wrt: Any = "inputs", training: bool = False) -> Explanation:
    """Whether each output of ``fn`` has a gradient by each input; if not, what cuts it, and what to write instead.

    The function runs once, eagerly, under a tape. What the tape returns is the status; the ops that ran tell
    the cause. So the answer is about these arguments: another branch may be taken for others. Where a
    gradient is zero, the function runs at a second point nearby, and a zero that is gone there is no finding.

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
    plain = inspect.isfunction(fn) or inspect.ismethod(fn)
    run = _Run(fn if plain else source.call, source, wrt, *_code(fn))
    given = tensors(list(args) or sample(source), source)
    explanation = run.at(given)
    return _lasting(explanation, run, given) if any(c.status == "zero" for c in explanation) else explanation


@dataclass(frozen=True)
class _Run:
    call: Any
    source: Differentiable
    wrt: Any
    code: SourceCode | None
    lines: tuple[int, int] | None

    def at(self, given: list[Any]) -> Explanation:
        """The answer for arguments."""
        inputs = inputs_of(given, self.source)
        by_inputs = isinstance(self.wrt, str) and self.wrt == "inputs"
        picked = inputs if by_inputs else chosen(self.wrt, self.call, self.source)
        try:
            found = self._under_tape(given, inputs, picked)
        except LookupError:  # a tf.function is differentiated when a tape sees it called
            found = self._by_ops(given, picked)
        except (NotImplementedError, AttributeError, TypeError):  # NumPy in a tf.function
            if not hasattr(self.call, "python_function"):
                raise
            eager = replace(self, call=self.call.python_function)
            return Explanation(tuple(_failing(c) for c in eager.at(given)))
        parameters = picked * (len(found) // len(picked))
        return Explanation(tuple(self._with_frozen(c, x) for c, x in zip(found, parameters, strict=True)))

    def _under_tape(self, given: list[Any], inputs: list[NamedTensor], picked: list[NamedTensor]) -> Explanation:
        watched = [x.value for x in inputs if x.variable is None and floating(x.dtype)]
        found: list[Connection] = []
        while True:
            tape = ExplainingTape(persistent=True)
            with tape:
                tape.watch(watched)
                result = self.call(*given)
            outputs = outputs_of(result, self.source)[len(found) // len(picked) :]
            if any(step.type == "EagerPyFunc" for step in tape._record.steps):
                outputs = outputs[:1]  # tf.py_function keeps what it needs for one gradient only
            found += tape._explanation(outputs, picked, self.code, self.lines, self.source.layer_names)
            if len(found) >= len(picked) * len(outputs_of(result, self.source)):
                return Explanation(tuple(found))

    def _by_ops(self, given: list[Any], picked: list[NamedTensor]) -> Explanation:
        """Without a tape, which would fail."""
        recording = Recording()
        recording.start()
        try:
            result = self.call(*given)
        finally:
            recording.stop()
        watched = {x.tensor.ref(): 0 for x in picked if x.variable is None or x.variable.trainable}
        block = RecordedBlock(recording.steps, watched, self.code, self.lines, layer_names=self.source.layer_names)
        return answers(block, outputs_of(result, self.source), picked)

    def _with_frozen(self, connection: Connection, parameter: NamedTensor) -> Connection:
        """A tape gives a gradient by frozen parameters, too; the list that one trains by leaves them out."""
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


def _lasting(explanation: Explanation, run: _Run, given: list[Any]) -> Explanation:
    """Zeros that are there at a point nearby, too; others are chance."""
    again = run.at([near(leaf) for leaf in given])
    if len(again) != len(explanation):
        return explanation
    pairs = zip(explanation, again, strict=True)
    return Explanation(tuple(_connected(c) if c.status == "zero" != other.status else c for c, other in pairs))


def _failing(connection: Connection) -> Connection:
    """What leaves TensorFlow can't be traced: then there is no value at all."""
    return replace(connection, status="error") if connection.cause == "left_tensorflow" else connection


def _connected(connection: Connection) -> Connection:
    return Connection(connection.output, connection.input, "connected")


def _code(fn: Any) -> tuple[SourceCode | None, tuple[int, int] | None]:
    """The source of a function; of anything else, the line that asks."""
    method = type(fn).call if hasattr(type(fn), "call") else fn  # of a subclassed Keras model
    function = inspect.unwrap(getattr(method, "python_function", method))
    code = getattr(function, "__code__", None)
    if code is not None and is_users(code.co_filename):
        seen = SourceCode(Location(code.co_filename, code.co_firstlineno), anonymous=code.co_name == "<lambda>")
        return seen, seen.lines
    frame = users_frame()
    return (
        (SourceCode(Location(frame.f_code.co_filename, frame.f_lineno)), (0, 0)) if frame is not None else (None, None)
    )
