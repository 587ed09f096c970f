"""Every error says where to read on, once and at its end, and that section is there."""

from __future__ import annotations

import pickle
import re

import pytest

from tfgradkit import errors

NAMES = errors.__all__
CLASSES = [getattr(errors, name) for name in NAMES]


@pytest.fixture(scope="module")
def sections(root):
    """Heading and text of each section of the page."""
    parts = re.split(r"^## (.*)\n", (root / "docs" / "errors.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("cls", CLASSES, ids=NAMES)
def test_a_message_ends_with_where_to_read_on(cls):
    error = cls("it failed", subject="this", expected="that", got="those", hint="another")
    *before, last = str(error).splitlines()
    assert before == ["it failed: this", "  expected: that", "  got: those", "  try: another"]
    assert last == f"Read on: docs/errors.md#{cls.__name__.lower()}"


@pytest.mark.parametrize("cls", CLASSES, ids=NAMES)
def test_every_class_has_a_section_with_an_example_that_raises_it(cls, sections):
    text = sections[cls.__name__]
    assert f"except errors.{cls.__name__} as error:" in text
    assert "```text\n" in text
    assert "\nWhat to do: " in text


def test_the_page_has_the_classes_and_their_tree_in_the_order_of_the_file(sections, root):
    assert [name for name in sections if name in NAMES] == list(sections)
    assert set(sections) == set(NAMES)
    drawn = re.findall(r"^[ │├└─]*(\w+Error)", errors.__doc__, re.MULTILINE)
    page = (root / "docs" / "errors.md").read_text()
    (tree,) = re.findall(r"```text\n(TfGradKitError\n.*?)```", page, re.DOTALL)
    assert re.findall(r"\w+", tree) == drawn
    assert list(sections) == drawn


def test_an_error_of_a_users_own_class_leads_to_that_of_ours():
    own = type("OwnError", (errors.ChecksumError,), {})
    assert own("it failed").read_on == "docs/errors.md#checksumerror"


def test_a_message_within_a_message_says_it_once():
    inner = errors.GradientError("no gradient", hint="another function")
    outer = errors.ExportError("no export", got=str(inner))
    assert re.findall("Read on: .*", str(outer)) == ["Read on: docs/errors.md#exporterror"]
    # As Keras does where a layer raises.
    again = errors.GradientError(
        f"Exception encountered when calling Own.call().\n\n\x1b[1m{inner}\x1b[0m\n\nArguments: x"
    )
    assert str(again).splitlines()[-1] == "Read on: docs/errors.md#gradienterror"
    assert str(again).count("Read on: ") == 1
    assert "another function\x1b[0m" in str(again)


def test_it_goes_through_a_pool_of_processes():
    error = pickle.loads(pickle.dumps(errors.ConvergenceError("no root", sample=3, hint="another start")))
    assert str(error).endswith("Read on: docs/errors.md#convergenceerror")
    assert error.sample == 3


def test_the_page_can_be_elsewhere(monkeypatch):
    monkeypatch.setattr(errors, "PAGE", "https://example.org/errors.html")
    assert str(errors.GraphError("it failed")).endswith("\nRead on: https://example.org/errors.html#grapherror")
