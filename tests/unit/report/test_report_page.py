"""The page: legends that can be read, colours for the dark, tables that fit, and what is not drawn is said."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from preventable.report import charts
from preventable.report.assessment import _enough_records, sections
from preventable.report.html import Page, render_html
from preventable.report.model import Column, Figure, Section, Table
from preventable.report.plain import render_markdown
from preventable.studies.assessment import Assessment, assess
from preventable.taxonomy.loader import builtin
from support.evidence import evidence, record

REPORT = Path(charts.__file__).parent
VEGAS_OWN = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b")
"""What Vega-Lite takes where a chart names no colours."""


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """As WCAG 2 defines it."""
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_stands_out_in_the_dark() -> None:
    panels = set(re.findall(r"--card:(#1[0-9a-f]{5})", (REPORT / "template.html.j2").read_text(encoding="utf-8")))
    assert len(panels) == 1
    used = {c for path in REPORT.rglob("*.py") for c in re.findall(r"#[0-9a-f]{6}\b", path.read_text("utf-8"))}
    assert set(charts.DARK_COLOURS) <= used
    faint = {c for c in used | set(VEGAS_OWN) if contrast(charts.DARK_COLOURS.get(c, c), *panels) < 3}
    assert not faint


def shares(counts: dict[int, int]) -> Assessment:
    """An assessment with so many records per year, half of them memory safety."""
    rows = [
        record(f"{year}-{n}", "spatial" if n % 2 else "null", fixed=date(year, 5, 1), files=("net/a.c",))
        for year, number in counts.items()
        for n in range(number)
    ]
    return assess(evidence(rows), builtin(), name="Test", audit=())


def figure(a: Assessment, wanted: str) -> Figure:
    return next(f for s in sections(a, builtin()) for f in s.figures if f.id == wanted)


def values(chart: Any) -> list[dict[str, Any]]:
    return [row for rows in chart["datasets"].values() for row in rows]


def test_periods_with_few_records_are_not_drawn_but_said_and_tabled() -> None:
    found = figure(shares({2018: 1, 2019: 3, 2021: 20, 2022: 40}), "share-by-period")
    assert {r["period"] for r in values(found.chart)} == {"2021", "2022"}
    assert found.note == "Not drawn, for fewer than 20 records: 2018 (1) and 2019 (3). The table has them."
    assert found.table is not None
    assert {r["period"] for r in found.table.rows} == {"2018", "2019", "2021", "2022"}
    assert "2018" not in found.alt
    assert "of 20" in found.alt


def test_such_a_period_between_others_breaks_the_line() -> None:
    found = figure(shares({2020: 20, 2021: 19, 2022: 20}), "share-by-period")
    assert {r["share"] for r in values(found.chart) if r["period"] == "2021"} == {None}
    assert "2021 (19)" in found.note


def test_where_every_period_has_few_records_there_is_no_chart() -> None:
    found = figure(shares({2020 + n: 2 for n in range(10)}), "share-by-period")
    assert found.chart is None
    assert found.note.endswith(", 2027 (2) and 2 more. The table has them.")


def test_a_full_chart_needs_no_note() -> None:
    assert figure(shares({2020: 20, 2021: 20}), "share-by-period").note == ""


def legends(spec: object) -> list[dict[str, Any]]:
    if isinstance(spec, dict):
        own = [spec["legend"]] if isinstance(spec.get("legend"), dict) else []
        return own + [found for inner in spec.values() for found in legends(inner)]
    return [found for inner in spec for found in legends(inner)] if isinstance(spec, list) else []


@pytest.mark.parametrize("wanted", ["share-ladder", "share-by-period"])
def test_swatches_do_not_take_the_opacity_of_bands(wanted: str) -> None:
    found = legends(figure(shares({2020: 20, 2021: 20}), wanted).chart)
    assert found
    assert all(legend["symbolOpacity"] == 1 for legend in found)


def test_published_figures_have_a_legend_entry() -> None:
    spec = json.dumps(figure(shares({2020: 20}), "share-ladder").chart)
    assert "published by others" in spec
    assert '"domain": ["labels", "published"]' in spec


def test_expected_records_are_shown_whole() -> None:
    found = figure(shares({2020: 21}), "prevented-cells").table
    assert found is not None
    assert {c.name: c.kind for c in found.columns}["count"] == "count"


def page(table: Table, *, note: str = "") -> str:
    section = Section("s", "Section", (), (Figure(id="f", title="Figure", how="How", table=table, note=note),))
    return render_html(
        Page(title="T", kicker="", summary=(), sections=[section], inputs=(), citation="")
    )  # fmt: skip


COLUMNS = (Column("name", "the <name>"), Column("count", "records", "count"), Column("text", "what"))


def test_short_hyphenated_words_stay_whole_and_escaped() -> None:
    shown = page(Table(COLUMNS, [{"name": "C with clang -fbounds-safety", "count": 27.89, "text": "<b>-x</b> a-b"}]))
    assert 'C with clang <span class="nb">-fbounds-safety</span>' in shown
    assert '<span class="nb">&lt;b&gt;-x&lt;/b&gt;</span> <span class="nb">a-b</span>' in shown
    assert '<td class="n" data-value="27.89">28</td>' in shown


def test_a_table_of_prose_names_its_columns_in_every_cell() -> None:
    shown = page(Table(COLUMNS, [{"name": "a", "count": 1, "text": "many words " * 9}]))
    assert '<table class="sortable prose">' in shown
    assert '<td class="word" data-label="the &lt;name&gt;">a</td>' in shown
    plain = page(Table(COLUMNS, [{"name": "a", "count": 1, "text": "few"}]))
    assert "data-label=" not in plain.split("<table")[1].split("</table>")[0]


@pytest.mark.parametrize(("rows", "box"), [(12, "scroll whole"), (13, "scroll")])
def test_a_short_table_is_shown_whole(rows: int, box: str) -> None:
    shown = page(Table(COLUMNS, [{"name": "a", "count": n, "text": "b"} for n in range(rows)]))
    assert f'<div class="{box}" tabindex="0" role="region" aria-label="Figure">' in shown
    assert "scroll sideways" in shown


def test_a_note_is_in_sight_and_is_text() -> None:
    table = Table(COLUMNS, [])
    assert '<p class="note-figure">1 &lt; 2</p>' in page(table, note="1 < 2")
    section = Section("s", "Section", (), (Figure(id="f", title="Figure", how="How", table=table, note="1 < 2"),))
    assert "1 &lt; 2" in render_markdown("T", (), [section], (), "C")


def test_the_data_names_licence_and_digest_of_every_input() -> None:
    found = figure(shares({2020: 20}), "read-licences").table
    assert found is not None
    assert [c.name for c in found.columns] == ["location", "licence", "digest"]


def test_a_definition_with_enough_records_is_drawn_where_another_has_too_few() -> None:
    rows = [
        {"period": p, "methodology": m, "total": n, "share": 0.5, "low": 0.1, "high": 0.9}
        for p, m, n in (
            ("2023", "strict", 3), ("2023", "broad", 4), ("2024", "strict", 30), ("2024", "broad", 30),
            ("2025", "strict", 12), ("2025", "broad", 21), ("2026", "strict", 40), ("2026", "broad", 40),
        )
    ]  # fmt: skip
    drawn, few = _enough_records(rows)
    assert few == {"2023": 4}
    assert {(r["period"], r["methodology"]) for r in drawn if r["share"] is None} == {("2025", "strict")}
    assert {r["period"] for r in drawn} == {"2024", "2025", "2026"}
