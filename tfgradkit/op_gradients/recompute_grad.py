"""``tf.recompute_grad`` with derivatives of every order, while a function is traced that calls it.

TensorFlow's has a gradient whose own gradient raises an error, drops the derivative by what the function closes over
without a word, and takes no keyword arguments in a graph. In its place stands what ``tgk.checkpoint`` is made of. That
goes for functions that were made earlier, too, and for those of ``keras.remat``: what is replaced is where they are
called.

A ``tf.function`` that was traced before keeps TensorFlow's; there its gradient is made one that has a gradient.

The one file that touches ``tensorflow.python.ops.custom_gradient``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

_CALLED = "recompute_grad.<locals>.inner"
_ITS_GRADIENT = f"{_CALLED}.<locals>.grad_wrapper.<locals>.inner_recompute_grad"


def exact_recompute_grad() -> list[tuple[Any, str, Any]]:
    """What to replace: the module, the name and the function; nothing where TensorFlow has another form."""
    try:
        from tensorflow.python.ops import custom_gradient as module
    except ImportError:
        return []
    makers: dict[str, Callable[..., Any]] = {
        "_graph_mode_decorator": partial(_checkpointed, way="inlined"),
        "_eager_mode_decorator": partial(_checkpointed, way="__call__"),
        "custom_gradient": _differentiable,
    }
    return [(module, name, make(getattr(module, name))) for name, make in makers.items() if hasattr(module, name)]


def _checkpointed(stock: Callable[..., Any], way: str) -> Callable[..., Any]:
    """The call of a function with a custom gradient; one of ``tf.recompute_grad`` is checkpointed in its ``way``."""

    @wraps(stock)
    def call(f: Any, args: Any, kwargs: Any) -> Any:
        user = _recomputed_by(f)
        if user is None:
            return stock(f, args, kwargs)
        from .recompute import Checkpointed  # it needs Keras, for whose state a second evaluation has to care

        return getattr(Checkpointed(user), way)(*args, **kwargs)

    return call


def _recomputed_by(f: Any) -> Any:
    """The user's function in what ``tf.recompute_grad`` made of it; None for any other function."""
    if getattr(f, "__qualname__", "") != _CALLED:
        return None
    return inspect.getclosurevars(f).nonlocals.get("f")


def _differentiable(stock: Callable[..., Any]) -> Callable[..., Any]:
    """``tf.custom_gradient``, but not of the gradient of ``tf.recompute_grad``, whose own only raises an error."""

    @wraps(stock)
    def decorated(f: Any = None) -> Any:
        if getattr(f, "__qualname__", "") != _ITS_GRADIENT:
            return stock(f)
        return lambda *upstream: f(*upstream)[0]

    return decorated
