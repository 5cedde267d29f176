"""Exposure files: what is refused, and where the message points; dates from git."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import pytest

from preventable.errors import FormatError, RepositoryError
from preventable.readers.exposure import ExposureFile, joined, parse_exposure, read_exposure
from preventable.readers.git_dates import commit_dates, tag_dates

HEAD = b"date,component,language,bucket,lines\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"date,component\n2024-01-01,lib\n", "columns missing"),
        (HEAD, "no row"),
        (HEAD + b"yesterday,lib,C,code,1\n", "not a date"),
        (HEAD + b"2024-01-01,lib,C,code,many\n", ":2"),
        (HEAD + b"2024-01-01,lib,C,code,-1\n", "negative"),
        (HEAD + b"2024-01-01,lib,C,code,1\n2024-01-01,lib,C,code,2\n", "two rows"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse_exposure(data, "facts.csv")


def test_other_columns_are_ignored_and_unsafe_lines_may_be_missing() -> None:
    (row,) = parse_exposure(b"version,date,component,language,bucket,lines\n6.1,2024-01-01,lib,C,code,5\n", "f").rows
    assert (row.lines, row.unsafe_lines, row.cohort) == (5, None, "")


def test_a_result_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "share.json"
    path.write_text('{"kind": "share", "results": []}', encoding="utf-8")
    with pytest.raises(FormatError, match="share"):
        read_exposure(path)


def test_two_files_must_not_give_the_same_lines() -> None:
    one: ExposureFile = parse_exposure(HEAD + b"2024-01-01,lib,C,code,1\n", "a")
    with pytest.raises(FormatError, match="two rows"):
        joined([one, one])


def test_tags_and_commits_are_dated(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],
            check=True, capture_output=True, encoding="utf-8",
            env={"GIT_AUTHOR_DATE": "2020-02-03T12:00:00+00:00", "GIT_COMMITTER_DATE": "2020-02-03T12:00:00+00:00",
                 "PATH": "/usr/bin:/bin:/usr/local/bin"},
        ).stdout  # fmt: skip

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    for tag in ("curl-7_81_0", "v6.1", "6.2-rc1"):
        git("tag", tag)
    git("tag", "-a", "v6.3", "-m", "annotated")
    commit = git("rev-parse", "HEAD").strip()
    day = date(2020, 2, 3)
    assert tag_dates(tmp_path) == {"7.81.0": day, "6.1": day, "6.3": day}
    assert commit_dates(tmp_path, {commit, commit[:12], "f" * 40, "--evil"}) == {commit: day, commit[:12]: day}


def test_a_repository_that_shows_signatures_is_dated_and_runs_nothing(tmp_path: Path) -> None:
    """``log.showSignature`` would have git call the program that the repository names, and put its words in between."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho words >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)

    def git(*arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            ["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True, encoding="utf-8", input=stdin
        ).stdout.strip()

    git("init", "-q")
    git("config", "log.showSignature", "true")
    git("config", "gpg.program", str(program))
    who = "t <t@example.org> 1580731200 +0000"
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----"
    body = f"tree {git('write-tree')}\nauthor {who}\ncommitter {who}\n{signature}\n\nx\n"
    commit = git("hash-object", "-t", "commit", "-w", "--stdin", stdin=body)
    assert commit_dates(tmp_path, {commit}) == {commit: date(2020, 2, 3)}
    assert not (tmp_path / "ran").exists()


def test_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="git"):
        tag_dates(tmp_path / "absent")
