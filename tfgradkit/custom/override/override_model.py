"""A Keras model around another one: its layers and weights, other gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from ...errors import GradientError, SignatureError
from ...graph.contexts import foreign_function
from ...graph.ops import op_types
from ...graph.trace import flat_function
from ...public import public
from ...sources.method_patch import replaced
from ...sources.resolve import resolve
from .backward_transforms import serialize
from .rewrite import WithOpRules, check_op_types
from .rule_targets import AFTER, OP, RuleTarget, layers_of, ruled


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="Altered")
class Altered(keras.Model):
    """``model``, with the gradients of ``override_gradient`` and its siblings. Weights are those of ``model``.

    Made by :func:`tfgradkit.override_gradient`, :func:`tfgradkit.clip_gradient` and the others.

    Args:
        model: a Keras model or layer.
        altered: what is replaced.
        keywords: of every Keras layer, ``name`` among them.
    """

    def __init__(self, model: Any, altered: Sequence[RuleTarget], **keywords: Any) -> None:
        super().__init__(
            **{"name": f"altered_{model.name}", "dtype": model.dtype_policy, "autocast": False, **keywords}
        )
        self.model = model
        # A function, since Keras would replace a tuple by a tracked list of its own.
        self._targets = lambda: tuple(altered)
        self._functions: dict[Any, Any] = {}
        self.input_spec = getattr(model, "input_spec", None)
        self.supports_masking = model.supports_masking
        self.built = model.built

    def build(self, input_shape: Any) -> None:
        """Builds the model inside."""
        if not self.model.built:
            self.model.build(input_shape)
        self.built = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The model's value."""
        # Traced eagerly, too: the traces that the layers make for themselves are not to be shared with the original.
        if tf.executing_eagerly():
            return self._traced()(inputs, mask, training)
        return self._run(inputs, mask, training)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """As the model."""
        return self.model.compute_mask(inputs, previous_mask)

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """As the model's."""
        return self.model.compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        """The model and the rules, which have to be registered with Keras."""
        # Twice: from the second time on Keras marks the model as shared, so that loading makes one object of it.
        keras.saving.serialize_keras_object(self.model)
        altered = [[t.kind, t.where, t.attribute, serialize(t.rule, {})] for t in self._targets()]
        base = {key: value for key, value in super().get_config().items() if key in ("name", "trainable")}
        return {**base, "model": keras.saving.serialize_keras_object(self.model), "altered": altered}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Altered:
        """The model of a configuration."""
        load = partial(keras.saving.deserialize_keras_object, custom_objects=custom_objects)
        targets = [RuleTarget(kind, where, name, load(rule)) for kind, where, name, rule in config.pop("altered")]
        return cls(load(config.pop("model")), targets, **config)

    def check(self) -> None:
        """Raises :class:`SignatureError` where the model has no op of a type, in training neither."""
        wanted = [str(target.where) for target in self._targets() if target.kind == OP]
        graphs: list[Any] = []
        for training in (False, True):
            if wanted and set(wanted) - set().union(*map(op_types, graphs)):
                source = resolve(self.model, training=training)
                traced = tf.function(source.call, autograph=False).get_concrete_function(*(source.input_specs or ()))
                graphs.append(traced.graph)
        if wanted:
            check_op_types(wanted, graphs)

    def _traced(self) -> Any:
        if "call" not in self._functions:
            self._functions["call"] = tf.function(self._run, autograph=False)
        return self._functions["call"]

    def _run(self, inputs: Any, mask: Any, training: Any) -> Any:
        rules = {str(target.where): target.rule for target in self._targets() if target.kind == OP}
        call: Callable[..., Any] = partial(self._call_with_layer_rules, training=training)
        if rules:
            call = WithOpRules(rules, call, checked=bool(getattr(self.model, "inputs", None)))
        return call(inputs, mask)

    def _call_with_layer_rules(self, inputs: Any, mask: Any, training: Any) -> Any:
        layers, graph = layers_of(self.model), tf.compat.v1.get_default_graph()
        targets = [(target, layers[target.where]) for target in self._targets() if target.kind != OP]
        called: list[RuleTarget] = []
        with ExitStack() as stack:
            for target, layer in targets:
                replacement = partial(_call_with_rule, target, layer, graph, called)
                stack.enter_context(replaced(layer, target.attribute, replacement))
            keywords = {"training": training} if self.model._call_has_training_arg else {}
            result = self.model(inputs, **keywords, **({} if mask is None else {"mask": mask}))
        for target, layer in targets:
            if not any(target is other for other in called):
                raise _out_of_reach("the layer is not called, or only in a tf.function that was traced before", layer)
        return result


def _out_of_reach(what: str, layer: Any) -> GradientError:
    return GradientError(
        what,
        subject=f"layer {layer.name}",
        hint='leave out that tf.function; or a rule for a type of op: {"Relu": rule}',
    )


def as_model(altered: Altered) -> Any:
    """``altered`` as a functional model, which knows its inputs, where the original is one."""
    model = altered.model
    if not getattr(model, "inputs", None):
        return altered
    altered.check()
    nest = getattr(model, "_inputs_struct", None)
    nest = (model.inputs[0] if len(model.inputs) == 1 else model.inputs) if nest is None else nest
    inputs = keras.tree.map_structure(lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), nest)
    return keras.Model(inputs, altered(inputs), name=model.name)


def _call_with_rule(
    target: RuleTarget,
    layer: Any,
    graph: Any,
    called: list[RuleTarget],
    original: Callable[..., Any],
    *arguments: Any,
    **keywords: Any,
) -> Any:
    """The call in place of ``original``, a layer's call or activation; it adds its target to ``called``.

    Raises:
        GradientError: the graph is not ``graph``, the model's, but that of a ``tf.function`` of its own.
        SignatureError: there is no floating input.
    """
    if foreign_function(graph):
        raise _out_of_reach("the layer is called in a tf.function of its own, whose trace the original shares", layer)
    called.append(target)
    if target.kind == AFTER:
        return keras.tree.map_structure(target.rule.through, original(*arguments, **keywords))
    return _ruled(target, layer, original, arguments, keywords)


def _ruled(
    target: RuleTarget, layer: Any, original: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """``original(*arguments, **keywords)`` with the target's rule for its floating tensors."""
    structure: list[Any] = []

    def call(given: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Any]:
        structure[:] = [original(*given[0], **given[1])]
        return keras.tree.flatten(structure[0])

    flat, tensors = flat_function(call, (arguments, keywords), _is_differentiable)
    if not tensors:
        raise SignatureError("the layer has no floating input", subject=f"layer {layer.name}")
    by_call = target.attribute == "call"
    kind = type(layer).__name__ if by_call else getattr(original, "__name__", target.attribute)
    results = ruled(flat, tensors, target.rule, kind, layer.name)
    return keras.tree.pack_sequence_as(structure[0], results)


def _is_differentiable(x: Any) -> bool:
    return isinstance(x, tf.Tensor) and (x.dtype.is_floating or x.dtype.is_complex)
