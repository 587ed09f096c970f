"""The examples of implicit layers print what their pages say of them."""

from __future__ import annotations

import re
import runpy
import sys

import pytest


def printed(root, capsys, monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(root / "examples" / name), run_name="__main__")
    return capsys.readouterr().out


def number(text, label):
    return float(re.search(rf"{re.escape(label)}:? +([-\d.e]+)", text)[1])


def test_flash_layer(root, capsys, monkeypatch):
    model = root / "saved_models" / "water_eos.keras"
    text = printed(root, capsys, monkeypatch, "flash_layer.py", str(model), "--states", "5")
    assert number(text, "relative to their range") < 1e-12
    assert number(text, "against central differences") < 1e-8
    assert number(text, "against the inverse of the model's own") < 1e-12


def test_equilibrium(root, capsys, monkeypatch):
    text = printed(root, capsys, monkeypatch, "equilibrium.py", "--epochs", "12")
    assert number(text, "against backpropagation through 400 turns") < 1e-4
    # After 40 epochs it is 100 %.
    assert number(text, "equilibrium") > 65.0
    assert number(text, "applied twice") == pytest.approx(50.0, abs=8.0)
