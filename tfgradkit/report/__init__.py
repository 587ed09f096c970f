"""A page on a model's derivatives, and figures of them."""

from __future__ import annotations

from .figures import plot_graph, plot_jacobian
from .page import report, write_report
from .report_points import Limits

__all__ = ["Limits", "plot_graph", "plot_jacobian", "report", "write_report"]
