"""Sections render saved results; badges and SARIF have the shape that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from preventable.code.census import take_census
from preventable.code.trees import open_source
from preventable.report.badge import gate_badge, unsafe_badge
from preventable.report.sarif import sarif_log
from preventable.report.sections import census, census_series
from preventable.studies.census_series import census_series as take_series
from preventable.studies.gate import RULES, Finding


def envelope(root: Path) -> dict[str, Any]:
    (root / "a").mkdir()
    (root / "a/x.rs").write_text("fn f() {\n    unsafe { g() }\n}\n")
    (root / "a/bad.rs").write_text("fn f( {\n")
    (root / "b.c").write_text("int x;\n")
    result = take_census(open_source(str(root)), workers=1)
    return {"kind": "census", "results": msgspec.to_builtins(result.rows), "counter": "c", "headers": "auto"}


def test_the_census_section_states_numbers_and_what_is_unknown(tmp_path: Path) -> None:
    section = census.section(envelope(tmp_path))
    assert section.id == "census"
    assert "1 Rust files could not be parsed" in " ".join(section.sentences)
    assert "1 of 4 lines of Rust are inside unsafe (25.0%)" in " ".join(section.sentences)
    assert [figure.id for figure in section.figures] == ["census-languages", "census-unsafe"]
    assert all(figure.chart and figure.alt and figure.how and figure.table for figure in section.figures)


def test_the_series_section_compares_first_and_last(tmp_path: Path) -> None:
    envelope(tmp_path)
    rows = take_series([str(tmp_path), str(tmp_path)]).rows
    section = census_series.section({"results": rows})
    assert section.sentences[0].startswith("C went from 1 lines of code in ")


def test_badges_never_say_zero_for_unknown(tmp_path: Path) -> None:
    rows = envelope(tmp_path)["results"]
    assert unsafe_badge(rows)["message"] == "at least 25.0% of 4 lines, 1 files unknown"
    assert unsafe_badge([r | {"unsafe_lines": None} for r in rows])["message"] == "unknown"
    assert gate_badge(1) == {
        "schemaVersion": 1, "label": "memory-safety gate", "message": "1 finding", "color": "red",
    }  # fmt: skip


def test_sarif_carries_suppressions_and_odd_names() -> None:
    finding = Finding("PVG001", "new-file", "z", "a/\udcff b.c", 0, "m", "f" * 32, "new", True, "why")
    run = sarif_log([finding], RULES, base="b", head=None, warnings=["w"])["runs"][0]
    result = run["results"][0]
    assert result["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "why"}]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a/%FF%20b.c"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "PVG001"
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "w"
