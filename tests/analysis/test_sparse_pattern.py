"""Patterns read off graphs: never an entry too few; where a rule promises it, none too many."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.analysis.sparsity.detect import detected
from tfgradkit.analysis.sparsity.domain import Flow
from tfgradkit.analysis.sparsity.index_sets import IndexSets
from tfgradkit.graph.fold import KnownValues

L = keras.layers
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
MATRIX = np.diag(np.full(5, -2.0)) + np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1)
STENCIL = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], float)[:, :, None, None]
ZEROS = tf.Variable(np.zeros((5, 5)))
LAPLACE = tf.sparse.from_dense(MATRIX)


@tf.custom_gradient
def rounded(x):
    """Rounding whose gradient is that of the identity: only its gradient tells the pattern."""
    return tf.round(x), lambda upstream: upstream


@tf.custom_gradient
def reversed_gradient(x):
    return tf.identity(x), lambda upstream: tf.reverse(upstream, [0])


@tf.custom_gradient
def complex_square(x):
    return tf.complex(x**2, x), lambda upstream: 2 * x * tf.math.real(upstream) + tf.math.imag(upstream)


@tf.function
def taken(x, places):
    return tf.gather(x, places)


def doubling(x):
    return tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, tf.sin(v) * 2.0), (0, x))[1]


def moving(x):
    return tf.while_loop(lambda i, _: i < 2, lambda i, v: (i + 1, v + tf.roll(v, 1, 0)), (0, x))[1]


def turned(x):
    return tf.cond(x[0] > 0.0, lambda: tf.sin(x), lambda: tf.reverse(x, [0]))


def written(x):
    array = tf.TensorArray(x.dtype, 3)
    for i in range(3):
        array = array.write(i, x[i] * x[i + 1])
    return array.stack()


# Functions of one vector or tensor; how many entries the pattern has, where a rule makes it exact.
FUNCTIONS = {
    "elementwise": (lambda x: tf.sin(x) * tf.exp(-x) + x**2, (5,), 5),
    "broadcasting": (lambda x: x[:, None] * x[None, :], (4,), 28),
    "zero_derivative": (lambda x: x * tf.stop_gradient(tf.reduce_sum(x)) + tf.sign(x[::-1]), (4,), 4),
    "through_integers": (lambda x: x * tf.cast(tf.cast(tf.reduce_sum(x), tf.int32), x.dtype), (4,), 4),
    "where": (lambda x: tf.where(x > 0, x, x[::-1]), (4,), 8),
    "clip": (lambda x: tf.clip_by_value(x, -0.5, 0.5), (4,), 4),
    "slice": (lambda x: x[1:] - x[:-1], (6,), 10),
    "strides": (lambda x: x[::2, 1] + x[::-2, 0], (4, 2), 4),
    "pad": (lambda x: tf.pad(x, [[2, 1]]), (3,), 3),
    "mirror_pad": (lambda x: tf.pad(x, [[1, 1]], "REFLECT"), (4,), 6),
    "concat": (lambda x: tf.concat([x, x[:2] * x[2:4]], 0), (4,), 8),
    "stack": (lambda x: tf.stack(tf.unstack(x)[::-1], -1), (3, 2), 6),
    "split": (lambda x: tf.split(x, [1, 3])[1] * 2.0, (4,), 3),
    "reshape_transpose": (lambda x: tf.transpose(tf.reshape(x, [2, 3])), (6,), 6),
    "gather": (lambda x: tf.gather(x, EDGES), (4,), 8),
    "gather_nd": (lambda x: tf.gather_nd(x, EDGES[:2]), (4, 4), 2),
    "gather_by_x": (lambda x: tf.gather(x, tf.argsort(x)), (4,), 16),
    "scatter": (lambda x: tf.scatter_nd([[0], [2], [0]], x, [4]), (3,), 3),
    "scatter_add": (lambda x: tf.tensor_scatter_nd_add(x, [[1], [1]], x[2:4]), (4,), 6),
    "segments": (lambda x: tf.math.unsorted_segment_sum(tf.gather(x, EDGES[:, 1]), EDGES[:, 0], 4), (4, 2), 8),
    "tile": (lambda x: tf.tile(x, [3]), (2,), 6),
    "roll": (lambda x: tf.roll(x, 1, 0) + x, (4,), 8),
    "reverse": (lambda x: tf.reverse(x, [0]), (4,), 4),
    "diagonal": (lambda x: tf.linalg.diag(x), (3,), 3),
    "diagonal_part": (lambda x: tf.linalg.diag_part(x), (3, 3), 3),
    "band": (lambda x: tf.linalg.band_part(x, 1, 0), (3, 3), 5),
    "space_to_batch": (lambda x: tf.space_to_batch(x, [2], [[0, 1]]), (1, 3, 1), 3),
    "depth_to_space": (lambda x: tf.nn.depth_to_space(x, 2), (1, 2, 1, 4), 8),
    "patches": (lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1] * 4, [1] * 4, "VALID"), (1, 3, 3, 1), 16),
    "sum": (lambda x: tf.reduce_sum(x, 1), (3, 4), 12),
    "mean_and_max": (lambda x: tf.reduce_mean(x, 0) * tf.reduce_max(x, 0, keepdims=True), (3, 2), 6),
    "norm": (lambda x: x / tf.norm(x, axis=-1, keepdims=True), (2, 3), 18),
    "softmax": (lambda x: tf.nn.softmax(x), (2, 3), 18),
    "cumsum": (lambda x: tf.cumsum(x), (5,), 15),
    "cumsum_exclusive": (lambda x: tf.cumsum(x, exclusive=True), (5,), 10),
    "cumprod_reverse": (lambda x: tf.math.cumprod(x, 1, reverse=True), (2, 3), 12),
    "matmul": (lambda x: tf.matmul(x, x, transpose_b=True), (3, 2), 30),
    "matmul_constant": (lambda x: tf.linalg.matvec(MATRIX, x), (5,), 13),
    "matmul_variable": (lambda x: tf.linalg.matvec(ZEROS, x), (5,), 25),
    "matmul_sparse": (lambda x: tf.sparse.sparse_dense_matmul(LAPLACE, x[:, None])[:, 0], (5,), 13),
    "einsum": (lambda x: tf.einsum("ij,jk->ik", x, tf.ones((3, 2), x.dtype)), (4, 3), 24),
    "tensordot": (lambda x: tf.tensordot(x, x, [[1], [1]]), (2, 3), 18),
    "stencil": (lambda x: tf.nn.conv2d(x, STENCIL, 1, "SAME"), (1, 4, 4, 1), 64),
    "pooling": (lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), (1, 4, 4, 2), 32),
    "function_twice": (lambda x: taken(x, [0, 1]) * taken(x, [2, 3]), (4,), 4),
    "custom_gradient": (rounded, (4,), 4),
    "custom_gradient_elsewhere": (reversed_gradient, (4,), 4),
    "custom_gradient_complex": (lambda x: tf.math.real(complex_square(x)), (4,), 16),
    "complex_moved": (lambda x: tf.math.real(tf.reverse(tf.complex(x, x), [0])), (4,), 4),
    "silu": (lambda x: tf.nn.silu(x), (4,), 4),
    "while": (doubling, (4,), 4),
    "while_moving": (moving, (6,), None),
    "cond": (turned, (4,), 8),
    "tensor_array": (written, (4,), None),
    "recomputed": (tf.recompute_grad(lambda x: tf.sin(x[1:]) * x[:-1]), (4,), None),
    "map_fn": (lambda x: tf.map_fn(lambda row: row**2, x), (3, 2), None),
    "sort": (lambda x: tf.sort(x), (4,), 16),
    "solve": (lambda x: tf.linalg.solve(tf.eye(3, dtype=x.dtype) * 4.0 + x, x[:, :1]), (3, 3), 27),
    "fft": (lambda x: tf.math.real(tf.signal.fft(tf.cast(x, tf.complex128))), (4,), 16),
    "gradient": (tgk.gradient(lambda x: tf.reduce_sum((x[1:] - x[:-1] ** 2) ** 2)), (6,), 16),
    "constant": (lambda x: tf.zeros([3], x.dtype), (2,), 0),
    "some_rows_empty": (lambda x: tf.concat([x, tf.ones([2], x.dtype)], 0), (2,), 2),
    "identity": (lambda x: x, (3,), 3),
    "one_element": (lambda x: x**2, (), 1),
}


@pytest.mark.filterwarnings("error::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    f, shape, entries = FUNCTIONS[name]
    x = np.random.default_rng(3).uniform(0.2, 1.0, shape)
    derivative = tgk.sparse_jacobian(f, mode="reverse")
    dense = tgk.jacobian(f, mode="reverse")
    for point in (x, -x, 3 * x):
        expected = dense(point).numpy().reshape(-1, x.size)
        np.testing.assert_allclose(derivative(point).toarray(), expected, rtol=1e-12, atol=1e-12)
        assert not (expected.astype(bool) & ~derivative.pattern.toarray()).any()
    if entries is not None:
        assert derivative.pattern.nnz == entries


# Layers of one sample's shape; how many entries the pattern has.
LAYERS = {
    "Dense": (lambda: L.Dense(2, "swish"), (5, 3), 30),
    "EinsumDense": (lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 2)), (5, 3), 30),
    "Conv1D": (lambda: L.Conv1D(2, 3, padding="causal", dilation_rate=2), (7, 1), 30),
    "Conv2D": (lambda: L.Conv2D(2, 2, strides=2, activation="gelu"), (4, 5, 2), 64),
    "Conv2D_groups": (lambda: L.Conv2D(4, 3, padding="same", groups=2), (2, 3, 4), 224),
    "Conv3D": (lambda: L.Conv3D(2, 2, padding="same"), (3, 3, 2, 1), None),
    "Conv1DTranspose": (lambda: L.Conv1DTranspose(2, 3, strides=2, padding="same"), (4, 2), None),
    "Conv2DTranspose": (lambda: L.Conv2DTranspose(2, 3, strides=2), (3, 2, 2), 216),
    "DepthwiseConv1D": (lambda: L.DepthwiseConv1D(3, padding="same", depth_multiplier=2), (5, 2), 52),
    "SeparableConv1D": (lambda: L.SeparableConv1D(2, 3), (5, 2), 36),
    "MaxPooling2D": (lambda: L.MaxPooling2D(2), (4, 4, 2), 32),
    "AveragePooling1D": (lambda: L.AveragePooling1D(3, 2, "same"), (7, 2), None),
    "GlobalAveragePooling1D": (lambda: L.GlobalAveragePooling1D(), (4, 3), 12),
    "UpSampling2D": (lambda: L.UpSampling2D(2), (2, 3, 1), 24),
    "UpSampling2D_bilinear": (lambda: L.UpSampling2D(2, interpolation="bilinear"), (2, 3, 1), 60),
    "Resizing": (lambda: L.Resizing(3, 2, "bicubic"), (5, 4, 1), None),
    "ZeroPadding_Cropping": (lambda: keras.Sequential([L.ZeroPadding1D(2), L.Cropping1D((1, 0))]), (3, 2), 6),
    "LayerNormalization": (lambda: L.LayerNormalization(), (4, 3), 36),
    "BatchNormalization": (lambda: L.BatchNormalization(), (3, 3, 2), 18),
    "GroupNormalization": (lambda: L.GroupNormalization(2), (2, 4), 32),
    "Permute_Flatten": (lambda: keras.Sequential([L.Permute((2, 1)), L.Flatten()]), (3, 4), 12),
    "PReLU": (lambda: L.PReLU(), (4, 2), 8),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Dense(2, "tanh")), (4, 3), 24),
    "LSTM": (lambda: L.LSTM(2, return_sequences=True), (3, 2), 36),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, shape, entries = LAYERS[name]
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input(shape), make()])
    x = np.random.default_rng(6).normal(size=(3, *shape)).astype(np.float32)
    derivative = tgk.sparse_jacobian(model, mode="reverse", strategy="loop")
    found = np.stack([matrix.toarray() for matrix in derivative(x)])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tf_x := tf.constant(x))
        y = model(tf_x)
    expected = tape.batch_jacobian(y, tf_x, experimental_use_pfor=False).numpy().reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not ((expected != 0).any(0) & ~derivative.pattern.toarray()).any()
    if entries is not None:
        assert derivative.pattern.nnz == entries


def test_attention_is_dense():
    inputs = keras.Input((3, 2))
    model = keras.Model(inputs, L.MultiHeadAttention(1, 2)(inputs, inputs))
    assert tgk.sparse_jacobian(model, mode="reverse").pattern.nnz == 36


def test_a_variables_zeros_are_not_relied_on():
    kernel = tf.Variable(np.zeros((3, 1, 1)))
    derivative = tgk.sparse_jacobian(lambda x: tf.nn.conv1d(x[None, :, None], kernel, 1, "SAME")[0, :, 0])
    assert derivative(np.ones(4)).toarray().any() == np.False_
    kernel.assign(np.ones((3, 1, 1)))
    np.testing.assert_array_equal(derivative(np.ones(4)).toarray(), np.tri(4, 4, 1) * np.tri(4, 4, 1).T)


# Kernel, strides, dilations, padding.
GEOMETRIES = [((3, 2), 1, 1, "SAME"), ((2, 3), 2, 1, "VALID"), ((3, 1), 3, 1, "SAME"), ((2, 2), 1, 2, "VALID")]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_windows_are_neither_too_wide_nor_too_narrow(geometry):
    size, stride, dilation, padding = geometry
    random = np.random.default_rng(4)
    kernel = random.normal(size=(*size, 2, 1))
    whole = [3 * stride if padding == "SAME" else 2 * stride + extent for extent in size]
    functions = {
        "convolution": (lambda x: tf.nn.conv2d(x, kernel, stride, padding, dilations=dilation), (1, 5, 4, 2)),
        "pooling": (lambda x: tf.nn.avg_pool2d(x, size, stride, padding), (1, 5, 4, 1)),
        "transposed": (lambda x: tf.nn.conv2d_transpose(x, kernel, [1, *whole, 2], stride, padding), (1, 3, 3, 1)),
    }
    for f, shape in functions.values():
        x = tf.constant(random.normal(size=shape))
        pattern = detected(lambda given, f=f: (given, [f(given[0])]), [x], False, "f").toarray()
        # All of them are linear.
        units = np.eye(pattern.shape[1]).reshape(-1, *shape)
        expected = np.stack([np.ravel(f(tf.constant(unit))) for unit in units], 1)
        np.testing.assert_array_equal(pattern, expected != 0)


def test_loops_of_tensorflow_1_are_dense():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [3])
        y = tf.raw_ops.Exit(data=tf.raw_ops.Enter(data=x, frame_name="loop"))
    flow = Flow(IndexSets(3), KnownValues())
    flow.put(x, flow.sets.singles())
    flow.run(graph.get_operations()[1:])
    assert flow.sets.rows(flow.value(y)).toarray().all()


def test_sets_are_stored_once():
    sets = IndexSets(5)
    singles = sets.singles()
    pairs = sets.union(np.array([singles[[0, 1]], singles[[1, 0]], singles[[2, 2]]]))
    assert pairs[0] == pairs[1]
    np.testing.assert_array_equal(sets.rows(pairs).toarray(), [[1, 1, 0, 0, 0]] * 2 + [[0, 0, 1, 0, 0]])
    assert sets.union(np.array([[0, 0]])) == [0]


def test_random_unions_against_python_sets():
    random, sets = np.random.default_rng(1), IndexSets(12)
    numbers = sets.singles()
    members = {int(n): {i} for i, n in enumerate(numbers)} | {0: set()}
    for _ in range(30):
        picked = random.choice(list(members), (4, 3))
        for row, number in zip(picked, sets.union(picked), strict=True):
            union = set().union(*(members[int(n)] for n in row))
            assert set(sets.rows(np.array([number])).indices.tolist()) == union
            members[int(number)] = union


def test_constants_are_computed_but_variables_and_inputs_are_not():
    variable = tf.Variable([1, 2])

    @tf.function
    def f(x):
        return tf.range(3) * 2 + tf.size(x), variable + 1, tf.cast(x, tf.int32)

    graph = f.get_concrete_function(tf.TensorSpec([4], tf.float32)).graph
    known, of_variable, of_input = (KnownValues().value(t.op.inputs[0]) for t in graph.outputs)
    np.testing.assert_array_equal(known, [4, 6, 8])
    assert of_variable is None
    assert of_input is None


def neighbours(x):
    wide = tf.pad(x, [[0, 0], [1, 1]])
    return wide[:, 2:] * tf.reshape(x, tf.shape(x)) - rounded(x)


@pytest.mark.parametrize(
    "fn",
    [neighbours, tf.function(neighbours), tf.function(neighbours, input_signature=[tf.TensorSpec([None, 6])])],
    ids=["plain", "tf.function", "tf.function of any batch"],
)
def test_a_batched_function_has_the_pattern_of_a_sample(fn):
    derivative = tgk.sparse_jacobian(fn, batched=True)
    x = np.linspace(-1, 2, 18, dtype=np.float32).reshape(3, 6)
    dense = tgk.jacobian(neighbours, batched=True)(x).numpy()
    for found, wanted in zip(derivative(x), dense, strict=True):
        np.testing.assert_array_equal(found.toarray(), wanted)
    assert derivative.pattern.nnz == 11


def test_a_saved_model_has_the_pattern_of_its_layers(tmp_path):
    model = keras.Sequential([keras.Input((20, 1)), L.Conv1D(4, 3, padding="same", activation="tanh"), L.Conv1D(1, 3)])
    model.export(tmp_path / "saved", verbose=False)
    derivative = tgk.sparse_jacobian(tgk.load(tmp_path / "saved"))
    derivative(np.ones((2, 20, 1), np.float32))
    assert derivative.pattern.nnz == tgk.sparse_jacobian(model).pattern.nnz < 18 * 20 / 2
