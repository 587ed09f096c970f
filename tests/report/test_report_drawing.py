"""Where the boxes of a graph go, how graphs are folded, and what the shades of a heat map stand for."""

from __future__ import annotations

import graphlib
import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import isotonic_regression

import tfgradkit as tgk
from tfgradkit.diagnose.graph.graph_view import view
from tfgradkit.report.page_parts import amount, count, short
from tfgradkit.report.picture.drawn_graph import Op, Ops, ops_of, ops_of_view
from tfgradkit.report.picture.folding import fold
from tfgradkit.report.picture.layout import _apart, place
from tfgradkit.report.picture.svg import Scale, condensed, graph_svg, scale_of

ROW, GAP = 60.0, 10.0


def random_graph(nodes, edges, seed):
    """A directed graph without cycles."""
    generator = np.random.default_rng(seed)
    pairs = list(itertools.combinations(range(nodes), 2))
    return [pairs[i] for i in sorted(generator.choice(len(pairs), min(edges, len(pairs)), replace=False))]


GRAPHS = {
    "one box": (1, []),
    "a chain": (5, [(0, 1), (1, 2), (2, 3), (3, 4)]),
    "a skip": (4, [(0, 1), (1, 2), (2, 3), (0, 3)]),
    "two parts": (4, [(0, 1), (2, 3)]),
    "a loop": (3, [(0, 1), (1, 2), (2, 0)]),
    "itself": (2, [(0, 0), (0, 1)]),
    **{f"random {seed}": (20, random_graph(20, 40, seed)) for seed in range(3)},
}


@pytest.mark.parametrize("name", GRAPHS)
def test_boxes_are_apart_and_inside_and_lines_join_them(name):
    count, edges = GRAPHS[name]
    widths = [40.0 + 7 * (i % 5) for i in range(count)]
    layout = place(widths, edges, row=ROW, gap=GAP)
    for (i, (x, y)), (j, (u, v)) in itertools.combinations(enumerate(layout.places), 2):
        assert y != v or abs(x - u) >= (widths[i] + widths[j]) / 2 + GAP - 1e-9
    for (x, y), width in zip(layout.places, widths, strict=True):
        assert width / 2 - 1e-9 <= x <= layout.width - width / 2 + 1e-9
        assert 0 < y < layout.height
    for (source, target), path in zip(edges, layout.paths, strict=True):
        assert (path[0], path[-1]) == (layout.places[source], layout.places[target])
    if "loop" not in name and name != "itself":
        assert all(path[0][1] < path[-1][1] for path in layout.paths), "lines lead down"


def test_a_chain_is_straight_and_a_twisted_pair_is_untwisted():
    chain = place([50.0] * 4, [(0, 1), (1, 2), (2, 3)], row=ROW, gap=GAP)
    assert len({x for x, _ in chain.places}) == 1
    pair = place([50.0] * 4, [(0, 3), (1, 2)], row=ROW, gap=GAP)
    (a, _), (b, _), (c, _), (d, _) = pair.places
    assert (a < b) == (d < c), "the lines don't cross"


@pytest.mark.parametrize("seed", range(3))
def test_places_in_a_layer_are_the_nearest_that_keep_their_distance(seed):
    generator = np.random.default_rng(seed)
    wanted, sizes = generator.normal(0, 100, 9), generator.uniform(20, 60, 9)
    got = _apart(wanted.tolist(), range(9), sizes.tolist(), GAP)
    offsets = np.concatenate([[0], np.cumsum((sizes[:-1] + sizes[1:]) / 2 + GAP)])
    np.testing.assert_allclose(got, isotonic_regression(wanted - offsets).x + offsets)


def ops_from(count, edges, layer=lambda i: "", phase=lambda i: "forward"):
    ops = tuple(Op(f"n{i}", f"T{i % 3}", layer(i), phase(i)) for i in range(count))
    return Ops(ops, tuple((f"n{a}", f"n{b}") for a, b in edges), {"T": count})


@pytest.mark.parametrize("limit", [1, 5, 12])
@pytest.mark.parametrize("layers", [0, 7, 40], ids=lambda n: f"{n} layers")
def test_a_folded_graph_has_every_op_once_few_boxes_and_no_cycle(limit, layers):
    edges = random_graph(120, 260, layers)
    ops = ops_from(
        120,
        edges,
        lambda i: f"layer_{i * layers // 120}" if layers else "",
        lambda i: "gradient" if i % 60 > 30 else "forward",
    )
    folded = fold(ops, limit)
    assert len(folded.boxes) <= limit
    assert sum(box.size for box in folded.boxes) == 120
    before = {i: set() for i in range(len(folded.boxes))}
    for source, target in folded.lines:
        before[target].add(source)
    tuple(graphlib.TopologicalSorter(before).static_order())  # raises where there is a cycle


def test_a_small_graph_is_not_folded():
    folded = fold(ops_from(10, random_graph(10, 15, 0)), 10)
    assert folded.is_whole
    assert [box.title for box in folded.boxes[:3]] == ["T0", "T1", "T2"]
    assert len(folded.lines) == 15


def test_ops_of_a_function_are_read_from_its_graph():
    weight = tf.Variable(2.0)

    def function(x):
        return tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a) * 1.5), (0, x * weight))[1]

    ops = ops_of_view(view(function, tf.TensorSpec([2], tf.float32)))
    assert [(op.type, op.phase) for op in ops.drawn if op.type in ("x", "y")] == [("x", "input"), ("y", "output")]
    (loop,) = (op for op in ops.drawn if "While" in op.type)
    (product,) = (op for op in ops.drawn if op.type == "Mul")
    (start,) = (op.name for op in ops.drawn if op.phase == "input")
    assert {(start, product.name), (product.name, loop.name), (loop.name, "result y")} <= set(ops.edges)
    assert loop.inside >= 4, "the ops of the loop's functions"
    assert (ops.counts["Sin"], ops.counts["ReadVariableOp"]) == (1, 1)
    assert {op.type for op in ops.drawn}.isdisjoint({"ReadVariableOp", "Const", "PartitionedCall", "Sin"})


def test_called_functions_are_written_out_and_their_gradients_are_gradients():
    @tf.function
    def inner(a, b):
        return tf.sin(a), b * 2.0

    def outer(x):
        one, two = inner(x, x)
        return one + inner(two, two)[0]

    ops = ops_of_view(view(tgk.gradient(outer), tf.TensorSpec([], tf.float32)))
    phases = {(op.type, op.phase) for op in ops.drawn}
    assert {("Sin", "forward"), ("Cos", "gradient"), ("x", "input"), ("y", "output")} <= phases
    assert not any("Call" in op.type for op in ops.drawn)
    after = {op.name: [b for a, b in ops.edges if a == op.name] for op in ops.drawn}
    assert after["result y"] == []
    waiting, seen = [op.name for op in ops.drawn if op.phase == "input"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting += [other for other in after[name] if other not in seen]
    assert "result y" in seen, "a line leads from the input to the result, through the calls"


def test_ops_that_hand_on_what_they_get_are_looked_through():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [], name="x")
        tf.identity(tf.cos(tf.identity(x), name="used"), name="end")
    ops = ops_of(graph.as_graph_def(), {"x": "input"}, {"result": "end:0"}, ())
    assert [(op.type, op.phase) for op in ops.drawn] == [("input", "input"), ("Cos", "forward"), ("result", "output")]
    assert ops.edges == (("x", "used"), ("used", "result result"))
    assert ops.total == 4


def test_names_in_a_picture_are_text():
    svg = graph_svg(fold(ops_from(1, [], lambda i: "<script>&"), 5), "<title>", "name")
    assert "<script>" not in svg
    assert "&lt;script&gt;&amp;" in svg


def test_condensed_maps_show_the_largest_entry_of_each_block():
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((10, 7))
    matrix[9, 6] = np.nan
    got = condensed(matrix, 5)
    assert got.shape == (5, 5)
    for i, rows in enumerate(np.array_split(np.arange(10), 5)):
        for j, columns in enumerate(np.array_split(np.arange(7), 5)):
            block = matrix[np.ix_(rows, columns)].ravel()
            expected = np.nan if np.isnan(block).any() else block[np.abs(block).argmax()]
            np.testing.assert_equal(got[i, j], expected)
    assert condensed(matrix[:3, :3], 5) is not None
    np.testing.assert_array_equal(condensed(matrix[:3, :3], 5), matrix[:3, :3])


@pytest.mark.parametrize("scale", [Scale(5.0, None), Scale(1e6, 10.0)], ids=["linear", "logarithmic"])
def test_shades_are_odd_rising_and_end_at_one(scale):
    values = np.linspace(-scale.largest, scale.largest, 101)
    shades = scale.shades(values)
    np.testing.assert_allclose(shades, -shades[::-1], atol=1e-12)
    assert np.all(np.diff(shades) > 0)
    assert (shades[0], shades[50], shades[-1]) == pytest.approx((-1, 0, 1))
    np.testing.assert_allclose(scale.values(shades), values, rtol=1e-9, atol=1e-9 * scale.largest)
    assert np.isnan(scale.shades(np.array([np.nan, np.inf]))).all()


def test_the_scale_is_logarithmic_where_entries_differ_by_much():
    assert scale_of(np.array([[1.0, -3.0], [0.0, 2.0]])) == Scale(3.0, None)
    wide = scale_of(np.array([1e-3, 2.0, 5e4]))
    assert wide.largest == 5e4
    assert wide.linear is not None
    assert wide.linear < 10
    assert scale_of(np.zeros((2, 2))).shades(np.zeros(3)).tolist() == [0, 0, 0]
    assert scale_of(np.array([np.nan, 2.0])).largest == 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1.00"), (-2.5, "−2.50"), (1234.5, "1234"), (12345.0, "1.23e+04"), (0.00012, "1.20e−04"),
     (float("nan"), "NaN"), (float("-inf"), "−∞")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_counts_and_amounts():
    assert (count(1, "point"), count(1200, "point"), count(2, "box", "boxes")) == ("1 point", "1,200 points", "2 boxes")
    assert (amount(512), amount(1500), amount(2.5e9)) == ("512 B", "1.5 kB", "2.5 GB")
