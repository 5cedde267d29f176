"""``preventable contributors``: counts of people, small ones withheld, names only on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SRC = Path(__file__).parents[2] / "src"
QUARTER_SECONDS = 7_889_400
START = 1_580_515_200  # 2020-02-01


def contributors(path: Path, *options: str, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "preventable", "contributors", str(path), "--format", "json", "-q", *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def repo(histories: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve quarters: six people write C, six write Rust, two of them both; one under two addresses."""
    stream: list[bytes] = []
    files: dict[str, str] = {".mailmap": "Person 0 <p0@example.org> <old@example.org>\n"}
    mark = 0

    def commit(name: str, email: str, quarter: int, path: str, trailer: str = "") -> None:
        nonlocal mark
        mark += 1
        files[path] = files.get(path, "") + f"line {mark} of {name}\n"
        message = f"change\n\n{trailer}\nCloses #{mark}".encode()
        who = f"{name} <{email}> {START + quarter * QUARTER_SECONDS + mark} +0000".encode()
        stream.append(
            b"commit refs/heads/main\nauthor %b\ncommitter %b\ndata %d\n%b" % (who, who, len(message), message)
        )
        for changed in {path, ".mailmap"}:
            data = files[changed].encode()
            stream.append(b"M 100644 inline %b\ndata %d\n%b" % (changed.encode(), len(data), data))

    for quarter in range(12):
        for person in range(10):
            email = "old@example.org" if person == 0 and quarter > 6 else f"p{person}@example.org"
            name = "P. Zero" if email.startswith("old") else f"Person {person}"
            if person >= 8 and quarter >= 4:
                continue  # two people leave after a year
            if person < 6:
                commit(name, email, quarter, "a.h" if quarter % 2 else "a.c", f"Reviewed-by: Person {person + 1}")
            if person >= 4:
                commit(name, email, quarter, "lib.rs", f"tested-by: Person {person} <p{person}@example.org>")
        commit("helper[bot]", "bot@example.org", quarter, "lib.rs")
    path = tmp_path_factory.mktemp("people") / "repo"
    path.mkdir()
    histories.git(path, "init", "-q", "-b", "main")
    histories.git(path, "fast-import", "--quiet", stdin=b"\n".join([*stream, b""]))
    return path


def row(result: Any, quarter: str, language: str) -> Any:
    return next(r for r in result["results"] if (r["quarter"], r["language"]) == (quarter, language))


def test_counts_by_quarter_and_language(repo: Path) -> None:
    result = contributors(repo)
    assert result["kind"] == "contributors"
    first = row(result, "2020-Q1", "C")
    assert (first["active"], first["newcomers"], first["stayed"], first["reviewers"]) == (6, 6, 6, 6)
    assert row(result, "2020-Q1", "Rust")["testers"] == 6
    later = row(result, "2022-Q4", "all languages")
    assert (later["active"], later["newcomers"], later["base"]) == (8, 0, 8)
    assert (later["left"], later["turnover"]["value"]) == (0, 0.0)


def test_small_counts_are_withheld_and_so_is_what_would_give_them_away(repo: Path) -> None:
    result = contributors(repo)
    rust = row(result, "2022-Q1", "Rust")
    assert rust["active"] is None
    assert "active" in rust["withheld"]
    assert rust["commits"] is None, "four commits have at most four authors"
    assert "commits" in rust["withheld"]
    crossing = row(result, "2021-Q4", "all languages")
    assert crossing["left"] is None
    assert crossing["turnover"] is None
    pair = next(p for p in result["pairs"] if p["quarter"] == "all" and (p["first"], p["second"]) == ("C", "Rust"))
    assert pair["both"] is None
    for entry in [*result["results"], *result["pairs"]]:
        for name in ("commits", "active", "newcomers", "stayed", "left", "reviewers", "testers", "hold_half", "both"):
            assert entry.get(name) is None or entry[name] == 0 or entry[name] >= 5
    text = json.dumps(result)
    assert "Person" not in text
    assert "example.org" not in text


def test_names_and_small_counts_only_on_request(repo: Path) -> None:
    result = contributors(repo, "--names", "--both", "C", "Rust")
    pair = next(p for p in result["pairs"] if p["quarter"] == "all")
    assert (pair["both"], pair["only_first"], pair["only_second"]) == (2, 4, 4)
    crossing = row(result, "2021-Q4", "Rust")
    assert (crossing["base"], crossing["left"]) == (6, 2)
    assert row(result, "2022-Q4", "all languages")["hold_half"] == 4
    names = {(p["name"], p["language"]) for p in result["people"]}
    assert ("Person 0", "C") in names
    assert not any("Zero" in name or "bot" in name for name, _ in names)
    assert "example.org" not in json.dumps(result)


def test_programs_are_no_people(repo: Path) -> None:
    result = contributors(repo)
    assert [(item["count"], item["what"]) for item in result["limits"]] == [
        (1, "programs by their name, not counted as people")
    ]


def test_one_component_alone(repo: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.toml"
    case.write_text('[components]\nheaders = "*.h"\nempty = "nothing/*"\n')
    whole, part = (contributors(repo, "--case", str(case), *more) for more in ((), ("--component", "headers")))
    assert part["component"] == "headers"
    assert {row["language"] for row in part["results"]} == {"all languages", "C"}
    commits = [sum(row["commits"] for row in r["results"] if row["language"] == "C") for r in (whole, part)]
    assert commits[1] * 2 == commits[0], "every other quarter changes the header"
    assert "component empty" in contributors(repo, "--case", str(case), "--component", "empty", status=3)


def test_a_clone_that_is_not_whole_is_named_or_refused(repo: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "-C", str(repo), "config", "uploadpack.allowFilter", "true"], check=True)
    for name, option in (("shallow", "--depth=20"), ("partial", "--filter=blob:none")):
        clone = ["git", "clone", "-q", "--bare", option, f"file://{repo}", str(tmp_path / name)]
        subprocess.run(clone, check=True)
    result = contributors(tmp_path / "shallow", status=1)
    assert any("shallow" in item["what"] for item in result["limits"])
    assert "missing from this partial clone" in contributors(tmp_path / "partial", status=3)
