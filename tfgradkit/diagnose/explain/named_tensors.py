"""Tensors and variables with their names in messages and in the user's code, and the variables that ``wrt`` means."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...differentiable import Differentiable
from ...errors import SignatureError
from ...sources.resolve import flat_layers, is_keras


@dataclass(frozen=True)
class NamedTensor:
    """An output or input of a derivative, with its names.

    Attributes:
        name: its name in messages.
        value: a tensor, a ``tf.Variable`` or a Keras variable.
        aliases: its names in the user's code: "x", "self.w".
        layer: the Keras layer of a variable.
    """

    name: str
    value: Any
    aliases: frozenset[str] = frozenset()
    layer: str | None = None

    @property
    def variable(self) -> tf.Variable | None:
        """The ``tf.Variable``, also that of a Keras variable; None for a tensor."""
        inner = getattr(self.value, "value", None) if not isinstance(self.value, (tf.Variable, tf.Tensor)) else None
        variable = self.value if inner is None else inner
        return variable if isinstance(variable, tf.Variable) else None

    @property
    def tensor(self) -> Any:
        """The tensor that ops take: for a variable its handle."""
        return self.value if self.variable is None else self.variable.handle

    @property
    def dtype(self) -> tf.DType:
        """The dtype of the numbers."""
        return self.value.dtype if self.variable is None else self.variable.dtype


def names_of(value: Any, scopes: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The names of a tensor or variable in code with these local and global names."""
    found = set()
    for scope in scopes:
        found |= {name for name, thing in scope.items() if thing is value}
        own = vars(scope["self"]) if hasattr(scope.get("self"), "__dict__") else {}
        found |= {f"self.{name}" for name, thing in own.items() if thing is value}
    return frozenset(found)


def scopes_of(fn: Any) -> list[Mapping[str, Any]]:
    """The names that a plain function can use from outside: of closures, globals, and ``self``."""
    if isinstance(fn, tf.Module):
        return [{"self": fn}]
    try:
        around = inspect.getclosurevars(getattr(fn, "python_function", fn))
    except (TypeError, ValueError):
        return []
    return [around.nonlocals, around.globals, {"self": fn.__self__} if inspect.ismethod(fn) else {}]


def chosen_variables(wrt: Any, fn: Any, source: Differentiable) -> list[NamedTensor]:
    """The variables that ``wrt`` means.

    Raises:
        SignatureError: ``wrt`` is no such choice and no variable, or there are none.
    """
    variables = _parameters(fn, source) if wrt == "parameters" else tf.nest.flatten(wrt)
    chosen = [_named(variable, fn, source) for variable in variables]
    if not chosen or any(named.variable is None for named in chosen):
        raise SignatureError(
            "there are no such variables",
            subject=source.name,
            expected='wrt="inputs", "parameters", or variables',
            got=repr(wrt) if isinstance(wrt, str) else type(wrt).__name__,
            hint="pass the variables themselves, as a list" if wrt == "parameters" else None,
        )
    return chosen


def is_frozen(parameter: NamedTensor, source: Differentiable) -> bool:
    """Whether a model's parameter was made to be trained, and its layer is frozen."""
    if source.model is None:
        return False
    return all(v is not parameter.variable for v in source.trainable())


def _parameters(fn: Any, source: Differentiable) -> list[Any]:
    if source.model is not None:
        return _made_to_be_trained(source.model)
    return list(source.trainable()) or list(_closed_over_variables(fn))


def _made_to_be_trained(model: Any) -> list[Any]:
    """The trainable variables, those of frozen layers, too, which Keras keeps in a list, frozen or not."""
    kept = {id(v) for layer in (model, *flat_layers(model)) for v in getattr(layer, "_trainable_variables", ())}
    return [v for v in model.variables if id(v) in kept or NamedTensor("", v).variable.trainable]  # type: ignore[union-attr]


def _closed_over_variables(fn: Any) -> Iterator[Any]:
    """Variables that a plain function can use from outside: alone, in lists, or in models and modules."""
    for scope in scopes_of(fn):
        for thing in scope.values():
            if is_keras(thing):
                yield from _made_to_be_trained(thing)
            elif isinstance(thing, tf.Module) and not isinstance(thing, tf.Variable):
                yield from thing.trainable_variables
            elif isinstance(thing, (list, tuple, tf.Variable)):
                yield from (v for v in tf.nest.flatten(thing) if isinstance(v, tf.Variable))


def _named(variable: Any, fn: Any, source: Differentiable) -> NamedTensor:
    aliases = names_of(variable, scopes_of(fn))
    path = getattr(variable, "path", None) or getattr(variable, "name", "a variable").removesuffix(":0")
    layers = flat_layers(source.model) if source.model is not None else []
    owners = [layer for layer in layers if any(v is variable for v in layer.variables)]
    for owner in owners:
        aliases |= names_of(owner, [{"self": source.model}])
    name = path if source.model is not None or not aliases else min(aliases)
    return NamedTensor(name, variable, aliases, owners[-1].name if owners else None)
