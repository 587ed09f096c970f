"""The engine's own steps, which few models need: plain matrix products, copies, sorts, work groups, failures."""

from __future__ import annotations

import ctypes
import itertools
from importlib import resources

import numpy as np
import pytest

from tfgradkit.export.native.compile.toolchain import compile_c, find_toolchain, link_shared

SOURCE = """
#define ENGINE_MAX_ARGUMENTS 4
#define ENGINE_MAX_BUFFERS 8
#include "engine.h"

#define PUBLIC __attribute__((visibility("default")))

PUBLIC int probe_run(int op, const engine_slice *slices, uint32_t count, const int64_t *numbers,
                     unsigned char **buffers);
PUBLIC int probe_sort(double *keys, float *others, const int64_t *numbers);
PUBLIC int probe_groups(int64_t x, int64_t y, int64_t z, int fail_at, int64_t *seen);
PUBLIC int probe_unused(void);

int probe_run(int op, const engine_slice *slices, uint32_t count, const int64_t *numbers, unsigned char **buffers) {
  engine_step step = {0};
  engine_program program = {0};
  int i;
  step.op = op;
  step.num_slices = count;
  for (i = 0; i < 8; ++i) step.numbers[i] = numbers[i];
  program.points = 1;
  program.steps = &step;
  program.num_steps = 1;
  program.slices = slices;
  return engine_run(&program, buffers);
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
KERNEL, COPY, DOT_F32, DOT_F64, SORT = range(5)


class Slice(ctypes.Structure):
    _fields_ = (("buffer", ctypes.c_uint32), ("offset", ctypes.c_uint64), ("size", ctypes.c_uint64))


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    (folder / "probe.c").write_text(SOURCE)
    (folder / "engine.h").write_text(resources.files("tfgradkit.export").joinpath("templates", "engine.h").read_text())
    tools = find_toolchain()
    compile_c(tools, folder / "probe.c", folder, folder / "probe.o")
    link_shared(tools, [folder / "probe.o"], folder / "libprobe.so", "probe", libm=False)
    return ctypes.CDLL(str(folder / "libprobe.so"))


def run(probe, op, slices, numbers, buffers):
    table = (Slice * len(slices))(*slices)
    pointers = (ctypes.c_void_p * len(buffers))(*(b.ctypes.data for b in buffers))
    eight = (ctypes.c_int64 * 8)(*numbers)
    return probe.probe_run(op, table, len(slices), eight, pointers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("left", "right"), itertools.product((0, 1), (0, 1)), ids=str)
def test_product(probe, dtype, left, right):
    """Column-major, batched, with either side transposed, at an offset in its buffer."""
    batch, m, n, k = 2, 3, 4, 5
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
    slices = [(0, 8 * item, batch * m * n * item), (1, 0, a.nbytes), (2, 0, b.nbytes)]
    op = DOT_F32 if dtype == np.float32 else DOT_F64
    assert run(probe, op, slices, (batch, m, n, k, left, right, 0, 0), [out, stored_a, stored_b]) == 0
    got = np.swapaxes(out[8:].reshape(batch, n, m), 1, 2)
    np.testing.assert_allclose(got, a @ b, rtol=1e-5 if dtype == np.float32 else 1e-13)
    assert np.all(out[:8] == 7)


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
