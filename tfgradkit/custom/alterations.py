"""Which layer, activation or op of a Keras model gets which gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import keras
import tensorflow as tf

from ..errors import SignatureError
from ..sources.keras import flat_layers
from ..sources.layers import PREFIX, find_layer
from ..sources.resolve import resolve

# What the gradient is replaced of: a layer as a whole, its activation, a type of op; or an identity after a layer.
LAYER, ACTIVATION, OP, AFTER = "call", "activation", "op", "after"
_ACTIVATIONS = ("activation", "recurrent_activation")


@dataclass(frozen=True)
class Alteration:
    """One gradient that is replaced.

    Attributes:
        kind: one of the above.
        where: the number of a layer among :func:`layers_of`, or a type of op.
        attribute: of the layer, which is replaced.
        rule: a function of the user's; an identity layer for ``AFTER``.
    """

    kind: str
    where: Any
    attribute: str
    rule: Any


def layers_of(model: Any) -> list[Any]:
    """The model, and all layers in it, in an order that its configuration fixes."""
    return [model, *flat_layers(model)]


def everywhere(model: Any, identity: Any) -> list[Alteration]:
    """``identity`` after the model's results."""
    return [Alteration(AFTER, 0, "call", identity)]


def alterations(model: Any, rules: Mapping[Any, Any], kind: str = LAYER) -> list[Alteration]:
    """What ``rules`` mean in ``model``.

    Raises:
        SignatureError: nothing in the model is meant by a key.
    """
    return [alteration for key, rule in rules.items() for alteration in _meant(model, key, rule, kind)]


def _meant(model: Any, key: Any, rule: Any, kind: str) -> list[Alteration]:
    layers = layers_of(model)
    if isinstance(key, str):
        if key in tf.raw_ops.__dict__ and kind == LAYER:
            return [Alteration(OP, key, "", rule)]
        if not key.startswith(PREFIX) and kind == LAYER:
            raise _unknown(key, layers)
        named = find_layer(resolve(model), key)
        return [Alteration(kind, next(i for i, layer in enumerate(layers) if layer is named), "call", rule)]
    if isinstance(key, type) and issubclass(key, keras.layers.Layer):
        found = [
            Alteration(kind, i, "call", rule)
            for i, layer in enumerate(layers)
            if isinstance(layer, key) and not isinstance(layer, keras.layers.InputLayer)
        ]
        there = sorted({type(layer).__name__ for layer in layers})
    else:
        places = [(i, name) for i, layer in enumerate(layers) for name in _ACTIVATIONS if name in vars(layer)]
        found = [Alteration(ACTIVATION, i, name, rule) for i, name in places if vars(layers[i])[name] is key]
        there = sorted({_name(vars(layers[i])[name]) for i, name in places} - {"linear"})
    if not found:
        raise SignatureError(
            "the model has no such layer or activation",
            subject=model.name,
            expected=" | ".join(there) or "a model with activations in its layers",
            got=_name(key),
            hint='a type of op, as "Relu", is found wherever the model computes it',
        )
    return found


def _unknown(key: str, layers: list[Any]) -> SignatureError:
    known = {layer.name: PREFIX + layer.name for layer in layers[1:]}
    known |= {name: name for name in dir(tf.raw_ops) if name[0] != "_"}
    near = [known[name] for name in get_close_matches(key, known)]
    return SignatureError(
        "neither a layer nor a type of op",
        subject=repr(key),
        expected='"layer:NAME", a type of op as "Relu", a layer class, or an activation function',
        hint=" or ".join(repr(name) for name in near) or "the layers: " + ", ".join(layer.name for layer in layers[1:]),
    )


def _name(thing: Any) -> str:
    return getattr(thing, "__name__", type(thing).__name__)
