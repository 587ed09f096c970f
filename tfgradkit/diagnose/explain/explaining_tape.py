"""``ExplainingTape``: a ``tf.GradientTape`` that can say why a gradient is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import tensorflow as tf

from ...graph.user_line import Location, here, location_of, users_frame
from ...public import not_pickled, public
from ..trace_ops.recording import Recording, Step, steps_of
from .answer import answers
from .explained_arguments import as_tensor
from .explanation import Explanation
from .named_tensors import NamedTensor, names_of
from .recorded_block import RecordedBlock
from .seeded_gradients import random_like
from .user_code.source_lines import SourceCode, block_of

_NONE = tf.UnconnectedGradients.NONE


@public("")
@not_pickled("pickle what its explain returned")
class ExplainingTape(tf.GradientTape):
    """A drop-in ``tf.GradientTape`` with :meth:`explain`.

    It keeps every op of its block with its line and its tensors until it is deleted, and slows eager code
    down: for finding out, not for training.

    Args:
        persistent: whether ``gradient`` may be called more than once. :meth:`explain` always may.
        watch_accessed_variables: whether trainable variables are watched by themselves.

    Raises:
        RuntimeError: from ``gradient`` and its siblings, as of ``tf.GradientTape``: a second gradient of a tape that
            is not persistent.

    Example:
        >>> x = tf.Variable(1.0)
        >>> with tgk.ExplainingTape() as tape:
        ...     y = tf.constant(2.0)
        >>> tape.explain(y, x)[0].status
        'none'
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        super().__init__(persistent=True, watch_accessed_variables=watch_accessed_variables)
        self._may_repeat, self._was_used = persistent, False
        self._record = Recording()
        self._watched: dict[Any, int] = {}
        self._graph: tuple[Any, int] | None = None
        self._start: Location | None = None
        self._asks_seeded = False  # random output gradients in place of ones

    def __enter__(self) -> ExplainingTape:
        self._start = _current_line()
        super().__enter__()
        if not tf.executing_eagerly():
            graph = tf.compat.v1.get_default_graph()
            self._graph = (graph, len(graph.get_operations()))
        self._record.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._record.stop()
        super().__exit__(*error)

    def watch(self, tensor: Any) -> None:
        """Watches a tensor, a variable, or a nest of them."""
        super().watch(tensor)
        for leaf in tf.nest.flatten(tensor):
            self._watched.setdefault(NamedTensor("", leaf).tensor.ref(), self._op_count())

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Within the block, nothing is recorded."""
        with super().stop_recording():
            before, self._record.seen = self._record.seen, False
            try:
                yield
            finally:
                self._record.seen = before

    def reset(self) -> None:
        """Forgets what was recorded."""
        super().reset()
        self._record.steps.clear()
        self._watched.clear()
        if self._graph is not None:
            self._graph = (self._graph[0], len(self._graph[0].get_operations()))

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: Any = _NONE
    ) -> Any:
        """As of ``tf.GradientTape``."""
        self._use()
        return super().gradient(target, sources, output_gradients, unconnected_gradients)

    def jacobian(self, target: Any, sources: Any, *options: Any, **more: Any) -> Any:
        """As of ``tf.GradientTape``."""
        with self._single_use():
            return super().jacobian(target, sources, *options, **more)

    def batch_jacobian(self, target: Any, source: Any, *options: Any, **more: Any) -> Any:
        """As of ``tf.GradientTape``."""
        with self._single_use():
            return super().batch_jacobian(target, source, *options, **more)

    @tf.autograph.experimental.do_not_convert
    def explain(self, target: Any, sources: Any) -> Explanation:
        """Why the gradients of ``target`` by ``sources`` are what they are.

        Inside the block or after it, as often as wanted, also after ``gradient``.

        Args:
            target: a tensor, or any nest of them.
            sources: a tensor or variable, or any nest of them.

        Returns:
            An :class:`~tfgradkit.Explanation`, as of :func:`tfgradkit.explain`.
        """
        frame = users_frame()
        outputs, inputs = _named(target, "target", frame), _named(sources, "source", frame)
        code = SourceCode(self._start) if self._start is not None else None
        return self._explanation(outputs, inputs, code, block_of(self._start) if self._start is not None else None)

    def _explanation(
        self,
        outputs: Sequence[NamedTensor],
        inputs: Sequence[NamedTensor],
        code: SourceCode | None,
        lines: tuple[int, int] | None,
        layer_names: Sequence[str] = (),
    ) -> Explanation:
        with self._paused():
            gradients = None if self._graph is not None else self._ask
            watched = {variable.handle.ref(): 0 for variable in self.watched_variables()} | self._watched
            automatic, captured = self._watch_accessed_variables, self._captured()
            block = RecordedBlock(self._steps(), watched, code, lines, automatic, layer_names, gradients, captured)
            return answers(block, outputs, inputs)

    def _ask(self, target: Any, sources: Sequence[Any], output_gradients: Any = None) -> list[Any]:
        if output_gradients is None and self._asks_seeded:
            output_gradients = random_like(target)
        return super().gradient(target, list(sources), output_gradients)

    def _steps(self) -> list[Step]:
        if self._graph is None:
            return self._record.steps
        graph, first = self._graph
        return steps_of(graph.get_operations()[first:])

    def _captured(self) -> dict[Any, Any]:
        if self._graph is None:
            return {}
        return {outside.ref(): inside for outside, inside in self._graph[0].captures}

    def _op_count(self) -> int:
        return len(self._record.steps) if self._graph is None else len(self._graph[0].get_operations()) - self._graph[1]

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Within the block, the tape's own questions are not recorded."""
        if not self._recording:
            yield
            return
        self._record.stop()
        try:
            with super().stop_recording():
                yield
        finally:
            self._record.start()

    @contextmanager
    def _single_use(self) -> Iterator[None]:
        self._use()
        before, self._may_repeat = self._may_repeat, True
        try:
            yield
        finally:
            self._may_repeat = before

    def _use(self) -> None:
        """A tape that is not persistent gives one gradient and ends there, as TensorFlow's own."""
        if self._may_repeat:
            return
        if self._was_used:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians)"
            )
        self._was_used = True
        if self._recording:
            self._pop_tape()
            self._record.seen = False


def _current_line() -> Location | None:
    """The current line of the user's code; in a graph by a new op, whose traceback AutoGraph maps to that code."""
    return here().location if tf.executing_eagerly() else location_of(tf.no_op())


def _named(nest: Any, role: str, frame: FrameType | None) -> list[NamedTensor]:
    scopes: list[Mapping[str, Any]] = [frame.f_locals, frame.f_globals] if frame is not None else []
    leaves = tf.nest.flatten(nest)
    named = []
    for position, leaf in enumerate(leaves):
        aliases = names_of(leaf, scopes)
        own = getattr(leaf, "path", None) or (leaf.name if isinstance(leaf, tf.Variable) else None)
        fallback = own or (role if len(leaves) == 1 else f"{role} {position}")
        named.append(NamedTensor(min(aliases, default=fallback), as_tensor(leaf), aliases))
    return named
