"""One model through every client: Python, SavedModel, TensorFlow's C API, C and ctypes give the same numbers."""

from __future__ import annotations

import csv

import clients
import numpy as np
import pytest

import tfgradkit as tgk
from tfgradkit.comparison import relative_error

# float64 throughout: what is left are a few roundings, and XLA's own tanh.
TOLERANCE = 1e-12


def differences(got, points):
    return {name: relative_error(np.ravel(got[name]), np.ravel(points[name])) for name in clients.RESULTS}


def assert_same(got, points):
    errors = differences(got, points)
    assert max(errors.values()) <= TOLERANCE, errors


def test_recorded_answers_are_the_operators(water, water_points):
    assert_same(clients.in_python(water, water_points), water_points)


def test_recorded_answers_agree_with_finite_differences(water, water_points):
    x, step = water_points["x"], np.array([1e-3, 1e-3])
    columns = []
    for axis in range(2):
        moved = np.zeros(2)
        moved[axis] = step[axis]
        columns.append((water(x + moved).numpy() - water(x - moved).numpy()) / (2 * step[axis]))
    jacobian = np.stack(columns, -1)
    assert relative_error(jacobian, water_points["jacobian"]) < 1e-7
    product = np.einsum("bi,bij->bj", water_points["output_gradients"], water_points["jacobian"])
    assert relative_error(product, water_points["vjp"]) < 1e-13


def test_saved_model_in_another_process(water_saved_model, water_points):
    assert_same(clients.in_saved_model(water_saved_model, water_points), water_points)


def test_saved_model_through_tensorflows_c_api(water_saved_model, water_points):
    assert_same(clients.in_tensorflow_c(water_saved_model, water_points), water_points)


def test_stock_saving_can_not_be_run_through_the_c_api(water, water_points, tmp_path):
    """Why the exporter tracks the variables itself: without, the C API does not find them."""
    import tensorflow as tf

    module = tf.Module()
    module.model = water
    module.f = tf.function(lambda x: {"y": water(x)}, input_signature=[tf.TensorSpec([None, 2], tf.float64, name="x")])
    tf.saved_model.save(module, str(tmp_path / "stock"), {"value": module.f})
    signature = clients.signature_of(tmp_path / "stock", "value")
    given = clients.input_argument(tmp_path, signature.inputs["x"].name, water_points["x"])
    output = f"out:{signature.outputs['y'].name}:{tmp_path / 'y'}"
    with pytest.raises(RuntimeError, match="Could not find variable"):
        clients.run([*clients.tensorflow_client(), str(tmp_path / "stock"), "0", given, output])


def test_c_program(water_library, water_points):
    assert_same(clients.in_c(water_library.path, water_points), water_points)


def test_ctypes(water_library, water_points):
    assert_same(clients.in_ctypes(water_library.path, water_points), water_points)


def test_float32_library_in_c_and_ctypes(mlp_library):
    _, library = mlp_library
    points = dict(np.load(library.path / library.metadata["files"]["vectors"]))
    for got in (clients.in_c(library.path, points), clients.in_ctypes(library.path, points)):
        assert max(differences(got, points).values()) < 2e-6


def test_water_model_agrees_with_iapws95(water, root):
    """The shipped table is CoolProp's; the limits are those promised of the model."""
    with (root / "saved_models" / "water_eos.csv").open() as file:
        table = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    y, jacobian = tgk.value_and_jacobian(water)(table[:, :2])
    got = np.concatenate([y.numpy(), jacobian.numpy().reshape(-1, 4)], 1)
    error = 100 * np.abs(got - table[:, 2:]).max(0) / np.ptp(table[:, 2:], axis=0)
    assert error[:2].max() < 0.5
    assert error[2:].max() < 2.0


def test_shipped_table_is_coolprops(root):
    train = pytest.importorskip("train_water_eos", reason="CoolProp is not installed")
    with (root / "saved_models" / "water_eos.csv").open() as file:
        table = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    assert relative_error(train.reference(table[:, :2]), table[:, 2:]) < 1e-9
