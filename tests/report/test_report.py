"""The report: its sections, what they say of models whose derivatives are known, and of models that have none."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import sys
from html.parser import HTMLParser

import browser
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.__main__ import main
from tfgradkit.differentiable import Differentiable
from tfgradkit.errors import OutputFileError, SignatureError, SourceError
from tfgradkit.report import Limits, report, write_report
from tfgradkit.report.context import Context
from tfgradkit.report.jacobians import element_names
from tfgradkit.report.page import SECTIONS
from tfgradkit.report.page_parts import PageSection, short
from tfgradkit.report.sections.diagnosis_sections import lost_from
from tfgradkit.report.sections.jacobian_sections import condition, rank, singular_values
from tfgradkit.sources.resolve import resolve

# Strategies are measured where it is asked for.
QUICK = Limits(points=6, seconds=0.0)
NAMES = [name for name, _, _ in SECTIONS]
L = keras.layers


def context_of(fn, *arguments, limits=QUICK, ranges=None, library=None, batched=None):
    return Context(fn, resolve(fn, batched=batched), arguments, ranges or {}, library, limits, lambda step: None)


def made(name, *arguments, **keywords) -> PageSection:
    """One section."""
    make = next(make for section, _, make in SECTIONS if section == name)
    return make(context_of(*arguments, **keywords))


def text_of(page: str) -> str:
    """What is read, without what isn't drawn."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def section_of(page: str, name: str) -> str:
    """The text of one section of a page."""
    return text_of(page.partition(f'<section id="{name}"')[2].partition("</section>")[0])


class Elements(HTMLParser):
    """Every element with its attributes; an element that isn't closed, or closed twice, is an error."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, page):
        super().__init__()
        self.open, self.found = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def water_page(water_library, root, tmp_path_factory):
    """The command's report on the water model and its library."""
    file = tmp_path_factory.mktemp("report") / "water <eos>.html"
    with pytest.MonkeyPatch.context() as patch:
        arguments = [root / "saved_models/water_eos.keras", "--output", file, "--library", water_library.path]
        patch.setattr(sys, "argv", ["tfgradkit", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    assert [other.name for other in file.parent.iterdir()] == [file.name]
    return file


@pytest.fixture(scope="module")
def page(water_page):
    return water_page.read_text()


def test_every_section_is_there_and_none_failed(page):
    elements = Elements(page).found
    assert [a["id"] for tag, a in elements if tag == "section"] == NAMES
    assert [a["href"] for tag, a in elements if tag == "a" and a["href"] != "#contents"] == [f"#{n}" for n in NAMES]
    assert "This failed" not in page
    assert "can't be had" not in page


def test_the_water_model_is_what_it_says(page, water, water_points):
    assert "1 input, 1 output, 1,322 parameters" in text_of(page)
    assert "64 points, uniform in the library's range" in section_of(page, "model")
    assert "the Jacobian is dense" in section_of(page, "jacobian")
    digits = float(re.search(r"([\d.]+) digits agree", page)[1])
    assert digits > 9
    assert "The samples are independent" in section_of(page, "independence")
    assert section_of(page, "parity").count("within") >= 10
    ways = section_of(page, "cost")
    # Where the machine is busy the time may be over before all are measured; the first one always is.
    for way in (r"forward vectorize no 2 [\d.]+ k?B [\d.]+ [\d.]+", "reverse tile yes", "forward loop yes"):
        assert re.search(way, ways), way
    before, after = map(int, re.search(r"(\d+) ops, (\d+) when simplified", page).groups())
    assert after < before


def test_the_page_stands_alone(page):
    elements = Elements(page).found
    for tag, attributes in elements:
        for name in ("src", "href", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert not re.search(r"@import|url\((?!#)", page)
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(page)
    assert "default-src 'none'" in html.unescape(page)


def test_tables_and_pictures_say_what_they_are(page):
    elements = Elements(page).found
    tables = sum(tag == "table" for tag, _ in elements)
    assert tables == sum(tag == "caption" for tag, _ in elements) > 10
    assert all("scope" in a for tag, a in elements if tag == "th")
    assert all(a.get("aria-labelledby") or a.get("aria-label") for tag, a in elements if tag == "svg")
    assert [tag for tag, _ in elements if tag in ("h1", "h2", "h3")] == ["h1"] + ["h2"] * len(NAMES)
    assert ("html", {"lang": "en"}) in elements


def product(a, b):
    """Its Jacobian is written down below."""
    return {"sum": a[0] * b, "first": tf.sin(a[1])}


def test_jacobians_of_several_arguments_and_results_are_one_matrix():
    a, b = np.array([2.0, 0.3]), np.array([5.0, 7.0, 11.0])
    found = context_of(product, a, b).jacobians
    expected = np.zeros((4, 5))
    expected[0, 1] = np.cos(0.3)
    expected[1:, 0] = b
    expected[1:, 2:] = 2.0 * np.eye(3)
    np.testing.assert_allclose(found.matrix[0], expected, rtol=1e-12)
    assert found.rows == ("y['first']", "y['sum'][0]", "y['sum'][1]", "y['sum'][2]")
    assert found.columns == ("a[0]", "a[1]", "b[0]", "b[1]", "b[2]")
    np.testing.assert_allclose(found.y, [[np.sin(0.3), 10, 14, 22]])
    np.testing.assert_allclose(found.x, [[2.0, 0.3, 5.0, 7.0, 11.0]])


def test_a_large_jacobian_is_sampled_and_says_so():
    model = keras.Sequential([keras.Input((20,)), L.Dense(30)], name="wide")
    limits = Limits(points=6, entries=20 * 10, seconds=0)
    found = context_of(model, limits=limits).jacobians
    assert found.matrix.shape == (1, 10, 20)
    assert found.rows[:2] + found.rows[-1:] == ("y[0]", "y[3]", "y[29]")
    np.testing.assert_allclose(found.matrix[0][[0, -1]], model.layers[0].kernel.numpy().T[[0, -1]], rtol=1e-6)
    told = "10 of the 30 outputs, evenly spaced and 1 of the 6 points are shown"
    assert told in found.limit
    for name in ("jacobian", "singular"):
        assert any(told in getattr(block, "text", "") for block in made(name, model, limits=limits).blocks)


def test_a_large_map_is_aggregated_and_says_so():
    section = made("jacobian", lambda x: x**2, np.linspace(1.0, 2.0, 100), limits=Limits(cells=10))
    (drawn, _) = (block for block in section.blocks if block.kind == "heatmap")
    (first,) = drawn.maps
    assert np.shape(first.shades) == (10, 10)
    assert (first.rows, first.columns) == (("y[0]", "y[99]"), ("x[0]", "x[99]"))
    assert "Aggregated to 10 × 10 cells" in drawn.scale.note
    assert np.count_nonzero(first.shades) == 10, "the diagonal"
    assert "99% of the entries are zero everywhere" in section.summary


def test_element_names_follow_the_shape():
    assert element_names("y", (1,)) == ["y"]
    assert element_names("y", ()) == ["y"]
    assert element_names("y", (2, 2)) == ["y[0,0]", "y[0,1]", "y[1,0]", "y[1,1]"]


def test_singular_values_conditions_and_ranks_are_those_of_numpy():
    generator = np.random.default_rng(0)
    for shape in ((3, 5, 2), (3, 2, 5), (3, 4, 4)):
        matrix = generator.standard_normal(shape)
        matrix[1, :, 0] = matrix[1, :, 1]
        values = singular_values(matrix)
        np.testing.assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), atol=1e-12)
        assert rank(values, shape[1:]).tolist() == np.linalg.matrix_rank(matrix).tolist()
        np.testing.assert_allclose(condition(values)[0], np.linalg.cond(matrix[0]))
    assert condition(np.array([[0.0, 0.0], [1.0, 0.0]])).tolist() == [np.inf, np.inf]


def test_scaled_singular_values_do_not_depend_on_units():
    x = np.random.default_rng(1).standard_normal((6, 2))
    weights = tf.constant([[1.0, 2.0], [3.0, -1.0]], tf.float64)

    def row(fn, x):
        section = made("singular", fn, x, batched=True)
        (table,) = (b for b in section.blocks if b.kind == "table" and "Condition" in b.caption)
        return [[cell.text for cell in line] for line in table.rows]

    plain, scaled = row(lambda x: tf.tanh(x) @ weights, x)
    plain_other, scaled_other = row(lambda x: 1e3 * (tf.tanh(x * [1.0, 1e-5]) @ weights), x * [1.0, 1e5])
    assert scaled == scaled_other
    assert plain != plain_other


def test_a_singular_jacobian_is_pointed_out():
    section = made("singular", lambda x: tf.stack([x[0] + x[1], 2 * x[0] + 2 * x[1]]), np.array([1.0, 2.0]))
    assert (section.summary, section.verdict) == ("rank 1 of 2 at 1 point", "attention")


def test_an_entry_that_is_not_finite_is_pointed_out():
    fn = lambda x: tf.sqrt(x) * [1.0, 2.0]  # noqa: E731
    section = made("jacobian", fn, np.array([[1.0, 4.0], [0.0, 1.0]]), batched=True)
    assert section.verdict == "bad"
    assert section.summary == "2 × 2, 50% of the entries are zero everywhere; not finite at 1 point"
    assert made("singular", fn, np.array([0.0, 1.0])).verdict == "bad"


SCALED = {
    "rescaling": (lambda: L.Rescaling([0.5, 0.01], [-1.0, -2.0], name="first"), [0.0, 100.0], [4.0, 300.0]),
    "normalization": (
        lambda: L.Normalization(mean=[5.0, -1.0], variance=[4, 0.25], name="first"),
        [3, -1.5],
        [7, -0.5],
    ),
}


@pytest.mark.parametrize("name", SCALED)
def test_points_are_where_the_first_layer_makes_them_small(name):
    layer, low, high = SCALED[name]
    points = context_of(keras.Sequential([keras.Input((2,)), layer(), L.Dense(1)]), limits=Limits(points=50)).points
    x = np.asarray(points.arguments[0])
    assert "first layer, first" in points.origin
    assert np.all((x >= low) & (x <= high))
    np.testing.assert_allclose(x.min(0), low, atol=0.1 * np.subtract(high, low).max())


def test_points_are_in_the_given_range_and_the_same_again():
    model = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    points = [context_of(model, ranges={"x": ([1, 10], [2, 20])}).points for _ in range(2)]
    x, again = (np.asarray(p.arguments[0]) for p in points)
    np.testing.assert_array_equal(x, again)
    assert np.all((x >= [1, 10]) & (x <= [2, 20]))
    assert points[0].origin == "6 points, uniform in the given range"


def test_axes_of_unknown_size_are_filled_and_told():
    points = context_of(keras.Sequential([keras.Input((None, 3)), L.Dense(2)])).points
    assert points.arguments[0].shape == (6, Limits().unknown, 3)
    assert made("jacobian", keras.Sequential([keras.Input((None, 3)), L.Dense(2)])).summary.startswith("32 × 48")
    assert f"axes of unknown size are taken as {Limits().unknown}" in points.origin


def test_a_model_of_integers_has_a_page_that_says_why_there_is_no_jacobian():
    model = keras.Sequential([keras.Input((3,), dtype="int32"), L.Embedding(5, 2), L.Flatten()], name="words")
    page = report(model, limits=QUICK)
    Elements(page)
    for name in ("jacobian", "singular", "check", "graph", "cost"):
        text = section_of(page, name)
        assert "This can't be had for this model" in text, name
        assert "no input is floating" in text
        assert 'wrt="layer:NAME"' in text
    assert "int32" in section_of(page, "model")


def test_samples_that_influence_each_other_are_named():
    class Mixing(L.Layer):
        def call(self, x):
            return x - tf.reduce_mean(x, axis=0)

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Mixing(name="mixer")(L.Dense(3)(inputs)))
    section = made("independence", model)
    assert section.verdict == "bad"
    assert "mixer" in section.blocks[0].text
    assert "mixer" in section_of(report(model, limits=QUICK), "jacobian")


def test_a_wrong_gradient_is_found():
    @tf.custom_gradient
    def wrong(x):
        return tf.sin(x), lambda upstream: 1.01 * upstream * tf.cos(x)

    section = made("check", lambda x: wrong(x), np.array([0.3, -1.2]))
    assert section.verdict == "bad"
    assert "wrong" in section.summary


def test_a_function_that_fails_says_so_in_every_section():
    def failing(x):
        raise RuntimeError("\x1b[1mout of <order>\x1b[0m")

    page = report(failing, np.ones(2), limits=QUICK)
    Elements(page)
    assert "RuntimeError" in section_of(page, "jacobian")
    assert "out of <order>" in section_of(page, "jacobian")
    assert "\x1b" not in page


def test_names_of_a_model_are_text_in_the_page():
    named = Differentiable(lambda x: x**2, "<img src=x onerror=alert(1)>", False)
    page = report(named, np.ones(2), title="</title><script>alert(2)</script>", limits=QUICK)
    assert "<script>alert" not in page
    assert "<img" not in page
    Elements(page)


def test_a_library_of_another_model_disagrees(water_library):
    other = keras.Sequential([keras.Input((2,), dtype="float64"), L.Dense(2, dtype="float64")])
    section = made("parity", other, library=water_library.path)
    assert (section.verdict, section.summary) == ("bad", "the library and the model differ")
    assert any(cell.text == "outside" for b in section.blocks if b.kind == "table" for row in b.rows for cell in row)
    three = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    assert made("parity", three, library=water_library.path).verdict == "bad"


def test_a_library_that_is_none_is_told_in_its_section(tmp_path):
    page = report(lambda x: x**2, np.ones(2), library=tmp_path, limits=QUICK)
    assert "there is no compiled library here" in section_of(page, "parity")
    assert "2 × 2" in text_of(page)


def test_time_that_is_over_is_told():
    section = made("cost", lambda x: x**2, np.ones(3))
    (table,) = (block for block in section.blocks if block.kind == "table")
    assert [row[0].text for row in table.rows] == ["auto", *["forward"] * 3, *["reverse"] * 3] + ["forward"] * 3 + [
        "reverse"
    ] * 3
    assert all(row[-1].text == "not measured: 0 s were over" for row in table.rows[1:])


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"z": (0, 1)}, ["unknown input", "z"]),
        ({"x": (2, 1)}, ["a range is none"]),
        ({"x": 3}, ["wrong form", "(low, high)"]),
        ({"x": ([0, 1, 2], 3)}, ["wrong form"]),
        ({"x": (0, float("nan"))}, ["a range is none"]),
    ],
)
def test_a_wrong_range_is_an_error_before_anything(ranges, words):
    model = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    with pytest.raises(SignatureError) as error:
        report(model, ranges=ranges)
    assert all(word in str(error.value) for word in words)


def test_what_is_no_model_or_has_no_specs_is_an_error():
    with pytest.raises(SourceError):
        report("water.keras")
    with pytest.raises(SignatureError, match="no specs of its own"):
        report(lambda x: x)
    with pytest.raises(SignatureError, match="no batch of points"):
        report(keras.Sequential([keras.Input((2,)), L.Dense(1)]), np.zeros((0, 2)))


@pytest.fixture
def quick(monkeypatch):
    """A report that is there at once."""
    monkeypatch.setattr("tfgradkit.report.page.SECTIONS", SECTIONS[:1])
    return lambda path, **keywords: write_report(lambda x: x, path, np.ones(2), **keywords)


def test_a_file_that_is_there_is_replaced_only_if_it_is_a_report_and_that_was_asked_for(quick, tmp_path):
    file = quick(tmp_path / "report.html")
    first = file.read_text()
    with pytest.raises(OutputFileError, match="the output file exists") as error:
        quick(file)
    assert "--overwrite" in str(error.value)
    assert file.read_text() == first
    quick(file, overwrite=True, title="another")
    assert "another" in file.read_text()
    thesis = tmp_path / "thesis.html"
    thesis.write_text("<html>years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputFileError):
            quick(thesis, overwrite=overwrite)
    assert thesis.read_text() == "<html>years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "thesis.html"]


@pytest.mark.parametrize("name", ["", "missing/report.html", "folder", "link"])
def test_a_path_that_cannot_be_written_is_an_error_before_anything_is_computed(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")

    def untouched(x):
        raise AssertionError("called")

    with pytest.raises(OutputFileError):
        write_report(untouched, name, np.ones(2), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link"]


def test_what_ends_early_leaves_nothing(tmp_path):
    def stop(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(lambda x: x, tmp_path / "report.html", np.ones(2), progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(["missing.keras"], 1, ["there is no such model"]), (["missing.keras", "--low", "1"], 2, ["--low and --high"]),
     (["missing.keras", "--low", "x"], 2, ["not a list of numbers"])],
)  # fmt: skip
def test_the_command_says_what_is_wrong(arguments, code, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tfgradkit", "report", *arguments, "--output", "report.html"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    err = capsys.readouterr().err
    assert all(word in err for word in words)
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_module_is_at_the_front_door():
    assert tgk.report.report is report
    assert tgk.report.__all__ == sorted(tgk.report.__all__)
    assert browser.NAMES[0] == "chromium"


def test_what_reaches_no_output_is_a_finding_and_what_reaches_one_is_none():
    def function(a, b, c):
        return {"one": a * b, "two": tf.stop_gradient(c) * a}

    found = tgk.explain(function, *(tf.constant(2.0),) * 3)
    assert {c.input for c in found if c.status != "connected"} == {"b", "c"}
    assert {(c.output, c.input) for c in lost_from(found)} == {("y['one']", "c"), ("y['two']", "c")}
    section = made("explain", function, *(np.float32(2.0),) * 3)
    assert (section.summary, section.verdict) == ("no gradient by c", "attention")
    assert any("stop_gradient" in block.text for block in section.blocks if block.kind == "code")


STRUCTURES = {
    "diagonal": lambda x: tf.sin(x) * x,
    "dense": lambda x: tf.sin(tf.reduce_sum(x)) * tf.exp(x),
    "dense, constant": lambda x: tf.linalg.matvec(tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], tf.float64), x),
    "zero": lambda x: tf.floor(x),
}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_the_structure_is_told_in_a_word(kind):
    assert made("structure", STRUCTURES[kind], np.array([0.3, 1.2, -0.7])).summary == kind


def test_a_structure_that_is_too_large_is_not_looked_for():
    section = made("structure", lambda x: x**2, np.ones(20), limits=Limits(entries=100))
    assert section.summary == "too large to look at"
    assert "400 entries, more than the 100" in section.blocks[0].text


def test_an_op_that_stands_in_the_way_is_told_with_its_target():
    noise = L.Lambda(lambda x: x * tf.random.stateless_uniform([3], [1, 2]), name="shake")
    layers = [keras.Input((3,)), noise, L.Dense(2)]
    section = made("audit", keras.Sequential(layers))
    assert (section.summary, section.verdict) == ("ops stand in the way of C library, order 1", "attention")
    told = [block.text for block in section.blocks if block.kind == "code"]
    assert any("StatelessRandomUniform" in text and "shake" in text for text in told)
    assert made("audit", keras.Sequential([keras.Input((2,)), L.Dense(2, "tanh")])).verdict == "good"


def test_the_graph_is_drawn_before_and_after_with_what_it_is_of():
    model = keras.Model(*[(x := keras.Input((3,), name="state")), L.Dense(2)(x)])
    section = made("graph", model)
    before, after = (block for block in section.blocks if block.kind == "picture")
    for picture in (before, after):
        assert "∂y/∂x" in picture.svg
        assert picture.zoom
        assert picture.alternative in picture.svg
    # The derivative of a linear model is a constant: nothing is left to be done.
    assert "MatMul" in before.svg
    assert "MatMul" not in after.svg
    (told,) = (block.text for block in section.blocks if "No computation is left" in getattr(block, "text", ""))
    kernel = model.layers[-1].kernel.numpy()
    assert all(short(float(number)) in told for number in kernel.ravel())
