"""``tf.vectorized_map`` as tfgradkit uses it, and its converters: how an op is done for all turns of the loop at once.

The one file that touches ``tensorflow.python.ops.parallel_for``. Where that has another form than in TensorFlow 2.21,
loops over ops that only we have a converter for stay loops.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from ..errors import TfGradKitError

# From an op within the loop, with its inputs converted, to its results.
Converter = Callable[[Any], Any]
# The message of a PreventGradient that is one outside of vectorized loops only.
OPEN_IN_LOOPS = "a custom gradient stands for this path"

# Whether the loop that is being vectorized is one of ours; a user's own is TensorFlow's, as it always was.
_ours: ContextVar[bool] = ContextVar("ours", default=False)


def _pfor() -> Any:
    try:
        from tensorflow.python.ops.parallel_for import pfor
    except ImportError:
        return None
    return pfor


def _registry() -> dict[str, Converter] | None:
    found = getattr(_pfor(), "_pfor_converter_registry", None)
    return found if isinstance(found, dict) else None


def vectorized(*op_types: str, negative: str | None = None, from_rank: int = 0) -> Callable[[Converter], Converter]:
    """Registers how ops are done for all turns of a loop at once.

    An op that TensorFlow has a converter for is done by ours in our loops, and by TensorFlow's in all others.

    Args:
        op_types: the types of the ops.
        negative: the name of an attribute: in our loops, too, TensorFlow's converter stays where that is not negative.
        from_rank: likewise, where the result has fewer axes, or nobody knows how many.
    """

    def decorate(converter: Converter) -> Converter:
        registry = _registry()
        if registry is not None:
            for op_type in op_types:
                registry[op_type] = _chosen(converter, registry.get(op_type), negative, from_rank)
        return converter

    return decorate


def _chosen(converter: Converter, theirs: Converter | None, negative: str | None, from_rank: int) -> Converter:
    if theirs is None:
        return converter

    def chosen(given: Any) -> Any:
        ours = _ours.get() and (negative is None or given.get_attr(negative) < 0)
        ours = ours and (not from_rank or (given.op.outputs[0].shape.rank or 0) >= from_rank)
        return converter(given) if ours else theirs(given)

    return chosen


_THEIRS: dict[str, Converter] = dict(_registry() or {})


def theirs(given: Any) -> Any:
    """What TensorFlow's own converter makes of an op."""
    return _THEIRS[given.op_type](given)


def has_vector_form(op_type: str) -> bool:
    """Whether there is a converter for an op; in another TensorFlow, where that isn't known, True."""
    registry = _registry()
    return registry is None or op_type in registry


def converted_types() -> frozenset[str]:
    """The types of all ops that there is a converter for."""
    return frozenset(_registry() or ())


class NotVectorizedError(ValueError):
    """An op can't be done for all turns of a loop at once; never seen by users."""


def vectorized_map(f: Callable[[Any], Any], rows: Any, one_by_one: bool = False) -> Any:
    """``f`` for each row of ``rows``, all at once: results ``[rows, ...]``.

    Args:
        one_by_one: whether single ops that can't be vectorized are done row by row.

    Raises:
        NotVectorizedError: an op can't be vectorized; errors of a :class:`UserFunction` itself come as they are.
    """
    graph = tf.compat.v1.get_default_graph()
    before = 0 if tf.executing_eagerly() else len(graph.get_operations())
    # Converters of ours, and no log lines of TensorFlow's: what can't be vectorized is done in another way.
    outer = _ours.set(True)
    try:
        return tf.vectorized_map(f, rows, fallback_to_while_loop=one_by_one, warn=False)
    except (TfGradKitError, tf.errors.OpError):
        raise
    except Exception as error:
        if not tf.executing_eagerly():
            _abandon(graph.get_operations()[before:])
        if not getattr(f, "done", True):
            raise
        raise NotVectorizedError(_gist(error)) from error
    finally:
        _ours.reset(outer)


class UserFunction:
    """A function that may raise on its own account, to be vectorized.

    Attributes:
        done: whether it has returned.
    """

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self._f, self.done = f, False

    def __call__(self, row: Any) -> Any:
        """The function at a row."""
        results = self._f(row)
        self.done = True
        return results


class _Abandoned:
    """In place of the context of an op: one in a loop, whose ops a ``tf.function`` does not run on its own account."""

    outer_context = None

    IsWhileContext = staticmethod(lambda: True)
    IsCondContext = IsXLAContext = staticmethod(lambda: False)


def _abandon(operations: list[Any]) -> None:
    """Ops with effects, loops that assert something among them, would run although nobody uses their results."""
    for operation in operations:
        if operation.op_def.is_stateful:
            operation._set_control_flow_context(_Abandoned())


def _gist(error: Exception) -> str:
    """The line that says what happened; AutoGraph puts it last, behind the places in the user's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if lines[:1] == ["in user code:"] else 0] if lines else type(error).__name__


def which(error: Exception) -> str:
    """``": Op"`` where the error names the type of the op, else nothing."""
    found = re.search(r"of op '(\w+)'|vectorization defined for (\w+)", str(error))
    return f": {found[1] or found[2]}" if found else ""


def _wanted(record: logging.LogRecord) -> bool:
    return not (_ours.get() and record.filename == "pfor.py")


logging.getLogger("tensorflow").addFilter(_wanted)


def wrapped(tensors: Sequence[tf.Tensor], stacked: bool = True) -> Any:
    """What a converter returns: results stacked over the turns of the loop, or the same for all turns."""
    return [_pfor().wrap(tensor, stacked) for tensor in tensors]


def refused(reason: str) -> Exception:
    """What a converter raises for what it can't do: the loop is then done in another way."""
    error = getattr(_pfor(), "ConversionNotImplementedError", ValueError)(reason)
    assert isinstance(error, Exception)
    return error


def is_stacked(given: Any, index: int) -> bool:
    """Whether an input may differ from turn to turn."""
    return bool(given.input(index).is_stacked)


def stacked(given: Any, index: int) -> tf.Tensor:
    """An input over all turns, ``[turns, ...]``."""
    given.stack_inputs([index])
    return given.stacked_input(index)


def one_by_one(given: Any) -> Any:
    """The op, turn after turn, in a loop of the graph."""
    return list(_pfor()._fallback_converter(given))


def branch_results(given: Any, branch: str, turns: tf.Tensor, inputs: Sequence[Any]) -> list[tf.Tensor]:
    """The results of a branch for some turns, by number: ``[turns, ...]``, from its inputs as they are converted."""
    return list(_pfor()._outputs_for_branch(branch, turns, given, inputs))


def loop_results(given: Any, apart: Callable[[], None]) -> Any:
    """What TensorFlow makes of a loop within the loop; ``apart``, which may refuse it, is called if turns end apart."""

    class Loop(_pfor().WhileV2):  # type: ignore[misc]
        def _process_cond_stacked(self, *arguments: Any) -> Any:
            apart()
            return super()._process_cond_stacked(*arguments)

    return Loop(given)()


def inputs_of_turns(inputs: Sequence[Any], turns: tf.Tensor) -> list[Any]:
    """Converted inputs, of some turns only."""
    return list(_pfor()._partition_inputs_for_indices(inputs, turns))


def stacked_inputs(given: Any) -> list[tf.Tensor]:
    """The inputs of an op over all turns, ``[turns, ...]``, past what holds gradients back outside of loops."""
    turns = given.pfor.loop_len_vector
    found = []
    for tensor in given.op.inputs:
        one = given.pfor._convert_helper(tensor.op.inputs[0] if _is_open(tensor.op) else tensor)
        shape = tf.shape(one.t)
        found.append(one.t if one.is_stacked else tf.broadcast_to(one.t[None], tf.concat([turns, shape], 0)))
        if not one.is_stacked:
            found[-1].set_shape([None, *one.t.shape])
    return found


def _is_open(op: Any) -> bool:
    return op.type == "PreventGradient" and op.get_attr("message") == OPEN_IN_LOOPS.encode()


@vectorized("PreventGradient")
def _prevent_gradient(given: Any) -> Any:
    """The same for all turns."""
    message, tensor = given.get_attr("message").decode(), given.stacked_input(0)
    if message == OPEN_IN_LOOPS:
        return wrapped([tf.identity(tensor)])
    return wrapped([tf.raw_ops.PreventGradient(input=tensor, message=message)])
