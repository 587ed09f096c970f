"""``structure``: what is proven of a derivative's blocks, what samples show, and what is only as far as they show."""

from __future__ import annotations

import models
import numpy as np
import pytest
import tensorflow as tf
import tf1_graphs
from tf1_graphs import SEED, save_graph

import tfgradkit as tgk
from tfgradkit.diagnose.structure.structure import bandwidths, components
from tfgradkit.errors import GradientError, SignatureError

SPEC = tf.TensorSpec([6], tf.float64)


def known(fact):
    return fact.value, fact.how


def diffusion(u):
    wide = tf.pad(u, [[1, 1]])
    return wide[2:] - 2 * u + wide[:-2] + tf.exp(u)


def chain(u):
    return tf.reduce_sum(tf.cos(u[1:] - u[:-1]))


def quadratic(x):
    return tf.reduce_sum(x * tf.linalg.matvec(tf.constant([[2.0, 1.0], [0.0, 3.0]], tf.float64), x))


def only(structure):
    (block,) = structure
    return block


def test_a_stencil_is_banded_and_its_symmetry_only_sampled():
    block = only(tgk.structure(tgk.jacobian(diffusion), SPEC))
    assert known(block.zero) == (False, "shown")
    assert known(block.constant) == (False, "shown")
    assert known(block.symmetric) == (True, "sampled")
    assert known(block.diagonal) == (False, "shown")
    assert known(block.bandwidths) == ((1, 1), "proven")
    assert known(block.entries) == (6 + 5 + 5, "proven")
    assert block.density == 16 / 36
    assert known(block.parts) == (1, "proven")
    assert (block.output, block.inputs, block.shape) == ("y", ("u",), (6, 6))
    same = only(tgk.structure(tgk.sparse_jacobian(diffusion), SPEC))
    assert known(same.bandwidths) == ((1, 1), "proven")


@pytest.mark.parametrize("make", [tgk.hessian, lambda f: tgk.jacobian(tgk.gradient(f))], ids=["hessian", "nested"])
def test_a_hessian_of_a_smooth_function_is_symmetric_by_theorem(make):
    block = only(tgk.structure(make(chain), SPEC))
    assert known(block.symmetric) == (True, "proven")
    assert known(block.bandwidths) == ((1, 1), "proven")
    assert known(block.constant) == (False, "shown")


def test_the_hessian_of_a_quadratic_is_constant():
    block = only(tgk.structure(tgk.hessian(quadratic), tf.TensorSpec([2], tf.float64)))
    assert known(block.constant) == (True, "proven")
    np.testing.assert_allclose(block.value, [[4, 1], [1, 6]], rtol=1e-12)


def test_a_step_is_not_proven_constant():
    block = only(tgk.structure(tgk.gradient(lambda x: tf.reduce_sum(tf.abs(x))), tf.TensorSpec([2], tf.float64)))
    assert known(block.constant) == (False, "shown"), "its own derivative is zero, but it jumps"
    positive = only(tgk.structure(tgk.gradient(lambda x: tf.reduce_sum(tf.abs(x))), np.array([5.0, 3.0])))
    assert known(positive.constant) == (True, "sampled"), "around a point it is the same"


def test_blocks_of_several_arguments_and_results():
    def fn(a, b):
        return {"p": a * a, "q": tf.reduce_sum(b) * tf.ones(2, tf.float64), "r": tf.stop_gradient(b) * a[:1]}

    two = tf.TensorSpec([2], tf.float64)
    structure = tgk.structure(tgk.jacobian(fn, argnums=(0, 1)), two, two)
    blocks = {(block.output, *block.inputs): block for block in structure}
    assert list(blocks) == [(f"y['{y}']", x) for y in "pqr" for x in "ab"]
    zero = {names for names, block in blocks.items() if known(block.zero) == (True, "proven")}
    assert zero == {("y['p']", "b"), ("y['q']", "a"), ("y['r']", "b")}
    assert known(blocks["y['p']", "a"].diagonal) == (True, "proven")
    assert known(blocks["y['p']", "a"].symmetric) == (True, "proven")
    assert known(blocks["y['q']", "b"].constant) == (True, "proven")
    np.testing.assert_array_equal(blocks["y['q']", "b"].value, np.ones((2, 2)))
    assert known(blocks["y['r']", "a"].bandwidths) == ((1, 0), "proven")
    assert known(blocks["y['r']", "a"].symmetric) == (False, "shown")


def test_independent_parts_are_counted():
    def pairs(x):
        x = tf.reshape(x, [3, 2])
        return tf.reshape(tf.sin(tf.reduce_sum(x, 1, keepdims=True)) * tf.ones([1, 2], tf.float64), [6])

    block = only(tgk.structure(tgk.jacobian(pairs), SPEC))
    assert known(block.parts) == (3, "proven")
    assert "3 independent blocks" in str(block)


def test_a_zero_that_the_pattern_cannot_see_is_only_sampled():
    weights = tf.Variable(np.diag([1.0, 2.0, 3.0]))
    block = only(tgk.structure(tgk.jacobian(lambda x: tf.sin(tf.linalg.matvec(weights, x))), tf.ones(3, tf.float64)))
    assert known(block.entries) == (9, "proven"), "training may fill them"
    assert known(block.diagonal) == (True, "sampled")


def test_a_constant_mask_is_zeros():
    block = only(tgk.structure(tgk.jacobian(lambda x: tf.sin(x) * tf.constant([1.0, 0.0, 1.0])), tf.TensorSpec([3])))
    assert known(block.entries) == (2, "proven")


def test_a_linear_model_of_tensorflow_1(tmp_path):
    linear = tgk.load(save_graph(tmp_path / "savemymodel", tf1_graphs.linear), signature=SEED)
    block = only(tgk.structure(tgk.gradient(linear)))
    assert known(block.constant) == (True, "proven")
    np.testing.assert_array_equal(block.value, tf1_graphs.PARAMETERS[:2])
    assert known(only(tgk.structure(tgk.hessian(linear))).zero) == (True, "proven")
    by_parameters = only(tgk.structure(tgk.jacobian(linear, wrt="parameters")))
    assert (by_parameters.inputs, known(by_parameters.constant)) == (("Variable",), (False, "shown"))


def test_a_batched_network():
    structure = tgk.structure(tgk.jacobian(models.build(models.mlp(3, 2, 4), "float32")))
    assert [(block.rows, block.columns) for block in structure] == [(2, 3)]
    assert structure.points == 8
    assert structure.notes == ()
    text = str(structure)
    assert text.startswith("jacobian(mlp): 1 block, tried at 8 points\nd y/d x: 2 by 3\n")
    assert "constant  no, shown by a sample" in text
    assert max(map(len, text.splitlines())) <= 80


def test_points_without_a_finite_derivative_are_left_out_and_told():
    structure = tgk.structure(tgk.jacobian(tf.sqrt), tf.TensorSpec([2], tf.float64))
    assert structure.points < 8
    assert "not finite" in structure.notes[0]
    with pytest.raises(GradientError, match="at none of the random points"):
        tgk.structure(tgk.jacobian(lambda x: tf.sqrt(-tf.exp(x))), tf.TensorSpec([2], tf.float64))
    assert tgk.structure(tgk.jacobian(tf.sqrt), np.array([4.0, 9.0])).points == 8


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(lambda: tgk.structure(tgk.vjp(diffusion), SPEC), "vjp(diffusion)", id="a product"),
        pytest.param(lambda: tgk.structure(diffusion, SPEC), "tgk.structure(tgk.jacobian(fn))", id="a function"),
        pytest.param(lambda: tgk.structure(tgk.jacobian(diffusion)), "tf.TensorSpec for each", id="no specs"),
        pytest.param(
            lambda: tgk.structure(tgk.jacobian(diffusion), tf.TensorSpec([None])), "every size", id="unknown size"
        ),
    ],
)
def test_what_has_no_structure_is_told(make, told):
    with pytest.raises(SignatureError) as error:
        make()
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("rows", "widths", "parts"),
    [
        (["100", "010", "001"], (0, 0), 3),
        (["110", "011", "000"], (0, 1), 1),
        (["001", "000", "100"], (2, 2), 2),
        (["000", "000"], (0, 0), 0),
        (["1000", "1100", "0011"], (1, 1), 2),
    ],
)
def test_shapes_of_matrices(rows, widths, parts):
    matrix = np.array([[c == "1" for c in row] for row in rows])
    assert (bandwidths(matrix), components(matrix)) == (widths, parts)
