#!/usr/bin/env python3
"""Writes the pictures of docs/report.md: the report on the shipped water model as a browser shows it, and figures.

scripts/run && .venv/bin/python scripts/report_pictures.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import browser

from tfgradkit.cli.console import import_tensorflow

ROOT = Path(__file__).resolve().parent.parent
MODEL, LIBRARY = ROOT / "saved_models" / "water_eos.keras", ROOT / "build" / "eos"
PICTURES = ROOT / "docs" / "images"
_WIDTH, _HEIGHT = 1100, 1560


def screenshot(page: Path, target: Path) -> None:
    """The head of a page, and its first sections."""
    with browser.browser() as tab:
        tab.look("light")
        tab.size(_WIDTH, _HEIGHT)
        tab.open(page.as_uri())
        tab.screenshot(target)


def main() -> int:
    """Makes the report and its pictures; 1 where something for it is missing."""
    if browser.find() is None or not LIBRARY.exists():
        print("scripts/run makes build/eos, and Chromium is needed", file=sys.stderr)
        return 1
    import_tensorflow()
    import tfgradkit as tgk

    model = tgk.load(MODEL)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        page = tgk.report.write_report(model, Path(work) / "report.html", library=LIBRARY, progress=print)
        screenshot(page, PICTURES / "report.png")
    tgk.report.plot_graph(tgk.jacobian(model)).savefig(PICTURES / "graph.png", dpi=100)
    tgk.report.plot_jacobian(model, points=3).savefig(PICTURES / "jacobian.png", dpi=100)
    print(f"wrote {PICTURES.relative_to(ROOT)}/report.png, graph.png, jacobian.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
