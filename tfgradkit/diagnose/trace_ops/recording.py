"""``Step``: one op, whether it ran eagerly or stands in a graph. ``Recording``: the ops that run while it is on.

TensorFlow's tapes keep no names and no lines. Its op callbacks, those that ``tf.debugging.enable_check_numerics`` uses,
tell of every op; hooks tell of called functions, of gradients by a rule, and of values that Python reads. The one file
that touches ``tensorflow.python.eager``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from ...graph.contexts import record_module
from ...graph.user_line import Site, here, site_of
from ...sources.layer_results import layer_of

_lock = threading.RLock()
# Of a thread: its recordings that are on, and the function that it calls.
_thread = threading.local()
# The stock functions that hooks stand in for, while recordings of any thread are on.
_restore: list[tuple[Any, str, Any]] = []
_recordings = 0


@dataclass(frozen=True, eq=False)
class Step:
    """An op with its tensors.

    Attributes:
        type: the op's type; of a called function its name, of a value that Python reads "numpy".
        inputs, outputs: tensors; ``tensor.ref()`` tells them apart.
        site: where in the user's code.
        operation: the op, as TensorFlow's gradient functions take it.
        graph: of a called function, whose inputs are the step's inputs; None for an op.
        rule: the gradient function of a ``tf.custom_gradient``.
        recorded: whether the tape was recording.
    """

    type: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    site: Site = field(default_factory=Site)
    operation: Any = None
    graph: Any = None
    rule: Callable[..., Any] | None = None
    recorded: bool = True


def steps_of(operations: Iterable[Any], layer_names: Iterable[str] = ()) -> list[Step]:
    """The ops of a graph as steps."""
    names = frozenset(layer_names)
    return [_step(operation, names) for operation in operations]


def _step(operation: Any, layer_names: frozenset[str]) -> Step:
    layer = layer_of(operation.name, layer_names)
    site = site_of(operation, None if layer == operation.name else layer)
    if site.location is None and site.layer is None and "/" in operation.name:
        site = Site(layer=operation.name.split("/")[-2])  # a loaded graph has scopes alone
    return Step(operation.type, tuple(operation.inputs), tuple(operation.outputs), site, operation)


class Recording:
    """The ops that run in this thread between ``start`` and ``stop``.

    All their tensors are kept, so that a tensor can be told from another by its identity.

    Attributes:
        steps: the ops, in their order.
        seen: False while tapes don't record.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.seen = True
        self._functions: set[Any] = set()

    def start(self) -> None:
        """Begins to record."""
        _install()
        _active_recordings().append(self)
        _private().callbacks.add_op_callback(self._on_op)

    def stop(self) -> None:
        """Ends the recording."""
        _private().callbacks.remove_op_callback(self._on_op)
        _active_recordings().remove(self)
        _uninstall()
        if _recordings:  # other threads still record, and TensorFlow has just turned callbacks off for functions
            execute = _private().callbacks.execute
            execute.execute = execute.execute_with_callbacks

    def _on_op(
        self, op_type: Any, inputs: Any, attributes: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is not None:  # it is traced, it does not run
            return
        name = op_type.decode() if isinstance(op_type, bytes) else op_type
        function = getattr(_thread, "function", None)
        if function is not None and function.name.decode() == name:
            self._on_call(function, inputs, outputs)
        else:
            operation = _mock_op(name, inputs, outputs, attributes)
            self._add(name, inputs, outputs, operation=operation)

    def _on_call(self, function: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._functions.update(tensor.ref() for tensor in outputs)
        self._add(function.name.decode(), inputs, outputs, graph=function.graph)

    def on_rule(self, name: str, outputs: Any, inputs: Any, rule: Callable[..., Any]) -> None:
        """A tape has recorded results with a rule: of a ``tf.custom_gradient``, or of a called function."""
        if outputs and all(tensor.ref() not in self._functions for tensor in outputs):
            self._add(name, inputs, outputs, rule=rule)

    def on_read(self, tensor: Any) -> None:
        """Python has read the value of a tensor."""
        self._add("numpy", (tensor,), ())

    def _add(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], **more: Any) -> None:
        self.steps.append(Step(op_type, tuple(inputs), tuple(outputs), here(), recorded=self.seen, **more))


@cache
def _private() -> SimpleNamespace:
    """TensorFlow's private modules and classes."""
    from tensorflow.python.eager import backprop
    from tensorflow.python.eager.polymorphic_function.atomic_function import AtomicFunction
    from tensorflow.python.framework import op_callbacks

    return SimpleNamespace(
        callbacks=op_callbacks, record=record_module(), operation=backprop._MockOp, function=AtomicFunction
    )


def _mock_op(name: str, inputs: Any, outputs: Any, attributes: Any) -> Any:
    """An op that ran, as TensorFlow's gradient functions take it."""
    return _private().operation(tuple(attributes or ()), list(inputs), list(outputs), name, ())


def _active_recordings() -> list[Recording]:
    if not hasattr(_thread, "active"):
        _thread.active = []
    return _thread.active


def _install() -> None:
    """Sets hooks for what the callbacks don't tell: called functions, gradients by a rule, values that Python reads."""
    global _recordings
    private = _private()
    with _lock:
        if _recordings:
            _recordings += 1
            return
        with tf.init_scope():
            tensors = next(cls for cls in type(tf.constant(0.0)).__mro__ if "_numpy" in vars(cls))
        for owner, name, hook in (
            (private.record, "record_operation", _hooked_record),
            (private.record, "record_operation_backprop_only", _hooked_record),
            (private.function, "call_flat", _hooked_call),
            (tensors, "_numpy", _hooked_read),
        ):
            stock = getattr(owner, name)
            _restore.append((owner, name, stock))
            setattr(owner, name, hook(stock))
        _recordings = 1


def _uninstall() -> None:
    global _recordings
    with _lock:
        _recordings -= 1
        while not _recordings and _restore:
            setattr(*_restore.pop())


def _hooked_record(stock: Callable[..., Any]) -> Callable[..., Any]:
    def record(op_type: str, outputs: Any, inputs: Any, backward_function: Any, *more: Any, **options: Any) -> Any:
        if tf.executing_eagerly():
            for recording in _active_recordings():
                recording.on_rule(op_type, outputs, inputs, backward_function)
        return stock(op_type, outputs, inputs, backward_function, *more, **options)

    return record


def _hooked_call(stock: Callable[..., Any]) -> Callable[..., Any]:
    def call_flat(self: Any, *arguments: Any) -> Any:
        before, _thread.function = getattr(_thread, "function", None), self
        try:
            return stock(self, *arguments)
        finally:
            _thread.function = before

    return call_flat


def _hooked_read(stock: Callable[..., Any]) -> Callable[..., Any]:
    def _numpy(self: Any) -> Any:
        for recording in _active_recordings():
            recording.on_read(self)
        return stock(self)

    return _numpy
