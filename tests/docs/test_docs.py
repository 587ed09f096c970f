"""The code in the pages of docs/ runs as it stands, prints what is shown below it, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tfgradkit as tgk

ROOT = Path(__file__).resolve().parents[2]
# native.md shows excerpts, which export/test_clients.py runs whole; diagnose/test_explain.py runs what why_none.md is
# made from, test_docs_printed.py the others.
ELSEWHERE = {"native", "why_none", "before_you_run", "nan"}
PAGES = [p for p in sorted((ROOT / "docs").rglob("*.md")) if p.stem not in ELSEWHERE and "```python\n" in p.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_code_of_a_page_runs(page, tmp_path, monkeypatch, capsys, rules_as_before):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", page.read_text(), re.DOTALL)
    assert blocks, f"{page.name} shows no code"
    names: dict[str, object] = {"__name__": page.stem, "folder": str(ROOT / "saved_models")}
    for number, (block, shown) in enumerate(blocks):
        capsys.readouterr()
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        assert capsys.readouterr().out == shown or not shown, f"block {number} prints something else than is shown"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert missing == []


def test_the_migration_table_names_what_exists():
    text = (ROOT / "docs" / "coming_from.md").read_text()
    named = set(re.findall(r"tgk\.(\w+)", text))
    assert named <= set(tgk.__all__), named - set(tgk.__all__)
