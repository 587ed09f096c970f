"""The map says what is there: its files, its functions, and the order in which a call passes them."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tfgradkit"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PAGES = {"architecture.md": ARCHITECTURE, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
STEP = re.compile(r"^\d+\. `([\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)\.", re.MULTILINE)


def walk(name):
    """The steps of a road: file and function each."""
    text = ARCHITECTURE.split(f"<!-- walk: {name} -->")[1].split("\n## ")[0]
    steps = [(file, name) for file, names in STEP.findall(text) for name in re.findall(r"`([\w.]+)`", names)]
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == len(STEP.findall(text)), (
        "a step is written in another way"
    )
    return steps


def defined(path):
    """Functions, classes and methods of a file, by qualified name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_is_there(name):
    named = set(re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|pyi|h|md)|(?:[\w.]+/)+)`", PAGES[name]))
    assert len(named) > 20, "no files were found in the page"
    missing = [file for file in named if not any((base / file).exists() for base in (ROOT, PACKAGE))]
    # A family's file is named without its folder, behind the folder's name.
    missing = [file for file in missing if not (PACKAGE / "op_gradients" / "ops" / file).exists()]
    assert missing == []


@pytest.mark.parametrize("road", ["jacobian", "export_native", "explain"])
def test_every_function_of_a_road_is_in_its_file(road):
    steps = walk(road)
    assert len(steps) > 10
    assert [step for step in steps if step[1] not in defined(PACKAGE / step[0])] == []


def test_every_domain_is_in_its_file():
    domains = re.findall(r"^\| `(\w+)` \|.*\| `([\w/]+\.py)` \|$", ARCHITECTURE, re.MULTILINE)
    assert [name for name, file in domains if name not in defined(PACKAGE / file)] == []
    interpreters = {"Interpreter", "Abstract", "Concrete"}
    subclasses = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and path.name != "interpret.py"
        if interpreters & {ast.unparse(base).partition("[")[0] for base in node.bases}
    }
    assert subclasses == {name for name, _ in domains}


def passed(call):
    """The functions of the package that a call runs, in the order in which each is entered first."""
    order = []

    def seen(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            step = (Path(code.co_filename).relative_to(PACKAGE).as_posix(), code.co_qualname)
            order.extend([step] if step not in order else [])

    sys.setprofile(seen)
    try:
        call()
    finally:
        sys.setprofile(None)
    return order


def rounded(x):
    y = tf.round(x)
    return tf.reduce_sum(y)


def road_of_jacobian():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(3)])
    return lambda: tgk.jacobian(model)(np.ones((2, 4), "float32"))


def road_of_explain():
    return lambda: tgk.explain(rounded, tf.constant([1.0, 2.0]))


@pytest.mark.parametrize(("road", "make"), [("jacobian", road_of_jacobian), ("explain", road_of_explain)])
def test_a_call_passes_the_road_in_this_order(road, make):
    make()()  # what is imported when it is first used
    order = passed(make())
    positions = [order.index(step) for step in walk(road)]
    assert positions == sorted(positions), walk(road)
