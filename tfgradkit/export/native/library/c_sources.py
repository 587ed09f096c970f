"""From compiled programs to the C sources of a library: tables for the engine, and the functions."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....derivatives.sweep.plan import PlanStep
from ....errors import CompilerError
from ....native.artifact import ABI_VERSION
from ....templates import render_text, template
from ...functions.interface import C_DTYPES, KINDS, Entry, Port
from ..compile.compiled_program import (
    Branch,
    Convolution,
    Copy,
    For,
    KernelCall,
    Product,
    Program,
    ProgramStep,
    Slice,
    Sort,
    TopK,
    While,
    walk,
)
from ..compile.targets import Target

_ALIGNMENT = 64
# From so many bytes of constants on, they are binary data rather than text.
_TEXT_BYTES = 1 << 19
# The most arguments of a step of the engine's own: out, image, kernel, padded image and packed kernel. A compiler that
# inlines these steps warns of a shorter list, should the library's steps need no more.
_OWN_ARGUMENTS = 5
# From this share of a tile on, a padded tile is cheaper than its points one by one.
_TAIL_SHARE = 0.75


@dataclass(frozen=True)
class Pair:
    """A function compiled for one target: for one point, and for a tile of ``tile_points``."""

    one: Program
    tile: Program
    tile_points: int


@dataclass(frozen=True)
class CompiledFunction:
    """One function of the library, compiled for each of its targets, the plainest first.

    Attributes:
        flops: the operations of its matrix products for one point.
        sweeps: the steps of its derivative, each with its mode and number of passes.
        suffix: the end of its C name; its kind where it is empty.
    """

    entry: Entry
    pairs: tuple[Pair, ...]
    flops: int = 0
    sweeps: tuple[PlanStep, ...] = ()
    suffix: str = ""

    @property
    def programs(self) -> tuple[Program, ...]:
        """Every program of the function, each once: a pair may have the same for one point and for many."""
        return tuple({p.name: p for pair in self.pairs for p in (pair.one, pair.tile)}.values())

    def points(self, program: Program) -> int:
        """How many points one of the programs evaluates at once."""
        return next((pair.tile_points for pair in self.pairs if pair.tile.name == program.name), 1)

    @property
    def largest_tile(self) -> int:
        """The largest tile over all targets."""
        return max(pair.tile_points for pair in self.pairs)


@dataclass(frozen=True)
class Sources:
    """Everything that the C sources are made from.

    Attributes:
        name: prefix of all symbols.
        functions: the exported functions.
        targets: the targets of the kernels, the plainest first.
        objects: file names of the compiled kernels.
        vectors: recorded points and results, by port name, the point first.
        tolerance: the largest relative error that ``selftest`` accepts.
        small: a component below this share of a result's largest counts as that share.
        ranges: low and high, by port name.
        metadata: JSON.
        assembler: whether the C compiler takes assembler's files, too.
    """

    name: str
    version: str
    summary: str
    functions: tuple[CompiledFunction, ...]
    targets: tuple[Target, ...]
    objects: tuple[str, ...]
    vectors: dict[str, np.ndarray]
    tolerance: float
    small: float
    ranges: dict[str, tuple[np.ndarray, np.ndarray]]
    metadata: str
    needs_libm: bool
    assembler: bool = False


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Writes files by their paths in ``folder``."""
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def constants_source(folder: Path) -> Path:
    """The source file of the weights in a library's folder: C, or an assembler's."""
    source = folder / "src" / "constants.S"
    return source if source.exists() else source.with_suffix(".c")


def write_sources(sources: Sources) -> dict[str, str | bytes]:
    """The contents of each source file, by its path in the library's folder.

    Many weights are binary data beside an assembler's file: as text they would be five times as large, and take a C
    compiler a minute.
    """
    context = _context(sources)
    name = sources.name
    if context["large"]:
        weights: dict[str, str | bytes] = {
            "src/constants.S": render_text("constants.S.j2", context),
            "src/constants.bin": b"".join(c["data"].ljust(_aligned(c["bytes"]), b"\0") for c in context["constants"]),
        }
    else:
        weights = {"src/constants.c": render_text("constants.c.j2", context)}
    return weights | {
        f"include/{name}.h": render_text("header.h.j2", context),
        f"src/{name}.c": render_text("library.c.j2", context),
        "src/record.c": render_text("record.c.j2", context),
        "src/constants.h": render_text("constants.h.j2", context),
        "src/engine.h": template("export", "engine.h"),
        "src/engine_steps.h": template("export", "engine_steps.h"),
        "src/products.h": template("export", "products.h"),
        "src/processor.h": template("export", "processor.h"),
    }


def _context(sources: Sources) -> dict[str, Any]:
    pool = _Pool(sources.name)
    programs = [
        _program(program, f.points(program), f.entry, pool) for f in sources.functions for program in f.programs
    ]
    compiled = [program for f in sources.functions for program in f.programs]
    large = sum(map(len, pool.constants)) > _TEXT_BYTES and sources.assembler
    constants = list(_constants(pool.constants, as_text=not large))
    return {
        "name": sources.name,
        "guard": f"{sources.name.upper()}_H",
        "version": sources.version,
        "summary": sources.summary,
        "objects": sources.objects,
        "targets": sources.targets,
        "needs_libm": sources.needs_libm,
        "abi_version": ABI_VERSION,
        "kernels": sorted({symbol for program in compiled for symbol in program.kernels}),
        "comparators": sorted({symbol for program in compiled for symbol in program.comparators}),
        "programs": [p["table"] for p in programs],
        "products": product_kernels(sources.functions),
        "workspace_size": max(p["workspace"] for p in programs),
        "max_arguments": max([_OWN_ARGUMENTS, *(len(s.slices) for p in compiled for s in walk(p.steps))]),
        "max_buffers": max(len(program.buffers) for program in compiled),
        "entries": [_function(f, sources) for f in sources.functions],
        "ports": _declarations(sources.functions),
        "ranges": [
            {"name": port, "low": _doubles(low), "high": _doubles(high)} for port, (low, high) in sources.ranges.items()
        ],
        "constants": constants,
        "large": large,
        "vectors": [_vector(name, array) for name, array in sources.vectors.items()],
        "metadata": list(sources.metadata.encode()),
        "selftest": _selftest(sources),
    }


def _constants(contents: list[bytes], *, as_text: bool) -> Iterator[dict[str, Any]]:
    """Length in words and place of each constant; its words as C has them only where they are written as text."""
    place = 0
    for data in contents:
        words = [f"{word:#x}u" for (word,) in struct.iter_unpack("<Q", data)] if as_text else []
        yield {"words": words, "length": len(data) // 8, "place": place, "bytes": len(data), "data": data}
        place += _aligned(len(data))


def product_kernels(functions: Iterable[CompiledFunction]) -> dict[str, list[str]]:
    """The dtypes of the products of each target, float and double, by what the names of its kernels begin with."""
    found: dict[str, set[str]] = {}
    for program in (p for f in functions for p in f.programs if p.product_dtypes):
        found.setdefault(program.prefix, set()).update(program.product_dtypes)
    return {prefix: sorted(dtypes) for prefix, dtypes in found.items()}


class _Pool:
    """The library's constants, in whole 64-bit words; equal constants are stored once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.constants: list[bytes] = []
        self._index: dict[bytes, int] = {}

    def reference(self, data: bytes) -> str:
        if data not in self._index:
            self._index[data] = len(self.constants)
            self.constants.append(data + b"\0" * (-len(data) % 8 or (8 if not data else 0)))
        return f"{self.name}_constant_{self._index[data]}"


def _program(program: Program, points: int, entry: Entry, pool: _Pool) -> dict[str, Any]:
    slices: list[Slice] = []
    numbers: list[int] = []
    steps = []
    for step in walk(program.steps):
        own = step_numbers(step)
        places = {"first": len(slices), "count": len(step.slices), "number": len(numbers), "inside": _inside(step)}
        steps.append({**_step(step), **places})
        slices.extend(step.slices)
        numbers.extend(own)
    place = 0
    buffers = []
    ports = {program.arguments[p.name]: ("ENGINE_INPUT", i, p) for i, p in enumerate(entry.inputs)}
    ports |= {program.results[p.name]: ("ENGINE_OUTPUT", i, p) for i, p in enumerate(entry.outputs)}
    used = {part.buffer for part in slices}
    for number, buffer in enumerate(program.buffers):
        known = pool if number in used else None
        buffers.append(_buffer(number, program, ports.get(number), points, place, known))
        if buffer.kind != "constant":
            place += _aligned(buffer.size)
    # No array of C is empty.
    lists = {"slices": slices or [Slice(0, 0, 0)], "numbers": numbers or [0], "steps": steps, "buffers": buffers}
    products = f"&{program.prefix}products" if program.product_dtypes else "NULL"
    table = {"name": program.name, "points": points, "products": products, **lists}
    return {"table": table, "workspace": place}


def _buffer(
    number: int, program: Program, port: tuple[str, int, Port] | None, points: int, place: int, pool: _Pool | None
) -> dict[str, Any]:
    buffer = program.buffers[number]
    if buffer.kind == "constant":
        # Weights that are packed may have no other use.
        constant = "NULL" if pool is None else pool.reference(program.constants[number])
        return {"kind": "ENGINE_CONSTANT", "constant": constant, "place": 0, "port": 0, "point_bytes": 0}
    kind, index, point_bytes = ("ENGINE_TEMPORARY", 0, 0)
    if port is not None:
        kind, index, point_bytes = port[0], port[1], port[2].elements * port[2].item_bytes
        if buffer.size != points * point_bytes:
            raise CompilerError(
                "an argument has another size than its array",
                subject=f"{program.name}, {port[2].name}",
                expected=f"{points * point_bytes} bytes",
                got=f"{buffer.size} bytes",
            )
    return {"kind": kind, "constant": "NULL", "place": place, "port": index, "point_bytes": point_bytes}


def _step(step: ProgramStep) -> dict[str, Any]:
    none = {"kernel": "NULL", "comparator": "NULL", "groups": (0, 0, 0)}
    match step:
        case KernelCall():
            return {**none, "op": "ENGINE_KERNEL", "kernel": step.symbol, "groups": step.workgroups}
        case Product():
            return {**none, "op": "ENGINE_PRODUCT_F32" if step.dtype == "float" else "ENGINE_PRODUCT_F64"}
        case Sort():
            return {**none, "op": "ENGINE_SORT", "comparator": step.comparator}
        case _:
            return {**none, "op": _OPS[type(step)]}


_OPS: dict[type, str] = {
    Copy: "ENGINE_COPY",
    Convolution: "ENGINE_CONVOLUTION_F32",
    TopK: "ENGINE_TOP_K",
    While: "ENGINE_WHILE",
    For: "ENGINE_FOR",
    Branch: "ENGINE_BRANCH",
}


# The same numbers as in templates/engine_steps.h.
_WAYS = {"packed": 0, "rows": 1, "any": 2, "transposed": 3}
_CONVOLVED = {"directly": 0, "packed": 1, "packing": 2}


def step_numbers(step: ProgramStep) -> tuple[int, ...]:
    """The numbers of a step, in the order that the engine's function for it says."""
    match step:
        case Product():
            return (*step.sizes, _WAYS[step.way])
        case Convolution():
            sizes = (step.batch, *step.image, step.channels, *step.kernel, step.kernel_channels, step.filters)
            dilations = (*step.image_dilation, *step.kernel_dilation)
            places = (*step.out, *step.strides, *step.padding_before, *dilations, step.groups)
            how = (_CONVOLVED[step.way], int(step.way != "directly" and step.padded))
            part = (*step.steps, *(step.full or step.out))
            return (*sizes, *places, int(step.own_step), step.block, *step.wide, *part, *how)
        case Sort():
            return (*step.shape, *step.element_bytes)
        case TopK():
            return step.rows, step.columns, step.k
        case For():
            return (step.count,)
        case Branch():
            return (len(step.branches), *(len(list(walk(branch))) for branch in step.branches))
        case _:
            return ()


def _inside(step: ProgramStep) -> int:
    return len(list(walk((step,)))) - 1


def _function(function: CompiledFunction, sources: Sources) -> dict[str, Any]:
    entry = function.entry
    arrays = [f"const {p.c_type} *{p.name}" for p in entry.inputs] + [f"{p.c_type} *{p.name}" for p in entry.outputs]
    return {
        "kind": function.suffix or entry.kind,
        "comment": KINDS[entry.kind].comment,
        "parameters": ", ".join(["void *workspace", "int64_t n", *arrays]),
        "inputs": [_port(p, sources) for p in entry.inputs],
        "outputs": [_port(p, sources) for p in entry.outputs],
        "pairs": [_pair(pair) for pair in function.pairs],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {"one": pair.one.name, "tile": pair.tile.name, "tail": max(2, int(_TAIL_SHARE * pair.tile_points))}


def _port(port: Port, sources: Sources) -> dict[str, Any]:
    ranged = port.name in sources.ranges
    return {
        "name": port.name,
        "engine_type": f"ENGINE_TYPE_{port.dtype.upper()}",
        "elements": port.elements,
        "low": f"range_{port.name}_low" if ranged else "NULL",
        "high": f"range_{port.name}_high" if ranged else "NULL",
    }


def _declarations(functions: tuple[CompiledFunction, ...]) -> list[dict[str, str]]:
    ports = {p.name: p for f in functions for p in (*f.entry.inputs, *f.entry.outputs)}
    return [{"declaration": p.declaration} for p in ports.values()]


def _doubles(values: np.ndarray) -> list[str]:
    return [float(v).hex() for v in np.ravel(values)]


def _vector(name: str, array: np.ndarray) -> dict[str, Any]:
    """A recorded array; the dtype of each is one of C's."""
    return {"name": name, "type": C_DTYPES[array.dtype.name][0], "numbers": list(map(_literal, np.ravel(array)))}


def _literal(number: np.generic) -> str:
    """A number of C: in hexadecimal, so that none is rounded, and none too large for its type."""
    if isinstance(number, np.floating):
        return float(number).hex() + ("f" if number.dtype == np.float32 else "")
    # What stands behind a minus must be a number of some type, and the smallest int64 without its sign isn't.
    whole = int(number)
    return f"{whole:#x}u" if whole >= 0 else f"{whole + 1:#x} - 1"


def _selftest(sources: Sources) -> dict[str, Any]:
    calls, most = [], 0
    points = len(next(iter(sources.vectors.values())))
    for function in sources.functions:
        entry, place, checks, outputs = function.entry, 0, [], []
        for port in entry.outputs:
            expected = f"{sources.name}_test_{port.name}"
            checks.append({**_port(port, sources), "place": place, "expected": expected})
            outputs.append(f"({port.c_type} *)(void *)(results + {place})")
            place += _aligned(points * port.elements * port.item_bytes)
        inputs = [f"{sources.name}_test_{p.name}" for p in entry.inputs]
        calls.append(
            {"kind": function.suffix or entry.kind, "arguments": ", ".join(inputs + outputs), "checks": checks}
        )
        most = max(most, place)
    return {
        "result_bytes": most,
        "calls": calls,
        "points": points,
        "tolerance": repr(sources.tolerance),
        "small": repr(sources.small),
    }


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
