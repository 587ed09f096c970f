"""The user's side of ``custom_rule``: signatures and names of a function and its rules, and the results of a rule.

Signatures are checked when the rules are attached. The results are checked at each call: flat tensors that fit, or an
error that says which argument they are about.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...arguments import shape_text, structure_text
from ...errors import GradientError, SignatureError
from ..attach_gradient import Tensors, is_differentiable

Function = Callable[..., Any]


def signature_of(fn: Function) -> inspect.Signature | None:
    """The signature of ``fn`` without TensorFlow's ``name=None``; None where Python can't tell."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return None
    # Every function of TensorFlow takes a name, which is no argument of a rule.
    parameters = [p for p in signature.parameters.values() if (p.name, p.default) != ("name", None)]
    return signature.replace(parameters=parameters)


def captured_tensors(*functions: Function | None) -> list[tf.Tensor]:
    """Differentiable eager tensors that functions close over by name, each once."""
    captured = {}
    for fn in functions:
        for cell in getattr(fn, "__closure__", None) or ():
            with suppress(ValueError):  # an empty cell
                captured[id(cell.cell_contents)] = cell.cell_contents
    return [x for x in captured.values() if isinstance(x, tf.__internal__.EagerTensor) and is_differentiable(x)]


def positional_names(signature: inspect.Signature | None) -> list[str] | None:
    """The names of all arguments; None where their number isn't known."""
    if signature is None:
        return None
    parameters = list(signature.parameters.values())
    single = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters] if all(p.kind in single for p in parameters) else None


def copy_name(result: Any, fn: Any, name: str, signature: inspect.Signature | None) -> None:
    """Gives ``result`` the name, module and signature of ``fn``: Keras saves a function by its name and module."""
    result.__name__ = result.__qualname__ = name
    result.__module__ = getattr(fn, "__module__", None) or __name__
    result.__doc__ = getattr(fn, "__doc__", None)
    vars(result).pop("__wrapped__", None)
    if signature is not None:
        result.__signature__ = signature


def check_rules(name: str, fn: Any, vjp: Any, jvp: Any) -> None:
    """Raises :class:`SignatureError` where there is no rule, or one takes other arguments than it is called with."""
    if not callable(fn):
        raise SignatureError("a rule needs a function", subject="fn", expected="a callable", got=type(fn).__name__)
    if vjp is None and jvp is None:
        raise SignatureError("no rule was given", subject=name, expected="vjp=, jvp= or both", got="neither")
    known = positional_names(signature_of(fn))
    for role, rule in (("vjp", vjp), ("jvp", jvp)):
        if rule is None:
            continue
        if not callable(rule):
            raise SignatureError("a rule is a function", subject=role, expected="a callable", got=type(rule).__name__)
        if known is not None:
            seeds = ["output_gradients"] if role == "vjp" else [f"d_{x}" for x in known]
            _check_takes(f"the {role} rule of {name}", rule, [*known, *seeds])


def _check_takes(role: str, rule: Function, wanted: list[str]) -> None:
    try:
        signature = inspect.signature(rule)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*wanted)
    except TypeError as error:
        raise SignatureError(
            f"{role} takes other arguments",
            expected=f"({', '.join(wanted)})",
            got=str(signature),
            hint="it takes all arguments of the function by position, those with a default, too",
        ) from error


@dataclass(frozen=True)
class ExpectedDerivatives:
    """The derivatives that a rule has to return.

    Attributes:
        rule: the rule's name in messages: "the vjp rule of f".
        likes: for each derivative, a nest of the same structure, shapes and dtypes.
        names: of the arguments or results that the derivatives belong to.
        returns: the description in messages: "one gradient for each argument".
    """

    rule: str
    likes: Sequence[Any]
    names: Sequence[str]
    returns: str

    def flatten(self, returned: Any) -> Tensors:
        """The derivatives for the differentiable leaves of a rule's result, in the order of ``tf.nest``.

        Raises:
            GradientError: another number, structure, shape or dtype, or None.
        """
        return [
            tensor
            for result, like, name in zip(self._split(returned), self.likes, self.names, strict=True)
            for tensor in self._leaves(result, like, name)
        ]

    def _split(self, returned: Any) -> Sequence[Any]:
        if len(self.likes) == 1 and not self._is_wrapped(returned):
            return [returned]
        if isinstance(returned, (list, tuple)) and len(returned) == len(self.likes):
            return returned
        count = f"{len(returned)} results" if isinstance(returned, (list, tuple)) else f"a {type(returned).__name__}"
        raise GradientError(
            f"{self.rule} returns the wrong number of results",
            expected=f"{self.returns}: ({', '.join(self.names)}{',' if len(self.names) == 1 else ''})",
            got=count,
        )

    def _is_wrapped(self, returned: Any) -> bool:
        """Whether ``returned`` is a tuple around the one derivative, and not the derivative itself."""
        single = isinstance(returned, (list, tuple)) and len(returned) == 1
        like = self.likes[0]
        return single and not (isinstance(like, (list, tuple)) and len(like) == 1 and not _is_nest(returned[0]))

    def _leaves(self, result: Any, like: Any, name: str) -> Tensors:
        wanted = tf.nest.flatten(like)
        if not any(is_differentiable(leaf) for leaf in wanted):
            return []
        if result is None:
            raise self._none_returned(name)
        try:
            tf.nest.assert_same_structure(like, result, check_types=False)
        except (TypeError, ValueError) as error:
            raise GradientError(
                f"{self.rule} returns another structure for {name}",
                expected=structure_text(like),
                got=structure_text(result),
            ) from error
        pairs = zip(tf.nest.flatten(result), wanted, strict=True)
        return [self._leaf(leaf, x, name) for leaf, x in pairs if is_differentiable(x)]

    def _leaf(self, result: Any, like: tf.Tensor, name: str) -> tf.Tensor:
        if result is None:
            raise self._none_returned(name)
        tensor = self._tensor(result, like, name)
        if tensor.dtype != like.dtype:
            raise GradientError(
                f"{self.rule} returns another dtype for {name}", expected=like.dtype.name, got=tensor.dtype.name
            )
        if not tensor.shape.is_compatible_with(like.shape):
            raise GradientError(
                f"{self.rule} returns another shape for {name}",
                expected=shape_text(like.shape),
                got=shape_text(tensor.shape),
                hint="a gradient is shaped like what it is by; sum over the axes that were broadcast",
            )
        tensor.set_shape(like.shape)
        return tensor

    def _tensor(self, result: Any, like: tf.Tensor, name: str) -> tf.Tensor:
        try:
            # A Python number takes the dtype of ``like``.
            return tf.convert_to_tensor(result, like.dtype if isinstance(result, (int, float, complex)) else None)
        except (TypeError, ValueError) as error:
            raise GradientError(
                f"{self.rule} returns no tensor for {name}", expected=shape_text(like.shape), got=type(result).__name__
            ) from error

    def _none_returned(self, name: str) -> GradientError:
        return GradientError(
            f"{self.rule} returns None for {name}",
            expected="a tensor, since it is floating",
            got="None",
            hint="tf.zeros_like of it, where nothing depends on it",
        )


def _is_nest(x: Any) -> bool:
    return isinstance(x, (list, tuple, dict))
