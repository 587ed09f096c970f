"""Sparse Jacobians against closed forms and dense ones, in every format and plan; and what they refuse."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.derivatives.evaluate import Trace
from tfgradkit.derivatives.sparse.compression import coloured
from tfgradkit.errors import GradientError, SignatureError, VersionError

L = keras.layers
# Of the model below: four windows of four points, the outer ones reaching over an end, of two channels.
ENTRIES = (3 + 4 + 4 + 3) * 2
PLANS = [
    {"mode": "forward", "strategy": "vectorize"},
    {"mode": "forward", "strategy": "tile"},
    {"mode": "reverse", "strategy": "loop"},
    {"mode": "reverse", "chunk_size": 2},
    {"chunk_size": "auto", "memory_limit": 4000},
]


def bratu(u, strength=2.0):
    """u'' + λ exp(u) on a unit interval with zero ends, at the inner points."""
    width = 1.0 / (u.shape[0] + 1)
    wide = tf.pad(u, [[1, 1]])
    return (wide[2:] - 2 * u + wide[:-2]) / width**2 + strength * tf.exp(u)


def burgers(u):
    """-u ∂u/∂x, upwind for positive u on a periodic grid of unit width."""
    return -u * (u - tf.roll(u, 1, 0))


def arrow(u):
    """Every output depends on the first input and on its own; the first output on all."""
    return tf.concat([tf.reduce_sum(u**2, keepdims=True), u[0] * u[1:] ** 2], 0)


@pytest.fixture(scope="module")
def model():
    """A stencil: [B, 8, 2] to [B, 4, 1]."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 2)),
            L.Conv1D(3, 3, padding="same", activation="tanh", name="first"),
            L.Conv1D(1, 2, strides=2),
        ]
    )


@pytest.fixture(scope="module")
def batch(model):
    x = np.random.default_rng(2).normal(size=(3, 8, 2)).astype(np.float32)
    return x, tgk.jacobian(model)(x).numpy().reshape(3, 4, 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bratu_is_tridiagonal(dtype):
    u = np.linspace(0.1, 0.9, 9).astype(dtype)
    y, jacobian = tgk.value_and_sparse_jacobian(bratu)(u)
    expected = (np.diag(np.full(9, -2.0)) + np.diag(np.ones(8), 1) + np.diag(np.ones(8), -1)) * 100
    expected += np.diag(2 * np.exp(u))
    assert isinstance(jacobian, scipy.sparse.csr_matrix)
    assert jacobian.dtype == dtype
    assert jacobian.nnz == 25
    np.testing.assert_allclose(jacobian.toarray(), expected, rtol=1e-5 if dtype is np.float32 else 1e-13)
    np.testing.assert_allclose(y, bratu(tf.constant(u)), rtol=1e-5)


def test_burgers_has_two_diagonals_and_a_corner():
    u = np.array([1.0, 2.0, 4.0, 3.0])
    derivative = tgk.sparse_jacobian(burgers)
    expected = np.diag(-(2 * u - np.roll(u, 1))) + np.roll(np.diag(u), -1, axis=1)
    np.testing.assert_allclose(derivative(u).toarray(), expected, rtol=1e-14)
    assert derivative.plan.passes == 2


def test_arrow_and_blocks():
    u = np.arange(1.0, 6.0)
    expected = np.diag(2 * u[0] * u)
    expected[1:, 0], expected[0] = u[1:] ** 2, 2 * u
    np.testing.assert_allclose(tgk.sparse_jacobian(arrow)(u).toarray(), expected, rtol=1e-14)
    blocks = tgk.sparse_jacobian(lambda z: tf.reshape(tf.reduce_prod(tf.reshape(z, [3, 2]), 1), [-1]))
    np.testing.assert_array_equal(
        blocks([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).toarray(),
        [[2, 1, 0, 0, 0, 0], [0, 0, 4, 3, 0, 0], [0, 0, 0, 0, 6, 5]],
    )
    assert (blocks.plan.mode, blocks.plan.passes) == ("reverse", 1)


@pytest.mark.parametrize("keywords", PLANS, ids=lambda k: "_".join(map(str, k.values())))
def test_plans_change_no_value(model, batch, keywords):
    x, expected = batch
    found = tgk.sparse_jacobian(model, check=True, **keywords)(x)
    np.testing.assert_allclose([matrix.toarray() for matrix in found], expected, atol=1e-6)


def test_plan_says_colours_mode_and_entries(model):
    derivative = tgk.sparse_jacobian(model)
    step = derivative.plan.steps[0]
    assert step.pattern.shape == (4, 16)
    assert (step.mode, step.colours) == ("reverse", 2)
    assert "detected: 4 by 16, 28 entries; 2 colours of rows" in str(derivative.plan)
    assert derivative.pattern.nnz == step.pattern.nnz == ENTRIES


def test_formats(model, batch):
    x, expected = batch
    block = tgk.sparse_jacobian(model, format="block")(x)
    np.testing.assert_allclose(block.toarray(), scipy.sparse.block_diag(expected).toarray(), atol=1e-6)
    derivative = tgk.sparse_jacobian(model, format="tensors")
    for _ in range(2):
        data, indices, indptr, shape = derivative(x)
        assert data.shape == (3, ENTRIES)
        one = scipy.sparse.csr_matrix((data[1].numpy(), indices.numpy(), indptr.numpy()), shape.numpy())
        np.testing.assert_allclose(one.toarray(), expected[1], atol=1e-6)
    assert derivative.trace_count == 1


def test_matrices_belong_to_the_caller(model, batch):
    x, expected = batch
    derivative = tgk.sparse_jacobian(model)
    first, second, _ = derivative(x)
    first.data[:] = 0
    first.eliminate_zeros()
    np.testing.assert_allclose(second.toarray(), expected[1], atol=1e-6)
    np.testing.assert_allclose(derivative(x)[0].toarray(), expected[0], atol=1e-6)


def test_any_batch_size_from_one_trace(model, batch):
    x, expected = batch
    derivative = tgk.sparse_jacobian(model)
    assert len(derivative(x)) == 3
    assert derivative(x[:0]) == []
    np.testing.assert_allclose(derivative(x[2:])[0].toarray(), expected[2], atol=1e-6)
    assert derivative.trace_count == 1
    assert tgk.sparse_jacobian(model, format="block")(x[:0]).shape == (0, 0)
    empty = tgk.sparse_jacobian(model, format="tensors")(x[:0])
    assert (empty.data.shape, empty.indices.shape) == ((0, ENTRIES), (ENTRIES,))


def test_structures_are_rows_and_columns_in_the_order_of_nest():
    def f(a, b):
        return {"first": a * b["p"], "second": b["q"] ** 2}, tf.reduce_sum(a)

    a, b = np.array([2.0, 3.0]), {"p": np.array([5.0, 7.0]), "q": np.array([[4.0]])}
    value, jacobian, aux = tgk.value_and_sparse_jacobian(f, argnums=(0, 1), has_aux=True, check=True)(a, b)
    expected = [[5, 0, 2, 0, 0], [0, 7, 0, 3, 0], [0, 0, 0, 0, 8]]
    np.testing.assert_array_equal(jacobian.toarray(), expected)
    np.testing.assert_array_equal(value["first"], [10, 21])
    assert aux == 5
    by_b = tgk.sparse_jacobian(f, argnums=1, has_aux=True)(a, b)[0]
    np.testing.assert_array_equal(by_b.toarray(), np.array(expected)[:, 2:])


def test_other_arguments_are_batched_along():
    derivative = tgk.sparse_jacobian(lambda x, p: p[:, :1] * x[:, 1:] * x[:, :-1], batched=True)
    x, p = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[1.0], [10.0]])
    found = derivative(x, p)
    np.testing.assert_array_equal(found[0].toarray(), [[2, 1, 0], [0, 3, 2]])
    np.testing.assert_array_equal(found[1].toarray(), [[50, 40, 0], [0, 60, 50]])
    assert derivative.pattern.nnz == 4


def test_of_a_layer(model, batch):
    derivative = tgk.sparse_jacobian(model, of="layer:first")
    expected = tgk.jacobian(model, of="layer:first")(batch[0]).numpy().reshape(3, 24, 16)
    np.testing.assert_allclose([m.toarray() for m in derivative(batch[0])], expected, atol=1e-6)
    assert derivative.pattern.nnz == (8 * 3 - 2) * 6


def test_mixed_and_half_precision():
    wide = tgk.sparse_jacobian(lambda a, b: tf.cast(a, tf.float64) * b, argnums=(0, 1))
    found = wide(np.array([2.0, 3.0], np.float32), np.array([5.0, 7.0]))
    np.testing.assert_array_equal(found.toarray(), [[5, 0, 2, 0], [0, 7, 0, 3]])
    assert found.dtype == np.float64
    assert tgk.sparse_jacobian(lambda x: x * x)(tf.constant([3.0], tf.float16)).dtype == np.float32


def test_where_forward_mode_is_refused_it_is_reverse(without_our_rules):
    def dilated(x):
        padded = tf.tile(x, [3])[None, :, None, None]
        return tf.nn.dilation2d(padded, tf.zeros([2, 1, 1]), [1] * 4, "VALID", "NHWC", [1] * 4)[0, :, 0, 0]

    derivative = tgk.sparse_jacobian(dilated)
    x = np.array([1.0, 2.0], np.float32)
    np.testing.assert_array_equal(derivative(x).toarray(), np.tile([0.0, 1.0], (5, 1)))
    colours = [coloured(derivative.pattern, forward).count for forward in (True, False)]
    assert colours[0] < colours[1]
    assert (derivative.plan.mode, derivative.plan.passes) == ("reverse", colours[1])
    with pytest.raises(GradientError, match="Dilation2DBackpropInput"):
        tgk.sparse_jacobian(dilated, mode="forward")(x)


def test_compiled():
    u = np.linspace(0.1, 0.9, 9)
    found = tgk.sparse_jacobian(bratu, jit_compile=True)(u)
    np.testing.assert_allclose(found.toarray(), tgk.sparse_jacobian(bratu)(u).toarray(), rtol=1e-12)


def test_inside_a_function_and_under_a_tape():
    derivative = tgk.sparse_jacobian(lambda x: x[1:] * x[:-1], format="tensors", mode="reverse", strategy="loop")
    x = tf.constant([2.0, 3.0, 5.0])

    @tf.function
    def total(x):
        found = derivative(x)
        return tf.reduce_sum(found.data**2), found.indices

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outside = tf.reduce_sum(derivative(x).data ** 2)
        inside, indices = total(x)
    np.testing.assert_array_equal(indices, [0, 1, 1, 2])
    for result in (outside, inside):  # of the entries x1, x0, x2, x1
        np.testing.assert_allclose(tape.gradient(result, x), [4, 12, 10])


def test_second_derivatives_have_their_pattern_too():
    def rosenbrock(x):
        return tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    x = np.linspace(-1, 1, 6)
    derivative = tgk.sparse_jacobian(tgk.gradient(rosenbrock), mode="reverse", strategy="loop")
    inner = np.append(-400 * (x[1:] - 3 * x[:-1] ** 2) + 2, 0) + np.append(0, np.full(5, 200))
    expected = np.diag(inner) + np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    np.testing.assert_allclose(derivative(x).toarray(), expected, atol=1e-10)
    assert (derivative.pattern.nnz, derivative.plan.passes) == (16, 3)


TRIDIAGONAL = np.tri(9, 9, 1) * np.tri(9, 9, 1).T


@pytest.mark.parametrize(
    "pattern",
    [TRIDIAGONAL, TRIDIAGONAL != 0, scipy.sparse.coo_array(TRIDIAGONAL), tf.sparse.from_dense(TRIDIAGONAL)],
    ids=["numbers", "mask", "scipy", "sparse_tensor"],
)
def test_a_given_pattern_is_used(pattern):
    u = np.linspace(0.1, 0.9, 9)
    derivative = tgk.sparse_jacobian(bratu, pattern=pattern, check=True)
    np.testing.assert_allclose(derivative(u).toarray(), tgk.jacobian(bratu)(u), rtol=1e-13)
    assert "pattern given: 9 by 9" in str(derivative.plan)


def test_a_given_pattern_may_hold_more_than_there_is():
    derivative = tgk.sparse_jacobian(bratu, pattern=np.ones((9, 9)), check=True)
    np.testing.assert_allclose(derivative(np.zeros(9)).toarray(), tgk.jacobian(bratu)(np.zeros(9)), rtol=1e-13)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_check_finds_a_missing_entry(mode):
    short = TRIDIAGONAL.copy()
    short[3, 4] = 0
    derivative = tgk.sparse_jacobian(bratu, pattern=short, check=True, mode=mode)
    with pytest.raises(GradientError, match="the pattern misses an entry") as caught:
        derivative(np.zeros(9))
    assert {"forward": "in row ", "reverse": "in column "}[mode] in caught.value.expected
    assert {"forward": "3", "reverse": "4"}[mode] in caught.value.expected


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"pattern": np.ones((3, 9))}, r"pattern has the wrong shape(.|\n)*\(9, 9\): the outputs(.|\n)*\(3, 9\)"),
        ({"pattern": np.ones(9)}, r"pattern is no matrix(.|\n)*shape \(9,\)"),
        ({"pattern": "banded"}, r"pattern is no matrix(.|\n)*str"),
        ({"format": "csc"}, r'format(.|\n)*"csr" \| "block" \| "tensors"'),
        ({"wrt": "parameters"}, r"by the inputs(.|\n)*parameters(.|\n)*jacobian"),
        ({"unconnected": "raise", "pattern": np.zeros((9, 9))}, "does not depend on the input"),
    ],
)
def test_what_is_refused(keywords, message):
    with pytest.raises((SignatureError, GradientError), match=message):
        tgk.sparse_jacobian(bratu, **keywords)(np.zeros(9))


def test_unknown_sizes_integers_and_operators_of_it_are_refused():
    loose = keras.Sequential([keras.Input((None, 1)), L.Conv1D(1, 3)])
    with pytest.raises(SignatureError, match="size of the result"):
        tgk.sparse_jacobian(lambda x: tf.boolean_mask(x, x > 0))(np.ones(3))
    assert tgk.sparse_jacobian(loose)(np.ones((1, 5, 1)))[0].shape == (3, 5)
    with pytest.raises(SignatureError, match="is not floating"):
        tgk.sparse_jacobian(bratu)(np.ones(3, int))
    with pytest.raises(SignatureError, match="not differentiated by an operator"):
        tgk.gradient(tgk.sparse_jacobian(bratu))
    with pytest.raises(TypeError, match="no keyword 'patern'"):
        tgk.sparse_jacobian(bratu, patern=None)


def test_without_scipy_it_says_what_to_install(monkeypatch):
    def no_scipy(name, *args):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("tfgradkit.analysis.sparsity.scipy_access.import_module", no_scipy)
    with pytest.raises(VersionError, match=r"need SciPy(.|\n)*pip install tfgradkit\[sparse\]"):
        tgk.sparse_jacobian(bratu)


@pytest.mark.parametrize("forward", [True, False])
def test_no_two_of_a_colour_meet(forward):
    for seed in range(5):
        pattern = scipy.sparse.random(30, 40, 0.05, random_state=seed, format="csr").astype(bool)
        colouring = coloured(pattern, forward)
        matrix = pattern.toarray() if forward else pattern.toarray().T
        for colour in range(colouring.count):
            assert matrix[:, colouring.colours == colour].sum(axis=1).max() == 1
        assert not matrix[:, colouring.colours < 0].any()


def test_stencils_need_as_many_colours_as_a_row_has_entries():
    line = scipy.sparse.diags([1.0] * 3, [-1, 0, 1], shape=(20, 20))
    assert coloured(line.tocsr(), True).count == 3
    assert coloured(scipy.sparse.kron(line, line).tocsr(), True).count == 9


def test_a_call_keeps_its_own_pattern_while_another_thread_traces(monkeypatch):
    derivative = tgk.sparse_jacobian(lambda x: x * x)
    shorter, longer = tf.constant([1.0, 2.0]), tf.constant([1.0, 2.0, 3.0])
    derivative(longer)
    run = Trace._run

    def meanwhile(trace, tensors):
        if tensors[0] is shorter:
            derivative(longer)
        return run(trace, tensors)

    monkeypatch.setattr(Trace, "_run", meanwhile)
    np.testing.assert_array_equal(derivative(shorter).toarray(), np.diag([2.0, 4.0]))


def test_a_gradient_that_is_the_function_itself():
    """That of a matrix exponential is one of twice the size, whose own is one of four times, without an end."""
    x = tf.constant(np.random.default_rng(5).normal(size=(3, 3)))
    expected = np.reshape(tgk.jacobian(tf.linalg.expm)(x), (9, 9))
    np.testing.assert_allclose(tgk.sparse_jacobian(tf.linalg.expm)(x).todense(), expected, rtol=1e-12)
