"""``tfgradkit graph``, and TensorFlow 1 files on the command line."""

from __future__ import annotations

import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf1_graphs
from click.testing import CliRunner
from tf1_graphs import save_graph

import tfgradkit as tgk
from tfgradkit.__main__ import cli, main
from tfgradkit.cli import console

TENSORS = ["--inputs", "THEINPUT:0", "--outputs", "THEMODEL:0"]


@pytest.fixture(scope="module")
def meta(tmp_path_factory):
    return save_graph(tmp_path_factory.mktemp("a graph") / "savemymodel", tf1_graphs.linear, frozen=("THEMODEL",))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    file = tmp_path_factory.mktemp("network") / "small.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "tanh", name="only")], name="small").save(file)
    return file


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process: exit code, output, errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tfgradkit", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


def test_the_tree_is_printed(run, meta):
    code, out, err = run("graph", meta, *TENSORS)
    assert (code, err) == (0, "")
    model = tgk.load(meta, signature={"inputs": "THEINPUT:0", "outputs": "THEMODEL:0"})
    assert out.rstrip("\n") == tgk.graph_tree(model)
    assert max(map(len, out.splitlines())) <= 80


def test_the_constant_gradient_is_printed(run, meta):
    code, out, _ = run("graph", meta, *TENSORS, "--derivative", "gradient", "--simplify", "--structure")
    assert code == 0
    assert "[ 0.17217076 -0.2723155 ]" in out
    assert "no computation is left" in out
    assert re.search(r"constant +yes, proven", out)
    assert max(map(len, out.splitlines())) <= 80


def test_what_is_left_of_a_network_is_shown(run, network):
    code, out, _ = run("graph", network, "--derivative", "jacobian", "--simplify", "--depth", "4", "--size", "9")
    assert code == 0
    table, tree = out.split("\n\n")
    assert re.search(r"^Tanh +\d+ +1$", table, re.MULTILINE)
    assert len(tree.splitlines()) <= 10
    assert "more op" in tree


def test_long_lines_are_cut_on_a_terminal(monkeypatch, capsys):
    class Narrow(console.Console):
        def __init__(self, **keywords):
            super().__init__(**keywords, force_terminal=True, width=20)

    monkeypatch.setattr(console, "Console", Narrow)
    console.print_lines("short\n" + "x" * 30)
    assert capsys.readouterr().out == "short\n" + "x" * 19 + "…\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(["--inputs", "THEINPUT:0"], "--outputs go together", id="inputs alone"),
        pytest.param([*TENSORS, "--signature", "value"], "without --signature", id="both"),
        pytest.param(["--structure"], "add --derivative jacobian", id="structure of nothing"),
        pytest.param(["--derivative", "vjp"], "'vjp' is not one of", id="no matrix"),
        pytest.param(["--depth", "0"], "depth", id="no depth"),
    ],
)
def test_a_wrong_call_is_exit_code_2(run, meta, options, told):
    code, out, err = run("graph", meta, *options)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())


def test_names_that_are_missing_are_told(run, meta):
    code, out, err = run("graph", meta)
    assert (code, out) == (1, "")
    assert err.startswith("tfgradkit: a graph needs the names of its inputs and outputs")
    assert "THEINPUT:0 float32 [B, 2]" in err
    assert "THEMODEL:0" in err


def test_show_export_and_compile_take_graphs(run, meta, tmp_path):
    code, out, _ = run("show", meta, *TENSORS)
    assert code == 0
    assert re.search(r"jacobian +yes +yes", out)
    assert "float32 [B, 2]" in out
    assert run("export", meta, *TENSORS, "--output", tmp_path / "saved")[0] == 0
    x = tf.constant([[9.0, 2.0]])
    signatures = tf.saved_model.load(str(tmp_path / "saved")).signatures
    np.testing.assert_array_equal(signatures["jacobian"](x=x)["jacobian"][0, 0], tf1_graphs.PARAMETERS[:2])
    options = ["--output", tmp_path / "c", "--name", "fit", "--target", "x86-64", "--tile", "4"]
    assert run("compile", meta.with_suffix(".pb"), *TENSORS, *options)[0] == 0
    np.testing.assert_allclose(tgk.load_native(tmp_path / "c").jacobian(x)[0, 0], tf1_graphs.PARAMETERS[:2], rtol=1e-6)


def test_help_names_the_options():
    for command in ("graph", "show", "export", "compile"):
        text = CliRunner().invoke(cli, [command, "--help"], prog_name="tfgradkit").output
        assert {"--inputs", "--outputs", "--signature"} <= set(re.findall(r"--\w+", text))
