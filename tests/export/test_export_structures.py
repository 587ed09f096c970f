"""Exports of models and functions with several inputs and outputs, in both dtypes, of any rank."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from models import build

import tfgradkit as tgk
from tfgradkit.errors import ExportError, SignatureError

RNG = np.random.default_rng(11)
KINDS = ("jacobian", "vjp", "jvp", "hessian")


def two_by_two() -> keras.Model:
    """Inputs by name in a dict, outputs in a dict; one output does not depend on one input."""

    def make():
        state, control = (
            keras.Input((3,), name="state", dtype="float64"),
            keras.Input((2, 2), name="control", dtype="float64"),
        )
        joined = L.Concatenate()([state, L.Flatten()(control)])
        hidden = L.Dense(4, "tanh")(joined)
        outputs = {"power": L.Dense(1)(hidden), "flow": L.Dense(2, "softplus")(L.Dense(3, "tanh")(state))}
        return keras.Model({"state": state, "control": control}, outputs, name="plant")

    return build(make, "float64")


def mixed(position: tf.Tensor, options: dict) -> tuple:
    """A function of one sample in float64 and float32; one result is an argument, one a constant."""
    scale = tf.cast(options["scale"], tf.float64)
    return tf.sin(position) * scale, options["scale"], tf.constant([1.0, 2.0], tf.float64)


MIXED_SPECS = (tf.TensorSpec([3], tf.float64), {"scale": tf.TensorSpec([], tf.float32)})


@pytest.fixture(scope="module")
def plant():
    return two_by_two()


@pytest.fixture(scope="module")
def plant_points():
    return {"control": RNG.normal(size=(5, 2, 2)), "state": RNG.normal(size=(5, 3))}


@pytest.fixture(scope="module")
def plant_saved(plant, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plant") / "saved"
    tgk.export_saved_model(plant, folder, KINDS)
    return tf.saved_model.load(folder)


def signature_call(loaded, kind, **arrays):
    return {
        name: t.numpy() for name, t in loaded.signatures[kind](**{k: tf.constant(a) for k, a in arrays.items()}).items()
    }


def test_signatures_have_the_models_own_names(plant_saved, plant_points, plant):
    results = signature_call(plant_saved, "jacobian", **plant_points)
    assert set(results) == {
        "power", "flow", "d_flow_d_control", "d_flow_d_state", "d_power_d_control", "d_power_d_state",
    }  # fmt: skip
    expected = tgk.jacobian(plant)(plant_points)
    for y in expected:
        for x in expected[y]:
            np.testing.assert_allclose(results[f"d_{y}_d_{x}"], expected[y][x], rtol=1e-13, atol=1e-14)
    assert not results["d_flow_d_control"].any()


def test_products_in_a_saved_model_are_those_of_the_jacobian(plant_saved, plant_points, plant):
    blocks = signature_call(plant_saved, "jacobian", **plant_points)
    u = {"power": RNG.normal(size=(5, 1)), "flow": RNG.normal(size=(5, 2))}
    v = {"state": RNG.normal(size=(5, 3)), "control": RNG.normal(size=(5, 2, 2))}
    vjp = signature_call(plant_saved, "vjp", **plant_points, **{f"output_gradients_{k}": a for k, a in u.items()})
    jvp = signature_call(plant_saved, "jvp", **plant_points, **{f"tangents_{k}": a for k, a in v.items()})
    for x in v:
        expected = sum(np.einsum("by,by...->b...", u[y], blocks[f"d_{y}_d_{x}"]) for y in u)
        np.testing.assert_allclose(vjp[f"vjp_{x}"], expected, rtol=1e-12, atol=1e-13)
    for y in u:
        parts = (np.reshape(blocks[f"d_{y}_d_{x}"], (5, u[y].shape[1], -1)) @ v[x].reshape(5, -1, 1) for x in v)
        np.testing.assert_allclose(jvp[f"jvp_{y}"], sum(parts)[..., 0], rtol=1e-12, atol=1e-13)


def test_second_derivatives_are_symmetric_across_blocks(plant_saved, plant_points):
    results = signature_call(plant_saved, "hessian", **plant_points)
    block = results["d2_power_d_state_d_control"]
    assert block.shape == (5, 3, 2, 2)
    other = results["d2_power_d_control_d_state"]
    np.testing.assert_allclose(block, np.moveaxis(other, -1, 1), rtol=1e-11, atol=1e-13)
    assert np.abs(block).max() > 1e-3


def test_a_saved_model_of_several_inputs_is_loaded_and_differentiated(plant, plant_points, tmp_path):
    tgk.export_saved_model(plant, tmp_path / "saved", ("vjp",))
    loaded = tgk.load(tmp_path / "saved")
    got, expected = tgk.jacobian(loaded)(plant_points), tgk.jacobian(plant)(plant_points)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), got, expected)


def test_an_empty_batch_of_a_saved_model(plant_saved):
    results = signature_call(plant_saved, "jacobian", state=np.zeros((0, 3)), control=np.zeros((0, 2, 2)))
    assert results["d_power_d_control"].shape == (0, 1, 2, 2)


def test_a_function_of_two_dtypes(tmp_path):
    tgk.export_saved_model(mixed, tmp_path / "saved", KINDS, input_specs=MIXED_SPECS)
    loaded = tf.saved_model.load(tmp_path / "saved")
    x, s = RNG.normal(size=(4, 3)), RNG.normal(size=4).astype(np.float32)
    results = signature_call(loaded, "jacobian", position=x, options_scale=s)
    wide = s.astype(np.float64)
    np.testing.assert_allclose(
        results["d_y0_d_position"], np.cos(x)[:, :, None] * np.eye(3) * wide[:, None, None], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(results["d_y0_d_options_scale"], np.sin(x), rtol=1e-6)
    np.testing.assert_array_equal(results["d_y1_d_options_scale"], np.ones(4, np.float32))
    assert results["d_y1_d_position"].dtype == np.float32
    assert not results["d_y2_d_position"].any()
    np.testing.assert_array_equal(results["y2"], np.tile([1.0, 2.0], (4, 1)))


def test_names_can_be_given(plant, plant_points, tmp_path):
    tgk.export_saved_model(plant, tmp_path / "saved", input_names=("u", "x"), output_names=("q", "p"))
    loaded = tf.saved_model.load(tmp_path / "saved")
    results = signature_call(loaded, "jacobian", u=plant_points["control"], x=plant_points["state"])
    np.testing.assert_allclose(
        results["d_p_d_x"], tgk.jacobian(plant)(plant_points)["power"]["state"], rtol=1e-13, atol=1e-14
    )


NAMES = {
    "too few": ({"input_names": ("u",)}, ExportError, "2 names"),
    "a keyword of C": ({"input_names": ("int", "x")}, ExportError, "'int'"),
    "the same twice": ({"input_names": ("x", "x")}, SignatureError, "x"),
    "a name of an output": ({"input_names": ("power", "x")}, SignatureError, "power"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_that_cannot_be_used(plant, tmp_path, case):
    keywords, kind, told = NAMES[case]
    with pytest.raises(kind, match=told):
        tgk.export_saved_model(plant, tmp_path / "saved", **keywords)
    assert list(tmp_path.iterdir()) == []


def test_a_range_of_an_unknown_input_names_the_known_ones(plant, tmp_path):
    with pytest.raises(SignatureError, match=r"control \| state"):
        tgk.export_native(plant, tmp_path / "library", "plant", ranges={"x": (0, 1)})


@pytest.fixture(scope="module")
def plant_library(plant, tmp_path_factory):
    ranges = {"state": (-3, 3), "control": (np.full((2, 2), -4.0), 4)}
    return tgk.export_native(plant, tmp_path_factory.mktemp("plant") / "library", "plant", KINDS, ranges=ranges)


def test_a_library_of_several_inputs_agrees_with_the_operators(plant_library, plant, plant_points):
    assert (plant_library.input_names, plant_library.output_names) == (("control", "state"), ("flow", "power"))
    value, blocks = plant_library.value_and_jacobian(**plant_points)
    expected = tgk.jacobian(plant)(plant_points)
    for y in expected:
        np.testing.assert_allclose(value[y], plant(plant_points)[y], rtol=1e-12)
        for x in expected[y]:
            np.testing.assert_allclose(blocks[f"d_{y}_d_{x}"], expected[y][x], rtol=1e-11, atol=1e-13)


def test_second_derivatives_of_a_library_of_several_inputs(plant_library, plant, plant_points):
    blocks = plant_library.hessian(**plant_points)
    expected = tgk.hessian(plant)(plant_points)
    for y in expected:
        for first in expected[y]:
            for second in expected[y][first]:
                np.testing.assert_allclose(
                    blocks[f"d2_{y}_d_{first}_d_{second}"], expected[y][first][second], rtol=1e-10, atol=1e-12
                )


def test_products_of_a_library_of_several_inputs(plant_library, plant, plant_points):
    u = {"power": RNG.normal(size=(5, 1)), "flow": RNG.normal(size=(5, 2))}
    got = plant_library.vjp(**plant_points, output_gradients=u)
    expected = tgk.vjp(plant)(plant_points, output_gradients=u)
    v = {"state": RNG.normal(size=(5, 3)), "control": RNG.normal(size=(5, 2, 2))}
    for x in expected:
        np.testing.assert_allclose(got[f"vjp_{x}"], expected[x], rtol=1e-11, atol=1e-13)
    got, expected = plant_library.jvp(**plant_points, tangents=v), tgk.jvp(plant)(plant_points, tangents=v)
    for y in expected:
        np.testing.assert_allclose(got[f"jvp_{y}"], expected[y], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("outside", ["state", "control"])
def test_every_input_has_its_own_range(plant_library, plant_points, outside):
    inside = {name: np.clip(array, -3, 3) for name, array in plant_points.items()}
    plant_library.value(**inside)  # a warning would be an error of its own: see below
    inside[outside][3] = 3.9 if outside == "state" else 4.1
    with pytest.warns(RuntimeWarning, match="outside its range"):
        plant_library.value(**inside)


def test_a_function_of_two_dtypes_as_a_library(tmp_path):
    library = tgk.export_native(mixed, tmp_path / "library", "mixed", ("jacobian",), input_specs=MIXED_SPECS)
    x, s = RNG.normal(size=(70, 3)), RNG.normal(size=70).astype(np.float32)
    value, blocks = library.value_and_jacobian(x, s)
    wide = s.astype(np.float64)
    assert (value["y1"].dtype, blocks["d_y1_d_position"].dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(value["y0"], np.sin(x) * wide[:, None], rtol=1e-12)
    np.testing.assert_allclose(
        blocks["d_y0_d_position"], np.cos(x)[:, :, None] * np.eye(3) * wide[:, None, None], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_array_equal(value["y1"], s)
    np.testing.assert_array_equal(value["y2"], np.tile([1.0, 2.0], (70, 1)))
    assert not blocks["d_y2_d_position"].any()


def test_what_was_chosen_is_in_the_metadata(plant_library):
    functions = {entry["kind"]: entry for entry in plant_library.metadata["functions"]}
    # Three outputs from seven inputs: a pass an output. The one of two numbers depends on one input alone.
    assert functions["jacobian"]["sweeps"] == [{"mode": "reverse", "passes": 2}, {"mode": "reverse", "passes": 1}]
    assert (functions["value"]["sweeps"], functions["vjp"]["sweeps"]) == ([], [])
    assert functions["jacobian"]["flops"] > functions["value"]["flops"] > 0
