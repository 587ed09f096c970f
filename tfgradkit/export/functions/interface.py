"""The interface of an export as plain records: kinds of functions, entries, ports, and the names that C allows.

An :class:`Entry` is one exported function; a :class:`Port` is one of its arrays.
"""

from __future__ import annotations

import itertools
import keyword
import math
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ExportError, SignatureError


@dataclass(frozen=True)
class Kind:
    """A kind of derivative, as it is exported.

    Attributes:
        comment: the comment in a header.
        seed: the argument beside x.
        results: the results beside y: the operator's part, and the letters whose shapes make the shape of a block.
        scalar_only: whether it exists only for a model with one output of one number.
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
_C_WORDS = {
    *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
    *("float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed"),
    *("sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
    *("n", "workspace", "engine_inputs", "engine_outputs"),  # names in every function
    # Headers are for C++, too.
    *("and", "bool", "catch", "class", "delete", "explicit", "export", "false", "friend", "mutable", "namespace"),
    *("new", "not", "operator", "or", "private", "protected", "public", "template", "this", "throw", "true"),
    *("try", "typename", "using", "virtual", "xor"),
}
# A library's files have its name, beside these files, and in front of the compiler's own headers.
_FILES = {
    *("engine", "constants", "record"),
    *("assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale", "math"),
    *("setjmp", "signal", "stdarg", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string", "tgmath", "time"),
    *("wchar", "wctype"),
}


# The dtypes that C has: its type, and the bytes of one number. A bool of C++ or Fortran may have any size.
C_DTYPES = {
    "float32": ("float", 4),
    "float64": ("double", 8),
    "bool": ("uint8_t", 1),
    **{f"{sign}int{bits}": (f"{sign}int{bits}_t", bits // 8) for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Port:
    """An array argument or result: its name, the shape of one point, and its dtype.

    Derivatives are by and of floating arrays alone; integers and booleans are inputs that are held fixed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        """How many numbers one point has."""
        return math.prod(self.shape)

    @property
    def c_type(self) -> str:
        """The type of one number: float, double, an integer of ``stdint.h``; for a boolean uint8_t, 0 or 1."""
        return C_DTYPES[self.dtype][0]

    @property
    def item_bytes(self) -> int:
        """Bytes of one number."""
        return C_DTYPES[self.dtype][1]

    @property
    def declaration(self) -> str:
        """The array of n points in C, and what may be in it."""
        sizes = "".join(f"[{size}]" for size in self.shape)
        return f"{self.c_type} {self.name}[n]{sizes}" + (": 0 or 1" if self.dtype == "bool" else "")

    @property
    def floating(self) -> bool:
        """Whether there are derivatives by it."""
        return "float" in self.dtype


@dataclass(frozen=True)
class Entry:
    """One exported function.

    Attributes:
        inputs: the model's, in their order, then the seeds.
        outputs: the model's, then the derivatives' blocks.
        parts: the path of each output among the operator's parts: a name, then positions.
        seeds: how many of the inputs are seeds.
    """

    kind: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parts: tuple[tuple[Any, ...], ...]
    seeds: int = 0


def make_entry(kind: str, xs: Sequence[Port], ys: Sequence[Port]) -> Entry:
    """The function of ``kind`` for a model from xs to ys, with derivatives by the floating xs.

    Raises:
        SignatureError: the kind is for one output, and there are more.
    """
    rule = KINDS[kind]
    floating = [x for x in xs if x.floating]
    if rule.scalar_only and not (len(ys) == 1 and _is_scalar(ys[0])):
        raise SignatureError(
            f"{kind} needs a model with one output",
            expected="one output of one number",
            got=", ".join(f"{y.name} {list(y.shape)}" for y in ys),
            hint="jacobian for all outputs, vjp for a weighted sum of them",
        )
    seeded = {"output_gradients": ys, "tangents": floating, None: ()}[rule.seed]
    seeds = [Port(_one_of(rule.seed, port, seeded), port.shape, port.dtype) for port in seeded]
    blocks = [block for part, made_of in rule.results for block in _blocks(kind, part, made_of, floating, ys)]
    outputs = (*ys, *(port for port, _ in blocks))
    parts = (*(("value", i) for i in range(len(ys))), *(path for _, path in blocks))
    return Entry(kind, (*xs, *seeds), outputs, parts, len(seeds))


def foreign_dtypes(entry: Entry) -> str | None:
    """The dtypes of an entry's inputs and outputs where C doesn't have them all; None where it does."""
    inputs, outputs = (dict.fromkeys(port.dtype for port in ports) for ports in (entry.inputs, entry.outputs))
    return None if {*inputs, *outputs} <= set(C_DTYPES) else f"input {', '.join(inputs)}, output {', '.join(outputs)}"


def _is_scalar(y: Port) -> bool:
    return y.shape in ((), (1,))


def _blocks(
    kind: str, part: str, made_of: str, xs: Sequence[Port], ys: Sequence[Port]
) -> Iterator[tuple[Port, tuple[Any, ...]]]:
    """The blocks of a part, outputs outside: the port of each block, and its path among the operator's parts."""
    ranges = [ys if letter == "y" else xs for letter in made_of]
    for path in itertools.product(*(range(len(ports)) for ports in ranges)):
        chosen = [ports[i] for ports, i in zip(ranges, path, strict=True)]
        several = len(xs) > 1 or len(ys) > 1
        # As in the operators' results, an output of one number has no axis in a Hessian; but a block of first
        # derivatives has the same shape in every function.
        dropped = kind == "hessian" and not (several and part == "gradient")
        shapes = [
            () if dropped and letter == "y" and _is_scalar(p) else p.shape
            for letter, p in zip(made_of, chosen, strict=True)
        ]
        name = _block_name(kind, part, made_of, chosen) if several else _result_name(part, kind, _is_scalar(ys[0]))
        yield Port(name, sum(shapes, ()), chosen[0].dtype), (part, *path)


def _block_name(kind: str, part: str, made_of: str, chosen: Sequence[Port]) -> str:
    """``d_y_d_x`` for one of several blocks, ``d2_y_d_x_d_x`` for a second derivative, ``vjp_x`` for a product."""
    if made_of in ("x", "y"):
        return f"{part}_{chosen[0].name}"
    order = "d" if len(chosen) == 2 else f"d{len(chosen) - 1}"
    return "_".join([order, chosen[0].name, *(f"d_{port.name}" for port in chosen[1:])])


def _one_of(role: str | None, port: Port, ports: Sequence[Port]) -> str:
    return f"{role}" if len(ports) == 1 else f"{role}_{port.name}"


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
    # python/<name>.py would hide a module of that name from its own imports.
    if check_name(name) in _FILES or name in sys.stdlib_module_names or name == "numpy":
        raise ExportError(
            "the name is that of another header, source file or Python module",
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
            hint=f"for example {identifier(name)!r}",
        )
    return name


def identifier(text: str) -> str:
    """``text`` made an identifier: accents dropped, other characters replaced by _, a keyword ended by _."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^A-Za-z0-9_]+", "_", ascii_only).lstrip("_0123456789").rstrip("_") or "model"
    return f"{cleaned}_" if cleaned in _C_WORDS or keyword.iskeyword(cleaned) else cleaned
