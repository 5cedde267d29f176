from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from preventable.cli.main import preventable
from preventable.errors import InputError

Cli = Callable[..., Any]

KERNEL = "In the Linux kernel, the following vulnerability has been resolved:\n\n"


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    lines = [json.dumps({"id": f"R-{i}", "title": f"fix use-after-free {i}", "text": KERNEL + "x"}) for i in range(40)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(*arguments: str | Path) -> object:
    return CliRunner().invoke(preventable, [str(a) for a in arguments], catch_exceptions=True)


def fill(path: Path, weakness: str) -> None:
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "class", "ambiguous", "note"])
        writer.writeheader()
        writer.writerows({**row, "class": weakness, "ambiguous": "no"} for row in rows)


def test_draw_read_status_merge(feed: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit"
    assert run("audit", "draw", feed, "--size", "10", "--seed", "1", "--out", out).exit_code == 0
    assert run("audit", "status", out).exit_code == 1
    fill(out / "reading-a.csv", "temporal")
    fill(out / "reading-b.csv", "temporal")
    assert run("audit", "status", out).exit_code == 0
    table = tmp_path / "audit.csv"
    done = run("audit", "merge", out, "--reader-kind", "human", "--out", table)
    assert done.exit_code == 0
    assert done.stdout == ""
    found = run("audit", "status", table, "--format", "json")
    assert found.exit_code == 0
    result = json.loads(found.stdout)
    assert result["kind"] == "audit"
    assert result["results"]["read_twice"] == 10
    assert result["results"]["reader_kinds"] == ["human"]


def test_two_people_with_two_spreadsheets(feed: Path, tmp_path: Path, cli: Cli) -> None:
    out, table = tmp_path / "audit", tmp_path / "audit.csv"
    drawn = cli("audit", "draw", feed, "--size", "10", "--seed", "1", "--out", out)
    assert "the rules in codebook.md" in drawn.err
    rules = (out / "codebook.md").read_text(encoding="utf-8")
    assert "## Order of precedence" in rules
    for name, line in (("a", ";Temporal ;TRUE;"), ("b", ";TEMPORAL;FALSE;")):
        path = out / f"reading-{name}.csv"
        text = path.read_text(encoding="utf-8").replace(",,,", line).replace(",", ";").replace("\n", "\r\n")
        path.write_bytes(text.encode("utf-8-sig"))
    assert cli("audit", "status", out).status == 0
    assert cli("audit", "merge", out, "--reader-kind", "human", "--out", table).status == 0
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert {(r["final"], r["ambiguous"]) for r in rows} == {("temporal", "yes")}
    path = out / "reading-a.csv"
    path.write_bytes(path.read_bytes().replace(b"Temporal ", b"Tempral"))
    done = cli("audit", "merge", out, "--reader-kind", "human", "--out", table)
    assert done.status == 3
    assert "no class 'Tempral', did you mean temporal?" in done.err


def test_disagreements_wait_to_be_settled(feed: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "audit", tmp_path / "audit.csv"
    run("audit", "draw", feed, "--size", "4", "--seed", "1", "--out", out, "-q")
    fill(out / "reading-a.csv", "temporal")
    fill(out / "reading-b.csv", "null")
    done = run("audit", "merge", out, "--reader-kind", "mixed", "--out", table)
    assert done.exit_code == 1
    assert "4 disagreements" in done.stderr
    rows = list(csv.DictReader((out / "disagreements.csv").read_text(encoding="utf-8").splitlines()))
    lines = ["id,reading_a,reading_b,class,note"] + [f"{r['id']},temporal,null,temporal,freed first" for r in rows]
    (out / "disagreements.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run("audit", "merge", out, "--reader-kind", "mixed", "--out", table).exit_code == 0
    assert {r["final"] for r in csv.DictReader(table.read_text().splitlines())} == {"temporal"}


def test_only_strata_that_there_are_are_named(feed: Path, tmp_path: Path) -> None:
    """A simple draw has none; of one by severity nothing is read yet."""
    for by, said in (("none", False), ("severity", True)):
        out = tmp_path / by
        assert run("audit", "draw", feed, "--size", "4", "--seed", "1", "--stratify", by, "--out", out).exit_code == 0
        done = run("audit", "merge", out, "--reader-kind", "human", "--out", tmp_path / "t.csv")
        assert done.exit_code == 1
        assert "4 of 4 records are not yet read twice" in done.stderr
        assert ("nothing was read of 1 strata, for which the others would stand: without" in done.stderr) is said
        assert ("nothing was read" in done.stderr) is said


def test_the_built_in_audit_says_who_read() -> None:
    path = Path(str(files("preventable.data"))) / "audit" / "linux.csv"
    done = run("audit", "status", path)
    assert done.exit_code == 0
    assert "0.967" in done.stdout
    assert "models may err alike" in done.stdout


def test_too_large_a_draw_is_a_usage_error(feed: Path, tmp_path: Path) -> None:
    done = run("audit", "draw", feed, "--size", "41", "--seed", "1", "--out", tmp_path / "a")
    assert getattr(done.exception, "exit_status", done.exit_code) == 2
    assert not (tmp_path / "a").exists()


def test_a_stratified_sample_says_how_it_was_drawn(tmp_path: Path) -> None:
    feed = tmp_path / "r.jsonl"
    lines = [json.dumps({"id": f"R-{i}", "title": "t", "severity": "high" if i < 2 else "low"}) for i in range(40)]
    feed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "a"
    done = run("audit", "draw", feed, "--size", "4", "--seed", "1", "--stratify", "severity", "--out", out)
    assert done.exit_code == 0
    said = tomllib.loads((out / "sample.toml").read_text(encoding="utf-8"))
    assert "largest remainder" in said["algorithm"]
    assert said["unreadable"] == 0
    rows = list(csv.DictReader((out / "sample.csv").read_text(encoding="utf-8").splitlines()))
    assert {r["stratum"]: float(r["weight"]) for r in rows} == {"high": 2.0, "low": pytest.approx(38 / 3)}


def test_unreadable_records_of_a_frame_are_told(feed: Path, tmp_path: Path) -> None:
    feed.write_text(feed.read_text(encoding="utf-8") + '{"title": "no id"}\n{"title"', encoding="utf-8")
    out = tmp_path / "a"
    done = run("audit", "draw", feed, "--size", "4", "--seed", "1", "--out", out)
    assert done.exit_code == 1
    assert "2 rows could not be read; the first:" in done.stderr
    assert tomllib.loads((out / "sample.toml").read_text(encoding="utf-8"))["unreadable"] == 2


@pytest.mark.parametrize("name", ["sample.csv", "sample.toml", "records.jsonl", "reading-a.csv", "disagreements.csv"])
def test_a_merged_table_spares_the_files_of_the_audit(feed: Path, tmp_path: Path, cli: Cli, name: str) -> None:
    out = tmp_path / "audit"
    assert cli("audit", "draw", feed, "--size", "4", "--seed", "1", "--out", out).status == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    (tmp_path / "link").symlink_to(out / name)
    for target in (out / name, out / ".." / "audit" / name, tmp_path / "link"):
        done = cli("audit", "merge", out, "--reader-kind", "human", "--out", target)
        assert done.status == 2
        assert "would overwrite" in done.err
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_faults_of_a_reading_are_input_errors(feed: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "audit"
    cli("audit", "draw", feed, "--size", "4", "--seed", "1", "--out", out, "-q")
    (out / "reading-a.csv").write_text("id,class\nR\x1b[2J\x07\x9b,null\n", encoding="utf-8")
    done = cli("audit", "status", out)
    assert done.status == 3
    assert "line 2" in done.err
    assert "not in sample.csv" in done.err
    assert not {"\x1b", "\x07", "\x9b"} & set(done.err)
    (out / "reading-a.csv").write_text(f"id,class\nR-1,{'x' * 200_000}\n", encoding="utf-8")
    assert cli("audit", "status", out).status == 3


def test_label_names_the_first_row_that_it_could_not_read(feed: Path) -> None:
    feed.write_text(feed.read_text(encoding="utf-8") + '{"title": "no id"}\n', encoding="utf-8")
    done = run("label", feed)
    assert done.exit_code == 1
    assert "1 rows could not be read; the first:" in done.stderr
    assert "records.jsonl" in done.stderr
    assert "41" in done.stderr.split("record ")[1]


def test_control_characters_of_ids_do_not_reach_tables(feed: Path) -> None:
    feed.write_text(json.dumps({"id": "R\x1b[2J\x07\x9b1", "title": "x"}) + "\n", encoding="utf-8")
    for fmt in ("csv", "table", "markdown"):
        done = run("label", feed, "--format", fmt)
        assert done.exit_code == 0
        assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout)


def test_label_gives_probabilities_and_reasons(feed: Path) -> None:
    done = run("label", feed, "--format", "jsonl")
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 40
    first = rows[0]
    assert set(first) >= {"id", "class", "probabilities", "methodologies", "sources", "reasons"}
    assert first["class"] == "temporal"
    assert first["probabilities"]["temporal"] > 0.5
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=0.01)
    assert first["methodologies"]["strict"] > 0.5
    assert first["sources"] == {"cwe": "unknown", "text": "temporal"}
    assert any("use-after-free" in r["detail"] for r in first["reasons"])


def test_share_shows_three_estimates_for_linux() -> None:
    done = run("share", "--period", "all", "-m", "strict", "--format", "json", "-q")
    assert done.exit_code == 0
    row = json.loads(done.stdout)["results"][0]
    assert row["corrected_low"] < row["corrected"] < row["corrected_high"]
    assert row["audited"] == 420
    assert row["audit_only"] == pytest.approx(150 / 420)
    assert row["reader_kind"] == "model"


AUDIT_COLUMNS = "id,reading_a,reading_b,final,ambiguous,note,reader_kind\n"


@pytest.mark.parametrize("command", ["share", "assess"])
def test_audits_that_are_unfinished_or_of_other_records_are_told(
    feed: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table = tmp_path / "audit.csv"
    rows = [f"R-{i},temporal,temporal,temporal,no,,human\n" for i in range(8)]
    more = ["--out", str(tmp_path / "report")] if command == "assess" else []
    table.write_text(AUDIT_COLUMNS + "".join(rows), encoding="utf-8")
    assert run(command, "-a", feed, "--audit", table, *more).exit_code == 0  # type: ignore[attr-defined]
    table.write_text(AUDIT_COLUMNS + "".join(rows) + "R-8,temporal,null,,no,,human\n", encoding="utf-8")
    found: Any = run(command, "-a", feed, "--audit", table, *more)
    assert found.exit_code == 1
    assert "1 of 9 audited records are not settled" in found.stderr
    assert found.stdout
    table.write_text(AUDIT_COLUMNS + "X-1,null,null,null,no,,human\n", encoding="utf-8")
    found = run(command, "-a", feed, "--audit", table, *more)
    assert isinstance(found.exception, InputError)
    assert "none of its 1 ids" in str(found.exception)
    assert found.stdout == ""
    table.write_text(AUDIT_COLUMNS, encoding="utf-8")
    found = run(command, "-a", feed, "--audit", table, *more)
    assert isinstance(found.exception, InputError)
    assert "the table is empty" in str(found.exception)
    table.write_text(AUDIT_COLUMNS + rows[0], encoding="utf-8")
    found = run(command, "-a", feed, "--audit", table, *more)
    assert found.exit_code == 1
    assert "fewer than two of its records are settled and among these records" in found.stderr


def test_training_refuses_what_is_not_there(tmp_path: Path) -> None:
    done = run("train", tmp_path / "none.jsonl", "--out", tmp_path / "m.npz")
    assert done.exit_code != 0
    assert not (tmp_path / "m.npz").exists()


def test_training_needs_rows_and_says_how_many(tmp_path: Path, cli: Cli) -> None:
    data = tmp_path / "d.jsonl"
    for count in (0, 1, 20, 200):
        lines = [json.dumps({"id": f"R-{i}", "source": "kernel", "title": "x", "text": "y"}) for i in range(count)]
        data.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        done = cli("train", data, "--out", tmp_path / "m.npz")
        assert done.status == 3
        assert f"{count} rows" in done.err
        assert "at least 50" in done.err


@pytest.mark.parametrize("option", ["--out", "--held-out"])
def test_training_looks_for_its_directories_first(tmp_path: Path, cli: Cli, option: str) -> None:
    there = ["--out", tmp_path / "m.npz"] if option == "--held-out" else []
    done = cli("train", tmp_path / "none.jsonl", *there, option, tmp_path / "missing" / "file")
    assert done.status == 3
    assert f"no such directory (file {tmp_path / 'missing'})" in done.err
    assert not (tmp_path / "missing").exists()
