"""``preventable origin`` on small histories that are made here: who brought the fault is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SRC = Path(__file__).parents[2] / "src"
DAY = 86400
START = 1_200_000_000

PARSER = """\
int parse_header(char *line, struct state *st)
{
  char buffer[64];
  int length = header_length(line);
  copy_bytes(buffer, line, length);
  st->header = intern(buffer);
  return length;
}
"""
FIXED = PARSER.replace(
    "  copy_bytes(buffer, line, length);\n", "  copy_bytes(buffer, line, min(length, sizeof(buffer)));\n"
)
CHECKED = PARSER.replace("  copy_bytes", "  if(length > 64)\n    return -1;\n  copy_bytes")
OTHER = "".join(f"int helper_{i}(int a)\n{{\n  return a * {i} + offset_{i};\n}}\n\n" for i in range(30))


class History:
    """A repository under construction; every commit is one day after the one before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.day = 0
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        stamp = f"{START + self.day * DAY} +0000"
        environment = {
            **os.environ,
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_DATE": stamp,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        line = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(self.path), *arguments]
        return subprocess.run(line, check=True, capture_output=True, text=True, env=environment).stdout.strip()

    def commit(self, message: str, files: dict[str, str | None]) -> str:
        self.day += 1
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_text(content, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def record(fix: str | None, *, introduced: str = "0", version: str | None = None, name: str = "X-1") -> dict[str, Any]:
    ranges: list[dict[str, Any]] = []
    if version:
        ranges.append({"type": "SEMVER", "events": [{"introduced": version}, {"fixed": "9.9.9"}]})
    if fix:
        ranges.append({"type": "GIT", "repo": "r", "events": [{"introduced": introduced}, {"fixed": fix}]})
    return {
        "schema_version": "1.5.0",
        "id": name,
        "modified": "2020-01-01T00:00:00Z",
        "summary": "header overflow in the parser",
        "details": "The function parse_header copies too much.",
        "affected": [{"ranges": ranges}],
    }


def run(history: History, records: list[dict[str, Any]], *options: str) -> tuple[int, Any, str]:
    feed = history.path.parent / "osv.json"
    feed.write_text(json.dumps(records), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "preventable", "origin", str(history.path), "--advisories", str(feed),
         "--format", "json", "--quiet", *options],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SRC)},
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[str, str]]:
    """A fault that is re-indented, moved to another file and then fixed, once by each kind of fix."""
    history = History(tmp_path_factory.mktemp("moved") / "repo")
    ids = {"root": history.commit("initial", {"src/util.c": OTHER})}
    history.git("tag", "v1.0")
    ids["fault"] = history.commit("add the header parser", {"src/util.c": OTHER + PARSER})
    history.git("tag", "v1.1")
    history.commit("speak of something else", {"src/util.c": OTHER.replace("* 3", "* 33") + PARSER})
    ids["indent"] = history.commit("reindent", {"src/util.c": OTHER + PARSER.replace("  ", "\t")})
    ids["move"] = history.commit("move the parser", {"src/util.c": OTHER, "src/parser.c": "\n" + PARSER})
    history.git("tag", "v2.0")
    ids["fix"] = history.commit("bound the copy", {"src/parser.c": "\n" + FIXED})
    history.commit("back", {"src/parser.c": "\n" + PARSER})
    ids["check"] = history.commit("check the length", {"src/parser.c": "\n" + CHECKED})
    ids["docs"] = history.commit("say so", {"docs/parser.md": "parse_header is bounded\n"})
    return history, ids


@pytest.mark.parametrize("fix", ["fix", "check"])
@pytest.mark.parametrize("version", [None, "1.1"])
def test_the_fault_is_found_behind_a_move_and_an_indentation(
    moved: tuple[History, dict[str, str]], fix: str, version: str | None
) -> None:
    history, ids = moved
    status, result, errors = run(history, [record(ids[fix], version=version)])
    assert status == 0, errors
    rows = result["results"]
    assert rows[0]["commit"] == ids["fault"]
    assert set(rows[0]) >= {"advisory", "fix", "commit", "weight", "reason"}
    assert sum(row["weight"] for row in rows) == pytest.approx(1, abs=1e-4)
    assert [row["weight"] for row in rows] == sorted((row["weight"] for row in rows), reverse=True)
    assert ("first affected" in rows[0]["reason"]) == (version is not None)
    (origin,) = result["fixes"]
    assert origin["introduced_low"] <= origin["introduced_date"] <= origin["introduced_high"]


def test_ignoring_versions_leaves_them_out(moved: tuple[History, dict[str, str]]) -> None:
    history, ids = moved
    _, with_them, _ = run(history, [record(ids["fix"], version="2.0")])
    _, without, _ = run(history, [record(ids["fix"], version="2.0")], "--ignore-affected-versions")
    weight = {r["commit"]: r["weight"] for r in with_them["results"]}
    plain = {r["commit"]: r["weight"] for r in without["results"]}
    assert weight[ids["move"]] > plain[ids["move"]]
    assert without["fixes"][0]["first_affected"] is None


def test_a_named_commit_stands(moved: tuple[History, dict[str, str]]) -> None:
    history, ids = moved
    records = [record(ids["fix"], introduced=ids["root"])]
    status, result, _ = run(history, records)
    assert status == 0
    (row,) = result["results"]
    assert (row["commit"], row["weight"], row["reason"]) == (ids["root"], 1.0, "named by the advisory")
    _, ignoring, _ = run(history, records, "--ignore-named-commits")
    assert ignoring["results"][0]["commit"] == ids["fault"]


def test_what_cannot_be_looked_at_is_named_and_counted(moved: tuple[History, dict[str, str]]) -> None:
    history, ids = moved
    records = [
        record(ids["fix"], name="A-good"),
        record("f" * 40, name="B-absent"),
        record(None, name="C-none", version="1.0"),
        record(ids["docs"], name="D-docs"),
        record(ids["root"], name="E-root"),
        record(ids["check"], name="F-absent-origin", introduced="e" * 40),
    ]
    status, result, errors = run(history, records)
    assert status == 1
    outcome = {f["advisory"]: f["outcome"] for f in result["fixes"]}
    assert outcome == {
        "A-good": "estimated",
        "B-absent": "fix not in the repository",
        "C-none": "no fix named",
        "D-docs": "estimated",
        "E-root": "no earlier commit",
        "F-absent-origin": "estimated",
    }
    notes = {f["advisory"]: f["note"] for f in result["fixes"]}
    assert "changes no code" in notes["D-docs"]
    assert "e" * 40 in notes["F-absent-origin"]
    assert result["counts"]["fix not in the repository"] == 1
    assert "B-absent" in errors
    assert "C-none" in errors
    assert "Traceback" not in errors


def test_nothing_usable_ends_with_3(moved: tuple[History, dict[str, str]]) -> None:
    status, result, errors = run(moved[0], [record("f" * 40)])
    assert (status, result) == (3, None)
    assert "no fix of 1 records" in errors


def test_no_repository_ends_with_3(tmp_path: Path) -> None:
    history = History(tmp_path / "repo")
    status, _, errors = run(history, [record("f" * 40)])
    assert status == 3
    assert "no commits" in errors


def test_same_inputs_same_bytes(moved: tuple[History, dict[str, str]]) -> None:
    history, ids = moved
    records = [record(ids["fix"]), record(ids["check"], name="X-2")]
    assert run(history, records) == run(history, records, "--workers", "1")


def test_a_merge_as_fix_and_a_candidate_on_another_branch(tmp_path: Path) -> None:
    history = History(tmp_path / "repo")
    history.commit("initial", {"src/util.c": OTHER})
    fault = history.commit("add the header parser", {"src/parser.c": PARSER})
    history.git("checkout", "-q", "-b", "side")
    history.commit("bound the copy", {"src/parser.c": FIXED})
    history.git("checkout", "-q", "main")
    elsewhere = history.commit("new helper", {"src/more.c": "int parse_header_again(void);\n"})
    history.git("merge", "-q", "--no-ff", "-m", "merge the fix", "side")
    merge = history.git("rev-parse", "HEAD")
    side = history.git("rev-parse", "side")
    status, result, errors = run(history, [record(merge, name="M"), record(side, name="S")])
    assert status == 0, errors
    top = {row["advisory"]: row["commit"] for row in result["results"] if row["rank"] == 1}
    assert top == {"M": fault, "S": fault}
    assert elsewhere not in {row["commit"] for row in result["results"] if row["advisory"] == "S"}


def test_a_commit_the_fix_blames_comes_first(tmp_path: Path) -> None:
    history = History(tmp_path / "repo")
    history.commit("initial", {"src/util.c": OTHER})
    history.commit("add the header parser", {"src/parser.c": PARSER})
    blamed = history.commit("make headers longer", {"src/limits.h": "#define HEADER_MAX 4096\n"})
    fix = history.commit(f"bound the copy\n\nFixes: {blamed[:12]} (make headers longer)", {"src/parser.c": FIXED})
    _, result, _ = run(history, [record(fix)])
    assert result["results"][0]["commit"] == blamed
    assert "named by the message of the fix" in result["results"][0]["reason"]
