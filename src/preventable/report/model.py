"""What a report is made of: sections of sentences and figures. Studies' results are turned into these,
and the writers (HTML, Markdown, plain text) draw nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec


class Column(msgspec.Struct, frozen=True):
    """One column of a table: the member of each row it shows and how."""

    name: str
    label: str
    kind: Literal["text", "count", "share", "number", "date"] = "text"
    help: str = ""


class Table(msgspec.Struct, frozen=True):
    """Rows to be shown sortable; ``rows`` are mappings that have every column's member."""

    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, object]]


class Figure(msgspec.Struct, frozen=True):
    """A chart, a table or both, with what a sceptic needs to check it."""

    id: str
    """Stable, unique in the report, ``[a-z0-9-]+``."""
    title: str
    """States the finding, with its number."""
    how: str
    """How this was computed: formula, population, filters, limits."""
    chart: Mapping[str, Any] | None = None
    """A Vega-Lite specification with its data inline (``altair.Chart.to_dict()``)."""
    alt: str = ""
    """The chart in words, for those who cannot see it. Required with a chart."""
    table: Table | None = None
    note: str = ""
    """What a reader must know before the chart is believed, always in sight; plain text."""


class Section(msgspec.Struct, frozen=True):
    """One question and its answer."""

    id: str
    title: str
    sentences: tuple[str, ...]
    """The answer in sentences with numbers, plain text; the writers escape them."""
    figures: tuple[Figure, ...] = ()
    short: str = ""
    """The title in the navigation, where the full one is long."""
