"""A page on a model's derivatives, in one HTML file, and figures of them for Python.

``sections`` makes the parts of the page, ``picture`` draws graphs. Not here: the diagnoses that the page shows
(``diagnose``).
"""

from __future__ import annotations

from .figures import plot_graph, plot_jacobian
from .page import report, write_report
from .report_points import Limits

__all__ = ["Limits", "plot_graph", "plot_jacobian", "report", "write_report"]
