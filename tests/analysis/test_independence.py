"""Batches whose samples influence each other are refused, and no others."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk
from tfgradkit.errors import GradientError
from tfgradkit.graph.static_shapes import entries

L = keras.layers
X = np.random.default_rng(3).normal(size=(4, 3))
WIDE = np.random.default_rng(4).normal(size=(3, 8, 8, 2)).astype("float32")
LONG = np.random.default_rng(5).normal(size=(3, 6, 4)).astype("float32")
FLAT = np.random.default_rng(6).normal(size=(3, 6)).astype("float32")
CUBE = np.random.default_rng(7).normal(size=(2, 4, 4, 4, 2)).astype("float32")
FILM = np.random.default_rng(8).normal(size=(2, 3, 6, 6, 2)).astype("float32")


class Affinity(L.Layer):
    """Attention among the samples."""

    def call(self, x):
        return keras.ops.matmul(keras.ops.softmax(keras.ops.matmul(x, keras.ops.transpose(x))), x)


def attention(x):
    return L.MultiHeadAttention(2, 3)(x, x)


# The second is how independence is established: "proven" costs nothing but a look at the graph.
LAYERS = {
    "dense": (L.Dense(3, "tanh"), FLAT, "proven"),
    "dense of sequences": (L.Dense(3, "gelu"), LONG, "proven"),
    "einsum dense": (L.EinsumDense("btf,fg->btg", (None, 3)), LONG, "proven"),
    "conv1d": (L.Conv1D(3, 2, padding="causal"), LONG, "proven"),
    "dilated": (L.Conv1D(3, 2, padding="causal", dilation_rate=2), LONG, "probed"),
    "conv2d": (L.Conv2D(3, 3, strides=2), WIDE, "proven"),
    "conv3d": (L.Conv3D(3, 2), CUBE, "proven"),
    "conv1d transpose": (L.Conv1DTranspose(3, 2), LONG, "proven"),
    "conv2d transpose": (L.Conv2DTranspose(3, 2, strides=2), WIDE, "proven"),
    "conv3d transpose": (L.Conv3DTranspose(3, 2), CUBE, "proven"),
    "depthwise": (L.DepthwiseConv2D(3), WIDE, "proven"),
    "separable": (L.SeparableConv2D(3, 3), WIDE, "proven"),
    "max pooling": (L.MaxPooling2D(), WIDE, "proven"),
    "average pooling": (L.AveragePooling1D(2), LONG, "proven"),
    "global pooling": (L.GlobalMaxPooling2D(), WIDE, "proven"),
    "adaptive pooling": (L.GlobalAveragePooling1D(), LONG, "proven"),
    "batch normalization": (L.BatchNormalization(), FLAT, "proven"),
    "batch normalization of images": (L.BatchNormalization(), WIDE, "proven"),
    "layer normalization": (L.LayerNormalization(), LONG, "proven"),
    "group normalization": (L.GroupNormalization(2), WIDE, "proven"),
    "rms normalization": (L.RMSNormalization(), FLAT, "proven"),
    "unit normalization": (L.UnitNormalization(), FLAT, "proven"),
    "spectral normalization": (L.SpectralNormalization(L.Dense(3)), FLAT, "proven"),
    "lstm": (L.LSTM(3, return_sequences=True), LONG, "proven"),
    "gru": (L.GRU(3), LONG, "proven"),
    "simple rnn": (L.SimpleRNN(3, unroll=True), LONG, "proven"),
    "bidirectional": (L.Bidirectional(L.LSTM(3)), LONG, "proven"),
    "conv lstm": (L.ConvLSTM2D(2, 3), FILM, "proven"),
    "time distributed": (L.TimeDistributed(L.Dense(2)), LONG, "proven"),
    "attention": (attention, LONG, "proven"),
    "additive attention": (lambda x: L.AdditiveAttention()([x, x]), LONG, "proven"),
    "grouped attention": (lambda x: L.GroupQueryAttention(4, 4, 2)(x, x), LONG, "proven"),
    "prelu": (L.PReLU(), FLAT, "proven"),
    "swish": (L.Dense(3, "silu"), FLAT, "probed"),
    "softmax over time": (L.Softmax(axis=1), LONG, "proven"),
    "reshape": (L.Reshape((3, 2)), FLAT, "proven"),
    "permute": (L.Permute((2, 1)), LONG, "proven"),
    "repeat": (L.RepeatVector(2), FLAT, "proven"),
    "flatten": (L.Flatten(), WIDE, "proven"),
    "cropping": (L.Cropping1D(1), LONG, "proven"),
    "padding": (L.ZeroPadding2D(1), WIDE, "proven"),
    "upsampling": (L.UpSampling2D(interpolation="nearest"), WIDE, "proven"),
    "bilinear": (L.UpSampling2D(interpolation="bilinear"), WIDE, "proven"),
    "resizing": (L.Resizing(4, 4), WIDE, "proven"),
    "rescaling": (L.Rescaling(0.5, 1.0), WIDE, "proven"),
    "normalization": (L.Normalization(mean=1.0, variance=2.0), FLAT, "proven"),
    "center crop": (L.CenterCrop(4, 4), WIDE, "proven"),
    "merges": (lambda x: L.Concatenate()([L.Add()([x, x]), L.Dot(axes=1)([x, x])]), FLAT, "proven"),
    "masking": (lambda x: L.LSTM(2)(L.Masking()(x)), LONG, "proven"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_independent_layers_are_not_refused(name):
    make, x, status = LAYERS[name]
    inputs = keras.Input(x.shape[1:])
    check = tgk.check_batch_independence(keras.Model(inputs, make(inputs)), x)
    assert check.ok, check.text
    assert check.layer is None
    assert check.status == status, check.text


@pytest.mark.parametrize(
    "layer",
    [L.Dropout(0.5), L.GaussianNoise(1.0), L.GaussianDropout(0.5), L.SpatialDropout1D(0.5), L.AlphaDropout(0.5)],
    ids=lambda layer: layer.name,
)
def test_random_layers_in_training_are_independent(layer):
    assert tgk.check_batch_independence(layer, LONG, training=True).ok


def test_embedded_vectors_are_independent():
    model = keras.Sequential(
        [keras.Input((5,), dtype="int32"), L.Embedding(7, 3, name="vectors"), L.LSTM(2), L.Dense(1)]
    )
    tokens = np.arange(10).reshape(2, 5) % 7
    assert tgk.check_batch_independence(model, tokens, wrt="layer:vectors").ok
    assert tgk.jacobian(model, wrt="layer:vectors")(tokens).shape == (2, 1, 5, 3)


def normalized(x):
    return x / tf.norm(x, axis=0)


COUPLED = {
    "a mean": (lambda x: x * tf.reduce_mean(x, 0), "Mean"),
    "a softmax": (lambda x: tf.nn.softmax(x, 0), "Softmax"),
    "attention": (lambda x: tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), x), "MatMul"),
    "a sum before": (lambda x: tf.cumsum(x, 0), "Cumsum"),
    "a shift": (lambda x: tf.roll(x, 1, 0), "Roll"),
    "a reversal": (lambda x: x[::-1], "StridedSlice"),
    "the first sample": (lambda x: x + x[:1], "StridedSlice"),
    "an outer product": (lambda x: tf.reduce_sum(x[:, None] * x[None], 0), "Mul"),
    "an einsum": (lambda x: tf.einsum("bi,ci->bi", x, x), "Einsum"),
    "a norm": (normalized, "Sum"),
    "a loop": (lambda x: tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y - tf.reduce_mean(y, 0)), (0, x))[1],
               "Mean"),
    "a branch": (lambda x: tf.cond(x[0, 0] > 1e9, lambda: x, lambda: x * tf.reduce_max(x, 0)), "Max"),
}  # fmt: skip


@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.parametrize("operator", ["jacobian", "hessian"])
def test_coupled_samples_are_an_error_that_names_the_op(name, operator):
    f, op = COUPLED[name]
    with pytest.raises(GradientError, match="samples of the batch influence each other") as raised:
        getattr(tgk, operator)(f, batched=True)(X)
    assert "batched=False" in raised.value.hint
    assert op is None or f"op {op}" in raised.value.got


@pytest.mark.parametrize("name", COUPLED)
def test_the_advice_gives_the_full_jacobian(name):
    f, _ = COUPLED[name]
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        y = f(x)
    np.testing.assert_allclose(tgk.jacobian(f, batched=False)(X), tape.jacobian(y, x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("operator", ["gradient", "hvp", "hessian", "value_and_gradient", "value_gradient_and_hessian"])
def test_scalar_valued_operators_refuse_them_too(operator):
    seeds = {"tangents": X} if operator == "hvp" else {}
    with pytest.raises(GradientError, match="influence each other"):
        getattr(tgk, operator)(lambda x: tf.reduce_sum(x * tf.reduce_mean(x, 0), 1), batched=True)(X, **seeds)


@pytest.mark.parametrize(("operator", "seed"), [("vjp", "output_gradients"), ("jvp", "tangents")])
def test_products_are_with_the_full_jacobian(operator, seed):
    f, _ = COUPLED["a mean"]
    seeds = {seed: np.flip(X, 0).copy()}
    batched, whole = (getattr(tgk, operator)(f, batched=b)(X, **seeds) for b in (True, False))
    np.testing.assert_allclose(batched, whole, rtol=1e-13)


@pytest.mark.parametrize(("operator", "seed"), [("vjp", "output_gradients"), ("jvp", "tangents")])
def test_products_over_groups_of_samples_are_not(operator, seed):
    with pytest.raises(GradientError, match="influence each other"):
        getattr(tgk, operator)(COUPLED["a mean"][0], batched=True, memory_limit=1000)(X, **{seed: X})


@pytest.mark.parametrize("f", [lambda x: tf.reduce_sum(x**2), lambda x: tf.reduce_sum(x**2, 0)], ids=["all", "samples"])
def test_a_result_without_the_samples_axis_is_its_own_error(f):
    with pytest.raises(GradientError, match="no axis for the samples") as raised:
        tgk.jacobian(f, batched=True)(X)
    assert "op Sum" in raised.value.got
    assert tgk.check_batch_independence(f, X).status == "reduced"


@pytest.fixture(scope="module")
def normalizing():
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(4, "tanh"), L.BatchNormalization(name="middle"), L.Dense(1, name="end")]
    )
    model.layers[0].set_weights([np.eye(3, 4) + 0.5, np.zeros(4)])
    return model


@pytest.mark.parametrize("wrt", ["inputs", "parameters"])
def test_batch_normalization_in_training_is_named(normalizing, wrt):
    for operator in ("jacobian", "gradient"):
        with pytest.raises(GradientError, match="influence each other") as raised:
            getattr(tgk, operator)(normalizing, training=True, wrt=wrt)(X)
        assert "layer middle" in raised.value.got
    assert tgk.jacobian(normalizing, wrt=wrt)(X) is not None


def test_a_layer_of_the_users_own_is_named():
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(3, "tanh", name="dense"), Affinity(name="affinity"), L.Dense(2)]
    )
    check = tgk.check_batch_independence(model, X)
    assert (check.ok, check.status, check.layer) == (False, "coupled", "affinity")
    assert "affinity" in str(check)
    assert tgk.check_batch_independence(model, X, of="layer:dense").ok


def test_models_of_keras_2():
    tf_keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")
    model = tf_keras.Sequential(
        [tf_keras.layers.Dense(3, input_shape=(3,)), tf_keras.layers.BatchNormalization(name="mid")]
    )
    assert tgk.check_batch_independence(model, X).status == "proven"
    with pytest.raises(GradientError, match="layer mid"):
        tgk.jacobian(model, training=True)(X)


def test_a_probe_that_finds_only_zeros_says_nothing():
    # A custom gradient has no rule, and this one is zero wherever the probe looks.
    dead = tf.custom_gradient(lambda x: (tf.floor(x), lambda upstream: tf.zeros_like(upstream)))
    assert tgk.check_batch_independence(dead, X).status == "unknown"
    assert not tgk.jacobian(dead, batched=True)(X).numpy().any()


def test_a_probe_leaves_no_trace(normalizing):
    before = [np.array(w) for w in normalizing.get_weights()]
    check = tgk.check_batch_independence(normalizing, X, training=True)
    assert check.status == "coupled"
    for old, new in zip(before, normalizing.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_probe_advances_no_seed():
    dropout = keras.Sequential([keras.Input((3,)), L.Dense(3, "silu"), L.Dropout(0.5, seed=1)])
    state = next(v for v in dropout.variables if "seed" in v.path)
    before = np.array(state)
    assert tgk.check_batch_independence(dropout, X, training=True).status == "probed"
    np.testing.assert_array_equal(before, np.array(state))


def test_nested_operators_check_what_they_differentiate():
    good = tgk.gradient(lambda x: tf.reduce_sum(tf.tanh(x) ** 3, -1), batched=True)
    assert tgk.jacobian(good)(X).shape == (4, 3, 3)
    for inner in (tgk.jacobian, tgk.vjp):
        seeds = (X,) if inner is tgk.vjp else ()
        with pytest.raises(GradientError, match="influence each other"):
            tgk.jacobian(inner(COUPLED["a mean"][0], batched=True))(X, *seeds)


def test_inside_a_function_and_an_export(normalizing, tmp_path):
    coupled = tgk.jacobian(normalizing, training=True)
    with pytest.raises(GradientError, match="layer middle"):
        tf.function(lambda x: coupled(x), autograph=False)(tf.constant(X, tf.float32))
    mixing = keras.Sequential([keras.Input((3,)), Affinity(name="mixer")])
    with pytest.raises(GradientError, match="layer mixer"):
        tgk.export_saved_model(mixing, tmp_path / "mixing")
    assert not (tmp_path / "mixing").exists()


def test_saved_models_and_tf_functions(tmp_path, water_saved_model):
    assert tgk.check_batch_independence(tgk.load(water_saved_model), np.ones((2, 2))).ok
    module = tf.Module()
    module.call = tf.function(COUPLED["a mean"][0], [tf.TensorSpec([None, 3])])
    tf.saved_model.save(module, str(tmp_path / "coupled"), module.call)
    with pytest.raises(GradientError, match="op Mean"):
        tgk.jacobian(tgk.load(tmp_path / "coupled"))(X)


def test_two_samples_that_only_trade_places_with_a_third_are_coupled():
    z = np.arange(9.0).reshape(3, 3)
    with pytest.raises(GradientError, match="influence each other"):
        tgk.jacobian(lambda z: tf.concat([z[2:], z[:2]], 0) ** 2, batched=True)(z)


def test_a_probe_that_fails_is_skipped_and_said():
    def twenty_samples(x):  # an op without a rule, a shape that no few samples have, and values that no others have
        tf.debugging.assert_equal(x, tf.ones_like(x))
        return tf.linalg.adjoint(tf.linalg.diag_part(tf.linalg.diag(tf.reshape(x, [20, 3]))))

    x = np.ones((20, 3))
    check = tgk.check_batch_independence(lambda x: tf.linalg.adjoint(twenty_samples(x)), x)
    assert (check.ok, check.status) == (False, "unknown")
    assert "skipped" in check.text
    assert tgk.jacobian(lambda x: tf.linalg.adjoint(twenty_samples(x)), batched=True)(x).shape == (20, 3, 3)


def test_the_check_is_made_once_a_signature(monkeypatch):
    calls = []
    from tfgradkit.derivatives.batch import independence

    original = independence.probe
    monkeypatch.setattr(independence, "probe", lambda *a, **k: calls.append(1) or original(*a, **k))
    derivative = tgk.jacobian(build(mlp(3, 2, 4, "silu"), "float64"))
    for size in (1, 2, 4):
        derivative(X[:size])
    assert calls == [1]


def test_some_arguments_may_couple_if_they_are_not_differentiated():
    f = lambda x, a: x**2 * tf.reduce_mean(a, 0)  # noqa: E731
    np.testing.assert_allclose(
        tgk.jacobian(f, batched=True)(X, X), [np.diag(row) for row in 2 * X * X.mean(0)], rtol=1e-13
    )
    with pytest.raises(GradientError, match="influence each other"):
        tgk.jacobian(f, batched=True, argnums=1)(X, X)


@pytest.mark.parametrize(
    ("f", "batch"),
    [
        (lambda x: x[:2] ** 3, 4),
        (lambda x: tf.gather(x, [0, 1]) ** 3, 3),
        (lambda x: tf.reshape(x, [2, 4]), 4),
    ],
    ids=["the first two", "two by number", "two of a reshape"],
)
def test_another_number_of_samples_is_no_batch(f, batch):
    with pytest.raises(GradientError, match="no axis for the samples"):
        tgk.jacobian(f, batched=True)(np.ones((batch, 2)))


def test_a_function_may_be_made_for_its_own_batch():
    """Crops of images by the number of their image: two boxes for a batch of two."""
    x, boxes = np.random.default_rng(0).random((2, 4, 4, 1)), tf.constant([[0.0, 0, 1, 1], [0.1, 0.1, 0.8, 0.9]])
    jacobian = tgk.jacobian(lambda x: tf.image.crop_and_resize(x, boxes, [0, 1], [2, 2]), batched=True)(x.astype("f4"))
    assert jacobian.shape == (2, 2, 2, 1, 4, 4, 1)


def test_sizes_that_only_the_run_knows_keep_their_places():
    """In paddings, as in any matrix that a graph packs of rows."""
    known = []

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)
    def pack(count):
        known.extend(entries(tensor) for tensor in (count, tf.stack([3, count]), tf.stack([[0, count], [0, 1]])))

    pack.get_concrete_function()
    assert known == [None, [3, None], [0, None, 0, 1]]
