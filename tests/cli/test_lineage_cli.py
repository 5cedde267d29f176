"""``preventable lineage``: members, sums, both ages, and everything a history may be that it should not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from preventable.cli.lineage import ReplayProgress
from preventable.studies.lineage import Steps

SRC = Path(__file__).parents[2] / "src"
Q1, Q2, Q3 = "2020-02-01T00:00:00Z", "2020-05-01T00:00:00Z", "2020-09-01T00:00:00Z"


class Repo:
    """A small repository made by hand."""

    def __init__(self, histories: ModuleType, path: Path) -> None:
        self.path = path
        self._git = histories.git
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, date: str = Q1, **more: str) -> str:
        out: bytes = self._git(
            self.path, *arguments, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date, GIT_ALLOW_PROTOCOL="file", **more
        )
        return out.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: dict[str, str | bytes | None], date: str = Q1) -> str:
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change", date=date)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(histories: ModuleType, tmp_path: Path) -> Repo:
    return Repo(histories, tmp_path / "repo")


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SRC), "XDG_CACHE_HOME": str(cache)}


def lineage(path: Path, *options: str, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "preventable", "lineage", str(path), "--format", "json", "--quiet", *options],
        capture_output=True,
        text=True,
        check=False,
        env=environment(path.parent / "cache"),
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def cohorts(result: Any, snapshot: str, member: str = "lines") -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in result["results"]:
        if row["snapshot"] == snapshot:
            counts[row["cohort"]] += row[member]
    return {cohort: lines for cohort, lines in counts.items() if lines}


def test_rows_say_what_survives_at_the_end_of_every_quarter(repo: Repo) -> None:
    repo.commit({"lib/a.c": "one\ntwo\nthree\n", "README": "x\n"}, Q1)
    repo.commit({"lib/a.c": "one\n  two\nthree\nfour\n"}, Q3)
    result = lineage(repo.path)
    assert result["kind"] == "lineage"
    assert set(result["results"][0]) >= {"snapshot", "cohort", "language", "component", "lines"}
    assert [s["snapshot"] for s in result["snapshots"]] == ["2020-Q1", "2020-Q2", "2020-Q3"]
    assert cohorts(result, "2020-Q2") == {"2020-Q1": 4}
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 3, "2020-Q3": 2}
    assert cohorts(result, "2020-Q3", "lines_substantive") == {"2020-Q1": 4, "2020-Q3": 1}
    assert {(r["language"], r["component"]) for r in result["results"]} == {("C", "lib"), ("Plain Text", ".")}
    assert {"quarter": "2020-Q3", "language": "C", "added": 2, "removed": 1} in result["churn"]
    touched = lineage(repo.path, "--age", "last-touched", "--snapshots", "head")
    assert cohorts(touched, "HEAD") == {"2020-Q1": 3, "2020-Q3": 2}
    substantive = lineage(repo.path, "--age", "substantive", "--snapshots", "year")
    assert cohorts(substantive, "2020") == {"2020-Q1": 4, "2020-Q3": 1}


def test_the_same_history_gives_the_same_bytes_on_any_number_of_processes(
    histories: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "random"
    histories.Generator(77, steps=40).write(path)
    one = lineage(path, "--workers", "1", "--snapshots", "month")
    assert lineage(path, "--workers", "3", "--snapshots", "month") == one
    lines = sum(len(histories.blame(path, name)) for name in histories.git(path, "ls-files").split())
    assert one["snapshots"][-1]["lines"] == lines


def test_tags_are_snapshots_and_those_outside_are_named(repo: Repo) -> None:
    repo.commit({"a.c": "1\n"}, Q1)
    repo.git("tag", "v1")
    repo.commit({"a.c": "1\n2\n"}, Q2)
    repo.git("tag", "-a", "v2", "-m", "two")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.c": "1\n2\n3\n"}, Q3)
    repo.git("tag", "side-1")
    repo.git("checkout", "-q", "main")
    result = lineage(repo.path, "--snapshots", "tags")
    assert [(s["snapshot"], s["lines"]) for s in result["snapshots"]] == [("v1", 1), ("v2", 2)]
    assert [(item["count"], item["examples"]) for item in result["limits"] if item["count"]] == [(1, ["side-1"])]


def test_commits_to_be_ignored_do_not_make_lines_new(repo: Repo) -> None:
    repo.commit({"a.c": "foo(x);\nbar(y);\n"}, Q1)
    rewritten = repo.commit({"a.c": "Foo(x);\nBar(y);\nnew();\n"}, Q2)
    repo.commit({".git-blame-ignore-revs": f"# style\n{rewritten}\n{'f' * 40}\n"}, Q3)
    result = lineage(repo.path)
    assert cohorts(result, "2020-Q2") == {"2020-Q2": 3}
    assert cohorts(result, "2020-Q2", "lines_substantive") == {"2020-Q1": 2, "2020-Q2": 1}
    assert result["ignored_commits"] == [rewritten]
    assert any(item["examples"] == ["f" * 40] for item in result["limits"])


def test_a_file_split_in_two_keeps_its_lines_in_both(repo: Repo) -> None:
    lines = [f"line number {n}\n" for n in range(40)]
    repo.commit({"old.c": "".join(lines)}, Q1)
    repo.commit({"old.c": None, "x.c": "".join(lines[:38]), "y.c": "".join(lines[2:]) + "more\n"}, Q3)
    result = lineage(repo.path)
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 76, "2020-Q3": 1}
    churn = [c for c in result["churn"] if c["language"] == "C"]
    assert sum(c["added"] - c["removed"] for c in churn) == 77


def blamed(repo: Repo, *names: str) -> dict[str, int]:
    """Lines of some files by the author date that git blame gives them."""
    dates = [
        line.removeprefix("author-time ")
        for name in names
        for line in repo.git("blame", "--line-porcelain", "HEAD", "--", name).splitlines()
        if line.startswith("author-time ")
    ]
    return {date: dates.count(date) for date in dates}


@pytest.mark.parametrize("renamed", [False, True])
def test_a_file_that_became_a_link_or_was_one_is_no_ancestor_and_no_heir(repo: Repo, renamed: bool) -> None:
    lines = [f"line number {n}\n" for n in range(40)]
    other = [f"something else {n}\n" for n in range(40)]
    repo.commit({"a.c": "".join(lines), "old.c": "".join(other)}, Q1)
    (repo.path / "link.c").symlink_to("a.c")
    repo.commit({}, Q2)
    (repo.path / "a.c").unlink()
    (repo.path / "a.c").symlink_to("copy.c")
    (repo.path / "link.c").unlink()
    moved: dict[str, str | bytes | None] = {"old.c": None, "new.c": "".join(other), "part.c": "".join(other[:30])}
    repo.commit({"copy.c": "".join(lines), "link.c": "".join(other), **(moved if renamed else {})}, Q3)
    names = ["copy.c", "link.c", *(["new.c", "part.c"] if renamed else ["old.c"])]
    by_date = blamed(repo, *names)
    assert len(by_date) == 2
    assert sorted(cohorts(lineage(repo.path), "2020-Q3").values()) == sorted(by_date.values())


def test_a_file_renamed_in_a_merge_keeps_its_lines(repo: Repo) -> None:
    lines = "".join(f"line {n}\n" for n in range(30))
    repo.commit({"x.c": lines, "k.c": "0\n"}, Q1)
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"s.c": "s\n"}, Q2)
    repo.git("checkout", "-q", "main")
    repo.commit({"k.c": "0\nm\n"}, Q2)
    repo.git("merge", "-q", "--no-commit", "--no-ff", "side")
    repo.git("mv", "x.c", "y.c")
    repo.commit({}, Q3)
    result = lineage(repo.path)
    assert result["snapshots"][-1]["files"] == 3
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 31, "2020-Q2": 2}


def test_a_merge_that_is_one_parents_file_by_another_name_is_that_parents(repo: Repo) -> None:
    lines = [f"line {n}\n" for n in range(30)]
    both = [*lines[:20], "same on both sides\n", *lines[21:]]
    repo.commit({"x.c": "".join(lines)}, Q1)
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"x.c": "".join(["side\n", *both[1:]])}, Q2)
    repo.git("checkout", "-q", "main")
    repo.commit({"x.c": None, "y.c": "".join([*both[:3], "main\n", *both[4:]])}, Q3)
    repo.git("merge", "-q", "--no-commit", "-s", "ours", "side")
    repo.commit({"y.c": "".join(["side\n", *both[1:]])}, "2020-10-05T00:00:00Z")
    assert set(blamed(repo, "y.c").values()) == {2, 28}
    assert cohorts(lineage(repo.path), "2020-Q4") == {"2020-Q1": 28, "2020-Q2": 2}


def test_a_split_file_of_an_odd_name_keeps_its_lines_in_both(repo: Repo) -> None:
    lines = [f"line number {n}\n" for n in range(40)]
    repo.commit({'q"x\\.c': "".join(lines)}, Q1)
    repo.commit({'q"x\\.c': None, "b.c": "".join([*lines[:36], "a\n"]), "c.c": "".join(["z\n", *lines[2:]])}, Q3)
    assert cohorts(lineage(repo.path), "2020-Q3") == {"2020-Q1": 74, "2020-Q3": 2}


def test_a_binary_file_that_turns_into_text_has_its_substantive_age_too(repo: Repo) -> None:
    repo.commit({"a.c": b"\0\nint a;\n  int b;\nint c;\n"}, Q1)
    repo.commit({"a.c": b"\0\nint a;\nint b;\nint c;\n"}, Q2)  # whitespace alone, and git calls it binary
    repo.commit({"a.c": b"zero\nint a;\nint b;\nint c;\n"}, Q3)
    result = lineage(repo.path)
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 2, "2020-Q2": 1, "2020-Q3": 1}
    assert cohorts(result, "2020-Q3", "lines_substantive") == {"2020-Q1": 3, "2020-Q3": 1}


def test_links_and_submodules_that_move_have_no_lines(repo: Repo) -> None:
    head = repo.commit({"a.c": "1\n2\n"}, Q1)
    (repo.path / "l1").symlink_to("a.c")
    repo.git("add", "-A")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    repo.git("commit", "-q", "-m", "add", date=Q2)
    repo.git("mv", "l1", "l2")
    repo.git("update-index", "--force-remove", "sub")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},other")
    repo.git("commit", "-q", "-m", "move", date=Q3)
    result = lineage(repo.path)
    assert result["snapshots"][-1]["files"] == 1
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 2}


def test_a_file_that_a_merge_turns_into_a_link_has_no_lines(repo: Repo) -> None:
    repo.commit({"x.c": "1\n2\n3\n", "k.c": "0\n"}, Q1)
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"s.c": "s\n"}, Q2)
    repo.git("checkout", "-q", "main")
    repo.commit({"m.c": "m\n"}, Q2)
    repo.git("merge", "-q", "--no-commit", "--no-ff", "side")
    (repo.path / "x.c").unlink()
    (repo.path / "x.c").symlink_to("k.c")
    repo.commit({}, Q3)
    result = lineage(repo.path)
    assert result["snapshots"][-1]["files"] == 3
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 1, "2020-Q2": 2}


def test_a_work_tree_of_a_shallow_clone_is_shallow(repo: Repo, tmp_path: Path) -> None:
    for number, date in enumerate((Q1, Q2, Q3)):
        repo.commit({"a.c": "".join(f"{n}\n" for n in range(number + 1))}, date)
    repo.git("clone", "-q", "--depth", "2", f"file://{repo.path}", str(tmp_path / "shallow"))
    repo.git("-C", str(tmp_path / "shallow"), "worktree", "add", "-q", str(tmp_path / "work"))
    result = lineage(tmp_path / "work", status=1)
    assert cohorts(result, "2020-Q3") == {"unknown": 2, "2020-Q3": 1}


def test_not_a_repository_and_no_commits_are_errors_with_a_hint(repo: Repo, tmp_path: Path) -> None:
    assert "no commits" in lineage(repo.path, status=3)
    (tmp_path / "plain").mkdir()
    assert "repository" in lineage(tmp_path / "plain", status=3)
    assert "no such directory" in lineage(tmp_path / "nowhere", status=3)
    repo.commit({"a.c": "1\n"})
    assert "names no commit" in lineage(repo.path, "--revision", "nothing", status=3)


def test_a_shallow_clone_is_named_and_its_old_lines_are_unknown(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a.c": "1\n2\n"}, Q1)
    repo.commit({"a.c": "1\n2\n3\n"}, Q2)
    repo.commit({"a.c": "1\n2\n3\n4\n"}, Q3)
    repo.git("clone", "-q", "--depth", "2", f"file://{repo.path}", str(tmp_path / "shallow"))
    result = lineage(tmp_path / "shallow", status=1)
    assert cohorts(result, "2020-Q3") == {"unknown": 3, "2020-Q3": 1}
    assert any("shallow" in item["what"] and item["count"] == 1 for item in result["limits"])


@pytest.mark.parametrize("command", ["lineage", "contributors"])
def test_where_a_shallow_clone_is_cut_is_no_root_and_a_warning(repo: Repo, tmp_path: Path, command: str) -> None:
    repo.commit({"a.c": "1\n"}, Q1)
    repo.commit({"a.c": "1\n2\n"}, Q2)
    repo.git("checkout", "-q", "-b", "side", "HEAD~1")
    repo.commit({"b.c": "1\n"}, Q2)
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "-m", "join", "side", date=Q3)
    repo.git("clone", "-q", "--depth", "2", f"file://{repo.path}", str(tmp_path / "shallow"))
    done = subprocess.run(
        [sys.executable, "-m", "preventable", command, str(tmp_path / "shallow"), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path / "cache"),
    )
    assert done.returncode == 1
    assert "preventable: warning: 2 × the clone is shallow" in done.stderr
    assert "without parents" not in done.stdout + done.stderr


def test_commits_of_an_earlier_run_count_in_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ReplayProgress(quiet=False)
    done = Steps(1_000, shown.advance, shown.go_on)
    assert done.restore(done.state(), [])
    done(900)
    assert "going on at 900 of 1,000 commits" in capsys.readouterr().err
    done(10)
    assert shown._bar is not None
    assert (shown._bar.done, shown._bar.total) == (10, 100)


def test_a_partial_clone_without_its_blobs_is_refused(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a.c": "1\n"}, Q1)
    repo.commit({"a.c": "2\n"}, Q2)
    repo.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    repo.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{repo.path}", str(partial))
    assert "missing from this partial clone" in lineage(partial, status=3)


def test_odd_paths_modes_and_contents(repo: Repo) -> None:
    text = "int a;\nint b;\n"
    repo.commit({'new\nline "q"\t.c': text, "ünïcode é.c": text, " lead and trail .c": text, "-dash.c": text})
    (repo.path / "link").symlink_to("target")
    repo.commit({"bin.c": b"a\nb\0\n", "empty.c": "", "crlf.c": "x\r\ny\r\n", "last.c": "no newline"}, Q2)
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},module")
    repo.git("commit", "-q", "-m", "submodule", date=Q2)
    repo.git("update-index", "--cacheinfo", f"160000,{'b' * 40},module")
    repo.git("commit", "-q", "-m", "submodule moves", date=Q2)
    repo.git("reset", "-q", "--hard")
    repo.commit({"bin.c": "a\nb\nc\n", "crlf.c": "x\ny\n"}, Q3)
    result = lineage(repo.path)
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 8, "2020-Q2": 2, "2020-Q3": 4}
    assert cohorts(result, "2020-Q3", "lines_substantive")["2020-Q2"] == 4
    ends = {s["snapshot"]: s for s in result["snapshots"]}
    assert (ends["2020-Q2"]["binary_files"], ends["2020-Q3"]["binary_files"]) == (1, 0)


def test_attributes_of_the_directory_we_are_in_do_not_count(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a.c": "one\ntwo\n"}, date=Q1)
    repo.commit({"a.c": "one\nthree\n"}, date=Q2)
    expected = lineage(repo.path)["results"]
    assert {row["cohort"] for row in expected} == {"2020-Q1", "2020-Q2"}
    (repo.path / ".gitattributes").write_text("*.c binary\n")
    inside = subprocess.run(
        [sys.executable, "-m", "preventable", "lineage", ".", "--format", "json"],
        cwd=repo.path, env=environment(tmp_path), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(inside.stdout)["results"] == expected


def test_dates_of_1970_and_2100_are_named_and_unknown(repo: Repo) -> None:
    repo.commit({"a.c": "1\n"}, "2019-02-01T00:00:00Z")
    repo.commit({"a.c": "1\n2\n"}, "@3600 +0000")
    repo.commit({"a.c": "1\n2\n3\n"}, "@4102448400 +0000")
    repo.commit({"a.c": "1\n2\n3\n4\n"}, "2020-02-01T00:00:00Z")
    repo.commit({"a.c": "1\n2\n3\n4\n5\n"}, "2020-03-01T00:00:00Z")
    result = lineage(repo.path, status=1)
    assert cohorts(result, "2020-Q1") == {"2019-Q1": 1, "2020-Q1": 2, "unknown": 2}
    assert result["snapshots"][0]["snapshot"] == "2019-Q1"
    assert any(item["count"] == 2 and "date" in item["what"] for item in result["limits"])


def test_components_come_from_the_case_file(repo: Repo, tmp_path: Path) -> None:
    repo.commit(
        {"src/parse.c": "1\n2\n", "src/x.c": "1\n", "preventable.toml": '[components]\nparser = "src/p*"\n'}, Q1
    )
    bare = tmp_path / "bare"
    subprocess.run(["git", "clone", "-q", "--bare", str(repo.path), str(bare)], check=True)
    for path in (repo.path, bare):
        result = lineage(path)
        lines = {row["component"]: row["lines"] for row in result["results"] if row["language"] == "C"}
        assert lines == {"parser": 2, "src": 1}
        assert result["inputs"][1]["digest"].startswith("sha256:")
    other = tmp_path / "other.toml"
    other.write_text('[census]\ncomponents_from = "other"\n')
    assert {row["component"] for row in lineage(repo.path, "--case", str(other))["results"]} == {"other"}
    other.write_text('[census]\ncomponents_from = "maintainers"\n')
    assert "MAINTAINERS" in lineage(repo.path, "--case", str(other), status=2)


def test_components_by_cargo_package(repo: Repo) -> None:
    repo.commit(
        {
            "a/Cargo.toml": '[package]\nname = "alpha"\n',
            "a/src/x.rs": "1\n",
            "preventable.toml": '[census]\ncomponents_from = "cargo"\n',
        },
        Q1,
    )
    rows = {row["component"] for row in lineage(repo.path)["results"] if row["language"] == "Rust"}
    assert rows == {"alpha"}


def test_several_roots_are_followed(repo: Repo) -> None:
    repo.commit({"a.c": "1\n"}, Q1)
    repo.git("checkout", "-q", "--orphan", "other")
    repo.git("rm", "-qrf", ".")
    repo.commit({"b.c": "1\n2\n"}, Q2)
    repo.git("merge", "-q", "--allow-unrelated-histories", "-m", "join", "main", date=Q3)
    result = lineage(repo.path)
    assert cohorts(result, "2020-Q3") == {"2020-Q1": 1, "2020-Q2": 2}
    assert any(item["what"] == "commits without parents" and item["count"] == 2 for item in result["limits"])


def test_a_commit_of_very_many_files(histories: ModuleType, tmp_path: Path) -> None:
    count = 9000
    stream = [b"commit refs/heads/main\ncommitter A <a@example.org> 1580515200 +0000\ndata 1\nm"]
    stream += [b"M 100644 inline d%d/f%d.c\ndata 4\nx\ny\n" % (n % 50, n) for n in range(count)]
    path = tmp_path / "many"
    path.mkdir()
    histories.git(path, "init", "-q", "-b", "main")
    histories.git(path, "fast-import", "--quiet", stdin=b"\n".join([*stream, b""]))
    assert lineage(path)["snapshots"][-1]["lines"] == 2 * count


@pytest.mark.parametrize("revision", ["HEAD^", "HEAD"])
def test_a_damaged_repository_is_an_error_not_a_crash(repo: Repo, revision: str) -> None:
    repo.commit({"a.c": "1\n"}, Q1)
    repo.commit({"a.c": "2\n"}, Q2)
    blob = repo.git("rev-parse", f"{revision}:a.c")
    (repo.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert "git" in lineage(repo.path, status=3)


KILLED = (
    "import os, signal, sys\n"
    "from preventable.code.history import checkpoint\n"
    "checkpoint.EVERY_SECONDS = 0.0\n"
    "save = checkpoint.Checkpoint.save\n"
    "def once(self, *rest):\n"
    "    save(self, *rest)\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "checkpoint.Checkpoint.save = once\n"
    "from preventable.cli.main import main\n"
    "sys.argv = ['preventable', *sys.argv[1:], '--format', 'json', '--quiet']\n"
    "main()\n"
)
"""Runs a command that is killed once it has saved its state."""


@pytest.mark.parametrize("name", ["lineage", "contributors", "origin"])
def test_a_killed_run_goes_on_from_its_checkpoint(histories: ModuleType, tmp_path: Path, name: str) -> None:
    path = tmp_path / "repo"
    histories.Generator(5, steps=900, merge_share=0.45).write(path)
    (path / "preventable.toml").write_text('[components]\nfirst = "f0*"\n')
    command = [name, str(path)]
    if name == "origin":
        log = histories.git(path, "log", "--no-merges", "--format=%H", "--diff-filter=M").decode().split()
        ranges = [
            {"type": "GIT", "repo": "https://example.org/x", "events": [{"introduced": "0"}, {"fixed": commit}]}
            for commit in log[:300:60]
        ]
        record = {"id": "X-1", "summary": "x", "affected": [{"ranges": ranges}], "modified": "2024-01-01T00:00:00Z"}
        (tmp_path / "x.json").write_text(json.dumps([record]))
        command += ["--advisories", str(tmp_path / "x.json")]
    cache = tmp_path / "cache"

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-c", arguments[0], *arguments[1:]]
            if "\n" in arguments[0]
            else [sys.executable, "-m", "preventable", *arguments, "--format", "json"],
            capture_output=True,
            check=False,
            env=environment(cache),
        )

    whole = run(*command, "--fresh")
    assert whole.returncode == 0, whole.stderr
    assert list(cache.rglob("*.*")) == []
    killed = run(KILLED, *command)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(cache.rglob("*.replay"))) == 1
    again = run(*command)
    said = b"goes on from commit" if name == "origin" else b"going on at "
    assert said in again.stderr
    assert again.stdout == whole.stdout
    assert list(cache.rglob("*.*")) == [], "nothing is left behind"
    if name == "lineage":
        assert {row["component"] for row in json.loads(whole.stdout)["results"]} >= {"first"}


def test_a_saved_run_is_not_used_under_other_components(histories: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "repo"
    histories.Generator(5, steps=900, merge_share=0.45).write(path)
    cache = tmp_path / "cache"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "lineage", str(path)], capture_output=True, check=False, env=environment(cache)
    )
    assert killed.returncode == -signal.SIGKILL
    (path / "preventable.toml").write_text('[components]\nfirst = "f0*"\n')
    again = subprocess.run(
        [sys.executable, "-m", "preventable", "lineage", str(path), "--format", "json"],
        capture_output=True,
        check=True,
        env=environment(cache),
    )
    assert b"goes on from commit" not in again.stderr
    assert json.loads(again.stdout) == lineage(path, "--fresh")


def test_an_interrupt_leaves_no_process_behind(histories: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "repo"
    histories.Generator(6, steps=400).write(path)
    process = subprocess.Popen(
        [sys.executable, "-m", "preventable", "lineage", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(tmp_path / "cache"),
        start_new_session=True,
    )
    for _ in range(2000):  # until it has processes that it could leave behind
        if _members(process.pid) > 1 or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode in (0, 130), said
    for _ in range(50):
        if not _group_lives(process.pid):
            break
        time.sleep(0.1)
    assert not _group_lives(process.pid)


def _members(session: int) -> int:
    """How many processes a session has; Linux only tells."""
    count = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            count += int(status.read_text().rpartition(")")[2].split()[3]) == session
    return count


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_commit_of_fifty_thousand_files_travels_in_parts(repo: Repo) -> None:
    count = 50_000
    lines: list[bytes] = [b"blob\nmark :1\ndata 4\na\nb\n", b"blob\nmark :2\ndata 6\na\n b\nc\n"]
    who = b"A U Thor <author@example.com> %d +0000"
    for mark, seconds in ((1, 1_580_515_200), (2, 1_588_291_200)):
        lines.append(b"commit refs/heads/main\nauthor %b\ncommitter %b\ndata 1\nx\n" % (who % seconds, who % seconds))
        lines += [b"M 100644 :%d d%d/f%d.c\n" % (mark, number % 100, number) for number in range(count)]
    subprocess.run(
        ["git", "-C", str(repo.path), "fast-import", "--quiet"], input=b"".join(lines), check=True, capture_output=True
    )
    result = lineage(repo.path)
    last = result["snapshots"][-1]
    assert (last["files"], last["lines"], last["unknown_lines"]) == (count, 3 * count, 0)
    assert cohorts(result, last["snapshot"]) == {"2020-Q1": count, "2020-Q2": 2 * count}
    assert cohorts(result, last["snapshot"], "lines_substantive") == {"2020-Q1": 2 * count, "2020-Q2": count}
