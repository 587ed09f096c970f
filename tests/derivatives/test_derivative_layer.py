"""Derivatives as Keras layers: shapes, training, saving, loading elsewhere, exports."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk
from tfgradkit.derivatives.operator_table import OPERATORS, SEED_NAMES
from tfgradkit.errors import SignatureError, SourceError

L = keras.layers
X = np.random.default_rng(21).normal(size=(4, 3)).astype("float32")
# Operators that need more than a function to be built are for the tests of those.
KINDS = sorted(set(OPERATORS) & {"value", "jacobian", "vjp", "jvp", "gradient", "hessian", "hvp", "laplacian"})
TWINS = ["value_and_jacobian", "value_and_gradient", "value_and_vjp", "value_and_jvp", "value_gradient_and_hessian"]


@pytest.fixture(scope="module")
def vector():
    return build(mlp(3, 2, 5), "float32")


@pytest.fixture(scope="module")
def scalar():
    return build(mlp(3, 1, 5), "float32")


def around(layer, model):
    """A functional model of x (and a seed), whose result is the layer's."""
    x = keras.Input((3,))
    if layer._seed_name is None:
        return keras.Model(x, layer(x))
    seed = keras.Input(model.output_shape[1:] if layer._seed_name == "output_gradients" else (3,))
    return keras.Model([x, seed], layer([x, seed]))


@pytest.mark.parametrize("kind", [*KINDS, *TWINS])
def test_every_kind_in_a_functional_model(kind, scalar):
    layer = tgk.layers.Derivative(scalar, kind)
    outer = around(layer, scalar)
    operator = getattr(tgk, kind, None) or (lambda model: model)
    expected = operator(scalar)
    if layer._seed_name is None:
        got, wanted = outer(X), expected(X)
    else:
        seed = np.ones((4, 1 if layer._seed_name == "output_gradients" else 3), "float32")
        got, wanted = outer([X, seed]), expected(X, **{layer._seed_name: seed})
    for one, other, symbolic in zip(*map(tf.nest.flatten, (got, wanted, outer.output)), strict=True):
        np.testing.assert_allclose(
            one, other if kind != "value" else np.reshape(other, one.shape), rtol=1e-5, atol=1e-6
        )
        assert symbolic.shape == (None, *one.shape[1:])
        assert keras.backend.standardize_dtype(symbolic.dtype) == one.dtype.name


def test_every_seeded_kind_takes_its_seed_by_name(vector):
    for kind, seed_name in SEED_NAMES.items():
        if kind not in ("vjp", "jvp"):
            continue
        seed = np.ones((4, 2 if seed_name == "output_gradients" else 3), "float32")
        layer = tgk.layers.Derivative(vector, kind)
        np.testing.assert_array_equal(layer(X, **{seed_name: seed}), layer([X, seed]))
        x, u = keras.Input((3,)), keras.Input(seed.shape[1:])
        outer = keras.Model([x, u], layer(x, **{seed_name: u}))
        np.testing.assert_allclose(outer([X, seed]), getattr(tgk, kind)(vector)(X, **{seed_name: seed}), rtol=1e-6)
        with pytest.raises(SignatureError, match=f"{seed_name}= is missing"):
            layer(X)


def test_shapes_are_told_without_a_call(vector):
    layer = tgk.layers.Derivative(vector)
    assert layer.compute_output_shape((None, 3)) == (None, 2, 3)
    assert layer.compute_output_shape((7, 3)) == (7, 2, 3)
    assert tgk.layers.Derivative(vector, "value_and_jacobian").compute_output_shape((7, 3)) == ((7, 2), (7, 2, 3))
    assert tgk.layers.Derivative(vector, "vjp").compute_output_shape([(7, 3), (7, 2)]) == (7, 3)
    # Any size of batch, and none at all, through one model.
    outer = around(layer, vector)
    for size in (0, 1, 9):
        assert outer(np.ones((size, 3), "float32")).shape == (size, 2, 3)


def test_a_model_of_several_inputs(vector):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    inner = keras.Model({"a": a, "b": b}, L.Dense(2)(L.Concatenate()([a, b])) * b[:, :1])
    layer = tgk.layers.Derivative(inner)
    blocks = layer({"a": np.ones((4, 2), "float32"), "b": X})
    assert {key: block.shape for key, block in blocks.items()} == {"a": (4, 2, 2), "b": (4, 2, 3)}
    outer = keras.Model({"a": a, "b": b}, layer({"a": a, "b": b}))
    assert outer.output["b"].shape == (None, 2, 3)


def sobolev(kind="value_and_gradient"):
    """A network whose values and slopes are both trained."""
    keras.utils.set_random_seed(4)
    network = keras.Sequential([keras.Input((1,)), L.Dense(16, "tanh"), L.Dense(1)])
    x = keras.Input((1,))
    return network, keras.Model(x, list(tgk.layers.Derivative(network, kind)(x)))


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_sobolev_training_learns_a_sine_and_its_slope(compiled):
    network, outer = sobolev()
    x = np.linspace(-3, 3, 64, dtype="float32")[:, None]
    outer.compile(keras.optimizers.Adam(0.02), ["mse", "mse"], jit_compile=compiled, steps_per_execution=30)
    rows = np.tile(x, (30, 1))
    value, slope = outer(x)
    before = np.mean((value - np.sin(x[:, 0])) ** 2) + np.mean((slope - np.cos(x)) ** 2)
    history = outer.fit(rows, [np.sin(rows[:, 0]), np.cos(rows)], epochs=8, batch_size=64, verbose=0).history["loss"]
    assert history[-1] < 0.02 * before
    value, slope = outer.predict(x, verbose=0)
    np.testing.assert_allclose(value, network.predict(x, verbose=0)[:, 0], rtol=1e-5, atol=1e-6)
    assert np.abs(slope - np.cos(x)).max() < 0.5


def test_weights_belong_to_the_layer_and_have_the_right_gradient(scalar):
    model = build(mlp(3, 1, 4), "float64")
    layer = tgk.layers.Derivative(model, "gradient")
    assert [w.path for w in layer.trainable_weights] == [w.path for w in model.trainable_weights]

    def loss():
        return tf.reduce_sum(layer(X.astype("float64")) ** 2)

    with tf.GradientTape() as tape:
        value = loss()
    kernel = model.trainable_weights[0]
    slope = tape.gradient(value, kernel.value)
    step = np.random.default_rng(5).normal(size=kernel.shape)
    before, h = kernel.numpy(), 1e-5
    ends = []
    for sign in (1, -1):
        kernel.assign(before + sign * h * step)
        ends.append(float(loss()))
    kernel.assign(before)
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(float(np.sum(slope * step)), rel=1e-7)
    layer.trainable = False
    assert layer.trainable_weights == []


class Residual(keras.Model):
    """A subclassed model with a derivative inside."""

    def __init__(self, network, **keywords):
        super().__init__(**keywords)
        self.network = network
        self.slope = tgk.layers.Derivative(network, "value_and_gradient", mode="reverse")

    def call(self, x):
        u, slope = self.slope(x)
        return u[:, None] - slope


def test_a_subclassed_model_trains(scalar):
    model = Residual(scalar)
    model.compile("sgd", "mse")
    first = model.evaluate(X, np.zeros((4, 3)), verbose=0)
    model.fit(X, np.zeros((4, 3)), epochs=5, verbose=0)
    assert model.evaluate(X, np.zeros((4, 3)), verbose=0) < first


LOADING = """
import sys, numpy as np, keras, tfgradkit.layers
model = keras.models.load_model(sys.argv[1])
given = np.load(sys.argv[2])
got = model.predict([given["x"], given["u"]], verbose=0)
np.testing.assert_allclose(got[0], given["jacobian"], rtol=1e-5, atol=1e-6)
np.testing.assert_allclose(got[1], given["vjp"], rtol=1e-5, atol=1e-6)
print("same", len(model.trainable_weights))
"""


def test_saved_and_loaded_in_another_process(vector, tmp_path, root):
    x, u = keras.Input((3,)), keras.Input((2,))
    jacobian = tgk.layers.Derivative(vector, mode="forward", name="slope")(x)
    outer = keras.Model([x, u], [jacobian, tgk.layers.Derivative(vector, "vjp")(x, output_gradients=u), vector(x)])
    outer.save(tmp_path / "outer.keras")
    seed = np.ones((4, 2), "float32")
    found = outer([X, seed])
    np.savez(tmp_path / "points.npz", x=X, u=seed, jacobian=found[0], vjp=found[1])
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path / "outer.keras"), str(tmp_path / "points.npz")],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-2:] == ["same", "6"]
    again = tgk.load(tmp_path / "outer.keras")
    # One inner model for both, as before.
    assert len(again.trainable_weights) == 6
    layer = next(layer for layer in again.layers if layer.name == "slope")
    assert (layer.kind, layer.keywords) == ("jacobian", {"mode": "forward"})


def test_a_configuration_makes_the_same_layer(vector):
    layer = tgk.layers.Derivative(vector, "hessian", name="curvature", strategy="loop")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "tfgradkit>Derivative"
    again = keras.saving.deserialize_keras_object(config)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(again(X), layer(X), rtol=1e-6)
    assert again.name == "curvature"


def test_mixed_precision():
    policy = keras.DTypePolicy("mixed_float16")
    inner = keras.Sequential([keras.Input((3,)), L.Dense(4, "tanh", dtype=policy), L.Dense(2, dtype=policy)])
    x = keras.Input((3,))
    layer = tgk.layers.Derivative(inner)
    outer = keras.Model(x, L.Dense(1, dtype="float32")(L.Flatten(dtype="float32")(layer(x))))
    assert layer(X).dtype == tgk.jacobian(inner)(X).dtype
    wide = keras.Sequential([keras.Input((3,)), L.Dense(4, "tanh"), L.Dense(2)])
    wide.set_weights(inner.get_weights())
    np.testing.assert_allclose(layer(X), tgk.jacobian(wide)(X), atol=5e-3)
    outer.compile("sgd", "mse")
    assert np.isfinite(outer.fit(X, np.zeros((4, 1)), verbose=0).history["loss"]).all()


def test_exports(vector, tmp_path):
    x = keras.Input((3,))
    outer = keras.Model(x, tgk.layers.Derivative(vector)(x))
    expected = tgk.jacobian(vector)(X)
    tgk.export_saved_model(outer, tmp_path / "ours")
    loaded = tf.saved_model.load(str(tmp_path / "ours"))
    np.testing.assert_allclose(loaded.signatures["value"](x=tf.constant(X))["y"], expected, rtol=1e-5, atol=1e-6)
    second = loaded.signatures["jacobian"](x=tf.constant(X))["jacobian"]
    np.testing.assert_allclose(second, tgk.hessian(vector)(X), rtol=1e-4, atol=1e-5)
    outer.export(tmp_path / "keras", verbose=False)
    archive = tf.saved_model.load(str(tmp_path / "keras"))
    np.testing.assert_allclose(tf.nest.flatten(archive.serve(X))[0], expected, rtol=1e-5, atol=1e-6)


def test_as_a_c_library(vector, tmp_path):
    x = keras.Input((3,))
    outer = keras.Model(x, tgk.layers.Derivative(vector)(x))
    library = tgk.export_native(outer, tmp_path / "slope", "slope", ())
    np.testing.assert_allclose(library.value(X), tgk.jacobian(vector)(X), rtol=1e-5, atol=1e-6)


def test_what_it_refuses(vector):
    for model, words in ((lambda x: x, "only a Keras model"), (keras.Sequential([L.Dense(2)]), "not built")):
        with pytest.raises(SourceError, match=words):
            tgk.layers.Derivative(model)
    with pytest.raises(SignatureError, match="no such kind") as raised:
        tgk.layers.Derivative(vector, "jakobian")
    assert all(kind in str(raised.value) for kind in KINDS)
    with pytest.raises(SignatureError, match="no such kind"):
        tgk.layers.Derivative(vector, "sparse_jacobian")  # which is no tensor
    for keywords in ({"has_aux": True}, {"speed": 1}, {"wrt": [vector.weights[0]]}):
        with pytest.raises(SignatureError):
            tgk.layers.Derivative(vector, **keywords)


def test_coupled_samples_are_refused_here_too():
    inner = keras.Sequential([keras.Input((3,)), L.Dense(3), L.BatchNormalization(name="middle")])
    with pytest.raises(tgk.errors.GradientError, match="layer middle"):
        tgk.layers.Derivative(inner, training=True)(X)


def test_load_knows_the_layer(vector, tmp_path, root):
    x = keras.Input((3,))
    keras.Model(x, tgk.layers.Derivative(vector)(x)).save(tmp_path / "outer.keras")
    code = "import sys, tfgradkit as tgk; print(tgk.load(sys.argv[1]).output_shape)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "outer.keras")], capture_output=True, text=True, cwd=root
    )
    assert done.stdout.strip() == "(None, 2, 3)", done.stderr[-2000:]
