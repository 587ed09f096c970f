"""``load_native``: shapes, dtypes, and what it says of wrong arguments."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import tfgradkit as tgk
from tfgradkit.comparison import relative_error
from tfgradkit.native import load_native


def test_runs_without_tensorflow(water_library, water_points, tmp_path):
    np.save(tmp_path / "x.npy", water_points["x"])
    code = (
        "import sys, numpy as np; from tfgradkit.native import load_native;"
        f"library = load_native({str(water_library.path)!r});"
        f"np.save({str(tmp_path / 'j.npy')!r}, library.jacobian(np.load({str(tmp_path / 'x.npy')!r})));"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert relative_error(np.load(tmp_path / "j.npy"), water_points["jacobian"]) < 1e-12


@pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3), (0,), (3, 0)], ids=str)
def test_any_leading_shape(water_library, water_points, lead):
    count = int(np.prod(lead))
    x = water_points["x"][:count].reshape(*lead, 2)
    y, jacobian = water_library.value_and_jacobian(x)
    assert y.shape == (*lead, 2)
    assert jacobian.shape == (*lead, 2, 2)
    assert relative_error(jacobian.reshape(-1, 2, 2), water_points["jacobian"][:count]) < 1e-12
    assert np.array_equal(water_library.jacobian(x), jacobian)
    # Another program: the same function, rounded in another order.
    assert relative_error(water_library.value(x), y) < 1e-14
    u = water_points["output_gradients"][:count].reshape(*lead, 2)
    y_again, vjp = water_library.value_and_vjp(x, u)
    assert vjp.shape == x.shape
    assert relative_error(y_again, y) < 1e-14
    assert np.array_equal(water_library.vjp(x, u), vjp)


def test_not_contiguous_read_only_lists_and_float32(water_library, water_points):
    x = water_points["x"]
    expected = water_library.value(x)
    wide = np.repeat(x, 3, axis=1)[:, ::3]
    assert not wide.flags.c_contiguous
    assert np.array_equal(water_library.value(wide), expected)
    locked = x.copy()
    locked.flags.writeable = False
    assert np.array_equal(water_library.value(locked), expected)
    assert np.array_equal(water_library.value(x.tolist()), expected)
    narrow = x.astype(np.float32)
    assert np.array_equal(water_library.value(narrow), water_library.value(narrow.astype(np.float64)))
    assert np.array_equal(x, water_points["x"])


def test_float32_library_converts_to_its_own_dtype(mlp_library):
    model, library = mlp_library
    x = np.random.default_rng(0).standard_normal((40, 6))
    y, jacobian = library.value_and_jacobian(x)
    assert y.dtype == jacobian.dtype == np.float32
    expected = tgk.jacobian(model)(x).numpy()
    assert relative_error(jacobian, expected) < 2e-6


def test_result_is_the_callers_own(water_library, water_points):
    first = water_library.value(water_points["x"])
    kept = first.copy()
    water_library.value(water_points["x"] + 1.0)
    assert np.array_equal(first, kept)


def test_several_threads_share_a_library(water_library, water_points):
    expected = water_library.jacobian(water_points["x"])
    wrong = []

    def work():
        for _ in range(100):
            if not np.array_equal(water_library.jacobian(water_points["x"]), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda lib: lib.value(np.ones((3, 5))), ("x", "[2]", "[3, 5]")),
        (lambda lib: lib.value(1.0), ("x", "[2]", "[]")),
        (lambda lib: lib.value(np.ones((3, 2), int)), ("floating", "float64", "int64")),
        (lambda lib: lib.value(np.ones((3, 2), complex)), ("floating", "complex128")),
        (lambda lib: lib.value(["a", "b"]), ("floating",)),
        (lambda lib: lib.vjp(np.ones((3, 2)), np.ones((4, 2))), ("output_gradients", "[3, 2]", "[4, 2]")),
        (lambda lib: lib.vjp(np.ones((3, 2)), np.ones((3, 3))), ("output_gradients", "[3, 3]")),
    ],
    ids=["wrong size", "a scalar", "integers", "complex", "strings", "another count", "wrong size of output_gradients"],
)
def test_wrong_arguments(water_library, call, words):
    with pytest.raises(tgk.errors.SignatureError) as caught:
        call(water_library)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_points_outside_the_range_and_nan_warn(water_library):
    with pytest.warns(RuntimeWarning, match="outside its range"):
        water_library.value(np.array([100.0, 1.0]))
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert np.isnan(water_library.value(np.array([np.nan, 1.0]))).any()


def test_verify_gives_every_result(water_library):
    errors = water_library.verify()
    assert set(errors) == {"value.y", "jacobian.y", "jacobian.jacobian", "vjp.y", "vjp.vjp"}
    assert errors == water_library.metadata["achieved_error"]


def test_two_libraries_in_one_process(water_library, mlp_library, water_points):
    _, other = mlp_library
    before = water_library.value(water_points["x"])
    other.value(np.zeros((3, 6)))
    assert np.array_equal(water_library.value(water_points["x"]), before)
    assert np.array_equal(load_native(water_library.path).value(water_points["x"]), before)


def test_another_process_opens_a_pickled_library_again(water_library, water_points, monkeypatch, tmp_path):
    monkeypatch.chdir(water_library.path.parent)
    pickled = pickle.dumps(load_native(water_library.path.name))
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(pickled)
    assert np.array_equal(again.value(water_points["x"]), water_library.value(water_points["x"]))
