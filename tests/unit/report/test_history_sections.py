"""Sections of lineage and contributors render what the commands saved."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import msgspec

from preventable.cli import output
from preventable.report.sections.registry import included_section
from preventable.studies.contributors import count_contributors
from preventable.studies.lineage import trace_lineage

MEMBERS = ("commits", "merges", "snapshots", "survival", "half_life", "churn", "limits")


def test_the_lineage_section_states_both_ages_and_half_life(histories: ModuleType, tmp_path: Path) -> None:
    histories.Generator(3, steps=60).write(tmp_path / "repo")
    result = trace_lineage(tmp_path / "repo", processes=1, checkpoint_directory=tmp_path)
    section = included_section(
        output.envelope(
            "lineage",
            msgspec.to_builtins(result.rows),
            (),
            **{name: msgspec.to_builtins(getattr(result, name)) for name in MEMBERS},
        )
    )
    said = " ".join(section.sentences)
    assert f"there are {result.snapshots[-1].lines:,} lines" in said
    assert "if whitespace and ignored commits do not count" in said
    assert [figure.id for figure in section.figures] == ["lineage-cohorts", "lineage-survival", "lineage-churn"]
    assert all(figure.chart and figure.alt and figure.how and figure.table for figure in section.figures)


def test_the_contributors_section_never_shows_a_small_count(histories: ModuleType, tmp_path: Path) -> None:
    histories.Generator(3, steps=60).write(tmp_path / "repo")
    result = count_contributors(tmp_path / "repo", processes=1)
    section = included_section(
        output.envelope(
            "contributors",
            msgspec.to_builtins(result.rows),
            (),
            pairs=msgspec.to_builtins(result.pairs),
            limits=msgspec.to_builtins(result.limits),
        )
    )
    assert "withheld (under 5)" in section.sentences[0]
    assert [figure.id for figure in section.figures] == ["contributors-activity", "contributors-both"]


def test_the_contributors_section_withholds_few_commits_too(histories: ModuleType, tmp_path: Path) -> None:
    histories.Generator(3, steps=60).write(tmp_path / "repo")
    rows = msgspec.to_builtins(count_contributors(tmp_path / "repo", processes=1).rows)
    for row in rows:
        row |= {"commits": None, "withheld": [*row["withheld"], "commits"]}
    section = included_section(output.envelope("contributors", rows, (), pairs=[], limits=[]))
    assert "wrote withheld (under 5) commits" in section.sentences[0]
