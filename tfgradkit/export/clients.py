"""What lets other languages and build systems use a library: C++, Fortran, CMake, pkg-config, ctest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..artifact import ABI_VERSION
from .fortran import fold, fortran_names
from .interface import KINDS, Entry, Port
from .rendering import render, template

# The functions of no argument that return a text, and what they say.
_TEXTS = {
    "metadata": "What this library is, as JSON: names, shapes, dtypes, versions, achieved error.",
    "target": "The instructions that run here: a name of the metadata's targets, or none.",
}
# Names in the Fortran module that an argument, or the module itself, must not hide.
_FORTRAN_TAKEN = {
    *("n", "workspace", "code", "aligned", "copied", "strlen", "status_text_address"),
    *(f"{name}_address" for name in _TEXTS),
    *("iso_c_binding", "c_associated", "c_char", "c_double", "c_f_pointer", "c_float", "c_int", "c_int8_t"),
    *("c_int64_t", "c_intptr_t", "c_loc", "c_null_ptr", "c_ptr", "c_size_t", "c_strlen"),
}
_FORTRAN_KINDS = {"float32": "c_float", "float64": "c_double"}
# Longest that is put behind a library's name: _negative_count, _workspace_size.
_PREFIX_LETTERS = 63 - 15
# Functions and namespaces of C and C++ that a model might be called like: a namespace can't be.
_CXX_TAKEN = frozenset(template("cxx_names.txt").split())


@dataclass(frozen=True)
class Clients:
    """What the files for other languages are made from.

    Attributes:
        name: prefix of all symbols.
        entries: the functions.
        shared, static: the libraries, from the folder.
        libm: whether the static one needs it.
    """

    name: str
    version: str
    entries: tuple[Entry, ...]
    shared: str
    static: str
    libm: bool


def write_clients(clients: Clients) -> dict[str, str]:
    """The text of each file, by its path in the library's folder."""
    name, context = clients.name, _context(clients)
    # find_package looks for a name as it is spelled only in the other form of a file's name.
    config = f"lib/cmake/{name}/{name.lower()}-config"
    return {
        f"include/{name}.hpp": render("header.hpp.j2", context),
        f"fortran/{name}.f90": fold(render("fortran.f90.j2", context | _fortran(clients))),
        f"{config}.cmake": render("config.cmake.j2", context),
        f"{config}-version.cmake": render("config-version.cmake.j2", context),
        f"lib/pkgconfig/{name}.pc": render("pkgconfig.pc.j2", context),
        "src/CMakeLists.txt": render("CMakeLists.txt.j2", context),
        "test/check.c": render("check.c.j2", context),
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
    sizes = "".join(f"[{size}]" for size in port.shape)
    return {
        "name": port.name,
        "type": port.c_type,
        "elements": port.elements,
        "declaration": f"{port.c_type} {port.name}[n]{sizes}",
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
        "kinds": sorted({_FORTRAN_KINDS[port.dtype] for port in ports}),
    }


def _fortran_entry(entry: Entry, names: dict[str, str]) -> dict[str, Any]:
    ports = (*entry.inputs, *entry.outputs)
    return {
        "kind": entry.kind,
        "comment": KINDS[entry.kind].comment,
        "arguments": ["workspace", "n", *(names[port.name] for port in ports)],
        "inputs": [_fortran_port(port, names) for port in entry.inputs],
        "outputs": [_fortran_port(port, names) for port in entry.outputs],
        "kinds": sorted({_FORTRAN_KINDS[port.dtype] for port in ports}),
    }


def _fortran_port(port: Port, names: dict[str, str]) -> dict[str, str]:
    # The first axis of C is the last one of Fortran.
    sizes = ", ".join([*map(str, reversed(port.shape)), "n"])
    name = names[port.name]
    return {"name": name, "kind": _FORTRAN_KINDS[port.dtype], "declaration": f"{name}({sizes})"}
