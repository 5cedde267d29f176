"""The section of the report that shows a saved result of ``preventable origin``."""

from __future__ import annotations

from typing import Any

from preventable.report.sections.registry import included_section


def fix(advisory: str, **more: Any) -> dict[str, Any]:
    given = {
        "advisory": advisory,
        "fix": "f" * 40,
        "outcome": "estimated",
        "fix_date": "2020-01-01",
        "introduced_date": "2010-01-01",
        "introduced_low": "2009-01-01",
        "introduced_high": "2011-01-01",
        "lifetime_days": 3652.0,
        "note": None,
    }
    return {**given, **more}


def envelope(fixes: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [
        {"advisory": f["advisory"], "fix": f["fix"], "rank": 1, "commit": "c" * 40, "weight": 0.75, "reason": "why"}
        for f in fixes
        if f["outcome"] in ("estimated", "named by the advisory")
    ]
    return {"kind": "origin", "schema_version": "1.0", "results": rows, "fixes": fixes, "limits": ["shallow"]}


def test_a_result_becomes_a_timeline_and_a_table() -> None:
    absent = fix(
        "C", outcome="fix not in the repository", fix_date=None, introduced_date=None, introduced_low=None,
        introduced_high=None, lifetime_days=None,
    )  # fmt: skip
    named = fix("B", outcome="named by the advisory", introduced_date="2015-01-01", lifetime_days=1826.0)
    section = included_section(envelope([fix("A"), named, absent]))
    assert "Of 2 fixes looked at, 1 have" in section.sentences[0]
    assert "7.5 years on average" in section.sentences[1]
    assert "1 × fix not in the repository" in section.sentences[2]
    assert "shallow" in section.sentences[3]
    timeline, table = section.figures
    assert timeline.chart is not None
    assert "10.0 years" in timeline.alt
    assert (
        timeline.title == "From introduction to fix: 2 faults between 2010 and 2020, 1 of their introductions estimated"
    )
    assert table.table is not None
    assert [row["candidate"] for row in table.table.rows] == ["c" * 12, "c" * 12, None]


def test_without_dates_there_is_no_timeline() -> None:
    section = included_section(envelope([fix("A", introduced_date=None, introduced_low=None, lifetime_days=None)]))
    assert [figure.id for figure in section.figures] == ["origin-candidates"]


def test_a_timeline_without_estimates_says_so() -> None:
    timeline = included_section(envelope([fix("A", outcome="named by the advisory")])).figures[0]
    assert timeline.title.endswith("2010 and 2020, every introduction named by an advisory")
