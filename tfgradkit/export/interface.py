"""The C interface of a model: which functions, their arguments and results, and their shapes."""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from dataclasses import dataclass

from ..errors import ExportError, SignatureError


@dataclass(frozen=True)
class Kind:
    """A kind of derivative, as it is exported.

    Attributes:
        comment: what a header says of it.
        seed: what it takes beside x.
        results: what it returns beside y: the operator's part, and of what its shape is made.
        scalar_only: whether it exists for one output alone.
    """

    comment: str
    seed: str | None = None
    results: tuple[tuple[str, str], ...] = ()
    scalar_only: bool = False


KINDS = {
    "value": Kind("The model itself."),
    "jacobian": Kind("The model, and its derivative by its input, from one pass.", None, (("jacobian", "yx"),)),
    "vjp": Kind("The model, and output_gradients times its Jacobian.", "output_gradients", (("vjp", "x"),)),
    "jvp": Kind("The model, and its Jacobian times tangents.", "tangents", (("jvp", "y"),)),
    "gradient": Kind("The model, whose output is one number, and its gradient.", None, (("gradient", "x"),), True),
    "hessian": Kind("The model, and its first and second derivatives.", None, (("gradient", "yx"), ("hessian", "yxx"))),
    "hvp": Kind(
        "The model, whose output is one number, and its Hessian times tangents.", "tangents", (("hvp", "x"),), True
    ),
}
_SEED_SHAPES = {"output_gradients": "y", "tangents": "x"}
_C_WORDS = {
    *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
    *("float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed"),
    *("sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
    *("n", "workspace", "engine_inputs", "engine_outputs"),  # names in every function
    # Headers are for C++, too.
    *(
        "and",
        "bool",
        "catch",
        "class",
        "delete",
        "explicit",
        "export",
        "false",
        "friend",
        "mutable",
        "namespace",
        "new",
    ),
    *(
        "not",
        "operator",
        "or",
        "private",
        "protected",
        "public",
        "template",
        "this",
        "throw",
        "true",
        "try",
        "typename",
    ),
    *("using", "virtual", "xor"),
}
# A library's files are called by its name: beside these, or in front of the compiler's own headers.
_FILES = {
    *("engine", "constants", "record"),
    *(
        "assert",
        "complex",
        "ctype",
        "errno",
        "fenv",
        "float",
        "inttypes",
        "iso646",
        "limits",
        "locale",
        "math",
        "setjmp",
    ),
    *(
        "signal",
        "stdarg",
        "stdbool",
        "stddef",
        "stdint",
        "stdio",
        "stdlib",
        "string",
        "tgmath",
        "time",
        "wchar",
        "wctype",
    ),
}


@dataclass(frozen=True)
class Port:
    """An array argument or result: its name, the shape of one point, and its dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        """How many numbers one point has."""
        return math.prod(self.shape)

    @property
    def c_type(self) -> str:
        """float or double."""
        return {"float32": "float", "float64": "double"}[self.dtype]

    @property
    def item_bytes(self) -> int:
        """Bytes of one number."""
        return {"float32": 4, "float64": 8}[self.dtype]


@dataclass(frozen=True)
class Entry:
    """One exported function; ``parts`` names the operator's part behind each output."""

    kind: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parts: tuple[str, ...]


def entry(kind: str, x: Port, y: Port) -> Entry:
    """The function of ``kind`` for a model from x to y.

    Raises:
        SignatureError: the kind is for one output, and there are more.
    """
    rule, scalar = KINDS[kind], y.shape in ((), (1,))
    if rule.scalar_only and not scalar:
        raise SignatureError(
            f"{kind} needs a model with one output",
            expected="an output of one number",
            got=list(y.shape),
            hint="jacobian for all outputs, vjp for a weighted sum of them",
        )
    # As for the operators, an output of one number has no axis in a Hessian.
    shapes = {"x": x.shape, "y": y.shape} | ({"y": ()} if scalar and kind == "hessian" else {})
    seed = () if rule.seed is None else (Port(rule.seed, shapes[_SEED_SHAPES[rule.seed]], y.dtype),)
    results = [
        Port(_result_name(part, kind, scalar), sum((shapes[s] for s in made_of), ()), y.dtype)
        for part, made_of in rule.results
    ]
    return Entry(kind, (x, *seed), (y, *results), ("value", *(part for part, _ in rule.results)))


def _result_name(part: str, kind: str, scalar: bool) -> str:
    """The first derivative that comes with a Hessian is a Jacobian where y is a vector."""
    return "jacobian" if kind == "hessian" and part == "gradient" and not scalar else part


def check_kinds(derivatives: tuple[str, ...]) -> tuple[str, ...]:
    """``value`` first, then the kinds asked for, each once.

    Raises:
        SignatureError: a kind that can't be exported.
    """
    unknown = [kind for kind in derivatives if kind not in KINDS]
    if unknown or isinstance(derivatives, str):
        raise SignatureError(
            "no such derivative kind",
            subject="derivatives",
            expected=" | ".join(KINDS),
            got=derivatives if unknown else repr(derivatives),
        )
    return tuple(dict.fromkeys(("value", *derivatives)))


def check_library_name(name: str) -> str:
    """``name`` where it can begin the symbols and the files of a library.

    Raises:
        ExportError: it can't.
    """
    if check_name(name) in _FILES:
        raise ExportError(
            "the name is that of another header or source file",
            expected="another name",
            got=repr(name),
            hint=f"for example '{name}_model'",
        )
    return name


def check_name(name: str, role: str = "name") -> str:
    """``name`` where it can begin an identifier of C and Python.

    Raises:
        ExportError: it can't.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _C_WORDS or keyword.iskeyword(name):
        raise ExportError(
            f"the {role} is no identifier",
            expected="a letter, then letters, digits and _; no keyword of C or Python",
            got=repr(name),
            hint=f"for example {_proposal(name)!r}",
        )
    return name


def _proposal(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^A-Za-z0-9_]+", "_", ascii_only).strip("_0123456789") or "model"
    return f"{cleaned}_" if cleaned in _C_WORDS or keyword.iskeyword(cleaned) else cleaned
