"""``tfgradkit audit`` and ``tfgradkit check``: what they print, in 80 columns, and their exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tfgradkit.__main__ import main

L = keras.layers


@keras.saving.register_keras_serializable("tests")
class Wrong(L.Layer):
    """A layer whose gradient is not that of its value."""

    def call(self, x):
        """x², with the gradient of x."""
        return x + keras.ops.stop_gradient(x * x - x)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(1)
    models = {
        "healthy": [keras.Input((2,)), L.Dense(3, "tanh"), L.Dense(1)],
        "larger": [keras.Input((4, 4, 1)), L.UpSampling2D(2, interpolation="lanczos3", name="larger")],
        "shrinking": [keras.Input((4, 4, 1)), L.Resizing(2, 2, "bicubic", name="shrink")],
        "wrong": [keras.Input((2,)), Wrong(name="wrong"), L.Dense(1)],
    }
    for name, layers in models.items():
        keras.Sequential(layers, name=name).save(made / f"{name}.keras")
    return made


@pytest.fixture
def run(monkeypatch, capsys, folder):
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tfgradkit", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


def test_a_healthy_model(run, folder):
    code, out, err = run("audit", folder / "healthy.keras", "--order", "2")
    assert (code, err) == (0, "")
    assert out == "healthy, derivatives of order 2, eager: nothing stands in the way\n"


def test_what_fails_is_readable_and_exit_code_1(run, folder):
    code, out, err = run("audit", folder / "larger.keras", "--target", "xla")
    assert (code, err) == (1, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "fails ScaleAndTranslate: XLA can't compile it layer larger instead bilinear or nearest" in words
    assert out.splitlines()[-1] == "larger, derivatives of order 1, xla: 2 kinds of op fail"


def test_what_the_library_refuses(run, folder):
    code, out, _ = run("audit", folder / "shrinking.keras", "--target", "native")
    assert code == 1
    assert max(map(len, out.splitlines())) <= 80
    assert "shrink" in out
    assert "bilinear" in out


def test_a_right_gradient_shows_its_digits(run, folder):
    code, out, err = run("check", folder / "healthy.keras", "--order", "2", "--low", "-1,-2", "--high", "1,2")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[-1].startswith("right: ")
    assert "symmetry" in out


def test_a_wrong_gradient_is_exit_code_1(run, folder):
    code, out, _ = run("check", folder / "wrong.keras", "--samples", "2")
    assert code == 1
    assert out.splitlines()[-1].startswith("wrong: ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["audit", "none.keras"], "no such model"),
        (["check", "none.keras"], "no such model"),
        (["check", "healthy.keras", "--low", "z=0", "--high", "z=1"], "unknown input"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_error(run, folder, monkeypatch, arguments, word):
    monkeypatch.chdir(folder)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("tfgradkit: ")
    assert word in err


def test_another_seed_is_other_points(folder):
    from tfgradkit.diagnose.random_inputs import random_inputs

    model = keras.models.load_model(folder / "wrong.keras", custom_objects={"Wrong": Wrong})
    (usual,), (again,), (other,) = (random_inputs(model, 2, seed=seed) for seed in (None, None, 7))
    np.testing.assert_array_equal(usual, again)
    assert (usual != other).all()


@pytest.mark.parametrize(
    "arguments",
    [["audit"], ["audit", "m.keras", "--order", "3"], ["audit", "m.keras", "--target", "gpu"],
     ["check", "m.keras", "--low", "1"], ["check", "m.keras", "--samples", "0"], ["check", "m.keras", "--seed", "-1"]],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_wrong_call_is_exit_code_2(run, monkeypatch, arguments):
    module = "tfgradkit.cli.diagnosis_commands"
    monkeypatch.setattr(f"{module}.import_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: tfgradkit" in err
