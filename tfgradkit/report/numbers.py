"""Numbers as the page writes them."""

from __future__ import annotations

import math


def short(value: float, digits: int = 3) -> str:
    """A few digits: 0.0123, 12.3, 1.23e+06; "0" for nothing."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    text = f"{value:.{digits - 1}e}" if not -3 <= size < 4 else f"{value:.{max(0, digits - 1 - size)}f}"
    return text.replace("-", "−")


def count(value: int, noun: str = "", plural: str = "") -> str:
    """``1,234 points``, ``1 point``."""
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def amount(size: float) -> str:
    """Bytes: 512 B, 1.5 kB, 20 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def span(low: float, middle: float, high: float) -> str:
    """A median with the range around it."""
    return f"{short(middle)} ({short(low)} to {short(high)})"
