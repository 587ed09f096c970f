"""What the pages show as printed is what their code prints."""

from __future__ import annotations

from pathlib import Path

import printed
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["before_you_run.md", "nan.md"])
def test_the_output_of_a_page_is_what_its_code_prints(name):
    page = DOCS / name
    assert printed.rendered(page) == page.read_text(), f"python scripts/printed.py docs/{name} writes it anew"


def test_what_is_shown_by_mistake_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n\n```python\nx = 1\n```\n")
    assert printed.rendered(page) == page.read_text().replace("3", "2")
