"""The table of conformance: each entry's derivatives, by every property. A sample; all of it by ``scripts/sweep``."""

from __future__ import annotations

import os
from pathlib import Path

import conformance_results as results
import numpy as np
import pytest
from conformance.line_derivatives import line_derivatives
from conformance.properties import Subject, verdicts, verdicts_of
from conformance.table import TABLE, sample

SAMPLED = 40
# Where the sweep writes what it sees, for scripts/ops_table.py.
RESULTS = os.environ.get("TFGRADKIT_CONFORMANCE")
NAMES = sorted(TABLE) if os.environ.get("TFGRADKIT_SWEEP") else sample(SAMPLED)


@pytest.mark.parametrize("name", NAMES)
def test_entry(name):
    entry = TABLE[name]
    subject = Subject(entry)
    seen = dict(verdicts_of(subject))
    if RESULTS:
        states = {property_: (verdict.state, verdict.note) for property_, verdict in seen.items()}
        results.append(Path(RESULTS), results.seen(name, subject.op_types, states, entry.known))
    expected = {property_: state for property_, (state, _) in entry.known.items()}
    faults = {property_: v for property_, v in seen.items() if v.state in ("wrong", "nan", "raw")}
    assert {p: v for p, v in faults.items() if expected.get(p) != v.state} == {}
    stale = {p for p, state in expected.items() if p in seen and seen[p].state != state}
    assert stale == set(), "what is known of these properties is no longer so"


def test_differences_of_a_smooth_function():
    v = np.array([0.7, -0.4])
    x = np.array([0.3, 0.9])
    first, second, third = line_derivatives(lambda t: np.sin(x + t * v), 3)
    for estimate, exact in ((first, np.cos(x) * v), (second, -np.sin(x) * v**2), (third, -np.cos(x) * v**3)):
        assert estimate.known.all()
        np.testing.assert_allclose(estimate.value, exact, atol=np.max(20 * estimate.error) + 1e-12)


def test_differences_see_kinks_and_ends():
    """|t| has no derivative, t|t| no second one; t log t none at its end; t^1.5 a first one, from the right."""
    curves = lambda t: np.array([abs(t), t * abs(t), t * np.log(t) if t > 0 else np.nan, t**2 if t >= 0 else np.nan])  # noqa: E731
    first, second = line_derivatives(curves, 2)
    assert first.known.tolist() == [False, True, False, True]
    assert second.known.tolist() == [False, False, False, True]
    np.testing.assert_allclose(second.value[3], 2, rtol=1e-6)


@pytest.mark.parametrize("planted", ["gradient", "second", "nan"])
def test_a_planted_fault_is_found(planted):
    """A custom gradient off by 1 %, one whose own derivative is lost, one that is NaN."""
    import tensorflow as tf
    from conformance.entry import entry

    @tf.custom_gradient
    def cube(x):
        slope = {"gradient": 3.03 * x**2, "second": tf.stop_gradient(3 * x**2), "nan": 0 * x / 0 * x}[planted]
        return x**3, lambda upstream: upstream * slope

    seen = dict(verdicts(entry("cube", cube, np.array([0.5, -1.2, 2.0]))))
    state = "nan" if planted == "nan" else "wrong"
    assert seen["second"].state == state
    assert seen["first"].state == ("right" if planted == "second" else state)
