"""The product kernels of ``templates/products.h``, on every target of this machine.

``products_check.c`` compares each element with one chain of multiply-adds, to the last bit; ``TFGRADKIT_SWEEP=1`` gives
it many more random cases.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import tools as commands

from tfgradkit.export.native.compile.targets import X86_64, choose_targets
from tfgradkit.export.native.compile.toolchain import compile_c, find_toolchain, link_shared, target_flags
from tfgradkit.export.native.library.packed_weights import pack_weights

HELPERS = Path(__file__).resolve().parent.parent / "helpers"
TEMPLATES = Path(str(resources.files("tfgradkit.export").joinpath("templates")))
SWEEP = os.environ.get("TFGRADKIT_SWEEP") == "1"
TARGETS = choose_targets(("host",))
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
PROBE = """
#pragma GCC visibility push(default)
#define PRODUCT_PREFIX probe_
#include "products.h"
#pragma GCC visibility pop
"""
# Rows, columns and k, around the panels and blocks of every target, and beyond the blocks of k, rows and columns.
SHAPES = [(m, n, k) for m in (1, 2, 3, 7, 13) for n in (1, 6, 16, 33, 64) for k in (0, 1, 2, 64)]
SHAPES += [(56, 64, 64), (100, 31, 100), (1, 300, 1100), (150, 70, 600), (9, 1040, 30), (1000, 3, 5)]


class Sizes(ctypes.Structure):
    """product_sizes: batch m n k, a_batch a_row a_col, b_batch b_row b_col, start_batch start_row, c_batch c_row."""

    _fields_ = tuple((f"f{i}", ctypes.c_int64) for i in range(14))


class Products:
    """A target's functions on NumPy arrays, whose strides they take."""

    def __init__(self, library):
        self.library = library

    def function(self, name, dtype):
        return getattr(self.library, f"probe_{name}_f{8 * np.dtype(dtype).itemsize}")

    def pack(self, b):
        packed = np.full(pack_weights(b).shape, np.nan, b.dtype)
        rows, columns = (ctypes.c_int64(stride // b.itemsize) for stride in b.strides)
        k, n = map(ctypes.c_int64, b.shape)
        self.function("product_pack", b.dtype)(k, n, address(b), rows, columns, address(packed))
        return packed

    def __call__(self, name, a, b, start=None, packed=None):
        """``start + a b``; ``a`` and ``b`` are matrices or batches of them."""
        a3, b3 = (x if x.ndim == 3 else x[None] for x in (a, b))
        c = np.full((a3.shape[0], a3.shape[1], b3.shape[2]), np.nan, a.dtype)
        strides = [stride // a.itemsize for x in (a3, b3) for stride in x.strides]
        strides[3] *= b3.shape[0] > 1
        steps = (0, 0) if start is None else (0, 0 if start.ndim == 1 else start.shape[-1])
        sizes = Sizes(*c.shape, a3.shape[2], *strides, *steps, c[0].size, c.shape[2])
        arguments = [address(a), address(b if packed is None else packed), None if start is None else address(start)]
        scratch = [address(np.empty(pack_weights(b3[0]).shape, a.dtype))] if name == "product_any" else []
        self.function(name, a.dtype)(ctypes.byref(sizes), *arguments, address(c), *scratch)
        return c if a.ndim == 3 else c[0]


def address(array):
    return array.ctypes.data_as(ctypes.c_void_p)  # keeps the array


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: target.name)
def products(request, tmp_path_factory):
    folder, tools = tmp_path_factory.mktemp("products"), find_toolchain()
    (folder / "probe.c").write_text(PROBE)
    compile_c(tools, folder / "probe.c", TEMPLATES, folder / "probe.o", target_flags(tools, request.param))
    link_shared(tools, [folder / "probe.o"], folder / "libprobe.so", "probe", libm=False)
    return Products(ctypes.CDLL(str(folder / "libprobe.so")))


def matrices(dtype, m, n, k, seed=0):
    generator = np.random.default_rng(seed)
    return tuple(generator.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (m, n)))


def assert_product(got, a, b, start):
    """Within the bound for k multiply-adds one after the other (Higham, Accuracy and Stability, section 3.1)."""
    wide_a, wide_b, wide_start = (x.astype(np.longdouble) for x in (a, b, start))
    bound = np.abs(wide_a) @ np.abs(wide_b) + np.abs(wide_start)
    error = np.abs(got - (wide_start + wide_a @ wide_b))
    assert np.all(error <= (a.shape[-1] + 1) * np.finfo(got.dtype).eps * bound)


@FLOATS
def test_products_of_all_shapes(products, dtype):
    for m, n, k in SHAPES:
        a, b, start = matrices(dtype, m, n, k)
        zeros = np.zeros((m, n), dtype)
        packed = products.pack(b)
        by_row = products("product", a, b, packed=packed)
        assert_product(by_row, a, b, zeros)
        assert_product(products("product", a, b, start, packed), a, b, start)
        assert_product(products("product", a, b, start[0].copy(), packed), a, b, start[0])
        for name in ("product_rows", "product_any"):
            assert np.array_equal(products(name, a, b), by_row), (name, m, n, k)
        other = products.pack(b.T)
        assert_product(products("product_transposed", a, b, packed=other), a, b, zeros)
        assert_product(products("product_transposed", a, b, start, other), a, b, start)
        assert_product(products("product_transposed", a, b, start[0].copy(), other), a, b, start[0])


@FLOATS
def test_transposed_and_strided_operands_give_the_same_bits(products, dtype):
    for m, n, k in [(1, 64, 64), (7, 33, 65), (40, 5, 600), (100, 130, 20)]:
        a, b, _ = matrices(dtype, m, n, k)
        expected = products("product_any", a, b)
        transposed_a, transposed_b = np.ascontiguousarray(a.T).T, np.ascontiguousarray(b.T).T
        spread_a, spread_b = np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3], np.repeat(b, 2, 1)[:, ::2]
        for left in (transposed_a, spread_a):
            for right in (transposed_b, spread_b):
                assert np.array_equal(products("product_any", left, right), expected)


@FLOATS
def test_batches(products, dtype):
    generator = np.random.default_rng(1)
    for m, n, k in [(5, 6, 7), (40, 33, 16)]:
        a, b = (generator.standard_normal((3, *shape)).astype(dtype) for shape in ((m, k), (k, n)))
        each = np.stack([products("product_any", x, y) for x, y in zip(a, b, strict=True)])
        shared = np.stack([products("product_any", x, b[0]) for x in a])
        packed = np.stack([products.pack(x) for x in b])
        sizes = Sizes(3, m, n, k, m * k, k, 1, packed[0].size, 0, 0, 0, 0, m * n, n)
        c = np.full((3, m, n), np.nan, dtype)
        products.function("product", dtype)(ctypes.byref(sizes), address(a), address(packed), None, address(c))
        assert np.array_equal(c, each)
        assert np.array_equal(products("product_any", a, b), each)
        assert np.array_equal(products("product_rows", a, b), each)
        assert np.array_equal(products("product_any", a, b[:1]), shared)


@FLOATS
def test_an_element_does_not_depend_on_the_other_rows_and_columns(products, dtype):
    a, b, _ = matrices(dtype, 1000, 70, 530)
    all_rows = products("product", a, b, packed=products.pack(b))
    for row in (0, 1, 5, 96, 143, 144, 991, 999):
        assert np.array_equal(products("product", a[row : row + 1], b, packed=products.pack(b))[0], all_rows[row])
    for columns in (slice(0, 1), slice(3, 9), slice(31, 70)):
        part = np.ascontiguousarray(b[:, columns])
        assert np.array_equal(products("product_any", a, part), all_rows[:, columns])


@FLOATS
@pytest.mark.parametrize("k", [70, 256, 530, 1031])
def test_a_row_times_a_transposed_weight_is_the_same_alone_and_among_others(products, dtype, k):
    a, b, start = matrices(dtype, 300, 37, k)
    packed = products.pack(b.T)
    all_rows = products("product_transposed", a, b, start, packed)
    for row in (0, 1, 5, 11, 99, 119, 120, 299):
        alone = products("product_transposed", a[row : row + 1], b, start[row : row + 1], packed)
        assert alone[0].tobytes() == all_rows[row].tobytes()
    for rows in (2, 3, 4, 5, 7, 11, 12, 13, 100):
        assert products("product_transposed", a[:rows], b, start, packed).tobytes() == all_rows[:rows].tobytes()
    for columns in (slice(0, 1), slice(3, 9), slice(31, 37)):
        part = np.ascontiguousarray(b[:, columns])
        got = products("product_transposed", a, part, np.ascontiguousarray(start[:, columns]), products.pack(part.T))
        assert np.array_equal(got, all_rows[:, columns])


@FLOATS
def test_nan_stays_in_its_row_with_a_transposed_weight(products, dtype):
    for m, n, k in [(9, 5, 12), (40, 9, 300)]:
        a, b, _ = matrices(dtype, m, n, k)
        clean = products("product_transposed", a, b, packed=products.pack(b.T))
        a[4, k - 1], a[6, 0] = np.inf, np.nan
        got = products("product_transposed", a, b, packed=products.pack(b.T))
        assert np.all(np.isinf(got[4]))
        assert np.all(np.isnan(got[6]))
        others = [row for row in range(m) if row not in (4, 6)]
        assert np.array_equal(got[others], clean[others])


@FLOATS
def test_padding_makes_no_nan_and_nan_stays_in_its_row(products, dtype):
    a, b, _ = matrices(dtype, 9, 5, 12)
    clean = products("product_any", a, b)
    a[4, 3] = np.inf
    a[6, 0] = np.nan
    got = products("product_any", a, b)
    assert np.all(np.isinf(got[4]))
    assert np.all(np.isnan(got[6]))
    others = [0, 1, 2, 3, 5, 7, 8]
    assert np.array_equal(got[others], clean[others])


@FLOATS
@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 1), (7, 16), (5, 31), (9, 32), (6, 33), (64, 100)], ids=str)
def test_packing_in_python_and_in_c_is_the_same(products, dtype, shape):
    b = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    assert products.pack(b).tobytes() == pack_weights(b).tobytes()
    other = np.ascontiguousarray(b.T)
    assert (
        products.pack(other.T).tobytes() == pack_weights(other, transposed=True).tobytes() == pack_weights(b).tobytes()
    )
    stack = np.stack([b, 2 * b])
    assert pack_weights(stack).tobytes() == pack_weights(b).tobytes() + pack_weights(2 * b).tobytes()


def test_what_can_not_be_packed():
    for weights in (np.zeros(3, np.float32), np.zeros((2, 2), np.int32)):
        with pytest.raises(ValueError, match="in float32 or float64"):
            pack_weights(weights)


def check(folder, compiler, flags, cases):
    """Builds ``products_check.c`` and runs it."""
    program = folder / "check"
    command = [*compiler, "-std=c99", *commands.STRICT, *flags, "-I", TEMPLATES, HELPERS / "products_check.c"]
    commands.run(*command, "-o", program, "-lm")
    assert commands.run(program, "1", cases) == "0 wrong\n"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_element_is_one_chain_of_multiply_adds(tmp_path, target):
    tools = find_toolchain()
    check(tmp_path, tools.cc, ["-O3", "-ffp-contract=fast", *target_flags(tools, target)], 100_000 if SWEEP else 2000)


def test_without_vectors(tmp_path):
    """What compilers get that have no vector extensions."""
    flags = ["-O2", "-ffp-contract=off", "-DPRODUCT_PLAIN", *target_flags(find_toolchain(), TARGETS[0])]
    check(tmp_path, find_toolchain().cc, flags, 1000)


@pytest.mark.parametrize("target", TARGETS if SWEEP else TARGETS[-1:], ids=lambda target: target.name)
def test_sanitizers(tmp_path, target):
    commands.need("gcc")
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    check(tmp_path, ("gcc",), [*flags, *target_flags(find_toolchain(), target)], 20_000 if SWEEP else 500)


@pytest.mark.parametrize("compiler", ["gcc", "clang", "zig"])
@pytest.mark.parametrize("target", TARGETS if SWEEP else TARGETS[-1:], ids=lambda target: target.name)
def test_no_warnings(tmp_path, compiler, target, monkeypatch):
    if compiler == "zig":
        pytest.importorskip("ziglang")
    else:
        commands.need(compiler)
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc" if compiler == "zig" else compiler)
    tools, source = find_toolchain(), tmp_path / "probe.c"
    source.write_text(PROBE)
    words = [*tools.cc, "-std=c99", "-O3", *commands.STRICT, *target_flags(tools, target), "-I", TEMPLATES]
    commands.run(*words, "-c", source, "-o", tmp_path / "probe.o")


def test_zig_does_not_make_code_for_this_very_machine(tmp_path, monkeypatch):
    pytest.importorskip("ziglang")
    if TARGETS[0] not in X86_64:
        pytest.skip("x86-64 only")
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc")
    tools, source = find_toolchain(), tmp_path / "probe.c"
    source.write_text("#ifdef __AVX__\n#error AVX\n#endif\nint probe;\n")
    for flags in ((), target_flags(tools, TARGETS[0])):
        compile_c(tools, source, tmp_path, tmp_path / "probe.o", flags)
