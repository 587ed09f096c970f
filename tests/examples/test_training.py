"""The script that trains the shipped model: its objective, and that it writes nothing that is not good enough."""

from __future__ import annotations

import keras
import numpy as np
import pytest

train = pytest.importorskip("train_water_eos", reason="CoolProp is not installed")


@pytest.fixture
def policy():
    """The script sets a dtype policy; the other tests have their own."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def test_gradient_of_the_objective_is_its_difference(policy):
    """Weight gradients of values and Jacobians together, compiled by XLA."""
    states = train.sobol(64, seed=3)
    targets = train.reference(states)
    model = train.build(targets[:, :2])
    call = train.objective(model, states, targets)
    weights = np.concatenate([w.numpy().ravel() for w in model.trainable_variables])
    direction = np.random.default_rng(0).standard_normal(weights.size)
    h = 1e-5
    expected = (call(weights + h * direction)[0] - call(weights - h * direction)[0]) / (2 * h)
    assert call(weights)[1] @ direction == pytest.approx(expected, rel=1e-6)


def test_reference_has_the_derivatives_of_its_values():
    states = train.sobol(16, seed=5)
    exact = train.reference(states)
    for axis, step in enumerate((1e-3, 1e-4)):
        moved = np.zeros(2)
        moved[axis] = step
        slope = (train.reference(states + moved) - train.reference(states - moved))[:, :2] / (2 * step)
        np.testing.assert_allclose(exact[:, [2 + axis, 4 + axis]], slope, rtol=1e-5)


def test_a_model_that_is_not_good_enough_is_not_written(policy, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["train", "--iterations", "3", "--output", str(tmp_path / "out")])
    assert train.main() == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
