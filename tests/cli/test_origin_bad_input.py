"""``preventable origin`` on clones and records that are not as they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SRC = Path(__file__).parents[2] / "src"
CODE = "int read_frame(struct frame *f)\n{\n  f->size = get_size(f);\n  return copy_frame(f, f->size);\n}\n"
FIXED = CODE.replace("  return", "  if(f->size > FRAME_MAX)\n    return -1;\n  return")


def git(path: Path, *arguments: str, day: int = 0) -> str:
    stamp = f"{1_300_000_000 + day * 86400} +0000"
    environment = {
        **os.environ,
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_DATE": stamp,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    line = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(path), *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def history(path: Path, name: str = "src/frame.c") -> list[str]:
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    ids = []
    for day, (message, content) in enumerate(
        [("start", "int nothing;\n"), ("add frames", CODE), ("tidy", CODE + "\n"), ("bound frames", FIXED)]
    ):
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        git(path, "add", "-A")
        git(path, "commit", "-q", "-m", message, day=day)
        ids.append(git(path, "rev-parse", "HEAD"))
    return ids


def run(repo: Path, *fixes: tuple[str, list[str]], options: tuple[str, ...] = ()) -> tuple[int, Any, str]:
    records = [
        {
            "schema_version": "1.5.0",
            "id": name,
            "modified": "2020-01-01T00:00:00Z",
            "summary": "frames too large",
            "affected": [
                {
                    "ranges": [
                        {"type": "GIT", "repo": "r", "events": [{"introduced": "0"}, {"fixed": c}]} for c in commits
                    ]
                }
            ],
        }
        for name, commits in fixes
    ]
    feed = repo.parent / "feed.json"
    feed.write_text(json.dumps(records), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "preventable", "origin", str(repo), "--advisories", str(feed), "--format", "json",
         *options],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SRC)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_two_fixes_of_one_advisory_are_two_answers_and_an_abbreviated_id_will_do(tmp_path: Path) -> None:
    ids = history(tmp_path / "repo")
    status, result, _ = run(tmp_path / "repo", ("A", [ids[3], ids[2][:10]]))
    assert status == 0
    assert sorted(fix["fix"] for fix in result["fixes"]) == sorted([ids[3], ids[2]])
    top = {row["fix"]: row["commit"] for row in result["results"] if row["rank"] == 1}
    assert top[ids[3]] == ids[1]


def test_a_path_with_quotes_and_blanks(tmp_path: Path) -> None:
    ids = history(tmp_path / "repo", 'src/a "b"\tc\né.c')
    _, result, _ = run(tmp_path / "repo", ("A", [ids[3]]))
    assert result["results"][0]["commit"] == ids[1]


def test_a_shallow_clone_says_so(tmp_path: Path) -> None:
    ids = history(tmp_path / "repo")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "2", f"file://{tmp_path / 'repo'}", str(clone)], check=True)
    status, result, errors = run(clone, ("A", [ids[3]]), ("B", [ids[1]]))
    assert status == 1
    assert "shallow" in errors
    assert [fix["outcome"] for fix in result["fixes"]] == ["estimated", "fix not in the repository"]


def test_a_partial_clone_without_its_blobs_is_refused(tmp_path: Path) -> None:
    ids = history(tmp_path / "whole")
    git(tmp_path / "whole", "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{tmp_path / 'whole'}", str(tmp_path / "part"))
    status, _, said = run(tmp_path / "part", ("X-1", [ids[-1]]))
    assert status == 3
    assert "missing from this partial clone" in said


def test_quiet_leaves_standard_error_empty_and_the_result_the_same(tmp_path: Path) -> None:
    ids = history(tmp_path / "repo")
    status, told, _ = run(tmp_path / "repo", ("A", [ids[3]]))
    assert (status, told, "") == run(tmp_path / "repo", ("A", [ids[3]]), options=("--quiet",))


def test_an_id_that_is_no_id_is_not_given_to_git(tmp_path: Path) -> None:
    history(tmp_path / "repo")
    status, result, errors = run(tmp_path / "repo", ("A", ["--output=x"]))
    assert (status, result) == (3, None)
    assert "fix not in the repository" in errors


def test_help_ends_with_an_example_and_a_missing_option_is_usage(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "preventable", "origin"]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    shown = subprocess.run([*line, "--help"], capture_output=True, text=True, check=True, env=environment)
    assert "Example: preventable origin" in shown.stdout
    missing = subprocess.run([*line, str(tmp_path)], capture_output=True, text=True, check=False, env=environment)
    assert (missing.returncode, missing.stdout) == (2, "")
