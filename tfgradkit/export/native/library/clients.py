"""The files with which other languages and build systems use a library: C++, Fortran, CMake, pkg-config, ctest, Python.

Fortran's names have no case and at most 63 letters, its lines at most 132. The Python module, ``python/<name>.py``,
is made from the metadata alone and needs ctypes and NumPy. It uses the extension beside it where that can be loaded.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ....native.artifact import ABI_VERSION
from ....native.c_function import output_groups
from ....native.extension import INTERFACE
from ....templates import render_text, template
from ...functions.interface import KINDS, Entry, Port

# The functions without arguments that return a text, and their comments.
_TEXTS = {
    "metadata": "What this library is, as JSON: names, shapes, dtypes, versions, achieved error.",
    "target": "The instructions that run here: a name of the metadata's targets, or none.",
}
# Names that arguments and the Fortran module itself can't have: the module uses them.
_FORTRAN_TAKEN = {
    *("n", "workspace", "code", "aligned", "copied", "strlen", "status_text_address"),
    *(f"{name}_address" for name in _TEXTS),
    *("iso_c_binding", "c_associated", "c_char", "c_double", "c_f_pointer", "c_float", "c_int", "c_int8_t"),
    *("c_int16_t", "c_int32_t", "c_int64_t", "c_intptr_t", "c_loc", "c_null_ptr", "c_ptr", "c_size_t", "c_strlen"),
}
# Fortran has no unsigned integers: those of C are the same bits in integers with a sign.
_FORTRAN_KINDS = {
    "float32": "c_float",
    "float64": "c_double",
    "bool": "c_int8_t",
    **{f"{sign}int{bits}": f"c_int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
# The kinds of Fortran's module that it needs in any case.
_FORTRAN_USED = ("c_double", "c_float", "c_int", "c_int8_t", "c_int64_t")
_NAME_LETTERS, _LINE_LETTERS = 63, 132
# The longest endings behind a library's name have 15 letters: _negative_count, _workspace_size.
_PREFIX_LETTERS = 63 - 15
# Functions and namespaces of C and C++: a namespace can't have such a name, though a model may.
_CXX_TAKEN = frozenset(template("export", "cxx_names.txt").split())
# The result of a function of the Python module beside the value.
_COMMENTS = {
    "value": "The model itself",
    "jacobian": "the derivative by the input",
    "vjp": "output_gradients times the Jacobian",
    "jvp": "the Jacobian times tangents",
    "gradient": "the gradient of the output, which is one number",
    "hessian": "the second derivative by the input",
    "hvp": "the Hessian of the output, which is one number, times tangents",
}


@dataclass(frozen=True)
class Clients:
    """Everything that the files for other languages are made from.

    Attributes:
        name: prefix of all symbols.
        entries: the functions.
        shared, static: the paths of the libraries in the folder.
        libm: whether the static library needs libm.
        large: whether the weights are an assembler's file.
    """

    name: str
    version: str
    entries: tuple[Entry, ...]
    shared: str
    static: str
    libm: bool
    large: bool = False


def write_clients(clients: Clients) -> dict[str, str]:
    """The text of each file, by its path in the library's folder."""
    name, context = clients.name, _context(clients)
    # find_package looks for <name>-config.cmake in lower case; only <Name>Config.cmake keeps the case of the name.
    config = f"lib/cmake/{name}/{name.lower()}-config"
    return {
        f"include/{name}.hpp": render_text("header.hpp.j2", context),
        f"fortran/{name}.f90": fold(render_text("fortran.f90.j2", context | _fortran(clients))),
        f"{config}.cmake": render_text("config.cmake.j2", context),
        f"{config}-version.cmake": render_text("config-version.cmake.j2", context),
        f"lib/pkgconfig/{name}.pc": render_text("pkgconfig.pc.j2", context),
        "src/CMakeLists.txt": render_text("CMakeLists.txt.j2", context),
        "test/check.c": render_text("check.c.j2", context),
    }


def _context(clients: Clients) -> dict[str, Any]:
    return {
        "name": clients.name,
        "namespace": clients.name + ("_" if clients.name in _CXX_TAKEN else ""),
        "version": clients.version,
        "abi_version": ABI_VERSION,
        "shared": clients.shared,
        "static": clients.static,
        "libm": clients.libm,
        "large": clients.large,
        "entries": [_entry(entry) for entry in clients.entries],
        "ports": [_port(port) for port in _distinct(clients.entries)],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "comment": KINDS[entry.kind].comment,
        "arguments": [port.name for port in (*entry.inputs, *entry.outputs)],
        "inputs": [_port(port) | {"place": f"in{i}"} for i, port in enumerate(entry.inputs)],
        "outputs": [_port(port) | {"place": f"out{i}"} for i, port in enumerate(entry.outputs)],
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "type": port.c_type,
        "elements": port.elements,
        "declaration": port.declaration,
        "sample": "0.5" if port.floating else "0",
    }


def _distinct(entries: tuple[Entry, ...]) -> list[Port]:
    return list({port.name: port for entry in entries for port in (*entry.inputs, *entry.outputs)}.values())


def _fortran(clients: Clients) -> dict[str, Any]:
    """The context in Fortran's names and types."""
    ports = _distinct(clients.entries)
    names = fortran_names((port.name for port in ports), _FORTRAN_TAKEN)
    entries = [_fortran_entry(entry, names) for entry in clients.entries]
    return {
        "module": fortran_names([clients.name], _FORTRAN_TAKEN)[clients.name],
        "prefix": clients.name[:_PREFIX_LETTERS],
        "entries": entries,
        "texts": [{"name": name, "comment": comment} for name, comment in _TEXTS.items()],
        "ports": [_fortran_port(port, names) for port in ports],
        "kinds": sorted({_FORTRAN_KINDS[port.dtype] for port in ports} - {"c_int64_t"}),
        "further_kinds": sorted({_FORTRAN_KINDS[port.dtype] for port in ports}.difference(_FORTRAN_USED)),
    }


def _fortran_entry(entry: Entry, names: dict[str, str]) -> dict[str, Any]:
    ports = (*entry.inputs, *entry.outputs)
    return {
        "kind": entry.kind,
        "comment": KINDS[entry.kind].comment,
        "arguments": ["workspace", "n", *(names[port.name] for port in ports)],
        "inputs": [_fortran_port(port, names) for port in entry.inputs],
        "outputs": [_fortran_port(port, names) for port in entry.outputs],
        "kinds": sorted({_FORTRAN_KINDS[port.dtype] for port in ports} - {"c_int64_t"}),
    }


def _fortran_port(port: Port, names: dict[str, str]) -> dict[str, str]:
    # The first axis of C is the last one of Fortran.
    sizes = ", ".join([*map(str, reversed(port.shape)), "n"])
    name, base = names[port.name], "real" if port.floating else "integer"
    note = ": 0 or 1" if port.dtype == "bool" else ": without a sign in C" if port.dtype.startswith("u") else ""
    return {
        "name": name,
        "type": f"{base}({_FORTRAN_KINDS[port.dtype]})",
        "declaration": f"{name}({sizes}){note}",
    }


def fortran_names(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """A Fortran name for each C name: cut to 63 letters, and numbered where Fortran has the name already.

    Args:
        names: identifiers of C, all different.
        taken: names that can't be used, in lower case.
    """
    used, fortran = set(taken), {}
    for name in names:
        fortran[name] = _unused(name, used)
        used.add(fortran[name].lower())
    return fortran


def _unused(name: str, used: Collection[str]) -> str:
    candidate, number = name[:_NAME_LETTERS], 1
    while candidate.lower() in used:
        number += 1
        suffix = f"_{number}"
        candidate = name[: _NAME_LETTERS - len(suffix)] + suffix
    return candidate


def fold(text: str) -> str:
    """Free-form source with lines of at most 132 letters; comments are left as they are."""
    return "".join(_fold_line(line) for line in text.splitlines(keepends=True))


def _fold_line(line: str) -> str:
    if line.lstrip().startswith("!"):
        return line
    parts = []
    while len(line.rstrip("\n")) > _LINE_LETTERS:
        # A line may end inside a name or a string, between two &; behind a comma it reads better.
        comma = line.rfind(", ", 40, _LINE_LETTERS - 2)
        end = comma + 2 if comma > 0 else _LINE_LETTERS - 1
        parts.append(line[:end] + "&\n")
        line = "      &" + line[end:]
    return "".join([*parts, line])


def write_python_module(metadata: dict[str, Any]) -> dict[str, str]:
    """The text of the module of the library that ``metadata`` describes, by its path in the folder."""
    arrays = {array["name"]: array for array in metadata["arrays"]}
    text = render_text(
        "module.py.j2",
        {
            "name": metadata["name"],
            "version": metadata["versions"]["tfgradkit"],
            # A model's name may have any letters; the summary stands inside a docstring.
            "summary": f"the model {json.dumps(metadata['model'])[1:-1]}",
            "abi_version": metadata["abi_version"],
            "shared": metadata["files"]["shared"],
            "extension_interface": INTERFACE,
            "arrays": [array | {"shape": tuple(array["shape"])} for array in metadata["arrays"]],
            "entries": metadata["functions"],
            "functions": [f for entry in metadata["functions"] for f in _functions(entry, metadata, arrays)],
        },
    )
    return {f"python/{metadata['name']}.py": text}


def _functions(entry: dict[str, Any], metadata: dict[str, Any], arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """The two functions of a kind: of the last group of its outputs alone, and of all groups."""
    kind, groups = entry["kind"], output_groups(metadata, entry)
    comment = _COMMENTS[kind]
    alone = {"name": kind, "skipped": len(groups) - 1, "comment": f"{comment[0].upper()}{comment[1:]}."}
    between = ", its first derivative" if kind == "hessian" else ""
    both = {"name": _twin(kind), "skipped": 0, "comment": f"The model{between}, and {comment}; from one pass."}
    return [_described(f, entry, groups, arrays) for f in ([alone] if kind == "value" else [alone, both])]


def _twin(kind: str) -> str:
    return "value_gradient_and_hessian" if kind == "hessian" else f"value_and_{kind}"


def _described(
    function: dict[str, Any], entry: dict[str, Any], groups: tuple[int, ...], arrays: dict[str, Any]
) -> dict[str, Any]:
    first, kept = sum(groups[: function["skipped"]]), groups[function["skipped"] :]
    names = iter(entry["outputs"][first:])
    returned = [[next(names) for _ in range(size)] for size in kept]
    texts = [", ".join(_array_text(arrays[name]) for name in group) for group in returned]
    forms = [text if len(group) == 1 else f"{{{text}}}" for text, group in zip(texts, returned, strict=True)]
    return function | {
        "kind": entry["kind"],
        "arguments": entry["inputs"],
        "takes": [_array_text(arrays[name]) for name in entry["inputs"]],
        "returns": forms[0] if len(forms) == 1 else f"({', '.join(forms)})",
        "first": first,
        "groups": kept,
    }


def _array_text(array: dict[str, Any]) -> str:
    return f"{array['name']}: {array['dtype']} [{', '.join(['...', *map(str, array['shape'])])}]"
