from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from preventable.cli.main import preventable

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


def test_the_built_in_audit_says_who_read() -> None:
    path = Path(str(files("preventable.data"))) / "audit" / "linux.csv"
    done = run("audit", "status", path)
    assert done.exit_code == 0
    assert "0.967" in done.stdout
    assert "models of one family" in done.stdout


def test_too_large_a_draw_is_a_usage_error(feed: Path, tmp_path: Path) -> None:
    done = run("audit", "draw", feed, "--size", "41", "--seed", "1", "--out", tmp_path / "a")
    assert getattr(done.exception, "exit_status", done.exit_code) == 2
    assert not (tmp_path / "a").exists()


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


def test_training_refuses_what_is_not_there(tmp_path: Path) -> None:
    done = run("train", tmp_path / "none.jsonl", "--out", tmp_path / "m.npz")
    assert done.exit_code != 0
    assert not (tmp_path / "m.npz").exists()
