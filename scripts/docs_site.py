"""Builds the site of documentation with Sphinx: ``scripts/docs``. Warnings are errors, and the tutorials run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "docs"


def build(site: Path) -> subprocess.CompletedProcess[str]:
    """Makes the pages below the folder ``site``, which is made anew; the log is in the result."""
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--nitpicky"]
    command += ["--quiet", "--doctree-dir", str(site / ".doctrees"), str(ROOT / "docs"), str(site)]
    # The tutorials run in folders of their own: what they import is to be this tree.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def main() -> int:
    """Builds, and says where the site is; 1 where there was a warning."""
    done = build(SITE)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        return 1
    print(f"wrote {SITE.relative_to(ROOT)}: open {SITE / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
