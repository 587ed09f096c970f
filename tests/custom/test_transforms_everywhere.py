"""Every transform in a SavedModel that a process without tfgradkit loads, in exports, and in a C library."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError

L = keras.layers
X = np.random.default_rng(8).normal(size=(4, 3))

FOREIGN = """
import sys, numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
x = tf.constant(given["x"])
for name in [n for n in given.files if n != "x"]:
    f = getattr(loaded, name)
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)
    for way in (slope, tf.function(slope), tf.function(slope, jit_compile=True)):
        np.testing.assert_allclose(way(x), given[name], rtol=1e-9, atol=1e-12, err_msg=name)
assert not any(m.startswith("tfgradkit") for m in sys.modules)
print("same")
"""


def tripled(op, upstream):
    return 3 * op.vjp(upstream)[0]


def dense(units, activation=None, **keywords):
    return L.Dense(units, activation, dtype="float64", **keywords)


def network():
    """One of each transform, of a smooth network."""
    keras.utils.set_random_seed(6)
    x = keras.Input((3,), dtype="float64")
    inner = keras.Sequential([keras.Input((3,), dtype="float64"), dense(4, "tanh"), dense(3, "tanh", name="last")])
    h = tgk.checkpoint(inner)(x)
    h = tgk.reverse_gradient(h, scale=0.5)
    h = tgk.layers.StraightThrough("round", "hardtanh")(3 * dense(5)(h))
    return tgk.override_gradient(keras.Model(x, dense(1)(h)), {"layer:last": tripled})


FUNCTIONS = {
    "clip": tgk.clip_gradient(tf.sin, norm=0.5, axes="sample"),
    "reverse": tgk.reverse_gradient(tf.sin, scale=2.0),
    "stop": lambda x: tgk.stop_gradient(tf.sin(x)) * x,
    "estimator": tgk.straight_through("floor", surrogate=tf.sin),
    "checkpoint": tgk.checkpoint(lambda x: tf.sin(tf.sin(x))),
    "override": tgk.override_gradient(lambda x: tf.nn.silu(tf.sin(x)), {"Sin": lambda op, u: 3 * u}),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    module = tf.Module()
    model = network()
    module.weights = [w.value for w in model.variables]
    expected = {"x": X}
    for name, f in {**FUNCTIONS, "network": model}.items():
        call = tf.function(f, input_signature=[tf.TensorSpec([None, 3], tf.float64)], autograph=False)
        setattr(module, name, call)
        x = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        expected[name] = tape.gradient(y, x).numpy()
    folder = tmp_path_factory.mktemp("saved")
    tf.saved_model.save(module, str(folder / "model"))
    tf.saved_model.save(module, str(folder / "clip"), {"serving_default": module.clip})
    np.savez(folder / "points.npz", **expected)
    return folder


def test_in_a_process_without_tfgradkit(saved, root):
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN, str(saved / "model"), str(saved / "points.npz")],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1:] == ["same"]


def test_clipping_is_known_after_loading(saved):
    loaded = tgk.load(saved / "clip")
    found = tgk.vjp(loaded)(X, output_gradients=np.ones_like(X))
    np.testing.assert_allclose(found, np.load(saved / "points.npz")["clip"], rtol=1e-12)
    with pytest.raises(GradientError, match="clip_gradient is not linear"):
        tgk.jvp(loaded)(X, tangents=X)


def test_the_derivative_is_what_it_should_be():
    """By hand: rounded forward; backward the hardtanh's mask, halved and reversed, then three times as much."""
    model = network()
    inner = next(layer for layer in model.layers[1].model.layers if isinstance(layer, tgk.layers.Checkpoint)).layer
    last, first = model.layers[1].model.layers[-1], model.get_weights()[4:6]
    h = inner(X).numpy() @ first[0] + first[1]
    u = last.get_weights()[0].T * (np.abs(3 * h) <= 1) * 3
    expected = tgk.vjp(inner)(X, output_gradients=-0.5 * u @ first[0].T) * 3
    np.testing.assert_allclose(tgk.gradient(model)(X), expected, rtol=1e-12)
    np.testing.assert_allclose(model(X), np.round(3 * h) @ last.get_weights()[0] + last.get_weights()[1], rtol=1e-12)


def test_exported(tmp_path):
    model = network()
    expected = tgk.jacobian(model)(X)
    tgk.export_saved_model(model, tmp_path / "ours")
    signatures = tf.saved_model.load(str(tmp_path / "ours")).signatures
    np.testing.assert_allclose(signatures["jacobian"](x=tf.constant(X))["jacobian"], expected, rtol=1e-12)
    library = tgk.export_native(model, tmp_path / "library", "altered", ("vjp",))
    np.testing.assert_allclose(library.value(X), model(X), rtol=1e-12)
    np.testing.assert_allclose(library.vjp(X, np.ones((4, 1))), expected[:, 0], rtol=1e-12, atol=1e-14)


def test_clipping_exports_as_a_product_only(tmp_path):
    model = keras.Sequential([keras.Input((3,), dtype="float64"), dense(2, "tanh"), tgk.layers.ClipGradient(norm=0.1)])
    u = np.ones((4, 2))
    with pytest.raises(GradientError, match="clip_gradient is not linear"):
        tgk.export_native(model, tmp_path / "no", "clipped", ("jacobian",))
    assert list(tmp_path.iterdir()) == []
    tgk.export_saved_model(model, tmp_path / "yes", ("vjp",))
    signature = tf.saved_model.load(str(tmp_path / "yes")).signatures["vjp"]
    found = signature(x=tf.constant(X), output_gradients=tf.constant(u))["vjp"]
    np.testing.assert_allclose(found, tgk.vjp(model)(X, output_gradients=u), rtol=1e-12)
