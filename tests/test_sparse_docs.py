"""The page about sparse Jacobians: its code runs as it stands and prints what it says."""

from __future__ import annotations

import re


def test_the_code_runs(root, capsys):
    text = (root / "docs" / "operators" / "sparse.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    exec(compile(code, "sparse.md", "exec"), {"__name__": "sparse"})
    printed = capsys.readouterr().out
    said = re.findall(r"print\(.*\)  # (.*)", code)
    assert len(said) == 2
    assert all(line in printed.splitlines() for line in said)
    assert re.search(r"`(pattern detected: .*?)`", text)[1] in printed
