"""The files for other languages over hard interfaces, with a library in C that says what it was given."""

from __future__ import annotations

import itertools
import re

import pytest
from tools import STRICT, need, run

from tfgradkit.export.functions.interface import KINDS, Entry, Port
from tfgradkit.export.native.library.clients import Clients, fold, fortran_names, write_clients

# Two inputs and two outputs of mixed dtypes; names that Fortran can't tell apart, and one that it cuts.
T, SMALL_T = Port("T", (2,), "float64"), Port("t", (3,), "float32")
Y, LONG = Port("code", (), "float32"), Port("real_" + 70 * "z", (2, 2), "float64")
TWO = (
    Entry("value", (T, SMALL_T), (Y, LONG), ()),
    Entry("jacobian", (T, SMALL_T), (Y, LONG, Port("d_LONG_d_t", (2, 2, 3), "float32")), ()),
)
WORDS = ("status", "i", "real", "std", "span", "error", "size", "points", "check", "C_INT", "end", "function", "result")


def c_type(port):
    return {"float32": "float", "float64": "double"}[port.dtype]


def prototype(name, each):
    inputs = [f"const {c_type(p)} *{p.name}" for p in each.inputs]
    outputs = [f"{c_type(p)} *{p.name}" for p in each.outputs]
    return f"int {name}_{each.kind}({', '.join(['void *workspace', 'int64_t n', *inputs, *outputs])})"


def header(name, entries):
    lines = ["#include <stddef.h>", "#include <stdint.h>", "#ifdef __cplusplus", 'extern "C" {', "#endif"]
    lines += [f"size_t {name}_workspace_size(void);", f"const char *{name}_status_text(int status);"]
    lines += [
        f"const char *{name}_metadata(void);",
        f"const char *{name}_target(void);",
        f"int {name}_abi_version(void);",
    ]
    lines += [f"int {name}_selftest(double *max_error);", *(f"{prototype(name, each)};" for each in entries)]
    return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", ""])


def library(name, entries):
    """A library whose output number j holds 1000 (j + 1) + i + the first numbers of its inputs at place i, and
    whose status has bit j + 2 for an output that is NULL. FAULT makes it break one promise."""
    text = f"""#include "{name}.h"
    #ifndef FAULT
    #define FAULT 0
    #endif
    size_t {name}_workspace_size(void) {{ return 100; }}
    const char *{name}_status_text(int status) {{ return status == 0 ? "success" : "a text"; }}
    const char *{name}_metadata(void) {{ return "{{}}"; }}
    const char *{name}_target(void) {{ return "any"; }}
    int {name}_abi_version(void) {{ return 1; }}
    int {name}_selftest(double *max_error) {{ if (max_error) *max_error = 0.25; return FAULT == 1; }}
    """
    return text + "\n".join(f"{prototype(name, each)} {{ {body(each)} }}" for each in entries)


def body(each):
    missing = " || ".join([*(f"!{p.name}" for p in each.inputs), "!workspace || (uintptr_t)workspace % 64"])
    first = " + ".join(f"(double){p.name}[0]" for p in each.inputs)
    text = "int status = 0; int64_t i; double sum; if (n == 0) return 0; if (n < 0) return -2;\n"
    text += f"if (FAULT != 2 && ({missing})) return -1;\nsum = FAULT == 2 ? 0 : {first};\n"
    text += f"if (FAULT == 4 && {each.outputs[0].name}) sum += 1;\n"
    for j, p in enumerate(each.outputs):
        text += f"if ({p.name}) for (i = 0; i < n * {p.elements} + (FAULT == 3); ++i) "
        text += f"{p.name}[i] = ({c_type(p)})({1000 * (j + 1)} + i + sum); else status |= {4 << j};\n"
    return text + "return status;"


@pytest.fixture
def made(tmp_path):
    """Writes the files of a library, and the header and the source of the one above; returns the folder."""

    def make(name, entries):
        clients = Clients(name, "0.1.0", tuple(entries), f"lib/lib{name}.so", f"lib/lib{name}.a", True)
        files = write_clients(clients)
        files |= {f"include/{name}.h": header(name, entries), f"src/{name}.c": library(name, entries)}
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return make


def check_syntax(folder, name):
    need("gcc", "g++", "gfortran")
    strict, header = ["-fsyntax-only", *STRICT, "-I", folder / "include"], folder / "include" / f"{name}.hpp"
    run("gcc", "-std=c99", *strict, folder / "test" / "check.c")
    run("g++", "-std=c++11", *strict, "-x", "c++", header)
    run("g++", "-std=c++20", *strict, "-x", "c++", header)
    run("gfortran", "-std=f2018", *strict, f"-J{folder}", folder / "fortran" / f"{name}.f90")


def every_kind(x, y):
    """The functions of a model from x to y, whatever its shapes are."""

    def port(name, *shapes):
        return Port(name, sum(shapes, ()), y.dtype)

    gradient = port("gradient", y.shape, x.shape)
    seeds = {"vjp": [port("output_gradients", y.shape)], "jvp": [port("tangents", x.shape)]}
    seeds["hvp"] = seeds["jvp"]
    results = {
        "jacobian": [port("jacobian", y.shape, x.shape)],
        "vjp": [port("vjp", x.shape)],
        "jvp": [port("jvp", y.shape)],
        "gradient": [gradient],
        "hessian": [gradient, port("hessian", y.shape, x.shape, x.shape)],
        "hvp": [port("hvp", x.shape)],
    }
    return [Entry(kind, (x, *seeds.get(kind, [])), (y, *results.get(kind, [])), ()) for kind in KINDS]


@pytest.mark.parametrize("name", ["c", "aligned", "gamma", "std", "C_INT", 90 * "n"], ids=lambda n: n[:9])
def test_every_kind_under_any_name_compiles(made, name):
    check_syntax(made(name, every_kind(Port("x", (3,), "float32"), Port("y", (1,), "float32"))), name)


@pytest.mark.parametrize("y", [Port("y", (), "float64"), Port("y", (2, 3), "float64")], ids=["scalar", "matrix"])
def test_every_kind_for_any_shape_compiles(made, y):
    check_syntax(made("eos", every_kind(Port("x", (2, 2, 2, 2, 2, 2, 2, 2), "float64"), y)), "eos")


def test_arguments_may_be_called_like_anything(made):
    inputs = tuple(Port(word, (2,), "float32") for word in WORDS)
    outputs = tuple(Port(f"{word}_{word}", (), "float64") for word in WORDS)
    check_syntax(made("eos", [Entry("value", inputs, outputs, ())]), "eos")


def test_two_inputs_and_two_outputs_compile(made):
    check_syntax(made("Two", TWO), "Two")


def test_a_library_of_many_blocks_compiles(made):
    blocks = tuple(
        Port(f"d_output_number_{i}_d_input_number_{j}", (2,), "float64")
        for i, j in itertools.product(range(12), repeat=2)
    )
    check_syntax(made("eos", [Entry("jacobian", (T,), blocks, ())]), "eos")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (0, []),
        (1, ["recorded points"]),
        (2, ["without a workspace is refused", "without t is refused", "leaves code as it was"]),
        (3, ["writes nothing behind code"]),
        (4, ["gives d_LONG_d_t alone"]),
    ],
    ids=["no fault", "self-test", "refuses nothing", "writes too far", "null outputs matter"],
)
def test_check_finds_a_library_that_breaks_a_promise(made, fault, words):
    need("gcc")
    folder = made("Two", TWO)
    run(
        "gcc",
        f"-DFAULT={fault}",
        "-I",
        folder / "include",
        folder / "src" / "Two.c",
        folder / "test" / "check.c",
        "-o",
        folder / "check",
    )
    done = run("sh", "-c", '"$0"; echo exit $?', folder / "check")
    assert done.endswith(f"exit {int(fault > 0)}\n")
    assert all(word in done for word in words), done
    assert ("failed" in done) == (fault > 0)


def expected(output, place, first):
    return 1000 * (output + 1) + place + first


FORTRAN = """
program use_two
  use, intrinsic :: iso_c_binding
  use two
  implicit none
  integer(c_int64_t), parameter :: n = 4
  real(c_double) :: t(2, n) = 20, long(2, 2, n), error
  real(c_float) :: small_t(3, n) = 3, y(n), block(3, 2, 2, n)
  type(two_workspace) :: workspace, copied
  type(two_workspace), allocatable :: many(:)
  integer :: i, failed
  print *, two_value(workspace, n, t, small_t, y, long), y(4), long(2, 2, 4)
  print *, two_jacobian(workspace, n, t, small_t, d_long_d_t=block), block(3, 2, 2, 4)
  print *, two_jacobian(workspace, n, t, small_t), two_value(workspace, n, t, small_t, y)
  print *, two_value(workspace, 0_c_int64_t, t, small_t), two_value(workspace, -n, t, small_t, y, long)
  print *, two_value(workspace, 2_c_int64_t, t, small_t, y, long(:, :, 3:)), long(2, 2, 4)
  copied = workspace
  allocate (many(50))
  many(:) = workspace
  print *, two_value(copied, n, t, small_t), (two_value(many(i), n, t, small_t), i = 1, 50)
  print *, two_value(workspace, 2_c_int64_t, t(:, ::2), small_t(:, ::2), y(::2), long(:, :, ::2)), y(3), long(2, 2, 3)
  failed = 0
  !$omp parallel do private(workspace) reduction(+:failed)
  do i = 1, 1000
    failed = failed + two_value(workspace, n, t, small_t) - 12
  end do
  print *, failed
  print *, two_value_c(c_null_ptr, n, t, small_t), two_selftest(error), error, two_selftest(), two_abi_version()
  print *, two_status_text(two_ok), " ", two_status_text(two_not_finite), " ", two_metadata(), len(two_metadata())
end program use_two
"""


def test_fortran_passes_each_array_to_its_place(made):
    need("gcc", "gfortran")
    folder = made("Two", TWO)
    (folder / "use.f90").write_text(FORTRAN)
    run("gcc", "-c", "-I", folder / "include", folder / "src" / "Two.c", "-o", folder / "two.o")
    sources = [folder / "fortran" / "Two.f90", folder / "use.f90", folder / "two.o"]
    run("gfortran", "-fcheck=all", "-fopenmp", f"-J{folder}", *sources, "-o", folder / "use")
    lines = [line.split() for line in run(folder / "use").splitlines()]
    numbers = [[float(word) for word in line] for line in lines[:-1]]
    assert numbers == [
        [0, expected(0, 3, 23), expected(1, 15, 23)],
        [4 + 8, expected(2, 47, 23)],
        [4 + 8 + 16, 8],
        [0, -2],
        [0, expected(1, 7, 23)],
        [4 + 8] * 51,
        [0, expected(0, 1, 23), expected(1, 7, 23)],
        [0],
        [-1, 0, 0.25, 0, 1],
    ]
    assert lines[-1] == ["success", "a", "text", "{}", "2"]


CXX = """
#include <array>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>
#include "Two.hpp"

template <class From, class To> constexpr bool turns_into() { return std::is_convertible<From, To>::value; }
static_assert(turns_into<std::vector<double> &, Two::span<const double>>(), "");
static_assert(turns_into<const std::vector<double> &, Two::span<const double>>(), "");
static_assert(turns_into<Two::span<double>, Two::span<const double>>(), "");
static_assert(turns_into<double (&)[3], Two::span<double>>(), "");
static_assert(!turns_into<const std::vector<double> &, Two::span<double>>(), "a const array is no output");
static_assert(!turns_into<std::vector<float> &, Two::span<const double>>(), "float is not double");
static_assert(!std::is_copy_constructible<Two::workspace>::value, "a workspace belongs to one thread");

static void say(const std::function<int()> &call) {
  try { std::printf("%d", call()); }
  catch (const std::invalid_argument &e) { std::printf("size: %s", e.what()); }
  catch (const Two::error &e) { std::printf("error %d: %s", e.status(), e.what()); }
}

int main() {
  const std::vector<double> T(8, 20.0);
  std::array<float, 12> t{};
  float y[4];
  std::vector<double> longs(16);
  std::vector<float> block(48), none;
  none.reserve(7);
  Two::workspace w, moved;
  t[0] = 3;
  say([&] { return Two::value(w, T, t, y, longs); });
  std::printf(" %g %g\\n", double(y[3]), longs[15]);
  say([&] { return Two::jacobian(w, T, t, none, {}, block); });
  std::printf(" %g\\n", double(block[47]));
  say([&] { return Two::value(w, {}, {}, {}, {}); }); std::puts("");
  say([&] { return Two::value(w, {T.data(), 7}, t, y, longs); }); std::puts("");
  say([&] { return Two::value(w, T, {t.data(), 9}, y, longs); }); std::puts("");
  say([&] { return Two::value(w, T, t, y, {longs.data(), 15}); }); std::puts("");
  moved = std::move(w);
  say([&] { return Two::value(moved, T, t, y, {}); }); std::puts("");
  say([&] { return Two::value(w, T, t, y, longs); }); std::puts("");
}
"""


@pytest.mark.parametrize("standard", ["c++11", "c++17", "c++20"])
def test_cxx_checks_sizes_and_passes_each_array_to_its_place(made, standard):
    need("gcc", "g++")
    folder = made("Two", TWO)
    (folder / "use.cpp").write_text(CXX)
    run("gcc", "-c", "-I", folder / "include", folder / "src" / "Two.c", "-o", folder / "two.o")
    run(
        "g++",
        f"-std={standard}",
        *STRICT,
        "-I",
        folder / "include",
        folder / "use.cpp",
        folder / "two.o",
        "-o",
        folder / "use",
    )
    assert run(folder / "use").splitlines() == [
        f"0 {expected(0, 3, 23)} {expected(1, 15, 23)}",
        f"12 {expected(2, 47, 23)}",
        "0",
        "size: Two: T has 7 numbers, expected a multiple of 2",
        "size: Two: t has 9 numbers, expected 4 times 3",
        f"size: Two: {LONG.name} has 15 numbers, expected 4 times 4",
        "8",
        "error -1: Two: a text",
    ]


def test_fortran_names_differ_by_more_than_case():
    names = fortran_names(["T", "t", "N", 70 * "a", 63 * "a" + "b", 63 * "a"], {"n"})
    assert list(names.values()) == ["T", "t_2", "N_2", 63 * "a", 61 * "a" + "_2", 61 * "a" + "_3"]


def test_folded_lines_fit_and_say_the_same():
    long = "  x = f(" + ", ".join(f"argument_{i}" for i in range(60)) + ', name="' + 200 * "s" + '")\n'
    folded = fold("! " + 200 * "c" + "\n" + long)
    comment, *lines = folded.splitlines()
    assert comment == "! " + 200 * "c"
    assert max(map(len, lines)) <= 132
    assert re.sub(r"&\n +&", "", "\n".join(lines) + "\n") == long


def test_a_library_with_capital_letters_is_found_by_cmake(made, tmp_path):
    """find_package(Two) looks for TwoConfig.cmake and two-config.cmake, and for no other file."""
    need("cmake")
    folder, script = made("Two", TWO), tmp_path / "find.cmake"
    script.write_text(
        f'find_package(Two PATHS "{folder}" NO_DEFAULT_PATH)\nmessage(STATUS ${{Two_CONSIDERED_CONFIGS}})\n'
    )
    assert run("cmake", "-P", script) == f"-- {folder}/lib/cmake/Two/two-config.cmake\n"
