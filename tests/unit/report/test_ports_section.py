"""The report's section for ports draws what the result holds and computes nothing."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from preventable.cli import output
from preventable.report.sections.ports import section
from preventable.studies.ports.model import Policy
from preventable.studies.ports.survey import survey
from preventable.studies.ports.terms import Question

_path = Path(__file__).parents[1] / "studies" / "debian_archive_fixture.py"
_spec = importlib.util.spec_from_file_location("debian_archive_fixture", _path)
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
sys.modules["debian_archive_fixture"] = made
_spec.loader.exec_module(made)


def result(folder: Path, question: Question) -> dict[str, Any]:
    sources = [made.source("rustc"), made.source("hub", "rustc"), made.source("leaf", "hub")]
    packages = [made.binary("rustc"), made.binary("hub"), made.binary("leaf")]
    findings = survey([made.snapshot(folder, sources, packages)], ["amd64", "hppa"], Policy(), None, question)
    answers = findings.answers
    envelope = output.envelope(
        "ports",
        [r for a in answers for r in (a.today if question.today else a.rows)],
        [{"data_date": "2026-10-30"}],
        question=msgspec.to_builtins(question),
        policy=msgspec.to_builtins(Policy()),
        hubs=[h for a in answers for h in a.hubs],
        bootstrap=[b for a in answers for b in a.bootstrap],
        reasons=[r for a in answers for r in a.reasons],
        needs=[n for a in answers for n in a.needs],
        limits=[x for a in answers for x in a.limits],
    )
    document: dict[str, Any] = json.loads(msgspec.json.encode(envelope))
    return document


def test_matrix_hubs_and_reasons(tmp_path: Path) -> None:
    drawn = section(result(tmp_path, Question(remove=("rustc",), reasons=True)))
    ids = {f.id for f in drawn.figures}
    assert {"ports-matrix", "ports-hubs", "ports-reasons", "ports-bootstrap"} <= ids
    assert all(f.alt for f in drawn.figures if f.chart)
    assert any("2 sources could no longer be built" in s for s in drawn.sentences)
    assert any("unknown number" in s for s in drawn.sentences), "hppa has no index of packages"
    tree = next(f for f in drawn.figures if f.id == "ports-reasons").table
    assert tree is not None
    assert next(r["depth"] for r in tree.rows) == 0
    assert "2026-10-30" in drawn.sentences[0]


def test_today(tmp_path: Path) -> None:
    drawn = section(result(tmp_path, Question(packages=("leaf",), requires=("rustc",), today=True)))
    assert {"ports-today", "ports-paths"} <= {f.id for f in drawn.figures}
    assert any("leaf" in s for s in drawn.sentences)


def test_titles_speak_of_all_architectures(tmp_path: Path) -> None:
    told = result(tmp_path, Question(packages=("leaf",), requires=("rustc",), today=True))
    row, need = (
        told["results"][0],
        {**told["needs"][0], "paths": [{"kind": "build", "chain": [{"package": "src:leaf"}]}]},
    )
    told["results"] = [row, {**row, "arch": "arm64", "sources_direct": row["sources_direct"] + 8}]
    told["needs"] = [need, {**need, "arch": "arm64"}]
    told["bootstrap"] = [told["bootstrap"][0], {**told["bootstrap"][0], "arch": "arm64", "verdict": "no"}]
    drawn = {f.id: f for f in section(told).figures}
    assert drawn["ports-today"].title == "1 to 9 sources build-depend on rustc over 2 architectures of test"
    assert (
        drawn["ports-paths"].title
        == "1 distinct path by which packages need the tool today, over 2 architectures of test"
    )
    paths = drawn["ports-paths"].table
    assert paths is not None
    assert [r["place"] for r in paths.rows] == ["test:amd64 test:arm64"]
    assert (
        drawn["ports-bootstrap"].title == "Bootstrap of rustc: yes on 1 of 2 architectures, no on 1 of 2 architectures"
    )


@pytest.mark.parametrize("envelope", [{}, {"results": []}])
def test_an_empty_result_is_no_error(envelope: dict[str, Any]) -> None:
    assert section(envelope).figures == ()
