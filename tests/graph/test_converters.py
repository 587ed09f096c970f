"""The vectorized loop against the loop: every converter over its attributes, by each choice of inputs that vary."""

from __future__ import annotations

import itertools
import os
import zlib

import numpy as np
import pytest
import tensorflow as tf
from converter_cases import CASES, NO_CASE, Case, ops_in

from tfgradkit.graph.converters import NotVectorizedError, vectorized_map
from tfgradkit.graph.ops import everywhere
from tfgradkit.graph.pfor import converted_types

SWEEP = bool(os.environ.get("TFGRADKIT_SWEEP"))
OPS = sorted({case.op for case in CASES})
# What is known of shapes while the loop is traced: all, all but the number of turns, or nothing.
KNOWN = ("all", "samples", "nothing")


def patterns(case: Case) -> list[tuple[int, ...]]:
    return [chosen for k in range(1, len(case.vary) + 1) for chosen in itertools.combinations(case.vary, k)]


def in_turn(case: Case, pattern: tuple[int, ...], turns: int) -> list[np.ndarray]:
    """The results of each turn, stacked."""
    f = tf.function(case.f, jit_compile=True, autograph=False) if case.compiled else case.f
    rows = []
    for turn in range(turns):
        given = [tf.constant(make(turn + 1 if i in pattern else 0)) for i, make in enumerate(case.args)]
        rows.append([y.numpy() for y in tf.nest.flatten(f(*given))])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def of_turn(case: Case, pattern: tuple[int, ...]):
    """A function of a row of what varies."""

    def one(rows):
        given = [None if i in pattern else tf.constant(make(0)) for i, make in enumerate(case.args)]
        for i, row in zip(pattern, rows, strict=True):
            given[i] = row
        return tf.nest.flatten(case.f(*given))

    return one


def at_once(case: Case, wanted: list[tuple[int, ...]], turns: int, known: str) -> dict:
    """The results by the vectorized loop for each pattern; None where it refuses."""
    arrays = {i: np.stack([case.args[i](turn + 1) for turn in range(turns)]) for i in case.vary}
    refused: dict[tuple[int, ...], str] = {}

    def shape(array):
        return {"all": array.shape, "samples": [None, *array.shape[1:]], "nothing": [None] * array.ndim}[known]

    signature = [{i: tf.TensorSpec(shape(array), array.dtype) for i, array in arrays.items()}]

    @tf.function(input_signature=signature, jit_compile=case.compiled or None, autograph=False)
    def mapped(given):
        found = {}
        for pattern in wanted:
            try:
                found[pattern] = vectorized_map(of_turn(case, pattern), [given[i] for i in pattern])
            except NotVectorizedError as error:
                refused[pattern] = str(error)
        return found

    found = mapped({i: tf.constant(array) for i, array in arrays.items()})
    return {pattern: [y.numpy() for y in found[pattern]] if pattern in found else None for pattern in wanted}


def same(case: Case, found: list[np.ndarray], expected: list[np.ndarray], label: str) -> None:
    for y, right in zip(found, expected, strict=True):
        assert (y.shape, y.dtype) == (right.shape, right.dtype), label
        if case.exact:
            tolerance = 1e-10 if right.dtype in (np.float64, np.complex128) else 1e-5
            np.testing.assert_allclose(y, right, tolerance, tolerance, err_msg=label)


def compare(case: Case, turns: int, known: str) -> None:
    everything = at_once(case, patterns(case), turns, known)
    for pattern, found in everything.items():
        if found is not None:
            label = f"{case.op}, case {CASES.index(case)}: {pattern} vary over {turns} turns, known: {known}"
            same(case, found, in_turn(case, pattern, turns), label)
    if known == "all":
        # The one row of a loop that is known to have one turn is a constant: then nothing has to be converted.
        kept_off = bool(case.kept_off) and turns > 1
        assert kept_off == all(found is None for found in everything.values()), CASES.index(case)


def chosen(op: str) -> list[Case]:
    """Some of an op's cases; all of them in the sweep."""
    cases = [case for case in CASES if case.op == op]
    return cases if SWEEP else [cases[zlib.crc32(op.encode()) % len(cases)]]


@pytest.mark.parametrize("op", OPS)
def test_vectorized_as_in_turn(op):
    for number, case in enumerate(chosen(op)):
        if SWEEP:
            for turns, known in itertools.product((1, 3), KNOWN[: 1 if case.compiled else 3]):
                compare(case, turns, known)
        else:
            turns, known = (3, "all") if case.compiled or number % 2 else (3, "samples")
            compare(case, turns, known)


def test_every_converter_has_a_case_or_a_reason():
    types = converted_types()
    assert len(types) > 300
    own = {"PyFuncStateless", "PreventGradient"}  # tested where they are used
    assert sorted(types - set(OPS) - set(NO_CASE) - own) == []
    assert sorted(set(OPS) & set(NO_CASE)) == []


@pytest.mark.parametrize("op", OPS if SWEEP else OPS[::10])
def test_a_case_is_of_its_op(op):
    for case in chosen(op):
        given = [tf.constant(make(0)) for make in case.args]
        graph = tf.function(case.f, autograph=False).get_concrete_function(*given).graph
        assert op in ops_in(graph), CASES.index(case)


def test_a_plain_matrix_multiplies_turns_and_batch_as_one_axis():
    """Of [turns, 1, m, k] and [k, n] in float32 oneDNN's product writes beyond its memory, and the process ends."""
    w = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    x = np.random.default_rng(1).normal(size=(16, 1, 4, 4)).astype("float32")
    f = tf.function(lambda rows: vectorized_map(lambda row: tf.matmul(row, w), rows), autograph=False)
    operations = everywhere(f.get_concrete_function(tf.TensorSpec(x.shape, tf.float32)).graph.get_operations())
    ranks = [[t.shape.rank for t in op.inputs] for op in operations if op.type.startswith("BatchMatMul")]
    assert [3, 2] in ranks
    assert [4, 2] not in ranks
    for _ in range(30):
        np.testing.assert_allclose(f(tf.constant(x)), x @ w, rtol=1e-5, atol=1e-5)
