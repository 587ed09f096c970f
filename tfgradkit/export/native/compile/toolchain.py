"""Compiling and linking with the C compiler of the machine, or with the one in the ``ziglang`` wheel."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ....errors import ToolchainError
from ....templates import template
from .targets import X86_64, Target

_FLAGS = ("-std=c99", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic")
# zig compiles for the processor that it runs on if it isn't told otherwise; the others for the plainest one.
_ANY_PROCESSOR = ("-mcpu=baseline",)
_CHOOSE = "unset CC, or set it to a C compiler"


@dataclass(frozen=True)
class Toolchain:
    """Commands, as lists of words. ``objcopy`` is None where there is none."""

    cc: tuple[str, ...]
    ar: tuple[str, ...]
    objcopy: tuple[str, ...] | None


def working_toolchain() -> Toolchain:
    """:func:`find_toolchain`, tried on a function of one line.

    Raises:
        ToolchainError: there is none, or it does not compile.
    """
    tools = find_toolchain()
    with tempfile.TemporaryDirectory() as work:
        source, output = Path(work) / "probe.c", Path(work) / "probe.o"
        source.write_text("int probe(void);\nint probe(void) { return 0; }\n")
        compile_c(tools, source, Path(work), output)
        if not output.exists():
            raise ToolchainError("the C compiler wrote nothing", subject=shlex.join(tools.cc), hint=_CHOOSE)
    return tools


def find_toolchain() -> Toolchain:
    """``$CC``, else cc, gcc or clang on the PATH, else ``python -m ziglang cc``.

    Raises:
        ToolchainError: there is none of them.
    """
    system = [name for name in ("cc", "gcc", "clang") if shutil.which(name)]
    if (cc := _chosen()) or system:
        ar = ("ar",) if shutil.which("ar") else _zig("ar")
        return Toolchain(cc or (system[0],), ar or ("ar",), ("objcopy",) if shutil.which("objcopy") else None)
    if (zig := _zig("cc")) is not None:
        return Toolchain(zig, _zig("ar") or (), None)
    raise ToolchainError(
        "there is no C compiler",
        expected="cc, gcc or clang on the PATH, or the ziglang package",
        hint='pip install "tfgradkit[native]" brings one as a wheel; or apt-get install gcc',
    )


def _chosen() -> tuple[str, ...]:
    """The words of ``$CC``; none where it is empty."""
    text = os.environ.get("CC", "")
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ToolchainError("$CC can't be read", got=text, hint=_CHOOSE) from error
    if words and not shutil.which(words[0]):
        raise ToolchainError("$CC can't be run", got=text, hint=_CHOOSE)
    return words


def _zig(tool: str) -> tuple[str, ...] | None:
    return (sys.executable, "-m", "ziglang", tool) if importlib.util.find_spec("ziglang") else None


def compile_c(tools: Toolchain, source: Path, include: Path, output: Path, flags: Sequence[str] = ()) -> None:
    """One file of C, or an assembler's, to one object: for any processor of this kind, or as :func:`target_flags` say.

    An assembler's file names others by their place beside it.
    """
    flags = flags or (_ANY_PROCESSOR if _is_zig(tools) else ())
    command = [*tools.cc, *_FLAGS, *flags, "-I", include.absolute(), "-c", "-o", output.absolute(), source.absolute()]
    _run([str(word) for word in command], source.name, source.parent)


@cache
def assembles(tools: Toolchain) -> bool:
    """Whether the compiler takes an assembler's file that includes another as it is."""
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "probe.S"
        source.write_text('  .section .rodata\n  .incbin "probe.S", 0, 8\n')
        try:
            compile_c(tools, source, Path(work), source.with_suffix(".o"))
        except ToolchainError:
            return False
    return True


def target_flags(tools: Toolchain, target: Target) -> tuple[str, ...]:
    """What lets the compiler use all instructions of a target, for ``templates/products.h``."""
    if target in X86_64:
        architecture = target.cpu or target.name
        flags: tuple[str, ...] = (f"-march={architecture.replace('-', '_') if _is_zig(tools) else architecture}",)
    else:
        flags = _ANY_PROCESSOR if _is_zig(tools) else ()
    wide = ("-mprefer-vector-width=512",) if target.vector_bytes == 64 else ()
    return (*flags, *wide, f"-DPRODUCT_VECTOR_BYTES={target.vector_bytes}")


def compile_products(tools: Toolchain, work: Path, prefix: str, dtypes: Sequence[str], target: Target) -> str:
    """The product kernels of a target, in an object of ``work``; its file name. Made once.

    Args:
        prefix: what the functions' names begin with.
        dtypes: float, double or both.
    """
    name = f"{prefix}products_{'_'.join(dtypes)}"
    without = [f"#define PRODUCT_NO_{dtype.upper()}" for dtype in ("float", "double") if dtype not in dtypes]
    source = work / f"{name}.c"
    if not (work / f"{name}.o").exists():
        for header in PRODUCT_HEADERS:
            (work / header).write_text(template("export", header))
        flags = target_flags(tools, target)
        comment = f"/* Compiled by: cc -std=c99 -O3 -fPIC -fvisibility=hidden {' '.join(flags)} -I .. -c {name}.c */"
        lines = [comment, f"#define PRODUCT_PREFIX {prefix}", *without, '#include "products.h"', ""]
        source.write_text("\n".join(lines))
        compile_c(tools, source, work, work / f"{name}.o", flags)
    return f"{name}.o"


PRODUCT_HEADERS = ("products.h", "products_kernel.h", "products_transposed.h")


def _is_zig(tools: Toolchain) -> bool:
    return tools.cc[-2:] == ("ziglang", "cc")


def link_shared(tools: Toolchain, objects: list[Path], output: Path, name: str, *, libm: bool) -> None:
    """The shared library; only ``<name>_*`` is exported."""
    # A process may have loaded a library of that name: it keeps the old file, and the new library gets another.
    output.unlink(missing_ok=True)
    script = objects[0].with_suffix(".map")
    script.write_text(f"{{ global: {name}_*; local: *; }};\n")
    flags = [
        "-shared",
        f"-Wl,-soname,{output.name}",
        "-Xlinker",
        f"--version-script={script}",
        "-Wl,--gc-sections",
        "-Wl,-z,noexecstack",
        "-Wl,-Bsymbolic",  # two versions of a library in a process: each calls its own functions
        "-s",
    ]
    _run([*tools.cc, *flags, "-o", str(output), *map(str, objects), *(["-lm"] if libm else [])], output.name)


def link_extension(tools: Toolchain, source: Path, headers: Sequence[Path], output: Path) -> None:
    """One file of C11 to an extension module of Python; only what it exports itself is visible.

    Without -Wpedantic: Python's interface keeps functions in pointers to void.
    """
    flags = ["-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-shared", "-s"]
    flags += [*(_ANY_PROCESSOR if _is_zig(tools) else ()), "-Wl,-z,noexecstack"]
    include = [word for folder in headers for word in ("-isystem", str(folder))]
    _run([*tools.cc, *flags, *include, "-o", str(output), str(source)], output.name)


def archive(tools: Toolchain, objects: list[Path], output: Path, public: list[str]) -> None:
    """The static library: one object whose only global names are ``public``, where there is an objcopy."""
    members = objects
    if tools.objcopy is not None:
        merged = output.with_suffix(".o")
        _run([*tools.cc, "-r", "-nostdlib", "-o", str(merged), *map(str, objects)], output.name)
        _run(
            [*tools.objcopy, *(f"--keep-global-symbol={symbol}" for symbol in public), "--strip-unneeded", str(merged)],
            output.name,
        )
        members = [merged]
    _run([*tools.ar, "rcsD", str(output), *map(str, members)], output.name)
    for member in set(members) - set(objects):
        member.unlink()


def compiler_version(tools: Toolchain) -> str:
    """The first line that the compiler prints for ``--version``."""
    done = subprocess.run([*tools.cc, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [shlex.join(tools.cc)])[0]


def _run(command: list[str], subject: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    except OSError as error:
        raise ToolchainError("the C compiler can't be run", subject=command[0], got=str(error)) from error
    if done.returncode != 0:
        raise ToolchainError(
            "the C compiler failed", subject=subject, got=done.stderr.strip()[-2000:] or f"exit code {done.returncode}",
            hint=f"the command was: {shlex.join(command)}",
        )  # fmt: skip
