"""Intermediate results of a Keras model, by the name of the layer that makes them.

While the model is called, the layer's ``call`` is another one, which keeps its result or hands out
another in its place. So subclassed models and models inside models work like functional ones.
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
    """``source`` with the result of a layer in place of its own: ``of="layer:NAME"``."""
    layer = find_layer(source, name)

    def call(*arguments: Any) -> Any:
        return intermediate(source, layer, arguments)

    return replace(source, call=call, name=f"{source.name}, layer {layer.name}", output_names=())


def intermediate(source: Differentiable, layer: Any, arguments: tuple[Any, ...]) -> Any:
    """What ``layer`` returns where the model is called with ``arguments``.

    Raises:
        SignatureError: the layer is not called, or more than once.
    """
    kept: list[Any] = []

    def keep(original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        kept.append(original(*args, **keywords))
        return kept[-1]

    with replaced(layer, "call", keep):
        source.call(*arguments)
    _check_once(layer, len(kept), source)
    return kept[0]


def substituted(source: Differentiable, layer: Any, arguments: tuple[Any, ...], result: Any) -> Any:
    """The model's value at ``arguments``, had ``layer`` returned ``result``."""
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
    found = [layer for layer in layers if layer.name == name]
    if len(found) != 1 or not text.startswith(PREFIX):
        raise SignatureError(
            "no such layer" if not found else "several layers have this name",
            subject=source.name,
            expected=" | ".join(f"{PREFIX}{layer.name}" for layer in layers)
            or "a Keras model, whose layers have names",
            got=text,
            hint=None if len(found) > 1 else _near(name, [layer.name for layer in layers]),
        )
    return found[0]


def _near(name: str, names: list[str]) -> str | None:
    near = [PREFIX + other for other in get_close_matches(name, names)]
    return " or ".join(near) or None


def layer_of(node_name: str, layer_names: Iterable[str]) -> str:
    """The innermost layer whose scope a node's name lies in; the node itself if there is none."""
    names = set(layer_names)
    inside = [part for part in node_name.split("/") if part in names or _without_count(part) in names]
    if not inside:
        return node_name
    return inside[-1] if inside[-1] in names else _without_count(inside[-1])


def _without_count(scope: str) -> str:
    """TensorFlow numbers a scope it meets again: ``dense_1_2`` is layer ``dense_1``."""
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
