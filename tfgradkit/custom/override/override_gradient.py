"""``override_gradient``, ``stop_gradient``, ``clip_gradient``, ``reverse_gradient``: the same values, other gradients.

The original is not touched: what comes back shares its variables, and has traces of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...arguments import is_numbers
from ...errors import SignatureError
from ...sources.resolve import is_keras
from .backward_transforms import Axes, WrappedFunction
from .override_model import Altered, as_model
from .rewrite import WithOpRules
from .rule_targets import AFTER, OverrideRule, everywhere, rule_targets
from .transform_layers import ClipGradient, Identity, ReverseGradient, StopGradient


def override_gradient(fn: Any, rules: Mapping[Any, OverrideRule]) -> Any:
    """``fn`` with the same values and variables, and other gradients inside.

    Args:
        fn: a Keras 3 model or layer; or a function, ``tf.function``, or what ``tgk.load`` returned (op types only).
        rules: a rule for each of: "layer:NAME"; a layer class (``keras.layers.ReLU``: all of its layers); an
            activation function (``keras.activations.relu``: wherever it is the activation of a layer); a type of op
            ("Relu": wherever the graph has it, inside called functions, branches and loops, too).
            ``rule(operation, *upstream)`` returns a gradient for each of ``operation.inputs``, None for zero, as the
            rules of ``tf.RegisterGradient``; ``operation.outputs``, ``.type``, ``.name``, ``.get_attr`` are there, and
            ``operation.vjp(*upstream)``, the gradient that the rule replaces. The weights of a layer keep theirs.

    Returns:
        For a model a Keras model that shares the weights of ``fn``; else a function. Operators, exports,
        ``model.fit`` and ``tf.function`` take both. A model with registered rules can be saved.

    Raises:
        SignatureError: no such layer or op, or a rule that is no function; when a gradient is taken, a rule's result
            of the wrong number, shape or dtype.
        GradientError: the op or layer is out of reach (in a ``tf.custom_gradient`` or a ``tf.function`` of its own).

    References:
        Such rules for explanations: J. T. Springenberg et al., "Striving for simplicity", 2015, arXiv 1412.6806.

    Example:
        >>> straight = tgk.override_gradient(tf.round, {"Round": lambda operation, upstream: upstream})
        >>> tgk.jacobian(straight)([0.4]).numpy().tolist()
        [[1.0]]
    """
    if not rules:
        raise SignatureError("no rule was given", subject="override_gradient", expected='{"Relu": rule, ...}')
    for key, rule in rules.items():
        if not callable(rule):
            raise SignatureError("a rule is no function", subject=repr(key), got=type(rule).__name__)
    if is_keras(fn):
        return as_model(Altered(_keras3(fn), rule_targets(fn, rules)))
    of_layers = [key for key in rules if not isinstance(key, str) or key.startswith("layer:")]
    if of_layers:
        raise SignatureError(
            "only a Keras model has layers", subject=repr(of_layers[0]), expected='types of op, as "Relu"'
        )
    return WrappedFunction(fn, partial(WithOpRules, dict(rules)))


def clip_gradient(
    target: Any, *, norm: Any = None, value: Any = None, axes: Axes | None = None, at: str | None = None
) -> Any:
    """The identity, whose gradient is clipped on its way back.

    Clipping is not linear, so there is no Jacobian of it: ``jacobian``, ``jvp``, ``hessian`` and ``hvp`` through it
    are an error. ``gradient``, ``vjp`` and tapes pass one gradient back, and clip that.

    Args:
        target: a tensor (also a symbolic one of Keras); or a function or Keras model, whose results are meant.
        norm: the largest Euclidean norm over ``axes``; where it is larger, the gradient is scaled down to it.
        value: in place of ``norm``, the largest magnitude of a component.
        axes: "sample" (all but the first; what None means for Keras), "all" (what None means else), or positions.
        at: "layer:NAME": in place of the model's results those of a layer inside.

    Returns:
        Of a tensor a tensor, of a function a :class:`~tfgradkit.types.WrappedFunction`, of a Keras model a Keras model.

    Raises:
        SignatureError: not one positive bound, or no such layer.
        GradientError: when differentiated: a Jacobian of it.

    References:
        R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Example:
        >>> tgk.gradient(lambda x: tf.reduce_sum(10 * tgk.clip_gradient(x, value=1.0)))([3.0]).numpy().tolist()
        [1.0]
    """
    symbolic = is_keras(target) or _is_symbolic(target)
    chosen: Axes = axes if axes is not None else "sample" if symbolic else "all"
    return _with_identity(target, ClipGradient(norm, value, chosen), at)


def reverse_gradient(target: Any, *, scale: float = 1.0, at: str | None = None) -> Any:
    """The identity, whose gradient comes back times ``-scale``. In forward mode, tangents go on times ``-scale``.

    Args:
        target: a tensor (also a symbolic one of Keras); or a function or Keras model, whose results are meant.
        scale: the factor; 0 stops the gradient.
        at: "layer:NAME": in place of the model's results those of a layer inside.

    Returns:
        Of a tensor a tensor, of a function a :class:`~tfgradkit.types.WrappedFunction`, of a Keras model a Keras model.

    Raises:
        SignatureError: no such layer.

    References:
        Y. Ganin, V. Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015.

    Example:
        >>> tgk.jacobian(lambda x: tgk.reverse_gradient(x, scale=2.0))([3.0]).numpy().tolist()
        [[-2.0]]
    """
    return _with_identity(target, ReverseGradient(scale), at)


def stop_gradient(target: Any, *, at: str | None = None) -> Any:
    """The identity, through which no derivative goes, in any mode: what comes before is constant.

    ``stop_gradient(model, at="layer:NAME")`` freezes all up to that layer, its own weights, too, for derivatives:
    they come back as zeros, or as ``unconnected=`` says.

    Args:
        target: a tensor (also a symbolic one of Keras); or a function or Keras model, whose results are meant.
        at: "layer:NAME": in place of the model's results those of a layer inside.

    Returns:
        Of a tensor a tensor, of a function a :class:`~tfgradkit.types.WrappedFunction`, of a Keras model a Keras model.

    Raises:
        SignatureError: no such layer.

    Example:
        >>> tgk.jacobian(lambda x: x * tgk.stop_gradient(x))([3.0]).numpy().tolist()
        [[3.0]]
    """
    return _with_identity(target, StopGradient(), at)


def _with_identity(target: Any, identity: Identity, at: str | None) -> Any:
    """``identity`` after a tensor, the results of a function or model, or the layer ``at`` of a model."""
    if is_keras(target):
        model = _keras3(target)
        targets = everywhere(model, identity) if at is None else rule_targets(model, {at: identity}, AFTER)
        return as_model(Altered(model, targets))
    if at is not None:
        raise SignatureError("only a Keras model has layers", subject=f"at={at!r}", got=type(target).__name__)
    if _is_symbolic(target):
        return identity(target)
    if isinstance(target, (tf.Tensor, tf.Variable, np.ndarray)) or is_numbers(target):
        return identity.through(tf.convert_to_tensor(target))
    return WrappedFunction(target, lambda call: partial(_call_then, identity, call))


def _call_then(identity: Identity, call: Callable[..., Any], *arguments: Any) -> Any:
    return tf.nest.map_structure(identity.through, call(*arguments))


def _is_symbolic(target: Any) -> bool:
    return isinstance(target, keras.KerasTensor)


def _keras3(model: Any) -> Any:
    """``model``; raises :class:`SignatureError` where it is none of Keras 3."""
    if isinstance(model, keras.layers.Layer):
        return model
    raise SignatureError(
        "only the layers of Keras 3 can be altered",
        subject=getattr(model, "name", type(model).__name__),
        got=type(model).__module__.split(".")[0],
        hint='a function of it: override_gradient(lambda x: model(x), {"Relu": rule})',
    )
