"""Intermediate results of a Keras model, by the name of their layer.

During a call of the model, another function replaces the layer's ``call``: it keeps the result, or returns another
result in its place. So subclassed models and models inside models work like functional ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from ..differentiable import Differentiable
from ..errors import SignatureError
from .method_patch import replaced
from .resolve import flat_layers

PREFIX = "layer:"


def layer_output(source: Differentiable, name: str) -> Differentiable:
    """``source`` with the result of a layer in place of the model's: ``of="layer:NAME"``."""
    layer = find_layer(source, name)

    def call(*arguments: Any) -> Any:
        return intermediate(source, layer, arguments)

    return replace(source, call=call, name=f"{source.name}, layer {layer.name}", output_names=())


def intermediate(source: Differentiable, layer: Any, arguments: tuple[Any, ...]) -> Any:
    """The result of ``layer`` in a call of the model with ``arguments``.

    Raises:
        SignatureError: the layer is not called, or more than once.
    """
    results: list[Any] = []

    def keep(original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        results.append(original(*args, **keywords))
        return results[-1]

    with replaced(layer, "call", keep):
        source.call(*arguments)
    _check_once(layer, len(results), source)
    return results[0]


def substituted(source: Differentiable, layer: Any, arguments: tuple[Any, ...], result: Any) -> Any:
    """The model's value at ``arguments`` with ``result`` as the result of ``layer``.

    Raises:
        SignatureError: the layer is not called, or more than once.
    """
    calls: list[Any] = []

    def instead(original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        calls.append(original)
        return result

    with replaced(layer, "call", instead):
        value = source.call(*arguments)
    _check_once(layer, len(calls), source)
    return value


def find_layer(source: Differentiable, text: str) -> Any:
    """The layer that ``"layer:NAME"`` names.

    Raises:
        SignatureError: no Keras model, or no layer of that name in it, or several.
    """
    name = text.removeprefix(PREFIX)
    layers = flat_layers(source.model) if source.model is not None else []
    matching = [layer for layer in layers if layer.name == name]
    if len(matching) != 1 or not text.startswith(PREFIX):
        raise SignatureError(
            "no such layer" if not matching else "several layers have this name",
            subject=source.name,
            expected=" | ".join(f"{PREFIX}{layer.name}" for layer in layers)
            or "a Keras model, whose layers have names",
            got=text,
            hint=None if len(matching) > 1 else _near(name, [layer.name for layer in layers]),
        )
    return matching[0]


def _near(name: str, names: list[str]) -> str | None:
    near = [PREFIX + other for other in get_close_matches(name, names)]
    return " or ".join(near) or None


def layer_of(op_name: str, layer_names: Iterable[str]) -> str:
    """The innermost layer in whose scope an op's name lies; the op's name if there is none."""
    names = set(layer_names)
    inside = [part for part in op_name.split("/") if part in names or _without_count(part) in names]
    if not inside:
        return op_name
    return inside[-1] if inside[-1] in names else _without_count(inside[-1])


def _without_count(scope: str) -> str:
    """The scope without TensorFlow's number for its repetition: ``dense_1_2`` is layer ``dense_1``."""
    head, _, count = scope.rpartition("_")
    return head if count.isdigit() else scope


def _check_once(layer: Any, calls: int, source: Differentiable) -> None:
    if calls != 1:
        raise SignatureError(
            "the layer is not called once" if calls else "the layer is not called at all",
            subject=f"{source.name}, layer {layer.name}",
            expected="one call",
            got=f"{calls} calls",
            hint="name another layer; of a shared layer it is not clear which result is meant" if calls else None,
        )
