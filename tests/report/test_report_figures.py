"""Figures: what is drawn is what the functions say, without pyplot, and a missing Matplotlib is told."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import SignatureError, VersionError
from tfgradkit.report import Limits, plot_graph, plot_jacobian

pytest.importorskip("matplotlib")
L = keras.layers


def cubes(x):
    return tf.concat([x**3, x[:1] * x], 0)


def maps(figure):
    return [axis for axis in figure.axes if axis.images and axis.get_label() != "<colorbar>"]


def test_a_map_shows_the_jacobian_with_its_names():
    x = np.array([1.0, -2.0, 0.5])
    figure = plot_jacobian(cubes, x)
    (axis,) = maps(figure)
    (image,) = axis.images
    expected = np.concatenate([np.diag(3 * x**2), np.eye(3) * x[0]])
    expected[3:, 0] += x
    np.testing.assert_allclose(image.get_array(), expected)
    assert [t.get_text() for t in axis.get_xticklabels()] == ["x[0]", "x[1]", "x[2]"]
    assert [t.get_text() for t in axis.get_yticklabels()] == [f"y[{i}]" for i in range(6)]
    assert image.norm.vmin == -image.norm.vmax == -12.0
    assert image.norm(0.0) == pytest.approx(0.5), "white is 0"
    assert image.get_cmap().name == "RdBu_r"


def test_maps_of_a_batch_share_one_logarithmic_scale():
    weights = tf.constant([[1e-3, 1.0], [0.0, 1e3]], tf.float64)
    figure = plot_jacobian(lambda x: tf.tanh(x) @ weights, np.array([[0.0, 0.0], [1.0, 2.0]]), batched=True, points=2)
    first, second = (axis.images[0] for axis in maps(figure))
    np.testing.assert_allclose(first.get_array(), np.transpose(weights))
    assert first.norm(0.0) == pytest.approx(0.5)
    assert first.norm(1e3) == pytest.approx(1.0)
    assert first.norm(1.0) - 0.5 > 0.1, "a linear scale would leave it white"
    assert (first.norm.vmin, first.norm.vmax) == (second.norm.vmin, second.norm.vmax)


def test_a_large_map_is_aggregated_and_says_so():
    figure = plot_jacobian(lambda x: x**2, np.linspace(1.0, 2.0, 30), limits=Limits(cells=6))
    (axis,) = maps(figure)
    assert axis.images[0].get_array().shape == (6, 6)
    assert [t.get_text() for t in axis.get_xticklabels()] == ["x[0]", "x[29]"]
    assert "6 × 6" in figure.get_supxlabel()


def test_what_is_not_finite_is_masked():
    (axis,) = maps(plot_jacobian(tf.sqrt, np.array([0.0, 4.0])))
    array = axis.images[0].get_array()
    assert array.mask[0, 0]
    assert array[1, 1] == pytest.approx(0.25)


def words(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_a_graph_has_a_box_for_each_op_and_a_line_for_each_tensor():
    figure = plot_graph(lambda x: tf.sin(x) * tf.cos(x), tf.TensorSpec([2], tf.float32))
    assert {"x", "y", "Sin", "Cos", "Mul"} <= set(words(figure))
    (axis,) = figure.axes
    kinds = [type(patch).__name__ for patch in axis.patches]
    assert (kinds.count("FancyBboxPatch"), kinds.count("FancyArrowPatch")) == (5, 5)


def test_a_large_graph_is_folded_by_layer_and_says_so():
    model = keras.Sequential([keras.Input((4,)), *[L.Dense(4, "tanh", name=f"dense_{i}") for i in range(30)]])
    figure = plot_graph(tgk.jacobian(model), limits=Limits(nodes=12))
    assert "folded into" in words(figure)[-1]
    assert any(word.startswith("dense_0 … dense_") for word in words(figure))
    assert any("gradient" in word for word in words(figure))


def test_arguments_that_do_not_fit_are_errors():
    with pytest.raises(SignatureError, match="points to draw"):
        plot_jacobian(cubes, np.ones(2), points=0)
    with pytest.raises(SignatureError, match="no specs of its own"):
        plot_graph(lambda x: x)


def test_pyplot_is_not_touched():
    import matplotlib
    from matplotlib import pyplot

    settings = dict(matplotlib.rcParams)
    plot_jacobian(tf.sin, np.ones(2))
    plot_graph(tf.sin, np.ones(2))
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for plot in (plot_jacobian, plot_graph):
        with pytest.raises(VersionError) as error:
            plot(tf.sin, np.ones(2))
        assert 'pip install "tfgradkit[report]"' in str(error.value)
    assert "<!DOCTYPE html>" in tgk.report.report(tf.sin, np.ones(2), limits=Limits(seconds=0.0))
