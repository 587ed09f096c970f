"""What is asked of a random program beyond an entry: all operators, in a ``tf.function``, saved, and as a C library."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tfgradkit as tgk

from .compositions import Program, composed, entry_of, shrunk, summed
from .entry import Entry
from .properties import PROPERTIES, Subject, Verdict, guarded

# A sweep has many programs, and asks each for less.
_CHOSEN = 1 if os.environ.get("TFGRADKIT_SWEEP") else 3


def _vector(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


def products(s: Subject) -> Verdict:
    """J v and u J of the point, by ``jvp``, ``vjp`` and ``linearize``."""
    point, plain = s.points[0], s.plain[0]
    y = s.entry.real(*point)
    u, v = _vector(1, y.numpy().size), _vector(2, plain.shape[1])
    one = len(point) == 1
    tangents, seed = [tf.constant(p) for p in s.parts(v)], tf.constant(u.reshape(y.shape))
    tangents_given = tangents[0] if one else tuple(tangents)
    _, linear = s.operator(tgk.linearize)(*point)
    by_x = {
        "jvp": s.operator(tgk.jvp)(*point, tangents=tangents_given),
        "matvec": linear.matvec(tangents_given),
        "vjp": s.operator(tgk.vjp)(*point, output_gradients=seed),
        "rmatvec": linear.rmatvec(seed),
    }
    for name, found in by_x.items():
        expected = plain @ v if name in ("jvp", "matvec") else u @ plain
        flat = np.concatenate([np.ravel(part) for part in tf.nest.flatten(found)])
        verdict = s.same(flat, expected)
        if verdict.state != "right":
            return Verdict(verdict.state, f"{name}: {verdict.note}")
    return Verdict("right")


def hessian_product(s: Subject) -> Verdict:
    """H v of a scalar."""
    point, hessian = s.points[0], s.hessians[0][0]
    v = _vector(3, hessian.shape[1])
    tangents = [tf.constant(p) for p in s.parts(v)]
    found = s.operator(tgk.hvp)(*point, tangents=tangents[0] if len(point) == 1 else tuple(tangents))
    return s.same(np.concatenate([np.ravel(part) for part in tf.nest.flatten(found)]), hessian @ v)


def in_a_graph(s: Subject) -> Verdict:
    """Inside a ``tf.function`` that does not know the number of samples."""
    derivative = s.operator(tgk.jacobian)
    signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in s.points[0]]
    inside = tf.function(lambda *xs: derivative(*xs), input_signature=signature, autograph=False)
    return s.same(s.matrix(inside(*s.points[0])), s.plain[0])


def _exported(s: Subject) -> tuple[Callable[..., Any], Any]:
    """The function with named arguments, and their specs."""
    specs = tuple(tf.TensorSpec(x.shape, x.dtype) for x in s.points[0])
    if len(specs) == 1:
        return lambda x0: s.entry.real(x0), specs[0]
    return lambda x0, x1: s.entry.real(x0, x1), specs


def reloaded(s: Subject) -> Verdict:
    """From a SavedModel, whose signature has the derivative written out."""
    function, specs = _exported(s)
    names = [f"x{i}" for i in range(len(s.points[0]))]
    with tempfile.TemporaryDirectory() as folder:
        tgk.export_saved_model(function, Path(folder) / "saved", ("jacobian",), input_specs=specs, input_names=names)
        signature = tf.saved_model.load(str(Path(folder) / "saved")).signatures["jacobian"]
        results = signature(**{name: x[None] for name, x in zip(names, s.points[0], strict=True)})
    blocks = [results[key] for key in sorted(results) if key == "jacobian" or key.startswith("d_")]
    return s.same(s.matrix(tuple(blocks)), s.plain[0])


def library(s: Subject) -> Verdict:
    """As a C library; what its compiler does not take is refused."""
    if len(s.points[0]) > 1:
        return Verdict("–", "several arguments")
    function, specs = _exported(s)
    with tempfile.TemporaryDirectory() as folder:
        made = tgk.export_native(
            function, Path(folder) / "f", "f", ("jacobian",), targets=("host",), tile=4, input_specs=specs
        )
        _, blocks = made.value_and_jacobian(s.entry.points[0][0][None])
    return s.same(s.matrix(blocks), s.plain[0], 1e-8)


POOL: dict[str, Callable[[Subject], Verdict]] = {
    **{name: judge for name, judge in PROPERTIES.items() if name not in ("first", "third")},
    "products": products,
    "hvp": hessian_product,
    "in a graph": in_a_graph,
    "reloaded": reloaded,
}
_SECOND = frozenset({"second", "laplacian", "hvp"})


def chosen(seed: int, count: int = _CHOSEN) -> list[str]:
    """Properties that a program is asked for, beside its first derivative."""
    return sorted(np.random.default_rng(seed + 7).choice(sorted(POOL), count, replace=False).tolist())


def faults(seed: int, names: list[str] | None = None) -> dict[str, Verdict]:
    """What of a program is wrong, not a number, or a raw exception."""
    return _faults(composed(seed), chosen(seed) if names is None else names)


def _faults(entry: Entry, names: list[str]) -> dict[str, Verdict]:
    """Second derivatives are taken of a weighted sum of the results: of each of them they take a minute."""
    s, of_sum = Subject(entry), Subject(summed(entry))
    judges = {"first": PROPERTIES["first"], **{name: {**POOL, "library": library}[name] for name in names}}
    verdicts = {name: guarded(judge, of_sum if name in _SECOND else s) for name, judge in judges.items()}
    bad = {name: verdict for name, verdict in verdicts.items() if verdict.state in ("wrong", "nan", "raw")}
    # Each program has a first derivative: one that is refused would let the others pass unseen.
    return bad | ({"first": verdicts["first"]} if verdicts["first"].state != "right" else {})


def smallest(seed: int, name: str) -> Program:
    """The program of a seed without the steps that a fault does not need."""
    made = composed(seed).f
    assert isinstance(made, Program)
    while True:
        asked = [] if name == "first" else [name]
        shorter = next((p for p in shrunk(made) if name in _faults(entry_of(p, seed), asked)), None)
        if shorter is None:
            return made
        made = shorter
