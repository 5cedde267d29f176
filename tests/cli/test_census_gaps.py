"""What a census leaves out is said, in every one of its commands, and makes the result partial."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from preventable.cli.census import command


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), catch_exceptions=False)


def git(repo: Path, *arguments: str) -> None:
    words = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(words, cwd=repo, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for package in ("a", "b"):
        (tmp_path / package / "src").mkdir(parents=True)
        (tmp_path / package / "Cargo.toml").write_text(f'[package]\nname = "{package}"\n')
        (tmp_path / package / "src/lib.rs").write_text("pub fn f() {}\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    (tmp_path / "a/src/big.c").write_text("int x;\n" * 100)
    (tmp_path / "a/src/binary.c").write_bytes(b"int \0;\n")
    (tmp_path / "preventable.toml").write_text('[census]\nvendored = ["a/scr"]\n')
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "two")
    return tmp_path


def test_a_manifest_that_is_no_toml_is_said(repo: Path) -> None:
    (repo / "b/Cargo.toml").write_text("[package\n")
    done = run(str(repo), "--components-from", "cargo", "--format", "json")
    assert done.exit_code == 0
    assert "b/Cargo.toml is not TOML" in done.stderr
    assert {row["component"] for row in json.loads(done.stdout)["results"]} == {"a", "b", "."}
    assert "Cargo.toml" not in run(str(repo), "--format", "json").stderr


def test_a_difference_names_what_it_could_not_read_and_is_partial(repo: Path) -> None:
    done = run("diff", f"{repo}@HEAD~1", f"{repo}@HEAD", "--max-file-bytes", "200", "--format", "json")
    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert [(n["path"], n["reason"].split(",")[0]) for n in result["not_counted"]] == [
        ("a/src/big.c", "missing from the repository"),
        ("a/src/binary.c", "binary"),
    ]
    assert "the glob a/scr matches nothing (nearest: a/src)" in done.stderr
    assert "not counted: 1 (binary): a/src/binary.c" in done.stderr
    whole = run("diff", f"{repo}@HEAD~1", f"{repo}@HEAD", "--format", "json")
    assert whole.exit_code == 0
    assert [n["reason"] for n in json.loads(whole.stdout)["not_counted"]] == ["binary"]


def test_a_series_names_what_each_release_lacks(repo: Path) -> None:
    first, last = f"{repo}@HEAD~1", f"{repo}@HEAD"
    done = run("series", first, last, "--max-file-bytes", "200", "--format", "json")
    assert done.exit_code == 1
    assert [(n["release"], n["path"]) for n in json.loads(done.stdout)["not_counted"]] == [
        (last, "a/src/big.c"),
        (last, "a/src/binary.c"),
    ]
    assert "big.c" in done.stderr
    assert run("series", first, "--format", "json").exit_code == 0


def test_what_a_saved_census_lacks_is_named_as_that_of_a_tree(
    repo: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And makes the result partial; what one side alone lacks, by its side; a link that is gone, too."""
    room = tmp_path_factory.mktemp("saved")
    (repo / "link.c").symlink_to("a/src/big.c")
    limit = ("--max-file-bytes", "200", "--format", "json")
    for name in ("before", "after"):
        (room / f"{name}.json").write_text(run(str(repo), *limit).stdout)
        (repo / "link.c").unlink(missing_ok=True)
        (repo / "a/src/more.c").write_bytes(b"\0")
    before, after = str(room / "before.json"), str(room / "after.json")
    both = [
        {"path": "a/src/big.c", "reason": "larger than 200 bytes"},
        {"path": "a/src/binary.c", "reason": "binary"},
    ]
    came = {"path": "a/src/more.c", "reason": "binary", "side": "after"}
    gone = {"path": "link.c", "reason": "symbolic link", "side": "before"}
    for second in (after, str(repo)):
        done = run("diff", before, second, *limit)
        assert done.exit_code == 1
        assert json.loads(done.stdout)["not_counted"] == [*both, came, gone]
        assert "not counted: 1 (larger than 200 bytes): a/src/big.c\n" in done.stderr
        assert "not counted: 2 (binary): a/src/binary.c, a/src/more.c (after)\n" in done.stderr
        assert "not counted: 1 (symbolic link): link.c (before)\n" in done.stderr
    done = run("series", before, after, "--format", "json")
    assert done.exit_code == 1
    named = [(n["release"], n["path"]) for n in json.loads(done.stdout)["not_counted"]]
    assert named == [
        (before, "a/src/big.c"),
        (before, "a/src/binary.c"),
        (before, "link.c"),
        (after, "a/src/big.c"),
        (after, "a/src/binary.c"),
        (after, "a/src/more.c"),
    ]
    assert f"{before}: link.c" in done.stderr
    (room / "whole.json").write_text(run(str(repo), "--format", "json").stdout)
    whole = run("diff", str(room / "whole.json"), str(room / "whole.json"))
    assert whole.exit_code == 0
    assert "binary.c" in whole.stderr


ODD_NAMES = (
    "[slug].tsx",
    "my script.sh",
    "é.kt",
    "a b.S",
    "my file.C",
    "q r.inl",
    ".clang-format.yml",
    "x" * 120 + ".c",
)


def test_names_make_no_difference_between_a_directory_a_revision_and_an_archive(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / "app").mkdir(parents=True)
    for name in ODD_NAMES:
        (repo / "app" / name).write_text("a\nb\n")
    (repo / "top.c").write_text("int a;\n")
    git(repo, "init", "-q", "-b", "main")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "one")
    archive = tmp_path / "repo.tar"
    git(repo, "archive", "-o", str(archive), "HEAD")
    found = []
    for what in (repo, f"{repo}@HEAD", archive):
        answer = json.loads(run(str(what), "--files", "--format", "json").stdout)
        assert answer["not_counted"] == []
        found.append({(f["path"], f["language"], f["code"]) for f in answer["files"]})
    assert {path for path, _, _ in found[0]} == {*(f"app/{name}" for name in ODD_NAMES), "top.c"}
    assert found[0] == found[1] == found[2]


def test_the_last_of_two_members_with_one_path_counts_and_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "twice.tar"
    with tarfile.open(archive, "w") as tar:
        for name, text in (("p/a.c", "1;\n"), ("p/b.c", "1;\n"), ("p/./a.c", "1;\n2;\n3;\n")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    answer = json.loads(run(str(archive), "--files", "--format", "json").stdout)
    assert {f["path"]: f["code"] for f in answer["files"]} == {"a.c": 3, "b.c": 1}
    assert [n["path"] for n in answer["not_counted"]] == ["a.c"]


def test_a_difference_names_a_submodule_or_a_link_that_came_or_went(repo: Path) -> None:
    git(repo, "init", "-q", "sub")
    git(repo / "sub", "commit", "-qm", "empty", "--allow-empty")
    (repo / "link.c").symlink_to("top.c")
    git(repo, "add", "sub", "link.c")
    git(repo, "commit", "-qm", "sub")
    named = [
        {"path": "link.c", "reason": "symbolic link"},
        {"path": "sub", "reason": "submodule or nested repository"},
    ]
    done = run("diff", f"{repo}@HEAD~1", f"{repo}@HEAD", "--format", "json")
    assert json.loads(done.stdout)["not_counted"] == named
    git(repo, "rm", "-q", "--cached", "sub", "link.c")
    git(repo, "commit", "-qm", "no sub")
    done = run("diff", f"{repo}@HEAD~1", f"{repo}@HEAD", "--format", "json")
    assert json.loads(done.stdout)["not_counted"] == named
