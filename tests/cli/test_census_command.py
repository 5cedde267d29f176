"""``preventable census``: formats, streams and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

C = "int main(void)\n{\n\treturn 0;\n}\n"
REQUIRED = (
    "component", "language", "bucket", "files", "code", "comment", "blank", "unsafe_blocks", "unsafe_functions",
    "unsafe_impls", "unsafe_traits", "unsafe_lines", "safety_comments", "indeterminate_files",
)  # fmt: skip


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        [sys.executable, "-m", "preventable", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip


def git(repo: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=repo, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    (repo / "src").mkdir(parents=True)
    (repo / "src/a.c").write_text(C)
    (repo / "src/b.rs").write_text("fn f() { unsafe { g() } }\n")
    git(repo, "init", "-q", "-b", "main")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "one")
    (repo / "src/a.c").write_text(C + C)
    (repo / "src/bad.rs").write_text("fn f( {\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two")
    return repo


@pytest.mark.parametrize("what", [".", ".@HEAD", "HEAD"])
def test_json_rows_have_every_member(repo: Path, what: str) -> None:
    done = run("census", what, "--format", "json", cwd=repo)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "census"
    rows = document["results"]
    assert [list(row)[:14] for row in rows] == [list(REQUIRED)] * 2
    c, rust = rows
    assert (c["language"], c["code"], c["unsafe_blocks"]) == ("C", 8, None)
    assert (rust["files"], rust["unsafe_blocks"], rust["indeterminate_files"]) == (2, 1, 1)
    assert "unsafe code unknown in 1 Rust files: src/bad.rs: does not parse" in done.stderr


@pytest.mark.parametrize("fmt", ["table", "csv", "markdown", "jsonl", "badge"])
def test_other_formats_write_to_standard_output_only(repo: Path, fmt: str) -> None:
    done = run("census", ".", "--format", fmt, "--quiet", cwd=repo)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Rust" in done.stdout


def test_files_and_coupling_are_in_the_json(repo: Path) -> None:
    done = run("census", ".", "--format", "json", "--files", "--coupling", "-q", cwd=repo)
    document = json.loads(done.stdout)
    assert next((f["path"], f["rule"]) for f in document["files"]) == ("src/a.c", "default")
    assert document["coupling"][0]["component"] == "src"


def test_diff_of_two_revisions_and_of_saved_results(repo: Path) -> None:
    done = run("census", "diff", ".@HEAD~1", ".@HEAD", "--format", "json", cwd=repo)
    assert done.returncode == 0, done.stderr
    rows = {row["language"]: row for row in json.loads(done.stdout)["results"]}
    assert (rows["C"]["files_delta"], rows["C"]["code_delta"]) == (0, 4)
    assert (rows["Rust"]["files_delta"], rows["Rust"]["unsafe_blocks_delta"]) == (1, None)
    for revision, name in (("HEAD~1", "a.json"), ("HEAD", "b.json")):
        (repo.parent / name).write_text(run("census", revision, "--format", "json", cwd=repo).stdout)
    saved = run(
        "census", "diff", str(repo.parent / "a.json"), str(repo.parent / "b.json"), "--format", "json", cwd=repo
    )
    assert json.loads(saved.stdout)["results"] == json.loads(done.stdout)["results"]


def save(repo: Path, name: str, *arguments: str) -> str:
    done = run("census", ".", "--format", "json", "-q", *arguments, cwd=repo)
    path = repo.parent / name
    path.write_text(done.stdout)
    return str(path)


def cargo(repo: Path) -> None:
    (repo / "src/Cargo.toml").write_text('[package]\nname = "one"\n')


def test_the_other_side_of_a_saved_census_is_counted_alike(repo: Path) -> None:
    cargo(repo)
    saved = save(repo, "a.json", "--components-from", "cargo", "--headers", "c++")
    for sides in ((saved, "."), (".", saved)):
        done = run("census", "diff", *sides, "--format", "json", cwd=repo)
        assert json.loads(done.stdout)["results"] == []
    case = repo / "preventable.toml"
    case.write_text('[census]\nexclude = ["src/a.c"]\n')
    rows = json.loads(run("census", "diff", saved, ".", "--format", "json", cwd=repo).stdout)["results"]
    assert [row["language"] for row in rows] == ["TOML"], "the case file itself, but nothing that it leaves out"


def test_an_older_saved_census_gives_what_it_wrote_down(repo: Path) -> None:
    cargo(repo)
    saved = Path(save(repo, "a.json", "--components-from", "cargo"))
    document = json.loads(saved.read_text())
    for name in ("census_rules", "case"):
        del document[name]
    saved.write_text(json.dumps(document))
    done = run("census", "diff", str(saved), ".", "--format", "json", cwd=repo)
    assert json.loads(done.stdout)["results"] == []


def test_sides_that_cannot_be_counted_alike_are_refused(repo: Path) -> None:
    cargo(repo)
    by_cargo = save(repo, "a.json", "--components-from", "cargo")
    by_directory = save(repo, "b.json")
    (repo.parent / "case.toml").write_text('[components]\nother = "src/a.c"\n[census]\nexclude = ["src/b.rs"]\n')
    by_case = save(repo, "c.json", "--case", "../case.toml")
    document = json.loads(Path(by_directory).read_text())
    old, own = repo.parent / "old.json", repo.parent / "own.json"
    old.write_text(json.dumps(document | {"method_version": "1999.1"}))
    own.write_text(json.dumps(document | {"census_rules": document["census_rules"] | {"exclude": ["x"]}}))
    maintained = repo.parent / "m.json"
    maintained.write_text(
        json.dumps(
            document
            | {"components_from": "maintainers"}
            | {"census_rules": document["census_rules"] | {"components_from": "maintainers"}}
        )
    )
    for arguments, words in (
        ((by_cargo, by_directory), ("components_from is cargo in", "directories in", "Take one of them again")),
        ((by_cargo, ".", "--components-from", "directories"), ("is cargo in", "directories for the other side")),
        ((by_directory, ".", "--headers", "c++"), ("headers is auto in", "c++ for the other side")),
        ((by_directory, str(own)), ("exclude is nothing in", "x in")),
        ((str(old), "."), ("method_version is 1999.1", "again with this release")),
        ((by_case, "."), ("case is sha256:", "each tree's own for the other side", "the same --case for both")),
        ((str(maintained), "."), ("cannot be counted as", "no MAINTAINERS file")),
    ):
        done = run("census", "diff", *arguments, cwd=repo)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert done.stdout == ""
        assert all(word in done.stderr for word in words), done.stderr
    done = run("census", "diff", by_case, ".", "--case", "../case.toml", "--format", "json", cwd=repo)
    assert json.loads(done.stdout)["results"] == []


def test_trees_whose_own_rules_differ_are_named(repo: Path) -> None:
    (repo.parent / "other").mkdir()
    (repo.parent / "other/a.c").write_text(C)
    (repo.parent / "other/preventable.toml").write_text('[census]\ncomponents_from = "other"\n')
    done = run("census", "diff", ".", "../other", cwd=repo)
    assert "components_from is directories before and other after" in done.stderr


def test_series_shows_each_release(repo: Path) -> None:
    done = run("census", "series", "HEAD~1", "HEAD", "--format", "json", "-q", cwd=repo)
    rows = [(r["release"], r["code"]) for r in json.loads(done.stdout)["results"] if r["language"] == "C"]
    assert rows == [("HEAD~1", 4), ("HEAD", 8)]


def test_the_same_input_gives_the_same_bytes(repo: Path) -> None:
    first, second = (run("census", ".@HEAD", "--format", "json", "-q", cwd=repo).stdout for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["census", ".@nope"], 3, "Unknown revision nope"),
        (["census", "./missing.tar"], 3, "no such file or directory"),
        (["census", "nothing"], 3, "neither a path that exists nor a revision"),
        (["census", ".@"], 2, "names no revision"),
        (["census", ".", "--format", "xml"], 2, "Invalid value"),
        (["census", ".", "--case", "nope.toml"], 2, "does not exist"),
        (["census", "src/a.c"], 3, "no archive"),
        (["census", ".", "--max-file-bytes", "20"], 1, "larger than 20 bytes"),
        (["census", "diff", "."], 2, "Missing argument"),
    ],
)
def test_failures_have_their_status_and_say_what_next(repo: Path, arguments: list[str], status: int, said: str) -> None:
    done = run(*arguments, cwd=repo)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_both_forms_and_ends_with_an_example(repo: Path) -> None:
    done = run("census", "--help", cwd=repo)
    assert done.returncode == 0
    assert "census [OPTIONS] WHAT" in done.stdout
    assert "census diff [OPTIONS] A B" in done.stdout
    assert "Example: preventable census" in done.stdout
