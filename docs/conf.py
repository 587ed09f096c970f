"""Sphinx: how the site of documentation is built. ``scripts/docs`` does it."""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path
from typing import Any

# TensorFlow reads these when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The tutorials run in an empty folder, and link to what they use.
os.environ["TFGRADKIT_ROOT"] = str(Path(__file__).resolve().parent.parent)

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

from tfgradkit.version import __version__

project = "tfgradkit"
copyright = "the authors of tfgradkit, Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
nitpicky = True
# What annotations name: classes of other packages, and those that users get but never import.
nitpick_ignore_regex = [(r"py:(class|exc|mod)", r"(?!tfgradkit\.\w+$).*")]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_update_mathjax = False

# The tutorials run at every build, and a cell that raises fails it.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # TensorFlow's news about the machine

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# The operators have a signature of their own, which their source does not show.
autodoc_preserve_defaults = False
autosummary_generate = False
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "tfgradkit"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(_mathml(node, block=False))
    raise SkipNode


def _block(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="math">{_mathml(node, block=True)}</div>')
    raise SkipNode


def _mathml(node: Any, *, block: bool) -> str:
    try:
        return tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("a formula can't be shown: %s", error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def _name_options(_app: Sphinx, _context: Any, lines: list[str]) -> None:
    """Names of options as code, where a dash stays a dash."""
    lines[:] = [
        line if line.lstrip().startswith("..") else re.sub(r"(?<![\w`-])--\w[\w-]*", r"``\g<0>``", line)
        for line in lines
    ]


def setup(app: Sphinx) -> None:
    """Formulas become MathML, which browsers show by themselves: no script, no font, no network."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", _name_options)
