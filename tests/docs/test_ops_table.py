"""The page that lists every op is current, and says why each that has no gradient has none."""

from __future__ import annotations

import re

import ops_table
import pytest
from op_orders import CALLS, measured_orders
from op_reasons import NONE

import tfgradkit as tgk
from tfgradkit.op_gradients.refused_gradients import SILENT_OPS
from tfgradkit.op_gradients.registry import SHIPPED, carries, entry, names


@pytest.fixture(scope="module")
def text():
    tgk.registered_gradients()
    return ops_table.PAGE.read_text()


def test_the_page_is_current(text):
    """But for the measured orders, which scripts/ops_table.py --check measures again."""
    assert ops_table.page(ops_table.recorded_orders(text)) == text, "run scripts/ops_table.py"


def test_some_measured_orders_are_current(text):
    recorded = ops_table.recorded_orders(text)
    some = ["Sin", "Softsign", "ResizeBicubic", "CTCLoss", "MaxPoolV2"]
    measured = measured_orders(some)
    assert measured == {op: recorded[op] for op in some}
    assert len({*measured.values()}) == 3


def test_every_op_with_numbers_is_on_the_page_once(text):
    listed = re.findall(r"`(\w+)`", text.split("\n## ", 1)[1].split("\n## Verified")[0])
    assert sorted(listed) == sorted(op for op in names() if carries(op))


def test_what_is_passed_over_in_silence_is_refused(text):
    """What has no gradient by TensorFlow's word, is differentiable, and can run, is an error here."""
    for line in text.split("## None")[1].split("\n## ")[0].splitlines():
        if "in silence" in line and "no longer runs" not in line:
            assert "here an error" in line
            assert set(re.findall(r"`(\w+)`", line)) <= SILENT_OPS


def test_a_reason_for_having_none_goes_when_a_rule_comes():
    assert [op for op in SHIPPED if ops_table._reason(op, NONE) is not None] == []


def test_every_rule_has_a_row(root):
    """An ellipsis in a name stands for what its neighbours begin or end with."""
    tgk.registered_gradients()
    told = re.findall(r"`([\w…]+)`", (root / "docs" / "rules.md").read_text())
    patterns = [name.replace("…", r"\w*") for name in told]
    assert [op for op in SHIPPED if not any(re.fullmatch(pattern, op) for pattern in patterns)] == []


def test_the_readme_counts_as_the_page(root):
    counted = re.search(r"\[(\d+) of (\d+) ops\]", (root / "README.md").read_text())
    tgk.registered_gradients()
    assert (int(counted[1]), int(counted[2])) == (sum(map(carries, SHIPPED)), sum(map(carries, names())))


def test_calls_are_of_ops_with_a_gradient():
    assert [op for op in CALLS if not callable(entry(op))] == []
