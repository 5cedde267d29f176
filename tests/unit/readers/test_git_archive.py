"""Which history dates the kernel's records: that of a clone of them, by its root or a part of it, and no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from preventable.errors import RecordError, RepositoryError
from preventable.readers.registry import fingerprint, load
from preventable.records import ReadReport

DAYS = {
    "CVE-2023-52401": date(2024, 2, 20),
    "CVE-2024-26581": date(2024, 2, 21),
    "CVE-2024-26582": date(2024, 3, 5),
    "CVE-2025-21600": date(2025, 1, 9),
}


def git(room: Path, *arguments: str, day: date = date(2024, 2, 13)) -> None:
    when = f"{day}T12:00:00+00:00"
    names = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
    names |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}
    subprocess.run(
        ["git", "-C", str(room), "-c", "protocol.file.allow=always", *arguments],
        check=True,
        capture_output=True,
        env={
            "PATH": os.environ["PATH"], "HOME": str(room), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, **names,
        },
    )  # fmt: skip


def write(room: Path, name: str) -> None:
    year = room / "cve" / "published" / name[4:8]
    year.mkdir(parents=True, exist_ok=True)
    record = {
        "dataType": "CVE_RECORD", "dataVersion": "5.0", "cveMetadata": {"cveId": name},
        "containers": {"cna": {"title": "t", "descriptions": [{"lang": "en", "value": f"a use-after-free, {name}"}],
                               "affected": [{"programFiles": ["lib/a.c"]}]}},
    }  # fmt: skip
    (year / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    (year / f"{name}.dyad").write_text(f"1.0:{'a' * 40}:1.1:{name[-1] * 40}\n", encoding="utf-8")
    (year / f"{name}.sha1").write_text(name[-1] * 40 + "\n", encoding="utf-8")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository as the CNA keeps it: records come in by and by, some are changed later."""
    room = tmp_path / "vulns"
    (room / "scripts").mkdir(parents=True)
    git(room, "init", "-q")
    (room / "scripts" / "dyad").write_text("#!/bin/sh\n", encoding="utf-8")
    git(room, "add", ".")
    git(room, "commit", "-q", "-m", "scripts")
    for name, day in DAYS.items():
        write(room, name)
        git(room, "add", ".")
        git(room, "commit", "-q", "-m", name, day=day)
    changed = room / "cve/published/2024/CVE-2024-26581.dyad"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    git(room, "commit", "-q", "-a", "-m", "again", day=date(2026, 1, 1))
    return room


def warned(report: ReadReport) -> str:
    (warning,) = report.warnings
    assert warning.field == "published"
    return warning.reason


@pytest.mark.parametrize("part", ["cve", "cve/published"])
def test_a_part_of_a_clone_gives_the_records_of_its_root(clone: Path, part: str) -> None:
    """Record by record, with the dates; a strict run takes it."""
    whole = load(str(clone))
    assert {a.id: a.published for a in whole.advisories} == DAYS
    found = load(str(clone / part), strict=True)
    assert found.advisories == whole.advisories
    assert found.report.data_date == whole.report.data_date
    assert found.report.digest == f"{whole.report.digest}:{part}" == fingerprint(str(clone / part))


def test_a_year_of_a_clone_and_a_part_by_another_way(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One year alone; from inside the clone; through a link; and where git's hooks name another repository."""
    of_2024 = tuple(a for a in load(str(clone)).advisories if a.id.startswith("CVE-2024"))
    assert load(str(clone / "cve/published/2024"), strict=True).advisories == of_2024
    (clone.parent / "link").symlink_to(clone / "cve" / "published")
    assert load(str(clone.parent / "link"), strict=True).report.read == 4
    monkeypatch.chdir(clone / "cve" / "published")
    monkeypatch.setenv("GIT_DIR", str(clone.parent / "elsewhere.git"))
    assert load(".", strict=True).report.read == 4


def test_the_table_of_dates_counts_from_the_root_and_from_a_part(clone: Path) -> None:
    table = "cve,published\nCVE-2024-26581,2024-02-19T00:00:00+00:00\n"
    (clone / "cve" / "published.csv").write_text(table, encoding="utf-8")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "dates")
    whole = load(str(clone)).advisories
    assert {a.id: a.published for a in whole} == DAYS | {"CVE-2024-26581": date(2024, 2, 19)}
    assert load(str(clone / "cve/published")).advisories == whole


SETTINGS = """\
[log]
    showRoot = false
    showSignature = true
    follow = true
[diff]
    orderFile = nowhere
[color]
    ui = always
[core]
    autocrlf = true
    attributesFile = {attributes}
[filter "spoil"]
    clean = cat
    smudge = echo spoilt
"""


@pytest.mark.parametrize("part", ["", "cve/published"])
def test_the_settings_of_the_user_change_nothing(
    clone: Path, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the dates, whatever git shows of the first commit, nor the records, whatever the attributes say."""
    mine = tmp_path / "mine"
    mine.mkdir()
    git(mine, "init", "-q")
    for name, day in DAYS.items():
        write(mine, name)
        git(mine, "add", ".")
        git(mine, "commit", "-q", "-m", name, day=day)
    whole = load(str(mine / part))
    assert {a.id: a.published for a in whole.advisories} == DAYS, "the first of them in the root commit"
    settings, attributes = tmp_path / "settings", tmp_path / "attributes"
    attributes.write_text("*26581.json export-ignore\n*26582.json filter=spoil\n", encoding="utf-8")
    settings.write_text(SETTINGS.format(attributes=attributes), encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    found = load(str(mine / part))
    assert (found.advisories, found.report.digest) == (whole.advisories, whole.report.digest)
    assert not found.report.warnings


@pytest.mark.parametrize("part", ["", "cve/published"])
def test_a_shallow_clone_has_no_dates_until_it_is_made_whole(clone: Path, tmp_path: Path, part: str) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{clone}", "shallow")
    place = str(tmp_path / "shallow" / part)
    found = load(place)
    assert {a.published for a in found.advisories} == {None}
    assert "git fetch --unshallow" in warned(found.report)
    with pytest.raises(RecordError, match="shallow"):
        load(place, strict=True)
    before = fingerprint(place)
    git(tmp_path / "shallow", "fetch", "-q", "--unshallow")
    assert {a.id: a.published for a in load(place).advisories} == DAYS
    assert fingerprint(place) != before, "an evidence store without dates must not stand for it"


@pytest.mark.parametrize("part", ["", "cve/published"])
def test_a_copy_that_came_in_at_once_is_not_dated_by_its_commit(
    clone: Path, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it is added to later; but a few records are no sign of a copy."""
    mine = tmp_path / "mine"
    mine.mkdir()
    git(mine, "init", "-q")
    shutil.copytree(clone / "cve", mine / "cve")
    git(mine, "add", ".")
    git(mine, "commit", "-q", "-m", "a copy", day=date(2026, 5, 5))
    assert {a.published for a in load(str(mine / part)).advisories} == {date(2026, 5, 5)}
    monkeypatch.setattr("preventable.readers.git_archive._AT_ONCE", len(DAYS))
    found = load(str(mine / part))
    assert {a.published for a in found.advisories} == {None}
    assert "took in 4 of its 4 records: a copy" in warned(found.report)
    write(mine, "CVE-2025-21601")
    git(mine, "add", ".")
    git(mine, "commit", "-q", "-m", "more", day=date(2026, 6, 6))
    found = load(str(mine / part))
    assert {a.published for a in found.advisories} == {None}
    assert "took in 4 of its 5 records: a copy" in warned(found.report)
    with pytest.raises(RecordError, match="a copy"):
        load(str(mine / part), strict=True)


@pytest.mark.parametrize("part", ["", "third_party/vulns", "third_party/vulns/cve/published"])
def test_a_copy_inside_another_repository_is_not_dated_by_that_one(clone: Path, tmp_path: Path, part: str) -> None:
    """However it came in; what is not committed is read, too."""
    mine = tmp_path / "mine"
    mine.mkdir()
    git(mine, "init", "-q")
    for name, day in DAYS.items():
        write(mine / "third_party" / "vulns", name)
        git(mine, "add", ".")
        git(mine, "commit", "-q", "-m", name, day=day)
    found = load(str(mine / part))
    assert {a.id: a.published for a in found.advisories} == dict.fromkeys(DAYS)
    assert "no publication date" in warned(found.report)
    write(mine / "third_party" / "vulns", "CVE-2025-21601")
    assert load(str(mine / part)).report.read == (5 if part else 4), "the root of a clone is read at HEAD"


def test_a_directory_that_no_commit_has_is_read_as_it_lies_there(tmp_path: Path) -> None:
    """And without git, too."""
    git(tmp_path, "init", "-q")
    write(tmp_path, "CVE-2025-21601")
    found = load(str(tmp_path / "cve" / "published"))
    assert found.report.digest.startswith("sha256:")
    assert (found.report.read, warned(found.report)[:19]) == (1, "no publication date")


def test_a_work_tree_without_any_commit_is_read_as_it_lies_there(tmp_path: Path) -> None:
    """Whatever the format; after the first commit its records are read at HEAD. A bare repository has nothing."""
    git(tmp_path, "init", "-q")
    advisory = '{"schema_version": "1.6.0", "id": "A-1", "modified": "2025-01-01T00:00:00Z"}'
    (tmp_path / "a.json").write_text(advisory, encoding="utf-8")
    found = load(str(tmp_path), strict=True)
    assert [a.id for a in found.advisories] == ["A-1"]
    assert found.report.digest == fingerprint(str(tmp_path))
    (tmp_path / "a.json").unlink()
    write(tmp_path, "CVE-2025-21601")
    found = load(str(tmp_path))
    assert (found.report.read, warned(found.report)[:19]) == (1, "no publication date")
    assert found.report.digest == fingerprint(str(tmp_path))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    assert load(str(tmp_path), strict=True).report.digest.startswith("git:")
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(RepositoryError, match="no commit at HEAD"):
        load(str(tmp_path / "bare.git"))


def test_a_plain_directory_needs_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "CVE-2025-21601")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert load(str(tmp_path)).report.read == 1


def test_a_changed_file_of_a_clone_that_is_read_as_it_lies_there_changes_its_fingerprint(tmp_path: Path) -> None:
    """Else a store would answer for what is no longer there."""
    git(tmp_path, "init", "-q")
    advisory = tmp_path / "a.json"
    advisory.write_text(
        '{"schema_version": "1.6.0", "id": "A-1", "modified": "2025-01-01T00:00:00Z"}', encoding="utf-8"
    )
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    before = load(str(tmp_path)).report.digest
    assert fingerprint(str(tmp_path)) == before
    advisory.write_text(advisory.read_text("utf-8").replace("A-1", "A-2"), encoding="utf-8")
    assert [a.id for a in load(str(tmp_path)).advisories] == ["A-2"]
    assert fingerprint(str(tmp_path)) == load(str(tmp_path)).report.digest != before
