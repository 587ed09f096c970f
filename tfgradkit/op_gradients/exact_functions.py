"""Functions of TensorFlow and Keras that stop, hide or lose a derivative; exact ones replace them while one is traced.

Keras layers and users call them as ``tf.nn.moments`` and so on, so that replacing the attribute is enough. A
``tf.function`` may have been traced before, with the stock ones: a twin of it is traced with the exact ones. A graph
that is there already, as that of a SavedModel, keeps the stock ones; for the mean of a variance see
:mod:`ops.stopped_means`.

- ``tf.nn.moments`` stops the gradient at the mean inside the variance. That does not change the first derivative, since
  the deviations sum to zero, but every second derivative: Hessians, and weight gradients of a Jacobian, through
  LayerNormalization, GroupNormalization and a BatchNormalization in training.
- ``tf.image.hsv_to_rgb`` is an op without a gradient.
- ``tf.linalg.expm`` is differentiated through five approximants and a loop: a Hessian took half a minute.
- ``tf.nn.silu`` has a custom gradient, to save memory. It is right for a number β; by a tensor β it is summed to a
  scalar. It hides the ops inside from rules for each op: :func:`plain_silu` replaces it where such rules are used.
- ``logaddexp``, ``logaddexp2``, ``hypot``, ``sinc``, ``ldexp`` and ``celu`` of Keras and ``tf.experimental.numpy``,
  and ``tf.nn.weighted_cross_entropy_with_logits``, are smooth, and built of kinked parts or of branches with 0/0:
  :mod:`smooth_functions`.
- ``keras.ops.slice_update`` is an op of XLA's without a gradient.
- ``tf.linalg.eigh_tridiagonal`` bisects: what a tape makes of that is no derivative of the eigenvalues.
- ``tf.math.reduce_euclidean_norm`` is an op that XLA can't compile.
- ``tf.cond`` of a condition that is known, as Keras has it of ranks, traces and differentiates the branch that is never
  taken, too, which may have another shape.
- ``tf.nn.log_poisson_loss`` has 0·log 0 in the branch that is not taken.
- ``tf.recompute_grad`` has first derivatives alone: :mod:`recompute_grad`.
"""

from __future__ import annotations

import inspect
import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from importlib import import_module
from typing import Any

import numpy as np
import tensorflow as tf

from ..graph.fold import small_constant
from . import smooth_functions as smooth
from .bound_names import Binding, BoundNames
from .ops.arrays import slice_update
from .ops.images import hsv_to_rgb
from .ops.matrix_functions import expm
from .recompute_grad import exact_recompute_grad

_lock = threading.RLock()


def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """As ``tf.nn.moments``; half precision is summed in float32, too."""
    del shift  # tf.nn.moments doesn't use it either
    with tf.name_scope(name or "moments"):
        x = tf.convert_to_tensor(x)
        wide = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
        mean = tf.reduce_mean(wide, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(wide, mean), axes, keepdims=keepdims)
        mean = mean if keepdims else tf.reshape(mean, tf.shape(variance))
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


def silu(features: Any, beta: Any = 1.0) -> tf.Tensor:
    """x·sigmoid(βx), as ``tf.nn.silu``."""
    return smooth.silu(tf.convert_to_tensor(features), beta)


def weighted_cross_entropy_with_logits(labels: Any, logits: Any, pos_weight: Any, name: str | None = None) -> tf.Tensor:
    """As ``tf.nn.weighted_cross_entropy_with_logits``."""
    with tf.name_scope(name or "logistic_loss"):
        logits, labels = tf.convert_to_tensor(logits), tf.convert_to_tensor(labels)
        labels.shape.assert_is_compatible_with(logits.shape)
        return smooth.weighted_cross_entropy(labels, logits, pos_weight)


def _exact_silu(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The stock one but for a β that is a tensor."""

    @wraps(stock)
    def exact(features: Any, beta: Any = 1.0) -> Any:
        return stock(features, beta) if isinstance(beta, int | float) else silu(features, beta)

    return exact


def _of_real_tensors(formula: Callable[..., tf.Tensor], stock: Callable[..., Any]) -> Callable[..., Any]:
    """``formula`` of the arguments as tensors of the dtype of what ``stock`` gives; integers and errors are its own."""

    @wraps(stock)
    def exact(*args: Any, **keywords: Any) -> Any:
        y = stock(*args, **keywords)
        if not y.dtype.is_floating:
            return y
        cast = {name: tf.cast(x, y.dtype) for name, x in keywords.items()}
        return formula(*(tf.cast(x, y.dtype) for x in args), **cast)

    return exact


def _euclidean_norm(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The root of the sum of squares, as the op has it."""

    @wraps(stock)
    def exact(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
        x = tf.convert_to_tensor(input_tensor)
        if not (x.dtype.is_floating or x.dtype.is_complex):
            return stock(x, axis, keepdims, name)
        with tf.name_scope(name or "euclidean_norm"):
            squares = x * tf.math.conj(x) if x.dtype.is_complex else tf.square(x)
            return tf.sqrt(tf.reduce_sum(squares, axis, keepdims))

    return exact


def _cond(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The branch alone where the condition is known while tracing."""

    @wraps(stock)
    def exact(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
        symbolic = tf.is_tensor(pred) and not hasattr(pred, "numpy") and callable(true_fn) and callable(false_fn)
        known = small_constant(pred) if symbolic else None
        if known is None or known.shape:
            return stock(pred, true_fn, false_fn, name)
        with tf.name_scope(name or "cond"):
            return tf.nest.map_structure(_as_tensor, (true_fn if known else false_fn)())

    return exact


def _as_tensor(y: Any) -> Any:
    return tf.convert_to_tensor(y) if isinstance(y, bool | int | float | complex | np.ndarray | np.generic) else y


def _eigh_tridiagonal(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The eigenvalues of the whole matrix; for vectors, and values in a range, there is no derivative."""

    @wraps(stock)
    def exact(alpha: Any, beta: Any, eigvals_only: bool = True, select: str = "a", *args: Any, **keywords: Any) -> Any:
        selected: Any = keywords.get("select_range", args[0] if args else None)
        if not eigvals_only or select not in ("a", "i"):
            found = stock(alpha, beta, eigvals_only, select, *args, **keywords)
            return tf.nest.map_structure(lambda y: tf.raw_ops.PreventGradient(input=y, message=_BISECTED), found)
        beta = tf.convert_to_tensor(beta)
        below, diagonal = tf.linalg.diag(beta, k=-1), tf.cast(tf.convert_to_tensor(alpha), beta.dtype)
        values = tf.linalg.eigvalsh(below + tf.linalg.diag(diagonal) + tf.linalg.adjoint(below))
        values = tf.math.real(values)
        return values[..., slice(None) if select == "a" else slice(selected[0], selected[1] + 1)]

    return exact


_BISECTED = "eigh_tridiagonal finds these by bisection, which has no derivative: tf.linalg.eigh of the whole matrix has"


def _poisson_loss(stock: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stock)
    def exact(targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None) -> Any:
        loss = stock(targets, log_input, False, name)
        if not compute_full_loss:
            return loss
        z = tf.convert_to_tensor(targets)
        approximate = tf.logical_or(z < 0, z > 1)
        safe = tf.where(approximate, z, tf.ones([], z.dtype))
        stirling = safe * tf.math.log(safe) - safe + 0.5 * tf.math.log(2 * math.pi * safe)
        return loss + tf.where(approximate, stirling, tf.zeros([], z.dtype))

    return exact


def _in_place_of(formula: Callable[..., Any], stock: Callable[..., Any]) -> Callable[..., Any]:
    return wraps(stock)(lambda *args, **keywords: formula(*args, **keywords))


def _in(module: Any, make: Callable[..., Any], **formulas: Any) -> list[tuple[Any, str, Any]]:
    """Of a module that may lack some: the module, the name and the exact function."""
    return [(module, name, make(f, getattr(module, name))) for name, f in formulas.items() if hasattr(module, name)]


def _of_keras() -> list[tuple[Any, str, Any]]:
    """Functions of Keras' layer over TensorFlow, which ``keras.ops`` and ``keras.activations`` call."""
    found = []
    with suppress(ImportError):
        found += _in(
            import_module("keras.src.backend.tensorflow.numpy"), _of_real_tensors, **_NUMPY, ldexp=smooth.ldexp
        )
        found += _in(import_module("keras.src.backend.tensorflow.nn"), _of_real_tensors, celu=smooth.celu)
        found += _in(import_module("keras.src.backend.tensorflow.core"), _in_place_of, slice_update=slice_update)
    return found


_NUMPY = {
    "logaddexp": smooth.logaddexp,
    "logaddexp2": partial(smooth.logaddexp, base=2.0),
    "hypot": smooth.hypot,
    "sinc": smooth.sinc,
}
_EXACT = (
    (tf.nn, "moments", moments),
    (tf.image, "hsv_to_rgb", hsv_to_rgb),
    (tf.linalg, "expm", expm),
    (tf.nn, "silu", _exact_silu(tf.nn.silu)),
    (tf.nn, "swish", _exact_silu(tf.nn.swish)),
    (tf.nn, "weighted_cross_entropy_with_logits", weighted_cross_entropy_with_logits),
    (tf.math, "reduce_euclidean_norm", _euclidean_norm(tf.math.reduce_euclidean_norm)),
    (tf.linalg, "eigh_tridiagonal", _eigh_tridiagonal(tf.linalg.eigh_tridiagonal)),
    (tf, "cond", _cond(tf.cond)),
    (tf.nn, "log_poisson_loss", _poisson_loss(tf.nn.log_poisson_loss)),
    *_in(tf.experimental.numpy, _of_real_tensors, **_NUMPY),
    *_of_keras(),
    *exact_recompute_grad(),
)
_OF_STOCK = {getattr(module, name): function for module, name, function in _EXACT}
_bound_names = BoundNames(_OF_STOCK)


def exact(function: Any) -> Any:
    """The exact function where one of TensorFlow's is itself to be differentiated; else ``function``."""
    return _OF_STOCK.get(function, function) if inspect.isfunction(function) else function


_Function = type(tf.function(lambda: None))
_call = _Function.__call__
_TWIN = "_tfgradkit_twin"


def _call_twin(function: Any, *args: Any, **keywords: Any) -> Any:
    """A call of a ``tf.function`` by a twin of its own, which is traced with the exact functions."""
    if type(function) is not _Function or not hasattr(function, "_clone"):
        return _call(function, *args, **keywords)
    twin = vars(function).get(_TWIN)
    if twin is None:
        twin = function._clone(None)
        setattr(function, _TWIN, twin)
    return _call(twin, *args, **keywords)


@contextmanager
def exact_functions() -> Iterator[None]:
    """Within the block, functions that are traced call the exact functions."""
    with _lock:
        stock: list[tuple[Any, str, Any]] = []
        others: list[Binding] = []
        try:
            stock.append((_Function, "__call__", _Function.__call__))
            _Function.__call__ = _call_twin
            for module, name, function in _EXACT:
                stock.append((module, name, getattr(module, name)))
                setattr(module, name, function)
            # The main module is the one in which names are bound again.
            main = getattr(sys.modules.get("__main__"), "__dict__", {})
            key = len(sys.modules), list(main), list(map(id, main.values()))
            if key != _bound_names.key:
                _bound_names.look(key)
            for namespace, name, function in _bound_names.found:
                if namespace.get(name) is function:
                    namespace[name] = _OF_STOCK[function]
                    others.append((namespace, name, function))
            yield
        finally:
            for namespace, name, function in reversed(others):
                namespace[name] = function
            for module, name, function in reversed(stock):
                setattr(module, name, function)


@contextmanager
def plain_silu() -> Iterator[None]:
    """Within the block, functions that are traced call :func:`silu` in place of ``tf.nn.silu`` and ``tf.nn.swish``."""
    with _lock:
        stock = tf.nn.silu, tf.nn.swish
        tf.nn.silu = tf.nn.swish = silu
        try:
            yield
        finally:
            tf.nn.silu, tf.nn.swish = stock
