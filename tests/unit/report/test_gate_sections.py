"""The sections of saved gate results and census differences: numbers, unknowns, nothing to show."""

from __future__ import annotations

from typing import Any

from preventable.records import SCHEMA_VERSION
from preventable.report.sections import census_diff, gate
from preventable.report.sections.registry import included_section
from preventable.studies.census_diff import COUNTS

FINDING = {
    "rule": "PVG001", "name": "new-file", "zone": "core", "path": "core/a.c", "line": 3, "message": "new",
    "fingerprint": "f", "baseline_state": "new", "suppressed": False, "reason": None,
}  # fmt: skip


def gate_result(findings: list[dict[str, Any]]) -> dict[str, Any]:
    left = sum(not f["suppressed"] for f in findings)
    return {
        "kind": "gate",
        "schema_version": SCHEMA_VERSION,
        "inputs": {"base": "a" * 40, "head": None, "case": "preventable.toml", "today": "2026-11-24"},
        "results": findings,
        "summary": {"changed_files": 1, "findings": left, "suppressed": len(findings) - left},
        "warnings": [],
    }


def test_a_gate_that_holds_is_one_sentence() -> None:
    section = gate.section(gate_result([]))
    assert section.sentences == (
        "The gate holds for 1 changed file between aaaaaaaaaaaa and the work tree, judged by preventable.toml on "
        "2026-11-24.",
    )
    assert section.figures == ()


def test_findings_are_counted_by_rule_and_state() -> None:
    hidden = FINDING | {"suppressed": True, "reason": "why (until 2030-01-01)"}
    old = FINDING | {"rule": "PVG005", "name": "indeterminate", "baseline_state": "unchanged"}
    section = included_section(gate_result([FINDING, hidden, old]))
    assert section.sentences[0].startswith("The gate does not hold: 2 findings for 1 changed file ")
    assert section.sentences[1:] == (
        "1 more finding is suppressed, each until a date.",
        "1 finding was there before the change.",
    )
    figure = section.figures[0]
    assert figure.title == "2 open findings of 3 findings by rule"
    assert figure.alt.endswith("PVG001 new-file 1 open; PVG001 new-file 1 suppressed; PVG005 indeterminate 1 open.")
    assert figure.table is not None
    assert [row["state"] for row in figure.table.rows] == [
        "new", "suppressed: why (until 2030-01-01)", "unchanged",
    ]  # fmt: skip


def diff_row(component: str, language: str, bucket: str = "code", **deltas: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"component": component, "language": language, "bucket": bucket}
    return row | {f"{name}_delta": 0 for name in COUNTS} | {f"{name}_delta": value for name, value in deltas.items()}


def diff_result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = [
        {"kind": "revision", "location": "some/repo@v1.0", "commit": "a" * 40},
        {"kind": "result", "location": "saved/now.json"},
    ]
    return {"kind": "census_diff", "schema_version": SCHEMA_VERSION, "inputs": inputs, "results": rows, "files": None}


def test_a_difference_names_what_changed_most() -> None:
    rows = [
        diff_row("lib", "C", code=-30, files=-1),
        diff_row("lib", "C", "test", code=5),
        diff_row("lib", "Rust", code=20, unsafe_blocks=2, unsafe_lines=4),
    ]
    section = included_section(diff_result(rows))
    assert section.sentences == (
        "Lines of code from v1.0 to now, the largest changes: C -30; Rust +20.",
        "Unsafe Rust, tests and macro bodies apart: +2 blocks, +4 lines inside unsafe.",
    )
    assert [figure.title for figure in section.figures] == [
        "-10 lines of code outside vendored, generated and test code",
        "lib changed most: -10 lines of code",
    ]
    assert all(figure.how and figure.table for figure in section.figures)
    assert (
        section.figures[0].alt == "Bars of the change in lines of code per language, split by bucket: C -30; Rust +20."
    )


def test_unknown_stays_unknown() -> None:
    rows = [diff_row("a", "Rust", code=1, unsafe_blocks=None, unsafe_lines=None), diff_row("b", "Rust", code=1)]
    section = census_diff.section(diff_result(rows))
    assert section.sentences[1] == "The change of unsafe Rust is unknown in 1 of 2 components: a file does not parse."
    table = section.figures[1].table
    assert table is not None
    assert [row["unsafe_blocks"] for row in table.rows] == [None, 0]


def test_without_rust_there_is_no_column_for_it_and_without_changes_no_figure() -> None:
    figures = census_diff.section(diff_result([diff_row("a", "C", code=1)])).figures
    assert figures[1].table is not None
    assert [column.name for column in figures[1].table.columns] == ["component", "code"]
    empty = census_diff.section(diff_result([]))
    assert (empty.sentences, empty.figures) == (("Nothing that is counted changed from v1.0 to now.",), ())
