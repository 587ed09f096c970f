"""``Step``: one op of a calculation, whether it ran eagerly or stands in a graph.

``Recording``: every op that runs while it is on, with the user's line, and every value that Python reads.

TensorFlow's tapes keep no names and no lines, so the ops are heard of by its op callbacks (those that
``tf.debugging.enable_check_numerics`` uses). The one file that touches ``tensorflow.python.eager``.
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
from ...sources.layer_results import layer_of
from .user_line import Site, here, site_of


@dataclass(frozen=True, eq=False)
class Step:
    """An op, with what it took and what it made.

    Attributes:
        type: the op's type; for a function the function's name, for a value that was read by Python "numpy".
        inputs, outputs: tensors; ``tensor.ref()`` tells them apart.
        site: where in the user's code.
        operation: what the gradient functions of TensorFlow take.
        graph: of the function that it calls, whose inputs are the step's inputs; None for an op.
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
        site = Site(layer=operation.name.split("/")[-2])  # a loaded graph has its scopes
    return Step(operation.type, tuple(operation.inputs), tuple(operation.outputs), site, operation)


_lock = threading.RLock()
_thread = threading.local()
_restore: list[tuple[Any, str, Any]] = []
_users = 0


class Recording:
    """The ops that run in this thread between ``start`` and ``stop``.

    Everything that they take and make is kept, so that a tensor can be told from another by its identity.

    Attributes:
        steps: what ran, in its order.
        seen: False while tapes don't record.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.seen = True
        self._functions: set[Any] = set()

    def start(self) -> None:
        """Listens."""
        _install()
        _active().append(self)
        _private().callbacks.add_op_callback(self._ran)

    def stop(self) -> None:
        """Listens no more."""
        _private().callbacks.remove_op_callback(self._ran)
        _active().remove(self)
        _uninstall()
        if _users:  # other threads still listen, which TensorFlow has just turned off for functions
            execute = _private().callbacks.execute
            execute.execute = execute.execute_with_callbacks

    def _ran(
        self, op_type: Any, inputs: Any, attributes: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is not None:  # it is traced, it does not run
            return
        name = op_type.decode() if isinstance(op_type, bytes) else op_type
        function = getattr(_thread, "function", None)
        if function is not None and function.name.decode() == name:
            self._called(function, inputs, outputs)
        else:
            operation = _operation(name, inputs, outputs, attributes)
            self._add(name, inputs, outputs, operation=operation)

    def _called(self, function: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._functions.update(tensor.ref() for tensor in outputs)
        self._add(function.name.decode(), inputs, outputs, graph=function.graph)

    def by_rule(self, name: str, outputs: Any, inputs: Any, rule: Callable[..., Any]) -> None:
        """Something was recorded with a gradient of its own: a ``tf.custom_gradient``, or a function's."""
        if outputs and all(tensor.ref() not in self._functions for tensor in outputs):
            self._add(name, inputs, outputs, rule=rule)

    def read(self, tensor: Any) -> None:
        """Python has read a tensor's value."""
        self._add("numpy", (tensor,), ())

    def _add(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], **more: Any) -> None:
        self.steps.append(Step(op_type, tuple(inputs), tuple(outputs), here(), recorded=self.seen, **more))


@cache
def _private() -> SimpleNamespace:
    """What TensorFlow keeps to itself."""
    from tensorflow.python.eager import backprop
    from tensorflow.python.eager.polymorphic_function.atomic_function import AtomicFunction
    from tensorflow.python.framework import op_callbacks

    return SimpleNamespace(
        callbacks=op_callbacks, record=record_module(), operation=backprop._MockOp, function=AtomicFunction
    )


def _operation(name: str, inputs: Any, outputs: Any, attributes: Any) -> Any:
    """An op that ran, as TensorFlow's gradient functions want to see it."""
    return _private().operation(tuple(attributes or ()), list(inputs), list(outputs), name, ())


def _active() -> list[Recording]:
    if not hasattr(_thread, "active"):
        _thread.active = []
    return _thread.active


def _install() -> None:
    """Hooks for what the callbacks don't tell: functions, gradients by a rule, and values that are read."""
    global _users
    private = _private()
    with _lock:
        if _users:
            _users += 1
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
        _users = 1


def _uninstall() -> None:
    global _users
    with _lock:
        _users -= 1
        while not _users and _restore:
            setattr(*_restore.pop())


def _hooked_record(stock: Callable[..., Any]) -> Callable[..., Any]:
    def record(op_type: str, outputs: Any, inputs: Any, backward_function: Any, *more: Any, **options: Any) -> Any:
        if tf.executing_eagerly():
            for recording in _active():
                recording.by_rule(op_type, outputs, inputs, backward_function)
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
        for recording in _active():
            recording.read(self)
        return stock(self)

    return _numpy
