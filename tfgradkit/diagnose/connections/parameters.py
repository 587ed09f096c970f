"""The variables that ``explain`` is asked about: a model's, a module's, or those around a plain function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ...differentiable import Differentiable
from ...errors import SignatureError
from ...sources.keras import flat_layers, is_keras
from .named import Named, names_of, scopes_of


def chosen(wrt: Any, fn: Any, source: Differentiable) -> list[Named]:
    """The variables that ``wrt`` means.

    Raises:
        SignatureError: ``wrt`` is something else, or there are none.
    """
    variables = _parameters(fn, source) if wrt == "parameters" else tf.nest.flatten(wrt)
    found = [_named(variable, fn, source) for variable in variables]
    if not found or any(named.variable is None for named in found):
        raise SignatureError(
            "there are no such variables",
            subject=source.name,
            expected='wrt="inputs", "parameters", or variables',
            got=repr(wrt) if isinstance(wrt, str) else type(wrt).__name__,
            hint="pass the variables themselves, as a list" if wrt == "parameters" else None,
        )
    return found


def is_frozen(parameter: Named, source: Differentiable) -> bool:
    """Whether a model's parameter was made to be trained, and its layer is frozen."""
    if source.model is None:
        return False
    return all(v is not parameter.variable for v in source.trainable())


def _parameters(fn: Any, source: Differentiable) -> list[Any]:
    if source.model is not None:
        return _meant_to_be_trained(source.model)
    return list(source.trainable()) or list(_around(fn))


def _meant_to_be_trained(model: Any) -> list[Any]:
    """Of frozen layers, too: Keras keeps them in a list of their own, whether frozen or not."""
    kept = {id(v) for layer in (model, *flat_layers(model)) for v in getattr(layer, "_trainable_variables", ())}
    return [v for v in model.variables if id(v) in kept or Named("", v).variable.trainable]  # type: ignore[union-attr]


def _around(fn: Any) -> Iterator[Any]:
    """Variables that a plain function uses from outside, alone, in lists, or in models and modules."""
    for scope in scopes_of(fn):
        for thing in scope.values():
            if is_keras(thing):
                yield from _meant_to_be_trained(thing)
            elif isinstance(thing, tf.Module) and not isinstance(thing, tf.Variable):
                yield from thing.trainable_variables
            elif isinstance(thing, (list, tuple, tf.Variable)):
                yield from (v for v in tf.nest.flatten(thing) if isinstance(v, tf.Variable))


def _named(variable: Any, fn: Any, source: Differentiable) -> Named:
    aliases = names_of(variable, scopes_of(fn))
    path = getattr(variable, "path", None) or getattr(variable, "name", "a variable").removesuffix(":0")
    layers = flat_layers(source.model) if source.model is not None else []
    owners = [layer for layer in layers if any(v is variable for v in layer.variables)]
    for owner in owners:
        aliases |= names_of(owner, [{"self": source.model}])
    name = path if source.model is not None or not aliases else min(aliases)
    return Named(name, variable, aliases, owners[-1].name if owners else None)
