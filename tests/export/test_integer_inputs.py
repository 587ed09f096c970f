"""Integer and boolean inputs in both exports: held fixed by every derivative, and taken as they are."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import re
import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build
from tools import STRICT, need, run

import tfgradkit as tgk
from tfgradkit.comparison import relative_error
from tfgradkit.errors import SignatureError, UnsupportedModelError
from tfgradkit.export.functions.entries import describe
from tfgradkit.export.functions.interface import C_DTYPES, Port, make_entry
from tfgradkit.export.functions.tf_functions import with_specs
from tfgradkit.native.artifact import EXTENSION
from tfgradkit.sources.resolve import resolve

L = keras.layers
RNG = np.random.default_rng(5)
KINDS = ("jacobian", "vjp", "jvp", "hessian")
WORDS, ROWS, COUNT = 4, 7, 11


def words_model() -> keras.Model:
    """A few words and a switch beside two floating inputs, by name."""

    def make() -> keras.Model:
        words, loud = keras.Input((WORDS,), dtype="int32", name="words"), keras.Input((2,), dtype="bool", name="loud")
        state, time = keras.Input((3,), name="state", dtype="float64"), keras.Input((), name="time", dtype="float64")
        embedded = L.Flatten()(L.Embedding(ROWS, 3, name="table")(words))
        hidden = L.Dense(4, "tanh")(L.Concatenate()([embedded, state, L.Reshape((1,))(time)]))
        outputs = {"gain": L.Dense(1)(hidden), "flow": keras.ops.where(loud, L.Dense(2, "softplus")(hidden), 0.0)}
        return keras.Model({"words": words, "loud": loud, "state": state, "time": time}, outputs, name="words")

    return build(make, "float64")


@pytest.fixture(scope="module")
def words():
    return words_model()


@pytest.fixture(scope="module")
def points():
    return {
        "words": RNG.integers(0, ROWS, (COUNT, WORDS), dtype=np.int32),
        "loud": RNG.integers(0, 2, (COUNT, 2)).astype(bool),
        "state": RNG.normal(size=(COUNT, 3)),
        "time": RNG.normal(size=COUNT),
    }


@pytest.fixture(scope="module")
def expected(words, points):
    """The operators' results by the floating inputs, the others held fixed; seeds; all by the names of an export."""
    fixed = {name: tf.constant(points[name]) for name in ("words", "loud")}
    floating = {name: points[name] for name in ("state", "time")}

    def model(given):
        return words(fixed | given)

    u = {"gain": RNG.normal(size=(COUNT, 1)), "flow": RNG.normal(size=(COUNT, 2))}
    v = {"state": RNG.normal(size=(COUNT, 3)), "time": RNG.normal(size=COUNT)}
    seeds = {"vjp": {f"output_gradients_{name}": array for name, array in u.items()}}
    seeds["jvp"] = {f"tangents_{name}": array for name, array in v.items()}
    first = tgk.jacobian(model, batched=True)(floating)
    second = tgk.hessian(model, batched=True)(floating)
    blocks = {f"d_{y}_d_{x}": block for y in first for x, block in first[y].items()}
    results = {"value": {}, "jacobian": blocks, "hessian": dict(blocks)}
    results["hessian"] |= {f"d2_{y}_d_{a}_d_{b}": second[y][a][b] for y in u for a in v for b in v}
    results["vjp"] = tgk.vjp(model, batched=True)(floating, output_gradients=u)
    results["vjp"] = {f"vjp_{x}": array for x, array in results["vjp"].items()}
    results["jvp"] = {f"jvp_{y}": a for y, a in tgk.jvp(model, batched=True)(floating, tangents=v).items()}
    value = dict(model({name: tf.constant(array) for name, array in floating.items()}))
    return {kind: ({**value, **of_kind}, seeds.get(kind, {})) for kind, of_kind in results.items()}


def check(results, expected):
    assert set(results) == set(expected)
    for name, array in expected.items():
        wanted = np.asarray(array).reshape(np.shape(results[name]))
        assert relative_error(np.asarray(results[name]), wanted) < 1e-11, name


@pytest.fixture(scope="module")
def words_saved(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "saved"
    tgk.export_saved_model(words, folder, KINDS)
    return folder


@pytest.mark.parametrize("kind", ["value", *KINDS])
def test_a_saved_model_takes_them_as_they_are(words_saved, points, expected, kind):
    signature = tf.saved_model.load(words_saved).signatures[kind]
    results, seeds = expected[kind]
    given = {name: tf.constant(array) for name, array in {**points, **seeds}.items()}
    assert signature.structured_input_signature[1]["loud"].dtype == tf.bool
    check(signature(**given), results)
    empty = signature(**{name: array[:0] for name, array in given.items()})
    assert {name: array.shape for name, array in empty.items()} == {
        name: (0, *array.shape[1:]) for name, array in signature(**given).items()
    }


def test_a_saved_model_is_loaded_and_differentiated_again(words_saved, words, points):
    loaded = tgk.load(words_saved).call  # an operator of the whole would differentiate by the integers, too
    fixed = {name: tf.constant(points[name]) for name in ("words", "loud")}
    for argument in ("state", "time"):
        other = {name: tf.constant(array) for name, array in points.items() if name != argument} | fixed
        got, wanted = (
            tgk.jacobian(lambda x, f=f, other=other, argument=argument: f({**other, argument: x}), batched=True)(
                points[argument]
            )
            for f in (loaded, words)
        )
        tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), got, wanted)


@pytest.fixture(scope="module")
def words_library(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "library"
    return tgk.export_native(words, folder, "words", KINDS, targets=("x86-64",))


@pytest.mark.parametrize("kind", ["value", *KINDS])
def test_a_library_agrees_with_the_operators(words_library, points, expected, kind):
    results, seeds = expected[kind]
    inputs = [{**points, **seeds}[name] for name in (*words_library.input_names, *seeds_of(words_library, kind))]
    names = next(f["outputs"] for f in words_library.metadata["functions"] if f["kind"] == kind)
    check(dict(zip(names, words_library.call(kind, *inputs), strict=True)), results)


def seeds_of(library, kind):
    inputs = next(f["inputs"] for f in library.metadata["functions"] if f["kind"] == kind)
    return inputs[len(library.input_names) :]


def test_the_methods_of_a_library(words_library, points, expected):
    assert words_library.input_names == ("loud", "state", "time", "words")
    value, blocks = words_library.value_and_jacobian(**points)
    check({**value, **blocks}, expected["jacobian"][0])
    value, first, second = words_library.value_gradient_and_hessian(*(points[n] for n in words_library.input_names))
    assert len(first) == 4
    assert len(second) == 8
    check({**value, **first, **second}, expected["hessian"][0])
    tangents = {name.removeprefix("tangents_"): array for name, array in expected["jvp"][1].items()}
    value, products = words_library.value_and_jvp(**points, tangents=tangents)
    check({**value, **products}, expected["jvp"][0])
    with pytest.raises(SignatureError, match="state, time"):
        words_library.jvp(**points, tangents={**tangents, "words": points["words"]})


def test_leading_axes_threads_and_out(words_library, points):
    names = words_library.input_names
    wanted = words_library.jacobian(**points)
    one = words_library.jacobian(*(points[name][2] for name in names))
    grid = words_library.jacobian(*(points[name][:10].reshape(2, 5, *points[name].shape[1:]) for name in names))
    many = words_library.jacobian(
        *(np.resize(points[name], (5000, *points[name].shape[1:])) for name in names), threads=2
    )
    out = {name: np.empty_like(array) for name, array in wanted.items()}
    words_library.jacobian(**points, out=out)
    for name, array in wanted.items():
        np.testing.assert_allclose(one[name], array[2], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(grid[name].reshape(10, *array.shape[1:]), array[:10], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(many[name][:COUNT], array, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(out[name], array)


def test_integers_of_any_width_that_fit_are_taken(words_library, points):
    wanted = words_library.value(**points)
    for dtype in ("int8", "uint8", "int64", "uint64", ">i2"):
        got = words_library.value(**{**points, "words": points["words"].astype(dtype)})
        assert all(np.array_equal(got[name], wanted[name]) for name in wanted)
    apart = np.repeat(points["words"], 2, axis=1)[:, ::2]
    got = words_library.value(**{**points, "words": apart, "loud": np.repeat(points["loud"], 2, axis=1)[:, ::2]})
    assert all(np.array_equal(got[name], wanted[name]) for name in wanted)
    alone = words_library.value([True, False], [0.0, 1, 2], 0.5, [1, 2, 3, 4])
    assert alone["flow"][1] == 0 < alone["flow"][0]


WRONG = {
    "floats": ({"words": np.ones((COUNT, WORDS))}, ("words is not whole numbers", "int32", "np.rint(words)")),
    "booleans": ({"words": np.ones((COUNT, WORDS), bool)}, ("words is not whole", "bool", "astype('int32')")),
    "too large": ({"words": np.full((COUNT, WORDS), 2**40)}, ("words has an integer", "to 2147483647", str(2**40))),
    "too small": ({"words": np.full((COUNT, WORDS), -(2**40))}, ("words has an integer", str(-(2**40)))),
    "integers for booleans": ({"loud": np.ones((COUNT, 2), int)}, ("loud is not boolean", "int64", "loud != 0")),
    "integers for floating": ({"time": np.ones(COUNT, int)}, ("time is not floating", "float64", "int64")),
    "another shape": ({"words": np.ones((COUNT, 3), int)}, ("words has the wrong shape", "[4]")),
    "another batch": ({"words": np.ones((COUNT - 1, WORDS), int)}, ("words has the wrong shape", f"[{COUNT}, 4]")),
    "text": ({"words": np.full((COUNT, WORDS), "a")}, ("words is not whole numbers", "<U1")),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_other_dtypes_are_told(words_library, points, case):
    wrong, told = WRONG[case]
    with pytest.raises(SignatureError) as caught:
        words_library.value(**{**points, **wrong})
    assert all(word in str(caught.value) for word in told), str(caught.value)


@pytest.mark.parametrize("index", [ROWS, -ROWS - 1, 2**31 - 1])
def test_an_index_outside_the_table_is_reported(words_library, points, index):
    inside = {name: array.copy() for name, array in points.items()}
    inside["words"][:, 0], inside["words"][:, 1] = ROWS - 1, -ROWS  # counted from the end, as Keras does
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words_library.value(**inside)
    inside["words"][COUNT - 1, 2] = index
    for kind in ("value", "jacobian"):
        with pytest.warns(RuntimeWarning, match="outside its range"):
            getattr(words_library, kind)(**inside)


def test_a_byte_that_is_no_boolean_is_reported(words_library, points):
    loud = points["loud"].copy()
    words_library.value(**{**points, "loud": loud})
    loud.view(np.uint8)[3, 1] = 2
    with pytest.warns(RuntimeWarning, match="outside its range"):
        words_library.value(**{**points, "loud": loud})


def test_what_is_recorded_and_verified(words_library):
    vectors = np.load(words_library.path / words_library.metadata["files"]["vectors"])
    assert (vectors["words"].dtype, vectors["loud"].dtype) == (np.int32, np.bool_)
    assert set(vectors["words"].ravel()) == set(range(-ROWS, ROWS))
    assert set(vectors["loud"].ravel()) == {False, True}
    assert words_library.metadata["ranges"] == {"words": [[-ROWS] * WORDS, [ROWS - 1] * WORDS]}
    dtypes = {array["name"]: array["dtype"] for array in words_library.metadata["arrays"]}
    assert (dtypes["words"], dtypes["loud"], dtypes["state"]) == ("int32", "bool", "float64")
    assert max(words_library.verify().values()) < 1e-12


def energy(level: tf.Tensor, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Of one sample; a scalar."""
    weight = tf.gather(tf.constant([0.5, 1.0, 2.0, 4.0]), level)
    return weight * tf.reduce_sum(tf.where(mask > 100, tf.sin(x), x**3))


ENERGY_SPECS = (tf.TensorSpec([], tf.int64), tf.TensorSpec([3], tf.float32), tf.TensorSpec([3], tf.uint8))


@pytest.fixture(scope="module")
def energy_library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("energy") / "library"
    kinds, ranges = ("gradient", "hessian", "hvp"), {"mask": (90, 255)}
    return tgk.export_native(
        energy, folder, "energy", kinds, input_specs=ENERGY_SPECS, ranges=ranges, targets=("x86-64",)
    )


def test_a_function_of_one_sample_with_integers(energy_library):
    level, mask = np.array([0, 1, 2, 3, 3]), RNG.integers(90, 256, (5, 3))
    x, v = (RNG.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    weight, wide = np.array([0.5, 1, 2, 4])[level][:, None], x.astype(np.float64)
    gradient = weight * np.where(mask > 100, np.cos(wide), 3 * wide**2)
    second = weight * np.where(mask > 100, -np.sin(wide), 6 * wide)
    y, first, hessian = energy_library.value_gradient_and_hessian(level, x, mask)
    np.testing.assert_allclose(y, (weight * np.where(mask > 100, np.sin(wide), wide**3)).sum(1), rtol=1e-5)
    for got in (first, energy_library.gradient(level, x, mask)):
        np.testing.assert_allclose(got, gradient, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(hessian, second[:, :, None] * np.eye(3), rtol=2e-5, atol=1e-6)
    for got in (energy_library.hvp(level, x, mask, tangents=v), energy_library.hvp(level, x, mask, v)):
        np.testing.assert_allclose(got, second * v, rtol=2e-5, atol=1e-6)


def test_an_integer_has_a_range_of_the_users_or_of_a_table(energy_library):
    assert energy_library.metadata["ranges"] == {"level": [0.0, 3.0], "mask": [[90.0] * 3, [255.0] * 3]}
    vectors = np.load(energy_library.path / energy_library.metadata["files"]["vectors"])
    assert (vectors["mask"].min() >= 90, vectors["mask"].max() > 200, set(vectors["level"])) == (
        True,
        True,
        {0, 1, 2, 3},
    )
    x = np.zeros(3, np.float32)
    for level, mask in ((4, [90] * 3), (-1, [90] * 3), (0, [89, 90, 91])):
        with pytest.warns(RuntimeWarning, match="outside its range"):
            energy_library.value(level, x, mask)


def test_what_float32_costs_is_known_with_integers(energy_library):
    certificate = energy_library.metadata["error_against_float64"]
    assert certificate["not_evaluated"] == {}
    assert certificate["points"] >= 67
    assert 0 < certificate["relative"]["gradient.gradient"] < 1e-5


DTYPES = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def every(x, a_bool, a_int8, a_int16, a_int32, a_int64, a_uint8, a_uint16, a_uint32, a_uint64):
    """x times a number that each of the dtypes has a digit in."""
    given = (a_bool, a_int8, a_int16, a_int32, a_int64, a_uint8, a_uint16, a_uint32, a_uint64)
    digits = [
        tf.cast(array == tf.constant(LAST[dtype], dtype), tf.float64) * 2.0**i
        for i, (dtype, array) in enumerate(zip(DTYPES, given, strict=True))
    ]
    return x * tf.add_n(digits) + tf.cast(a_int16, tf.float64)


LAST = {dtype: True if dtype == "bool" else np.iinfo(dtype).max for dtype in DTYPES}
FIRST = {dtype: False if dtype == "bool" else np.iinfo(dtype).min for dtype in DTYPES}


@pytest.fixture(scope="module")
def every_library(tmp_path_factory):
    specs = tuple(tf.TensorSpec([None], dtype) for dtype in ("float64", *DTYPES))
    folder = tmp_path_factory.mktemp("every") / "library"
    return tgk.export_native(resolve(every, batched=True), folder, "every", input_specs=specs)


def test_every_dtype_arrives_whole(every_library):
    count = len(DTYPES)
    x = np.arange(1.0, count + 1)
    inputs = [np.array([LAST[d] if i == row else FIRST[d] for row in range(count)], d) for i, d in enumerate(DTYPES)]
    y, jacobian = every_library.value_and_jacobian(x, *inputs)
    np.testing.assert_array_equal(jacobian, 2.0 ** np.arange(count))
    np.testing.assert_array_equal(y, x * 2.0 ** np.arange(count) + inputs[DTYPES.index("int16")])


def test_the_extension_and_ctypes_agree_on_every_dtype(every_library, tmp_path):
    copy = shutil.copytree(every_library.path, tmp_path / "library")
    (copy / EXTENSION).unlink()
    through_ctypes = tgk.load_native(copy)
    assert (every_library.binding, through_ctypes.binding) == ("extension", "ctypes")
    for lead in ((), (3,), (2, 2)):
        inputs = [np.full(lead, 1.5), *(np.full(lead, LAST[d], d) for d in DTYPES)]
        for own, other in zip(
            every_library.value_and_jacobian(*inputs), through_ctypes.value_and_jacobian(*inputs), strict=True
        ):
            np.testing.assert_array_equal(own, other, strict=True)
        for i in range(1, len(inputs)):  # a floating dtype is none of whole numbers: an error, in the same words
            wrong = [*inputs[:i], inputs[i].astype("f4"), *inputs[i + 1 :]]
            with pytest.raises(tgk.errors.SignatureError) as error:
                every_library.value(*wrong)
            with pytest.raises(tgk.errors.SignatureError, match=re.escape(str(error.value))):
                through_ctypes.value(*wrong)


def test_the_header_has_every_dtype(every_library):
    text = (every_library.path / "include" / "every.h").read_text()
    assert " *   uint8_t a_bool[n]: 0 or 1\n" in text
    assert " *   uint64_t a_uint64[n]\n" in text
    for dtype in DTYPES:
        assert f"const {C_DTYPES[dtype][0]} *a_{dtype}" in text


def test_the_header_and_the_clients_compile(every_library, tmp_path):
    need("gcc", "g++", "gfortran")
    folder = every_library.path
    include = ["-I", folder / "include"]
    run(
        "gcc",
        "-std=c99",
        *STRICT,
        *include,
        folder / "test/check.c",
        folder / "lib/libevery.a",
        "-o",
        tmp_path / "check",
    )
    assert "all is as promised" in run(tmp_path / "check")
    run("gcc", "-std=c99", *STRICT, "-fsyntax-only", *include, folder / "src" / "record.c")
    run("g++", "-std=c++11", *STRICT, "-fsyntax-only", "-x", "c++", *include, folder / "include/every.hpp")
    run("gfortran", "-std=f2018", *STRICT, "-fsyntax-only", f"-J{tmp_path}", folder / "fortran/every.f90")


def test_the_self_test_of_every_dtype(every_library):
    library = ctypes.CDLL(str(every_library.path / every_library.metadata["files"]["shared"]))
    error = ctypes.c_double(-1)
    assert library.every_selftest(ctypes.byref(error)) == 0
    assert 0 <= error.value < 1e-12


FORTRAN = """
program use_every
  use, intrinsic :: iso_c_binding
  use every
  implicit none
  type(every_workspace) :: workspace
  real(c_double) :: x(1) = 3, y(1), jacobian(1)
  integer(c_int8_t) :: flag(1) = 1_c_int8_t, a(1) = 0, u(1) = -1_c_int8_t
  integer(c_int16_t) :: b(1) = 7, v(1) = 0
  integer(c_int32_t) :: c(1) = huge(0_c_int32_t), w(1) = 0
  integer(c_int64_t) :: d(1) = 0, z(1) = -1_c_int64_t
  print *, every_jacobian(workspace, 1_c_int64_t, x, flag, a, b, c, d, u, v, w, z, y, jacobian), y, jacobian
end program use_every
"""
CXX = """
#include <cstdio>
#include <vector>
#include "every.hpp"

int main() {
  every::workspace workspace;
  std::vector<double> x{3}, y(1), jacobian(1);
  const std::uint8_t flag[1] = {1}, u[1] = {255};
  const std::int8_t a[1] = {0};
  const std::int16_t b[1] = {7};
  const std::int32_t c[1] = {INT32_MAX};
  const std::int64_t d[1] = {0};
  const std::uint16_t v[1] = {0};
  const std::uint32_t w[1] = {0};
  const std::uint64_t z[1] = {UINT64_MAX};
  const int status = every::jacobian(workspace, x, flag, a, b, c, d, u, v, w, z, y, jacobian);
  std::printf("%d %g %g\\n", status, y[0], jacobian[0]);
}
"""
SLOPE = 2**0 + 2**3 + 2**5 + 2**8


def test_fortran_and_cxx_pass_them(every_library, tmp_path):
    need("g++", "gfortran")
    folder, archive = every_library.path, every_library.path / "lib/libevery.a"
    (tmp_path / "use.f90").write_text(FORTRAN)
    (tmp_path / "use.cpp").write_text(CXX)
    sources = [folder / "fortran/every.f90", tmp_path / "use.f90", archive]
    run("gfortran", f"-J{tmp_path}", *sources, "-lm", "-o", tmp_path / "use_fortran")
    run("g++", "-std=c++17", "-I", folder / "include", tmp_path / "use.cpp", archive, "-lm", "-o", tmp_path / "use_cxx")
    for program in ("use_fortran", "use_cxx"):
        assert [float(word) for word in run(tmp_path / program).split()] == [0, 3 * SLOPE + 7, SLOPE]


def test_the_python_module_takes_them(words_library, points, expected):
    place = importlib.util.spec_from_file_location("words", words_library.path / "python" / "words.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    given = {**points, "words": points["words"].astype(">i8")}
    value, first, second = module.value_gradient_and_hessian(*(given[name] for name in words_library.input_names))
    check({**value, **first, **second}, expected["hessian"][0])
    wrong = {
        "words": (1.0, "integers"),
        "loud": (1, "booleans"),
        "time": (1, "floating"),
        "words_": (2**40, "integers of int32"),
    }
    for name, (fill, told) in wrong.items():
        name = name.rstrip("_")
        other = {**points, name: np.full(points[name].shape, fill)}
        with pytest.raises(ValueError, match=f"{name} must hold {told}"):
            module.value(*(other[name] for name in words_library.input_names))
    outside = {**points, "words": np.full((COUNT, WORDS), ROWS)}
    with pytest.warns(RuntimeWarning, match="outside its range"):
        module.value(*(outside[name] for name in words_library.input_names))


def lookup(dtype: str = "uint8") -> keras.Model:
    return build(
        lambda: keras.Sequential([keras.Input((2,), dtype=dtype), L.Embedding(5, 3)], name="lookup"), "float32"
    )


def test_a_model_of_integers_alone_has_its_value(tmp_path):
    model = lookup()
    library = tgk.export_native(model, tmp_path / "library", "lookup", derivatives=())
    tgk.export_saved_model(model, tmp_path / "saved", ())
    words = RNG.integers(0, 5, (70, 2))
    wanted = np.asarray(model.layers[-1].embeddings)[words]
    np.testing.assert_array_equal(library.value(words), wanted)
    loaded = tf.saved_model.load(tmp_path / "saved").signatures
    np.testing.assert_array_equal(loaded["value"](tf.constant(words, tf.uint8))["y"], wanted)
    assert library.kinds == ("value",)


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_nothing_to_differentiate_by(tmp_path, kind):
    for export in (tgk.export_saved_model, lambda *given: tgk.export_native(given[0], given[1], "lookup", given[2])):
        with pytest.raises(SignatureError) as caught:
            export(lookup(), tmp_path / "out", (kind,))
        for word in ("no input is floating", "lookup", "x uint8", "derivatives=()", "behind"):
            assert word in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def listed() -> keras.Model:
    """Integers between two floating inputs, in a list."""
    first, code = keras.Input((2,), name="first"), keras.Input((), dtype="int32", name="code")
    last = keras.Input((1,), name="last")
    parts = L.Concatenate()([first, L.Embedding(3, 2)(code), last])
    return keras.Model([first, code, last], L.Dense(1, "tanh")(parts), name="listed")


def test_the_names_of_blocks_and_seeds_are_those_of_floating_inputs():
    source = with_specs(resolve(listed()), None)
    entries = {entry.kind: entry for entry in describe(source, (*KINDS, "gradient", "hvp"))}
    names = {kind: [port.name for port in (*entry.inputs, *entry.outputs)] for kind, entry in entries.items()}
    xs = ["first", "code", "last"]
    assert names["jacobian"] == [*xs, "y", "d_y_d_first", "d_y_d_last"]
    assert names["vjp"] == [*xs, "output_gradients", "y", "vjp_first", "vjp_last"]
    assert names["jvp"] == [*xs, "tangents_first", "tangents_last", "y", "jvp_y"]
    assert names["gradient"] == [*xs, "y", "gradient_first", "gradient_last"]
    assert names["hvp"] == [*xs, "tangents_first", "tangents_last", "y", "hvp_first", "hvp_last"]
    assert [part[1:] for part in entries["hessian"].parts[3:]] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    alone = make_entry("jvp", [Port("x", (2,), "float32"), Port("k", (), "int32")], [Port("y", (), "float32")])
    assert [port.name for port in (*alone.inputs, *alone.outputs)] == ["x", "k", "tangents", "y", "jvp"]


def test_a_list_of_inputs_in_a_saved_model(tmp_path):
    model = listed()
    tgk.export_saved_model(model, tmp_path / "saved", ("gradient", "jvp"))
    signatures = tf.saved_model.load(tmp_path / "saved").signatures
    first, last = (tf.constant(RNG.normal(size=(4, n)).astype(np.float32)) for n in (2, 1))
    code = tf.constant([0, 1, 2, 2])
    wanted = tgk.gradient(lambda a, b: model([a, code, b]), argnums=(0, 1), batched=True)(first, last)
    got = signatures["gradient"](first=first, code=code, last=last)
    for name, array in zip(("first", "last"), wanted, strict=True):
        np.testing.assert_allclose(got[f"gradient_{name}"], array, rtol=1e-5, atol=1e-7)
    got = signatures["jvp"](first=first, code=code, last=last, tangents_first=first, tangents_last=last)
    product = sum(tf.reduce_sum(g * x, 1) for g, x in zip(wanted, (first, last), strict=True))
    np.testing.assert_allclose(got["jvp_y"][:, 0], product, rtol=1e-5, atol=1e-6)


def labelled(name: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return x * tf.cast(tf.strings.length(name), tf.float32)


LABELLED = (tf.TensorSpec([], tf.string), tf.TensorSpec([2], tf.float32))


def test_strings_are_for_saved_models_alone(tmp_path):
    tgk.export_saved_model(labelled, tmp_path / "saved", input_specs=LABELLED)
    signature = tf.saved_model.load(tmp_path / "saved").signatures["jacobian"]
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    got = signature(name=tf.constant(["ab", "c"]), x=x)["jacobian"]
    np.testing.assert_array_equal(got, np.array([2.0, 1.0])[:, None, None] * np.eye(2))
    assert signature(name=tf.constant([], tf.string), x=x[:0])["jacobian"].shape == (0, 2, 2)
    with pytest.raises(UnsupportedModelError, match="input string, float32"):
        tgk.export_native(labelled, tmp_path / "library", "labelled", input_specs=LABELLED)


def test_the_metadata_are_json(energy_library):
    text = (energy_library.path / "share" / "energy" / "metadata.json").read_text()
    assert json.loads(text)["arrays"][0] == {"name": "level", "shape": [], "dtype": "int64"}
