"""The engine's own steps, which few models need: plain matrix products, copies, sorts, work groups, failures."""

from __future__ import annotations

import ctypes
import itertools
from importlib import resources

import numpy as np
import pytest

from tfgradkit.export.native.compile.compiled_program import Buffer, Convolution, Dot, Product, Program
from tfgradkit.export.native.compile.compiled_program import Slice as Part
from tfgradkit.export.native.compile.engine_products import PackedWays, with_products
from tfgradkit.export.native.compile.targets import choose_targets
from tfgradkit.export.native.compile.toolchain import compile_c, compile_products, find_toolchain, link_shared
from tfgradkit.export.native.library.c_sources import step_numbers

SOURCE = """
#define ENGINE_MAX_ARGUMENTS 5
#define ENGINE_MAX_BUFFERS 8
#include "engine.h"

#define PUBLIC __attribute__((visibility("default")))

/* What Python fills in: an op, its number of slices, and how many steps are inside it; eight numbers a step. */
typedef struct { int32_t op, slices, inside; } probe_step;

PUBLIC int probe_run(int32_t count, const probe_step *given, const engine_slice *slices, const int64_t *numbers,
                     unsigned char **buffers);
PUBLIC int probe_sort(double *keys, float *others, const int64_t *numbers);
PUBLIC int probe_groups(int64_t x, int64_t y, int64_t z, int fail_at, int64_t *seen);
PUBLIC int probe_unused(void);

PRODUCT_DECLARE(probe_)
static const engine_products products = {
    probe_product_f32, probe_product_transposed_f32, probe_product_rows_f32, probe_product_any_f32,
    probe_product_pack_f32,
    probe_product_f64, probe_product_transposed_f64, probe_product_rows_f64, probe_product_any_f64,
    probe_product_pack_f64,
};

/* Adds 1 to the first argument, an int32; the second is a byte: whether it is still below 10. */
static void *add_one(const engine_frame *frame) {
  int32_t *number = frame->args[0].data;
  *number += 1;
  if (frame->num_args > 1) *(unsigned char *)frame->args[1].data = *number < 10;
  return *number == 99 ? (void *)number : NULL;
}

int probe_run(int32_t count, const probe_step *given, const engine_slice *slices, const int64_t *numbers,
              unsigned char **buffers) {
  engine_step steps[64] = {{0}};
  engine_program program = {0};
  uint32_t first = 0;
  int32_t i;
  for (i = 0; i < count; ++i) {
    steps[i].op = given[i].op;
    steps[i].kernel = add_one;
    steps[i].groups.x = steps[i].groups.y = steps[i].groups.z = 1;
    steps[i].first_slice = first;
    steps[i].num_slices = (uint32_t)given[i].slices;
    steps[i].first_number = 40 * (uint32_t)i;
    steps[i].inside = (uint32_t)given[i].inside;
    first += steps[i].num_slices;
  }
  program.points = 1;
  program.steps = steps;
  program.num_steps = (uint32_t)count;
  program.slices = slices;
  program.numbers = numbers;
  program.products = &products;
  return engine_run(&program, 0, program.num_steps, buffers);
}

static void greater(char *result, const void *options, const void **pair, const void *b, const void *s, const void *c) {
  (void)options, (void)b, (void)s, (void)c;
  *result = *(const double *)pair[0] > *(const double *)pair[1];
}

int probe_sort(double *keys, float *others, const int64_t *numbers) {
  engine_argument arrays[2];
  arrays[0].data = keys;
  arrays[1].data = others;
  engine_sort(arrays, 2, greater, numbers);
  return 0;
}

static void *group(const engine_frame *frame) {
  int64_t *seen = frame->args[0].data;
  const engine_dim3 *of = frame->num_workgroups, *at = frame->workgroup_id;
  seen[1 + (at->z * of->y + at->y) * of->x + at->x] += 1;
  return seen[0]-- == 0 ? (void *)seen : NULL;
}

int probe_groups(int64_t x, int64_t y, int64_t z, int fail_at, int64_t *seen) {
  engine_step step = {0};
  engine_argument argument;
  step.kernel = group;
  step.num_slices = 1;
  step.groups.x = (uint64_t)x, step.groups.y = (uint64_t)y, step.groups.z = (uint64_t)z;
  seen[0] = fail_at;
  argument.data = seen;
  argument.size = 8;
  return engine_call(&step, &argument);
}

/* Static functions of the engine that this probe does not need. */
int probe_unused(void) { return (int)((size_t)engine_evaluate != 0); }
"""
KERNEL, COPY, PRODUCT_F32, PRODUCT_F64, CONVOLUTION, SORT, TOP_K, WHILE, FOR, BRANCH = range(10)
NUMBERS = 40  # of a step, in the probe


class Slice(ctypes.Structure):
    _fields_ = (("buffer", ctypes.c_uint32), ("offset", ctypes.c_uint64), ("size", ctypes.c_uint64))


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    (folder / "probe.c").write_text(SOURCE)
    for header in ("engine.h", "engine_steps.h"):
        text = resources.files("tfgradkit.export").joinpath("templates", header).read_text()
        (folder / header).write_text(text)
    tools = find_toolchain()
    kernels = compile_products(tools, folder, "probe_", ["double", "float"], choose_targets(["host"])[0])
    compile_c(tools, folder / "probe.c", folder, folder / "probe.o")
    link_shared(tools, [folder / "probe.o", folder / kernels], folder / "libprobe.so", "probe", libm=False)
    return ctypes.CDLL(str(folder / "libprobe.so"))


class Step(ctypes.Structure):
    _fields_ = (("op", ctypes.c_int32), ("slices", ctypes.c_int32), ("inside", ctypes.c_int32))


def run(probe, op, slices, numbers, buffers):
    return run_all(probe, [(op, slices, numbers, 0)], buffers)


def run_all(probe, steps, buffers):
    """Runs steps of an op, slices, numbers, and how many steps behind it are inside."""
    given = (Step * len(steps))(*((op, len(slices), inside) for op, slices, _, inside in steps))
    flat = [s for _, slices, _, _ in steps for s in slices]
    table = (Slice * max(1, len(flat)))(*flat)
    padded = [n for _, _, numbers, _ in steps for n in (*numbers, *[0] * (NUMBERS - len(numbers)))]
    pointers = (ctypes.c_void_p * len(buffers))(*(b.ctypes.data for b in buffers))
    return probe.probe_run(len(steps), given, table, (ctypes.c_int64 * len(padded))(*padded), pointers)


def run_program(probe, steps, arrays, constants=()):
    """Runs records of steps on arrays, of which those with the numbers ``constants`` are known to the exporter."""
    buffers = tuple(Buffer("constant" if i in constants else "temporary", a.nbytes) for i, a in enumerate(arrays))
    known = {i: arrays[i].tobytes() for i in constants}
    program = with_products(Program("probe", buffers, tuple(steps), {}, {}, known))
    memory = [*arrays[: len(buffers)]]
    for number in range(len(buffers), len(program.buffers)):
        data = program.constants.get(number, b"\xff" * program.buffers[number].size)  # scratch: NaN
        memory.append(np.frombuffer(bytearray(data), np.uint8))
    # A constant that was packed is not read as it was.
    used = {part.buffer for step in program.steps for part in step.slices}
    for number in set(constants) - used:
        memory[number] = np.frombuffer(bytearray(b"\xff" * buffers[number].size), np.uint8)
    listed = [
        (OPS[type(step)](step), [(s.buffer, s.offset, s.size) for s in step.slices], step_numbers(step), 0)
        for step in program.steps
    ]
    return run_all(probe, listed, memory)


OPS = {
    Product: lambda step: PRODUCT_F32 if step.dtype == "float" else PRODUCT_F64,
    Convolution: lambda step: CONVOLUTION,
}


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "computed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("left", "right"), itertools.product((0, 1), (0, 1)), ids=str)
def test_product(probe, dtype, left, right, constant):
    """The compiler's: column-major, batched, with either side transposed, at an offset in its buffer."""
    batch, m, n, k = 2, 35, 4, 5
    generator = np.random.default_rng(0)
    a, b = (
        generator.standard_normal((batch, m, k)).astype(dtype),
        generator.standard_normal((batch, k, n)).astype(dtype),
    )
    # A column-major m x k matrix is the row-major k x m one; transposed, it is stored the other way round.
    stored_a = np.ascontiguousarray(a if left else np.swapaxes(a, 1, 2))
    stored_b = np.ascontiguousarray(b if right else np.swapaxes(b, 1, 2))
    out = np.full(8 + batch * m * n, 7, dtype)
    item = out.itemsize
    slices = Part(0, 8 * item, batch * m * n * item), Part(1, 0, a.nbytes), Part(2, 0, b.nbytes)
    name = "float" if dtype == np.float32 else "double"
    dot = Dot(name, *slices, batch, m, n, k, bool(left), bool(right))
    assert run_program(probe, [dot], [out, stored_a, stored_b], [1] if constant else []) == 0
    got = np.swapaxes(out[8:].reshape(batch, n, m), 1, 2)
    np.testing.assert_allclose(got, a @ b, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-6)
    assert np.all(out[:8] == 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_weight_is_packed_once_for_products_from_both_sides(probe, dtype):
    m, k, n = 3, 300, 260
    generator = np.random.default_rng(0)
    x, w, y, wide = (generator.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (m, n), (n, m)))
    outs = [np.zeros((m, columns), dtype) for columns in (n, k, k)]
    parts = [Part(i, 0, array.nbytes) for i, array in enumerate((*outs, x, y, np.ascontiguousarray(wide), w))]
    name = "float" if dtype == np.float32 else "double"
    # The compiler's matrices are the transposes, its left operand the weights. The last product's A lies in columns.
    dots = [
        Dot(name, parts[0], parts[6], parts[3], 1, n, m, k, False, False),
        Dot(name, parts[1], parts[6], parts[4], 1, k, m, n, True, False),
        Dot(name, parts[2], parts[6], parts[5], 1, k, m, n, True, True),
    ]
    assert run_program(probe, dots, [*outs, x, y, wide, w], [6]) == 0
    for got, expected in zip(outs, (x @ w, y @ w.T, wide.T @ w.T), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-4)


def test_programs_pack_a_large_weight_the_same_way_round():
    w = np.random.default_rng(0).standard_normal((1, 256, 300)).astype(np.float32)
    buffers = (*(Buffer("temporary", 2400) for _ in range(2)), Buffer("constant", w.nbytes))
    parts = [Part(i, 0, buffer.size) for i, buffer in enumerate(buffers)]
    forward = Dot("float", parts[0], parts[2], parts[1], 1, 300, 2, 256, False, False)
    backward = Dot("float", parts[1], parts[2], parts[0], 1, 256, 2, 300, True, False)
    ways, programs = PackedWays(), []
    for steps in ((forward,), (backward, forward), (backward,)):
        program = Program("probe", buffers, steps, {}, {}, {2: w.tobytes()})
        programs.append(with_products(program, ways))
    assert [[step.way for step in p.steps] for p in programs] == [["packed"], ["transposed", "packed"], ["transposed"]]
    assert len({data for p in programs for number, data in p.constants.items() if number > 2}) == 1
    alone = with_products(Program("probe", buffers, (backward, forward), {}, {}, {2: w.tobytes()}))
    assert [step.way for step in alone.steps] == ["packed", "transposed"]


def test_copy(probe):
    source, target = np.arange(10.0), np.zeros(10)
    assert run(probe, COPY, [(0, 16, 24), (1, 40, 24)], (0,) * 8, [target, source]) == 0
    assert target.tolist() == [0, 0, 5, 6, 7, 0, 0, 0, 0, 0]


def test_sort_is_stable_and_moves_the_arrays_together(probe):
    keys = np.random.default_rng(0).integers(0, 4, (2, 9, 3)).astype(np.float64)
    others = np.arange(keys.size, dtype=np.float32).reshape(keys.shape)
    order = np.argsort(-keys, axis=1, kind="stable")
    expected = np.take_along_axis(keys, order, 1), np.take_along_axis(others, order, 1)
    numbers = (ctypes.c_int64 * 8)(2, 9, 3, 8, 4)
    probe.probe_sort(keys.ctypes.data_as(ctypes.c_void_p), others.ctypes.data_as(ctypes.c_void_p), numbers)
    assert np.array_equal(keys, expected[0])
    assert np.array_equal(others, expected[1])


def test_every_work_group_is_called_once(probe):
    seen = np.zeros(25, np.int64)
    arguments = [ctypes.c_int64(size) for size in (2, 3, 4)]
    assert probe.probe_groups(*arguments, 1000, seen.ctypes.data_as(ctypes.c_void_p)) == 0
    assert np.all(seen[1:] == 1)


def test_a_kernel_that_fails_ends_the_step(probe):
    seen = np.zeros(25, np.int64)
    arguments = [ctypes.c_int64(size) for size in (2, 3, 4)]
    assert probe.probe_groups(*arguments, 5, seen.ctypes.data_as(ctypes.c_void_p)) == -3
    assert seen[1:].sum() == 6


def convolved(image, kernel, out, strides, padding, image_dilation, kernel_dilation, groups):
    """The definition, number by number, in float64."""
    batch, rows, columns, channels = image.shape
    kernel_rows, kernel_columns, own, filters = kernel.shape
    wide = np.zeros((batch, (rows - 1) * image_dilation[0] + 1, (columns - 1) * image_dilation[1] + 1, channels))
    wide[:, :: image_dilation[0], :: image_dilation[1]] = image
    result = np.zeros((batch, *out, filters))
    for i, j, r, c in itertools.product(range(out[0]), range(out[1]), range(kernel_rows), range(kernel_columns)):
        row = i * strides[0] + r * kernel_dilation[0] - padding[0]
        column = j * strides[1] + c * kernel_dilation[1] - padding[1]
        if not (0 <= row < wide.shape[1] and 0 <= column < wide.shape[2]):
            continue
        for f in range(filters):
            group = f // (filters // groups)
            seen = wide[:, row, column, group * own : (group + 1) * own]
            result[:, i, j, f] += seen @ kernel[r, c, :, f].astype(float)
    return result


@pytest.mark.parametrize(
    ("out", "strides", "padding", "image_dilation", "kernel_dilation", "groups"),
    [
        pytest.param((3, 5), (1, 1), (0, 0), (1, 1), (1, 1), 1, id="valid"),
        pytest.param((5, 6), (1, 1), (1, 0), (1, 1), (1, 1), 1, id="padded on one side"),
        pytest.param((3, 2), (2, 3), (1, 1), (1, 1), (1, 1), 1, id="strides"),
        pytest.param((11, 17), (1, 1), (2, 1), (2, 3), (1, 1), 1, id="transposed"),
        pytest.param((1, 4), (1, 1), (0, 0), (1, 1), (2, 2), 1, id="dilated"),
        pytest.param((3, 5), (1, 1), (0, 0), (1, 1), (1, 1), 2, id="groups"),
        pytest.param((3, 5), (1, 1), (0, 0), (1, 1), (1, 1), 4, id="depthwise"),
        pytest.param((9, 9), (1, 1), (6, 6), (1, 1), (1, 1), 1, id="more padding than kernel"),
        pytest.param((2, 4), (1, 1), (-1, -1), (1, 1), (1, 1), 1, id="cropped"),
        pytest.param((15, 23), (1, 1), (1, 0), (4, 5), (1, 1), 1, id="transposed, with gaps that nothing meets"),
        pytest.param((7, 9), (1, 1), (-3, -1), (2, 3), (1, 1), 1, id="transposed and cropped"),
        pytest.param((7, 9), (1, 1), (2, 1), (2, 3), (1, 1), 2, id="transposed, in groups"),
        pytest.param((4, 5), (2, 1), (2, 1), (2, 3), (1, 1), 1, id="transposed, with strides"),
        pytest.param((7, 9), (1, 1), (2, 1), (2, 3), (2, 1), 1, id="transposed and dilated"),
    ],
)
@pytest.mark.parametrize("constant", [True, False], ids=["constant", "computed"])
def test_convolution(probe, out, strides, padding, image_dilation, kernel_dilation, groups, constant):
    generator = np.random.default_rng(1)
    image = generator.standard_normal((2, 5, 6, 4)).astype(np.float32)
    kernel = generator.standard_normal((3, 2, 4 // groups, 8)).astype(np.float32)
    got = np.full((2, *out, 8), np.nan, np.float32)
    step = Convolution(
        tuple(Part(i, 0, array.nbytes) for i, array in enumerate((got, image, kernel))),
        2, image.shape[1:3], 4, kernel.shape[:2], 4 // groups, 8, out, strides, padding, image_dilation,
        kernel_dilation, groups,
    )  # fmt: skip
    assert run_program(probe, [step], [got, image, kernel], [2] if constant else []) == 0
    expected = convolved(image, kernel, out, strides, padding, image_dilation, kernel_dilation, groups)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_the_largest_of_each_row(probe):
    values = np.array([[3, 1, 3, -0.0, 0.0, -5], [np.nan, np.inf, -np.inf, 2, 2, 7]], np.float32)
    largest, places = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.int32)
    slices = [(i, 0, array.nbytes) for i, array in enumerate((values, largest, places))]
    assert run(probe, TOP_K, slices, (2, 6, 4), [values, largest, places]) == 0
    assert places.tolist() == [[0, 2, 1, 4], [0, 1, 5, 3]]  # equal ones in order; 0 before -0; NaN first
    assert np.array_equal(largest, np.take_along_axis(values, places.astype(int), 1), equal_nan=True)


def test_a_loop_runs_as_long_as_its_flag_says(probe):
    number, flag = np.array([3], np.int32), np.array([1], np.uint8)
    body = (KERNEL, [(0, 0, 4), (1, 0, 1)], (), 0)
    assert run_all(probe, [(WHILE, [(1, 0, 1)], (), 1), body], [number, flag]) == 0
    assert number[0] == 10
    assert run_all(probe, [(WHILE, [(1, 0, 1)], (), 1), body], [number, flag]) == 0, "the flag is down: not once"
    assert number[0] == 10


def test_a_loop_inside_a_loop_and_the_step_behind_it(probe):
    inner, outer, behind = np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32)
    steps = [
        (FOR, [], (3,), 3),
        (FOR, [], (4,), 1),
        (KERNEL, [(0, 0, 4)], (), 0),
        (KERNEL, [(1, 0, 4)], (), 0),
        (KERNEL, [(2, 0, 4)], (), 0),
    ]
    assert run_all(probe, steps, [inner, outer, behind]) == 0
    assert (inner[0], outer[0], behind[0]) == (12, 3, 1)


@pytest.mark.parametrize(
    ("index", "expected"), [(0, (1, 0, 0)), (1, (0, 2, 0)), (2, (0, 0, 1)), (-1, (0, 0, 1)), (9, (0, 0, 1))]
)
def test_a_branch_by_number(probe, index, expected):
    """The second branch has two steps; a number out of bounds is the last branch's."""
    counts = [np.zeros(1, np.int32) for _ in range(3)]
    chosen = np.array([index], np.int32)
    kernels = [(KERNEL, [(branch, 0, 4)], (), 0) for branch in (0, 1, 1, 2)]
    assert run_all(probe, [(BRANCH, [(3, 0, 4)], (3, 1, 2, 1), 4), *kernels], [*counts, chosen]) == 0
    assert tuple(int(count[0]) for count in counts) == expected


@pytest.mark.parametrize(("flag", "expected"), [(1, (1, 0)), (0, (0, 1))])
def test_a_branch_by_a_truth(probe, flag, expected):
    counts = [np.zeros(1, np.int32) for _ in range(2)]
    kernels = [(KERNEL, [(branch, 0, 4)], (), 0) for branch in (0, 1)]
    steps = [(BRANCH, [(2, 0, 1)], (2, 1, 1), 2), *kernels]
    assert run_all(probe, steps, [*counts, np.array([flag], np.uint8)]) == 0
    assert tuple(int(count[0]) for count in counts) == expected


def test_a_kernel_that_fails_ends_loops_and_branches(probe):
    number, behind = np.array([95], np.int32), np.zeros(1, np.int32)
    steps = [(FOR, [], (100,), 1), (KERNEL, [(0, 0, 4)], (), 0), (KERNEL, [(1, 0, 4)], (), 0)]
    assert run_all(probe, steps, [number, behind]) == -3
    assert (number[0], behind[0]) == (99, 0)
