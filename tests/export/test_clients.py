"""The exported folder from other languages and build systems: what docs/native.md says, run from a moved folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tools import STRICT, need, run

from tfgradkit.export.native.compile.toolchain import find_toolchain

POINT = np.array([800.0, 100.0])


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def docs(root):
    return (root / "docs" / "native.md").read_text()


@pytest.fixture(scope="module")
def place(root, water_library, tmp_path_factory):
    """A folder as the docs take it: the examples, and the library moved to build/eos."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "examples").symlink_to(root / "examples")
    shutil.copytree(water_library.path, folder / "build" / "eos")
    return folder


@pytest.fixture(scope="module")
def numbers(water_library):
    y, jacobian = water_library.value_and_jacobian(POINT)
    return [*y, *jacobian[0]]


def check_output(text: str, numbers: list[float]) -> None:
    got = [float(word) for word in re.findall(r"[-\d.]+e[+-]\d+", text.lower())]
    np.testing.assert_allclose(got, numbers, rtol=1e-6)


def test_the_docs_show_the_files_that_are_tested(docs, root):
    shown = dict(re.findall(r"<!-- (examples/\S+) -->\n```\w+\n(.*?)```", docs, re.DOTALL))
    files = [path for path in (root / "examples" / "clients").iterdir() if path.is_file()]
    assert shown == {f"examples/clients/{path.name}": path.read_text() for path in files}


@pytest.mark.parametrize(
    ("begin", "tools", "programs"),
    [
        pytest.param("cc -I", ["cc", "c++", "gfortran"], ["point_c", "point_cxx", "point_fortran"], id="by hand"),
        pytest.param("export PKG_CONFIG_PATH", ["cc", "pkg-config"], ["point_shared", "point_static"], id="pkg-config"),
        pytest.param("cmake -S examples", ["cmake", "make"], ["clients/point_shared", "clients/point_cxx"], id="CMake"),
    ],
)
def test_the_docs_commands_build_programs_that_print_the_models_numbers(docs, place, numbers, begin, tools, programs):
    need(*tools)
    (script,) = (block for block in blocks(docs, "sh") if block.startswith(begin))
    run("bash", "-ec", script, cwd=place)
    for program in programs:
        check_output(run(place / "build" / program), numbers)


def test_a_project_finds_a_library_in_a_folder_with_spaces(root, water_library, numbers, tmp_path):
    need("cmake", "ninja", "gfortran")
    moved = shutil.copytree(water_library.path, tmp_path / "moved to a place" / "with another name")
    build = tmp_path / "build"
    source = root / "examples" / "clients"
    run("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={moved}", "-DCMAKE_CXX_STANDARD=20")
    run("cmake", "--build", build)
    for program in ("point_shared", "point_static", "point_cxx", "point_fortran"):
        check_output(run(build / program), numbers)
    assert str(moved / "lib" / "libeos.so") in run("ldd", build / "point_shared").replace("\\ ", " ")
    assert "libeos" not in run("ldd", build / "point_static")


@pytest.mark.parametrize(
    ("version", "remove", "words"),
    [
        ("1", None, "found 1"),
        ("2", None, "not accepted"),
        ("1", "lib/libeos.so", "lib/libeos.so is missing"),
    ],
    ids=["this version", "another version", "a missing file"],
)
def test_find_package_says_why_not(water_library, tmp_path, version, remove, words):
    need("cmake")
    moved = shutil.copytree(water_library.path, tmp_path / "eos")
    # Scripts can't have targets; what is asked here comes before them.
    config = moved / "lib" / "cmake" / "eos" / "eos-config.cmake"
    config.write_text(config.read_text().split("if(NOT TARGET")[0])
    if remove:
        (moved / remove).unlink()
    script = tmp_path / "find.cmake"
    script.write_text(f'find_package(eos {version} REQUIRED PATHS "{moved}" NO_DEFAULT_PATH)\nmessage("found 1")\n')
    done = subprocess.run(["cmake", "-P", str(script)], capture_output=True, text=True, check=False)
    assert words in " ".join(done.stderr.split())
    assert (done.returncode == 0) == (words == "found 1")


def test_pkg_config_finds_a_library_in_a_folder_with_spaces(water_library, tmp_path):
    need("pkg-config")
    moved = shutil.copytree(water_library.path, tmp_path / "a place" / "eos")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(moved / "lib" / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "eos", env=environment)
    words = run("bash", "-c", f"printf '%s\\n' {flags}").splitlines()
    paths = [Path(word[2:]).resolve() for word in words if word[:2] in ("-I", "-L")]
    assert paths == [moved / "include", moved / "lib"]


def test_a_rebuilt_library_passes_its_tests_and_is_installed_as_one_that_is_found(root, place, docs, tmp_path, numbers):
    need("cmake", "make")
    (script,) = (block for block in blocks(docs, "sh") if block.startswith("cmake -S build/eos/src"))
    assert re.search("100% tests passed.* out of 2", run("bash", "-ec", script, cwd=place))
    installed, source = place / "build" / "installed", root / "examples" / "clients"
    run("cmake", "-S", source, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={installed}", "-DCMAKE_Fortran_COMPILER=")
    run("cmake", "--build", tmp_path, "--target", "point_shared")
    check_output(run(tmp_path / "point_shared"), numbers)
    symbols = run("nm", "-D", "--defined-only", installed / "lib" / "libeos.so")
    assert {line.split()[2][:4] for line in symbols.splitlines()} == {"eos_"}


def test_a_project_that_adds_the_sources_has_the_same_targets(place, root, numbers, tmp_path):
    need("cmake", "make")
    (tmp_path / "CMakeLists.txt").write_text(f"""
        cmake_minimum_required(VERSION 3.15)
        project(client LANGUAGES C)
        add_subdirectory("{place}/build/eos/src" eos)
        add_executable(point "{root}/examples/clients/point.c")
        target_link_libraries(point PRIVATE eos::static)
        add_executable(point_shared "{root}/examples/clients/point.c")
        target_link_libraries(point_shared PRIVATE eos::eos)
    """)
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build")
    for program in ("point", "point_shared"):
        check_output(run(tmp_path / "build" / program), numbers)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_check_passes_without_a_warning(water_library, mlp_library, tmp_path, compiler, dtype):
    need(compiler)
    library = water_library if dtype == "float64" else mlp_library[1]
    folder, program = library.path, tmp_path / "check"
    flags = ["-std=c99", *STRICT, "-I", folder / "include"]
    static = folder / library.metadata["files"]["static"]
    run(compiler, *flags, folder / "test" / "check.c", static, "-lm", "-o", program)
    assert "all is as promised" in run(program)


@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++17", "c++20"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_the_cxx_header_compiles_without_a_warning(water_library, tmp_path, compiler, standard):
    need(compiler)
    (tmp_path / "use.cpp").write_text('#include "eos.hpp"\n#include "eos.hpp"\nint main() { eos::workspace w; }\n')
    flags = [
        f"-std={standard}",
        *STRICT,
        "-Wshadow",
        "-Wconversion",
        "-fsyntax-only",
        "-I",
        water_library.path / "include",
    ]
    run(compiler, *flags, tmp_path / "use.cpp")


def test_flash_in_fortran_takes_the_steps_of_flash_in_c(root, water_library, tmp_path):
    need("gfortran")
    folder, examples = water_library.path, root / "examples"
    library = folder / water_library.metadata["files"]["static"]
    in_c, in_fortran = tmp_path / "flash_c", tmp_path / "flash_fortran"
    run(*find_toolchain().cc, "-O2", "-I", folder / "include", examples / "flash.c", library, "-lm", "-o", in_c)
    flags = ["-std=f2018", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-J", tmp_path]
    sources = [folder / "fortran" / "eos.f90", examples / "flash.f90"]
    run("gfortran", *flags, *sources, library, "-o", in_fortran)
    c, fortran = (
        [line for line in run(program, 3000).splitlines() if "time" not in line] for program in (in_c, in_fortran)
    )
    assert sum("states not solved 0 of 3000" in line for line in c) == 2
    assert fortran == c
    assert subprocess.run([in_fortran, "0"], capture_output=True, check=False).returncode == 2
