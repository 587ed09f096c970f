"""Functions of several steps, drawn by seeds, by all operators. A sample; many more by ``scripts/sweep``."""

from __future__ import annotations

import os

import pytest
import tensorflow as tf
from conformance.compositions import UNARY, program
from conformance.program_properties import faults, smallest

SWEEP = bool(os.environ.get("TFGRADKIT_SWEEP"))
SEEDS = range(2000 if SWEEP else 40)
LIBRARIES = range(0, len(SEEDS), 40)


@pytest.mark.parametrize("seed", SEEDS)
def test_program(seed):
    found = faults(seed)
    told = {name: f"{verdict.note} in {smallest(seed, name)}" for name, verdict in found.items()}
    assert told == {}


@pytest.mark.parametrize("seed", LIBRARIES)
def test_library(seed):
    assert faults(seed, ["library"]) == {}


def test_a_planted_fault_is_found_and_shrunk(monkeypatch):
    """A gradient that is off by 1 % in the midst of a program."""

    @tf.custom_gradient
    def sine(x):
        return tf.sin(x), lambda upstream: upstream * 1.01 * tf.cos(x)

    monkeypatch.setitem(UNARY, "sin", sine)
    seed = next(n for n in range(1000) if "sin" in (steps := [s.name for s in program(n).steps]) and len(steps) > 2)
    assert faults(seed, [])["first"].state == "wrong"
    assert [step.name for step in smallest(seed, "first").steps] == ["sin"]
