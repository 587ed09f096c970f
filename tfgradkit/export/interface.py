"""The C interface of a model: which functions, their arguments and results, and their shapes."""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from dataclasses import dataclass

from ..errors import ExportError, SignatureError

# What each kind takes beside x, and returns beside y. Shapes are made of y's and x's.
KINDS: dict[str, tuple[str | None, str | None]] = {
    "value": (None, None),
    "jacobian": (None, "yx"),
    "vjp": ("output_gradients", "x"),
}
_SEED_SHAPES = {"output_gradients": "y", "tangents": "x"}
_C_WORDS = {
    *(
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
    ),
    *("for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof"),
    *("static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
    *("n", "workspace"),  # the parameters of every function
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
    """One exported function."""

    kind: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def entry(kind: str, x: Port, y: Port) -> Entry:
    """The function of ``kind`` for a model from x to y."""
    seed, derivative = KINDS[kind]
    shapes = {"x": x.shape, "y": y.shape, "yx": y.shape + x.shape}
    inputs = (x,) if seed is None else (x, Port(seed, shapes[_SEED_SHAPES[seed]], y.dtype))
    outputs = (y,) if derivative is None else (y, Port(kind, shapes[derivative], y.dtype))
    return Entry(kind, inputs, outputs)


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
