"""The page on checks: its code runs as it stands."""

from __future__ import annotations

import re


def test_code_of_the_page_runs(root, capsys):
    text = (root / "docs" / "operators" / "checks.md").read_text()
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "checks.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "layer middle" in shown
    assert "batched=False" in shown
    assert "symmetry" in shown
