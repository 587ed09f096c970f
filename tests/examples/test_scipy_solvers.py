"""The SciPy example: the C library and TensorFlow lead every solver along the same path."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest

pytest.importorskip("scipy", reason="scipy is not installed")


@pytest.fixture(scope="module")
def example(root):
    return runpy.run_path(str(root / "examples" / "scipy_solvers.py"))


@pytest.fixture(scope="module")
def ways(example, root, water_library):
    return water_library.value_and_jacobian, example["tensorflow"](str(root / "saved_models" / "water_eos.keras"))


@pytest.mark.parametrize(("problem", "options"), [("root", {"states": 3}), ("least_squares", {}), ("solve_ivp", {})])
def test_the_same_path_and_result(example, ways, problem, options):
    ours, theirs = (example["solve"](problem, evaluate, **options) for evaluate in ways)
    np.testing.assert_allclose(ours.result, theirs.result, rtol=1e-9)
    assert (ours.iterations, ours.calls) == (theirs.iterations, theirs.calls)
    assert ours.calls > 5


def test_root_finds_the_states_it_was_asked_for(example, ways):
    found = example["solve"]("root", ways[0], states=5).result
    true = np.random.default_rng(0).uniform([700.0, 50.0], [1050.0, 450.0], (5, 2))
    np.testing.assert_allclose(found, true, rtol=1e-8)


def test_the_line_is_found_within_the_noise(example, ways):
    np.testing.assert_allclose(example["solve"]("least_squares", ways[0]).result, [720.0, 980.0, 310.0], rtol=0.02)


def test_the_vessel_ends_near_the_reservoir_with_few_steps(example, ways):
    solution = example["solve"]("solve_ivp", ways[0])
    np.testing.assert_allclose(solution.result, [950.0, 350.0], rtol=0.02)
    # A wrong Jacobian does not change the result, but costs Radau its steps.
    model = example["Model"](ways[0])
    x, h = np.array([800.0, 200.0]), 1e-4
    columns = [(ways[0](x + h * e)[0] - ways[0](x - h * e)[0]) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(model(x)[1] * example["SCALE"][:, None], np.stack(columns, 1), rtol=1e-6)


def test_the_table(root, water_library, capsys, monkeypatch, example):
    model = str(root / "saved_models" / "water_eos.keras")
    monkeypatch.setattr(sys, "argv", ["scipy_solvers.py", str(water_library.path), model, "--states", "2"])
    example["main"]()
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()[1::2]] == ["root", "least_squares", "solve_ivp"]
    assert printed.err == ""
