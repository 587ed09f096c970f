"""The example of a network behind hardware: the measured loss leads to the inverse."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def example(root):
    return runpy.run_path(str(root / "examples" / "inverse_of_hardware.py"))


def test_an_approximate_derivative_leads_to_the_inverse(example):
    result = example["train"]("gain", epochs=15, samples=512)
    assert result.before > 0.3
    assert result.after < result.before / 12
    assert result.inverse < 0.06
    # 8 batches an epoch, the gain, and the predictions: the derivative asks for no measurement.
    assert result.measurements <= 15 * 8 + 2 + 2 * 17


def test_the_gain_is_the_slope_at_zero(example):
    gain = example["Amplifier"]().small_signal_gain()
    np.testing.assert_allclose(gain, 1.5 * np.array([[1.0, 0.25], [-0.15, 0.8]]), atol=0.01)


def test_the_report(example, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["inverse_of_hardware.py", "--derivative", "finite-difference", "--epochs", "1"])
    example["main"]()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["|F(N(y))", "|N(y)", "the"]
