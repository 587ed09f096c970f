"""The keywords that all operators take: type, default and meaning of each, once, and who shows them.

:class:`Keywords` is what mypy, Pyright and editors read; :func:`documented` writes the same into the signature and the
docstring of an operator, for ``help``.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import fields
from textwrap import indent, wrap
from typing import Annotated, Any, TypedDict, TypeVar

from .options import ChunkSize, JitCompile, Mode, Options, Strategy, Unconnected, Verify

Function = TypeVar("Function", bound=Callable[..., Any])


class Keywords(TypedDict, total=False):
    """What every operator takes beside the function: for each keyword its type and its meaning."""

    argnums: Annotated[
        int | tuple[int, ...],
        "position of the argument that is differentiated by, or a tuple of several: the result has a part for each.",
    ]
    wrt: Annotated[
        Any,
        '"inputs", those that ``argnums`` picks; "parameters", the trainable variables, in their order; '
        '"layer:NAME", the result of a layer of a Keras model; or a list of variables.',
    ]
    of: Annotated[
        str | None,
        'what is differentiated: "layer:NAME", the result of a layer of a Keras model; None: the result of ``fn``.',
    ]
    batched: Annotated[
        bool | None,
        "whether the first axis of arguments and results counts independent samples. None: True for Keras models "
        "and layers and for loaded graphs whose first axis is unknown; as the inner one for a ``Derivative``; False "
        "for other functions.",
    ]
    has_aux: Annotated[
        bool,
        "whether the function returns ``(y, aux)``; aux is not differentiated, and comes last in the result.",
    ]
    mode: Annotated[
        Mode, '"forward", one pass for each input; "reverse", one for each output; "auto", the cheaper one.'
    ]
    strategy: Annotated[
        Strategy,
        'how the passes run: "vectorize", all at once; "tile", all at once on copies of the batch; "loop", one after '
        'another; "auto" vectorizes where every op can be. It changes the cost, never the value.',
    ]
    chunk_size: Annotated[
        ChunkSize,
        'how many passes run at once; None: all; "auto": as many as stay under ``memory_limit``.',
    ]
    memory_limit: Annotated[
        int | None,
        "bytes that intermediate results may take: samples, then passes, run a few at a time; None: no limit, but for "
        'chunk_size="auto", which keeps to 256 MiB.',
    ]
    unconnected: Annotated[
        Unconnected,
        'what stands where a result does not depend on an input: "zero", "none" (None), or "raise" a GradientError.',
    ]
    jit_compile: Annotated[
        JitCompile,
        'True compiles with XLA, once for each batch size; "auto" and False don\'t.',
    ]
    verify: Annotated[
        Verify,
        'what the first result of each trace is compared with, outside of graphs: "first", a plain product of the tape '
        'along random directions; "differences", with the values of the function, too; "off", nothing. See '
        ":mod:`tfgradkit.derivatives.self_check` for what can't be compared.",
    ]
    training: Annotated[bool, "what Keras layers are told."]


FUNCTION = (
    "what is differentiated: a Keras 3 or ``tf_keras`` model or layer, a ``tf.function``, a callable, a ``tf.Module`` "
    "with ``__call__``, what :func:`tfgradkit.load` returned, or another :class:`~tfgradkit.Derivative`; its arguments "
    "and results are any ``tf.nest`` of tensors."
)
RAISES = {
    "SourceError": "``fn`` can't be used as a function.",
    "SignatureError": "a keyword has no such value; from the call: an argument of the wrong number, structure, shape "
    "or dtype.",
    "GradientError": "from the call: the derivative does not exist: an op without a gradient, samples of a batch that "
    'influence each other, or ``unconnected="raise"`` and a result that does not depend on the input.',
    "TypeError": "no such keyword.",
}
_SECTIONS = ("Args", "Attributes", "Returns", "Raises", "References", "Example")
_WIDTH = 112


@functools.cache
def defaults() -> dict[str, Any]:
    """The default of each keyword."""
    chosen = {field.name: field.default for field in fields(Options)}
    return {name: {"batched": None, "training": False, **chosen}[name] for name in Keywords.__annotations__}


@functools.cache
def _types() -> dict[str, Any]:
    return typing.get_type_hints(Keywords)


@functools.cache
def _meanings() -> dict[str, str]:
    annotated = typing.get_type_hints(Keywords, include_extras=True)
    return {name: found.__metadata__[0] for name, found in annotated.items()}


def documented(
    *, like: Callable[..., Any] | None = None, without: Iterable[str] = ()
) -> Callable[[Function], Function]:
    """Writes the shared keywords into the signature and the docstring of a function or class that takes them.

    Args:
        like: the function whose sections are taken where a docstring has none of its own: that of a twin.
        without: keywords that it does not take.

    Returns:
        The decorator. The docstring keeps its own text; ``fn``, the shared keywords, and what every operator raises
        are added to its sections.
    """

    def decorate(function: Function) -> Function:
        kept = {name: defaults()[name] for name in Keywords.__annotations__ if name not in set(without)}
        call: Any = vars(function)["__init__"] if isinstance(function, type) else function
        call.__signature__ = _signature(call, kept, "keywords" in entries(function.__doc__, "Args"))
        function.__doc__ = _docstring(function, like, kept)
        return function

    return decorate


def entries(docstring: str | None, section: str) -> dict[str, str]:
    """The entries of a section of a docstring, such as ``Args``: by name, or by names as they stand there."""
    text = _parsed(docstring)[1].get(section, "")
    found = re.split(r"^(\*{0,2}[A-Za-z][\w.]*(?:, \*{0,2}[A-Za-z][\w.]*)*):(?:\s|$)", text, flags=re.MULTILINE)[1:]
    return {name: " ".join(told.split()) for name, told in zip(found[::2], found[1::2], strict=True)}


def _signature(call: Any, kept: dict[str, Any], others: bool) -> inspect.Signature:
    """The parameters of its own, and each keyword by its name; ``**keywords`` where it takes others, too."""
    hints = typing.get_type_hints(call)
    given = list(inspect.signature(call).parameters.values())
    own = [p.replace(annotation=hints.get(p.name, p.empty)) for p in given if p.kind is not p.VAR_KEYWORD]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_types()[name])
        for name, default in kept.items()
    ]
    rest = [p for p in given if p.kind is p.VAR_KEYWORD and others]
    return inspect.Signature([*own, *shared, *rest], return_annotation=hints["return"])


def _docstring(function: Any, like: Any, kept: dict[str, Any]) -> str:
    """Its own text and sections, those of ``like`` where it has none, and what all share."""
    text, own = _parsed(function.__doc__)
    sections = {**(_parsed(like.__doc__)[1] if like is not None else {}), **own}
    if like is None:
        mine, raised = entries(function.__doc__, "Args"), entries(function.__doc__, "Raises")
        first = {} if isinstance(function, type) else {"fn": FUNCTION}
        others = {name: mine.pop(name) for name in list(mine) if name == "keywords"}
        sections["Args"] = _listed({**first, **mine, **{name: _meanings()[name] for name in kept}, **others})
        sections["Raises"] = _listed(raised if isinstance(function, type) else {**RAISES, **raised})
    written = [f"{name}:\n{indent(sections[name], '    ')}" for name in _SECTIONS if name in sections]
    return "\n\n".join([text, *written]) + "\n"


def _parsed(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The text before the sections, and each section without its indentation."""
    text, *parts = re.split(rf"^({'|'.join(_SECTIONS)}):$", inspect.cleandoc(docstring or ""), flags=re.MULTILINE)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return text.strip(), {name: inspect.cleandoc(f"\n{body}").strip("\n") for name, body in pairs}


def _listed(told: dict[str, str]) -> str:
    lines: list[str] = []
    for name, text in told.items():
        lines += wrap(f"{name}: {text}", _WIDTH - 4, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)
