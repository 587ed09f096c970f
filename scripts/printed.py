"""What the code in a page of docs prints, put under it: ``python scripts/printed.py docs/nan.md``.

Each block of Python is run as a file of its own, after the names of those before it; a block of text right
under it is what it printed.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

_BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?P<shown>\n```text\n.*?```\n)?", re.DOTALL)


def rendered(page: Path) -> str:
    """The page with every output as it is now.

    Raises:
        Exception: what a block of code raises.
    """
    names: dict[str, object] = {"__name__": page.stem}
    with tempfile.TemporaryDirectory() as folder:
        count = iter(range(1, 1000))

        def with_output(match: re.Match[str]) -> str:
            file = Path(folder) / f"example_{next(count)}.py"
            file.write_text(match["code"])
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile(match["code"], str(file), "exec"), names)
            shown = f"\n```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
            return f"```python\n{match['code']}```\n{shown}"

        return _BLOCK.sub(with_output, page.read_text())


def main() -> None:
    """Writes each page anew."""
    for name in sys.argv[1:]:
        Path(name).write_text(rendered(Path(name)))


if __name__ == "__main__":
    main()
