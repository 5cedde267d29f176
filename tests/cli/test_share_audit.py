"""``share`` with an audit: every format has all columns, and what cannot be corrected is said once."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from preventable.studies.audit_columns import BESIDE
from preventable.studies.embedded import load_facts

Cli = Callable[..., Any]
LABELS = ("methodology", "period", "component", "count", "total", "unknown", "share", "low", "high", "estimator")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def by_year(tmp_path: Path) -> Path:
    """300 records of Linux, weighted by their year of publication, as `audit draw --stratify year` would."""
    frame = load_facts().advisories.filter(pl.col("withdrawn").is_null()).sort("id").gather_every(35).head(300)
    lines = [
        f"{i},{w},{w},{w},no,,human,{day.year},{(day.year - 2020) * 1.5}"
        for i, w, day in frame.select("id", "weakness", "published").iter_rows()
    ]
    path = tmp_path / "audit.csv"
    head = "id,reading_a,reading_b,final,ambiguous,note,reader_kind,stratum,weight"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def test_csv_has_the_audit_after_the_columns_of_the_labels(cli: Cli) -> None:
    words = ("share", "-m", "strict", "--by-component", "--quiet", "--format")
    text = cli(*words, "csv").out
    assert tuple(text.splitlines()[0].split(",")) == (*LABELS, *BESIDE)
    same = json.loads(cli(*words, "json").out)["results"]
    rows = rows_of(text)
    assert len(rows) == len(same)
    for row, told in zip(rows, same, strict=True):
        assert {n: row[n] for n in BESIDE} == {n: "" if told[n] is None else str(told[n]) for n in BESIDE}
    pooled = rows[0]
    assert (pooled["audited"], pooled["reader_kind"], pooled["corrected_by"]) == ("420", "model", "ppi++")
    assert float(pooled["audit_only_low"]) < float(pooled["audit_only"]) < float(pooled["audit_only_high"])
    components = [r for r in rows if r["component"] != "all"]
    assert components
    assert {r[n] for r in components for n in BESIDE} == {""}


def test_csv_without_an_audit_has_empty_cells(cli: Cli, tmp_path: Path) -> None:
    feed = tmp_path / "r.jsonl"
    feed.write_text('{"id": "R-1", "title": "use-after-free"}\n', encoding="utf-8")
    rows = rows_of(cli("share", "-a", feed, "--format", "csv", "--quiet").out)
    assert rows
    assert {r[n] for r in rows for n in BESIDE} == {""}


@pytest.mark.parametrize("fmt", ["table", "markdown"])
def test_tables_have_the_interval_of_the_audit_alone(cli: Cli, fmt: str) -> None:
    head = cli("share", "--period", "all", "--format", fmt, "--quiet").out.splitlines()[0]
    assert [n for n in head.replace("|", " ").split() if n in BESIDE] == list(BESIDE)


@pytest.mark.parametrize("command", ["share", "assess"])
def test_results_name_the_audit(cli: Cli, by_year: Path, tmp_path: Path, command: str) -> None:
    more = ["--out", tmp_path / "report"] if command == "assess" else ["-m", "strict"]

    def audit(*words: object) -> dict[str, Any] | None:
        document = json.loads(cli(command, *more, *words, "--format", "json", "--quiet").out)
        found: dict[str, Any] | None = document["audit"]
        return found

    assert audit("--audit", by_year) == {
        "name": str(by_year), "digest": f"sha256:{hashlib.sha256(by_year.read_bytes()).hexdigest()}", "rows": 300,
        "settled": 300, "design": "by strata", "reader_kind": "human",
    }  # fmt: skip
    built_in = audit()
    assert built_in is not None
    table = Path(str(files("preventable.data"))) / "audit" / "linux.csv"
    assert built_in["digest"] == f"sha256:{hashlib.sha256(table.read_bytes()).hexdigest()}"
    assert {n: built_in[n] for n in ("name", "rows", "settled", "design", "reader_kind")} == {
        "name": "built-in", "rows": 420, "settled": 420, "design": "simple", "reader_kind": "model",
    }  # fmt: skip
    feed = tmp_path / "r.jsonl"
    feed.write_text('{"id": "R-1", "title": "use-after-free"}\n', encoding="utf-8")
    assert audit("-a", feed) is None


def test_an_audit_from_a_pipe_has_no_digest(cli: Cli, by_year: Path, tmp_path: Path) -> None:
    """It is read once; the digest of a second reading would be that of nothing."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(by_year.read_bytes(),), daemon=True)
    writer.start()
    document = json.loads(cli("share", "--audit", pipe, "-m", "strict", "--format", "json", "--quiet").out)
    writer.join(10)
    assert (document["audit"]["digest"], document["audit"]["rows"]) == (None, 300)


@pytest.mark.parametrize("command", ["share", "assess"])
def test_periods_without_a_correction_are_said_once(cli: Cli, by_year: Path, tmp_path: Path, command: str) -> None:
    more = ["--out", tmp_path / "report"] if command == "assess" else ["--format", "csv"]
    note = "preventable: note: periods are not corrected, only the whole is"
    found = cli(command, "--audit", by_year, *more)
    assert found.status == 0, "it is a note"
    assert found.err.count(note) == 1
    assert "add --by publication" in found.err
    assert note not in found.out
    table = found.out if command == "share" else (tmp_path / "report" / "shares.csv").read_text(encoding="utf-8")
    years = [r for r in rows_of(table) if r["component"] == "all" and r["period"] != "all"]
    assert len(years) > 5
    assert {r[n] for r in years for n in BESIDE} == {""}

    told = cli(command, "--audit", by_year, "--by", "publication", *more)
    assert note not in told.err
    table = told.out if command == "share" else (tmp_path / "report" / "shares.csv").read_text(encoding="utf-8")
    years = [r for r in rows_of(table) if r["component"] == "all" and r["period"] != "all"]
    assert all(r["corrected"] for r in years)

    assert "not corrected" not in cli(command, "--audit", by_year, *more, "--quiet").err
