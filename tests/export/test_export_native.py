"""Models of every dense kind as C libraries, against TensorFlow and against finite differences."""

from __future__ import annotations

import warnings

import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.comparison import relative_error
from tfgradkit.export.native.compile.targets import choose_targets

# One target is enough where models are tested; test_targets.py tests the others.
BEST = (choose_targets(("host",))[-1].name,)
# Relative to the largest magnitude of a branch: a few roundings of each dtype, and XLA's own
# approximations of exp, log, tanh and erf.
AGREEMENT = {"float32": 5e-6, "float64": 1e-13}


def exported_branches(layers, dtype, folder):
    """A library of all branches, points that the export did not see, and TensorFlow's answers there."""
    model = models.build(lambda: models.branches(layers), dtype)
    library = tgk.export_native(model, folder / "lib", "branches", ("jacobian", "vjp"), targets=BEST, tile=8)
    x = np.random.default_rng(5).uniform(-1.5, 1.5, (45, models.BRANCH)).astype(dtype)
    return library, x, [result.numpy() for result in tgk.value_and_jacobian(model)(x)]


@pytest.fixture(scope="module", params=["float32", "float64"])
def activations(request, tmp_path_factory):
    return exported_branches(models.activation_branches(), request.param, tmp_path_factory.mktemp("activations"))


@pytest.fixture(scope="module", params=["float32", "float64"])
def layers(request, tmp_path_factory):
    return exported_branches(models.layer_branches(), request.param, tmp_path_factory.mktemp("layers"))


def check_branch(exported, index):
    """Value, Jacobian and VJP of one branch."""
    library, x, (expected_y, expected) = exported
    part = slice(models.BRANCH * index, models.BRANCH * (index + 1))
    limit = AGREEMENT[x.dtype.name]
    y, jacobian = library.value_and_jacobian(x)
    assert relative_error(y[:, part], expected_y[:, part]) < limit
    assert relative_error(jacobian[:, part], expected[:, part]) < limit
    u = np.zeros_like(y)
    u[:, part] = np.random.default_rng(6).standard_normal((45, models.BRANCH))
    assert relative_error(library.vjp(x, u), np.einsum("bi,bij->bj", u, expected)) < limit


@pytest.mark.parametrize("index", range(len(models.ACTIVATIONS)), ids=models.ACTIVATIONS)
def test_activation(activations, index):
    check_branch(activations, index)


@pytest.mark.parametrize("index", range(len(models.layer_branches())), ids=list(models.layer_branches()))
def test_layer(layers, index):
    check_branch(layers, index)


def test_every_product_of_weights_is_a_kernel(layers):
    """No matrix product is left to the engine's plain loops."""
    library = layers[0]
    source = (library.path / "src" / "branches.c").read_text()
    assert "{ENGINE_KERNEL," in source
    assert "{ENGINE_DOT" not in source


def export(fn, tmp_path, kinds=("jacobian", "vjp"), **keywords):
    return tgk.export_native(fn, tmp_path / "lib", "f", kinds, **{"targets": BEST, "tile": 8, **keywords})


def test_function_of_one_sample(tmp_path):
    """Mapped over the points; a result may be an input or a constant."""

    def f(x):
        return tf.stack([x[0] * x[1], x[1], tf.sin(x[0]) + 0.0 * x[1], tf.constant(2.0, tf.float64)])

    library = export(f, tmp_path, input_specs=tf.TensorSpec([2], tf.float64))
    x = np.random.default_rng(0).standard_normal((37, 2))
    a, b = x.T
    zero, one = np.zeros(37), np.ones(37)
    y, jacobian = library.value_and_jacobian(x)
    assert relative_error(y, np.stack([a * b, b, np.sin(a), 2 * one], 1)) < 1e-14
    expected = np.stack([np.stack(row, 1) for row in ([b, a], [zero, one], [np.cos(a), zero], [zero, zero])], 1)
    assert relative_error(jacobian, expected) < 1e-14


def test_linear_model_has_a_constant_jacobian(tmp_path):
    """Nothing depends on x there; the compiler drops what isn't used, and the library still stands."""
    model = models.build(lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "float32")
    library = export(model, tmp_path)
    kernel = model.layers[0].kernel.numpy()
    jacobian = library.jacobian(np.zeros((70, 3), np.float32))
    assert np.array_equal(jacobian, np.broadcast_to(kernel.T, (70, 2, 3)))


def test_samples_of_higher_rank_and_other_names(tmp_path):
    def make():
        return keras.Sequential(
            [keras.Input((2, 3), dtype="float64"), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)]
        )

    model = models.build(make, "float64")
    library = export(model, tmp_path, input_names=("strain",), output_names=("stress",))
    x = np.random.default_rng(0).standard_normal((40, 2, 3))
    y, jacobian = library.value_and_jacobian(x)
    assert jacobian.shape == (40, 2, 2, 2, 3)
    assert relative_error(jacobian, tgk.jacobian(model)(x).numpy()) < 1e-13
    assert relative_error(y, model(x).numpy()) < 1e-13
    header = (library.path / "include" / "f.h").read_text()
    assert "const double *strain, double *stress, double *jacobian" in header


def test_wide_outputs_use_smaller_tiles(tmp_path):
    """1 → 300 outputs, f32: more outputs than inputs, and sizes that are no multiple of a vector."""
    model = models.build(models.mlp(inputs=1, outputs=301, width=17), "float32")
    library = export(model, tmp_path)
    x = np.random.default_rng(0).standard_normal((41, 1)).astype(np.float32)
    assert relative_error(library.jacobian(x), tgk.jacobian(model)(x).numpy()) < 5e-6


def test_custom_gradient_is_honoured(tmp_path):
    @tf.custom_gradient
    def doubled(x):
        return tf.tanh(x), lambda upstream: 2 * upstream

    library = export(lambda x: doubled(x), tmp_path, input_specs=tf.TensorSpec([3], tf.float64))
    x = np.random.default_rng(0).standard_normal((5, 3))
    assert relative_error(library.jacobian(x), np.broadcast_to(2 * np.eye(3), (5, 3, 3))) < 1e-15


def test_models_that_are_not_built_yet(tmp_path):
    """Built by the export, for any batch size."""
    model = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
    library = export(model, tmp_path, input_specs=tf.TensorSpec([None, 3]))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    assert relative_error(library.jacobian(x), tgk.jacobian(model)(x).numpy()) < 1e-6
    again = export(model, tmp_path / "again", kinds=())
    assert again.metadata["weights_sha256"] == library.metadata["weights_sha256"]
    model.layers[0].bias.assign([1.0, 0.0, 0.0, 0.0])
    changed = export(model, tmp_path / "changed", kinds=())
    assert changed.metadata["weights_sha256"] != library.metadata["weights_sha256"]
    other = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
    tgk.export_saved_model(other, tmp_path / "saved", input_specs=tf.TensorSpec([None, 3]))
    got = tf.saved_model.load(str(tmp_path / "saved")).signatures["jacobian"](x=tf.constant(x))["jacobian"].numpy()
    assert relative_error(got, tgk.jacobian(other)(x).numpy()) < 1e-6


def test_value_alone(tmp_path):
    model = models.build(models.mlp(2, 1, 4), "float64")
    library = export(model, tmp_path, kinds=())
    assert library.kinds == ("value",)
    with pytest.raises(tgk.errors.LibraryError, match="jacobian"):
        library.jacobian(np.zeros((1, 2)))


@pytest.fixture(scope="module")
def energy(tmp_path_factory):
    """A model with one output, with every kind of derivative, and points that the export did not see."""
    model = models.build(models.mlp(5, 1, 12, "softplus"), "float64")
    kinds = ("jacobian", "vjp", "jvp", "gradient", "hessian", "hvp")
    library = tgk.export_native(model, tmp_path_factory.mktemp("energy") / "lib", "energy", kinds, targets=BEST, tile=8)
    return model, library, np.random.default_rng(3).standard_normal((70, 5))


def test_every_kind_of_a_scalar_model(energy):
    model, library, x = energy
    v = np.random.default_rng(4).standard_normal(x.shape)
    y, gradient, hessian = library.value_gradient_and_hessian(x)
    expected = tgk.hessian(model)(x).numpy()
    assert (y.shape, gradient.shape, hessian.shape) == ((70, 1), (70, 5), (70, 5, 5))
    assert relative_error(y, model(x).numpy()) < 1e-13
    assert relative_error(gradient, tgk.gradient(model)(x).numpy()) < 1e-13
    assert relative_error(hessian, expected) < 1e-13
    assert relative_error(hessian, np.swapaxes(hessian, 1, 2)) < 1e-13
    assert relative_error(library.gradient(x), gradient) < 1e-13
    assert relative_error(library.hessian(x), hessian) < 1e-13
    assert relative_error(library.jvp(x, v), np.einsum("bi,bi->b", gradient, v)[:, None]) < 1e-13
    assert relative_error(library.hvp(x, v), np.einsum("bij,bj->bi", expected, v)) < 1e-13
    for twin in (library.value_and_jvp(x, v), library.value_and_hvp(x, v), library.value_and_gradient(x)):
        assert relative_error(twin[0], y) < 1e-13


def test_hessian_of_a_scalar_model_is_the_difference_of_its_gradient(energy):
    _, library, x = energy
    step = 1e-5
    columns = [(library.gradient(x + step * e) - library.gradient(x - step * e)) / (2 * step) for e in np.eye(5)]
    assert relative_error(np.stack(columns, -1), library.hessian(x)) < 1e-8


def test_hessian_of_a_vector_model_comes_with_its_jacobian(tmp_path):
    model = models.build(models.mlp(3, 4, 7, "gelu"), "float64")
    library = export(model, tmp_path, kinds=("hessian", "jvp"))
    x = np.random.default_rng(0).standard_normal((40, 3))
    y, jacobian, hessian = library.value_gradient_and_hessian(x)
    assert relative_error(y, model(x).numpy()) < 1e-13
    assert relative_error(jacobian, tgk.jacobian(model)(x).numpy()) < 1e-13
    assert relative_error(hessian, tgk.hessian(model)(x).numpy()) < 1e-13
    header = (library.path / "include" / "f.h").read_text()
    assert (
        "f_hessian(void *workspace, int64_t n, const double *x, double *y, double *jacobian, double *hessian)" in header
    )
    assert "double hessian[n][4][3][3]" in header


@pytest.mark.parametrize("kind", ["gradient", "hvp"])
def test_kinds_for_one_output_refuse_more(tmp_path, kind):
    with pytest.raises(tgk.errors.SignatureError, match="jacobian for all outputs"):
        export(models.build(models.mlp(3, 4, 7), "float64"), tmp_path, kinds=(kind,))
    assert list(tmp_path.iterdir()) == []


def test_few_finite_points_still_test_the_tile_and_a_float32_bound_is_inside(tmp_path):
    f = lambda x: tf.math.log(x)  # noqa: E731
    few = tgk.export_native(f, tmp_path / "few", "few", input_specs=tf.TensorSpec([5], tf.float64))
    with np.load(few.path / few.metadata["files"]["vectors"]) as vectors:
        assert len(vectors["x"]) > 2 * max(few.metadata["functions"][1]["tile_points"].values())
    ranges = {"x": (0.7, 0.9)}
    narrow = tgk.export_native(f, tmp_path / "f32", "f32", input_specs=tf.TensorSpec([2], tf.float32), ranges=ranges)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        narrow.value(np.array([0.7, 0.9], np.float32))


def test_a_small_component_beside_a_large_one_is_verified():
    """The error is relative to each component: here the second is wrong by half of itself."""
    expected = np.array([[1e3, 1.0], [-1e3, 0.5]])
    got = expected * [1.0, 1.5]
    assert relative_error(got, expected) == pytest.approx(0.5)
    assert relative_error(np.where(expected == 0.5, np.nan, expected), expected) == np.inf
