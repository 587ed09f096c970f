"""Writes tfgradkit/public_operators.pyi: signature and docstring of each operator, for editors and type checkers.

Run it with the project's Python after a change of a keyword or of an operator's docstring: it takes both from the
functions themselves, and tests/test_face.py holds that they are the same.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import types
import typing
from pathlib import Path
from textwrap import indent
from typing import Any, Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tfgradkit as tgk
from tfgradkit import public_operators

STUB = Path(public_operators.__file__).with_suffix(".pyi")
HEAD = '''"""The operators, for editors and type checkers: written by scripts/operator_stub.py."""

from typing import Any, Literal

from .types import {types}

'''


def operators() -> dict[str, Any]:
    """The operators by name."""
    found = {name: getattr(tgk, name) for name in tgk.__all__}
    return {name: operator for name, operator in found.items() if hasattr(public_operators, name)}


def annotation(found: Any) -> str:
    """A type, as it is written in code."""
    if found in (None, type(None)):
        return "None"
    origin, inside = typing.get_origin(found), typing.get_args(found)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(annotation, inside))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inside))}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if x is ... else annotation(x) for x in inside)}]"
    return str(getattr(found, "__name__", found)).removeprefix("typing.")


def signature(function: Any) -> str:
    """Parameters and result, as they are written in code."""
    found = inspect.signature(function)
    plain = [p.replace(annotation=p.empty, default=p.empty) for p in found.parameters.values()]
    names = [str(p) for p in plain]
    shown = [
        f"{name}: {annotation(p.annotation)}" + ("" if p.default is p.empty else f" = {p.default!r}")
        for name, p in zip(names, found.parameters.values(), strict=True)
    ]
    keywords = [i for i, p in enumerate(plain) if p.kind is p.KEYWORD_ONLY]
    if keywords and not any(p.kind is p.VAR_POSITIONAL for p in plain):
        shown.insert(keywords[0], "*")
    return f"({', '.join(shown)}) -> {annotation(found.return_annotation)}"


def stub() -> str:
    """The text of the file, before it is formatted."""
    found = operators()
    results = sorted({annotation(inspect.signature(function).return_annotation) for function in found.values()})
    parts = [HEAD.format(types=", ".join(results))]
    for name, function in found.items():
        docstring = indent(f'"""{function.__doc__}"""', "    ")
        parts.append(f"def {name}{signature(function)}:\n{docstring}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    STUB.write_text(stub())
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(STUB)], check=True)
    print(f"{STUB}: {len(operators())} operators")
