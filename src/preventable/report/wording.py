"""Figures in words, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

_READERS = (("human", "people"), ("model", "language models"))
_KINDS = {"human": ("human",), "model": ("model",), "mixed": ("human", "model")}


def percent(value: float, digits: int = 1) -> str:
    """``0.4937`` as ``49.4%``."""
    return f"{100 * value:.{digits}f}%"


def interval(low: float, high: float) -> str:
    """A 95% interval of a share in words."""
    return f"95% interval {percent(low)}–{percent(high)}"


def count(number: float, noun: str) -> str:
    """A count with its noun, in the plural unless it is one."""
    return f"{number:,.0f} {noun}" if round(number) == 1 else f"{number:,.0f} {noun}s"


def rounded(number: float) -> str:
    """An expected count as whole records; what is neither nought nor a half is ``under 1``."""
    return "under 1" if 0 < number <= 0.5 else f"{number:,.0f}"


def listing(parts: Sequence[str]) -> str:
    """Parts joined with commas and a final ``and``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def which_audit(name: str, rows: int, settled: int, design: str, kinds: str) -> str:
    """An audit in words: its table, how much of it counts, how it was drawn, and who read."""
    counted = f"{settled:,} of {count(rows, 'record')} settled" if settled < rows else count(rows, "record")
    return f"{name}, {counted}, drawn {'simply' if design == 'simple' else design}, {who_read(kinds)}"


def who_read(kinds: str) -> str:
    """The readers of an audit in words, from ``reader_kind`` (one of ``studies.audit.READER_KINDS``, or several
    with commas)."""
    found = {kind for part in kinds.split(",") for kind in _KINDS.get(part.strip(), ())}
    if found == {"model"}:
        return "read by language models, by no person"
    named = [words for kind, words in _READERS if kind in found]
    return f"read by {listing(named)}" if named else "by whom is not said"
