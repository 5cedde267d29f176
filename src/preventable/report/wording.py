"""Figures in words, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence


def percent(value: float, digits: int = 1) -> str:
    """``0.4937`` as ``49.4%``."""
    return f"{100 * value:.{digits}f}%"


def interval(low: float, high: float) -> str:
    """A 95% interval of a share in words."""
    return f"95% interval {percent(low)}–{percent(high)}"


def count(number: float, noun: str) -> str:
    """A count with its noun, in the plural unless it is one."""
    return f"{number:,.0f} {noun}" if round(number) == 1 else f"{number:,.0f} {noun}s"


def listing(parts: Sequence[str]) -> str:
    """Parts joined with commas and a final ``and``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
