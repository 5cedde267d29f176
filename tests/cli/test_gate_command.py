"""``preventable gate``: outputs, exit statuses, where rules are read from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RULES = '[[gate.zones]]\nname = "core"\npaths = ["core"]\nno_new_files = ["C"]\nno_new_lines = ["C"]\n'


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        [sys.executable, "-m", "preventable", "gate", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip


def git(repo: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=repo, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/a.c").write_text("int a;\n")
    (tmp_path / "preventable.toml").write_text(RULES)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    return tmp_path


def grow(repo: Path) -> None:
    (repo / "core/a.c").write_text("int a;\nint b;\n")
    (repo / "core/new file.c").write_text("int c;\n")


def test_clean_is_zero(repo: Path) -> None:
    done = run("--base", "HEAD", cwd=repo)
    assert (done.returncode, done.stdout) == (0, "The gate holds.\n")


@pytest.mark.parametrize("state", ["work tree", "staged", "committed"])
def test_findings_are_one_wherever_the_change_is(repo: Path, state: str) -> None:
    grow(repo)
    arguments = ["--base", "HEAD"]
    if state != "work tree":
        git(repo, "add", "-A")
        arguments.append("--staged")
    if state == "committed":
        git(repo, "commit", "-qm", "grow")
        arguments = ["--base", "HEAD~1", "--head", "HEAD"]
    done = run(*arguments, "--format", "json", cwd=repo)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert [(f["rule"], f["path"], f["line"]) for f in document["results"]] == [
        ("PVG002", "core/a.c", 2),
        ("PVG001", "core/new file.c", 1),
    ]
    assert document["summary"] == {"changed_files": 2, "findings": 2, "suppressed": 0}


def test_sarif_and_badge(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    grow(repo)
    out = tmp_path_factory.mktemp("out")
    done = run(
        "--base", "HEAD", "--format", "sarif", "--exit-zero", "--badge", str(out / "b.json"), "--sarif",
        str(out / "s.json"), cwd=repo,
    )  # fmt: skip
    assert done.returncode == 0
    log = json.loads(done.stdout)
    assert log == json.loads((out / "s.json").read_text())
    assert log["version"] == "2.1.0"
    results = log["runs"][0]["results"]
    location = results[1]["locations"][0]["physicalLocation"]
    assert location == {
        "artifactLocation": {"uri": "core/new%20file.c", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 1},
    }
    assert {r["baselineState"] for r in results} == {"new"}
    assert all(list(r["partialFingerprints"]) == ["preventable/v1"] for r in results)
    assert json.loads((out / "b.json").read_text())["message"] == "2 findings"


def test_rules_come_from_the_judged_revision(repo: Path) -> None:
    grow(repo)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "grow")
    (repo / "preventable.toml").write_text("")
    assert run("--base", "HEAD~1", "--head", "HEAD", cwd=repo).returncode == 1
    assert run("--base", "HEAD~1", cwd=repo).returncode == 2


def test_a_change_of_the_rules_is_said(repo: Path) -> None:
    (repo / "preventable.toml").write_text(RULES + "# looser\n")
    assert "touches the file with the rules" in run("--base", "HEAD", cwd=repo).stderr


def test_rules_that_the_head_lacks_or_loses_are_said(repo: Path) -> None:
    git(repo, "rm", "-q", "--cached", "preventable.toml")
    git(repo, "commit", "-qm", "no rules")
    done = run("--base", "HEAD~1", "--head", "HEAD", cwd=repo)
    assert done.returncode == 0
    assert "the head has no rules; they are those of the work tree" in done.stderr
    assert "touches the file with the rules" in done.stderr


def test_before_the_first_commit_everything_staged_is_new(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/a.c").write_text("int a;\n")
    (tmp_path / "preventable.toml").write_text(RULES)
    git(tmp_path, "init", "-q", "-b", "main")
    assert run("--base", "HEAD", "--staged", cwd=tmp_path).returncode == 0
    git(tmp_path, "add", "-A")
    done = run("--base", "HEAD", "--staged", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert [f["rule"] for f in json.loads(done.stdout)["results"]] == ["PVG001"]
    assert run("--base", "HEAD", "--head", "HEAD", cwd=tmp_path).returncode == 3


def test_a_base_that_went_on_is_said_and_merge_base_leaves_it_out(repo: Path) -> None:
    git(repo, "checkout", "-qb", "topic")
    (repo / "note.txt").write_text("n\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "topic")
    git(repo, "checkout", "-q", "main")
    git(repo, "rm", "-q", "core/a.c")
    git(repo, "commit", "-qm", "less C")
    direct = run("--base", "main", "--head", "topic", cwd=repo)
    assert direct.returncode == 1
    assert "main has commits that the head lacks" in direct.stderr
    common = run("--base", "main", "--head", "topic", "--merge-base", cwd=repo)
    assert (common.returncode, common.stdout) == (0, "The gate holds.\n")
    assert "lacks" not in common.stderr


def test_a_line_in_a_renamed_file_with_an_odd_name_is_found(repo: Path) -> None:
    lines = "".join(f"int a{n};\n" for n in range(9))
    (repo / "core/a.c").write_text(lines)
    git(repo, "commit", "-qam", "longer")
    git(repo, "mv", "core/a.c", 'core/\u00fc "b.c')
    git(repo, "commit", "-qm", "move")
    (repo / 'core/\u00fc "b.c').write_text(lines + "int z;\n")
    for base in ("HEAD", "HEAD~1"):
        done = run("--base", base, "--format", "json", cwd=repo)
        assert [(f["rule"], f["line"]) for f in json.loads(done.stdout)["results"]] == [("PVG002", 10)]


def test_a_bare_repository_needs_a_head(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    bare = tmp_path_factory.mktemp("bare")
    git(repo, "clone", "-q", "--bare", ".", str(bare))
    assert "Name a revision by --head" in run("--base", "HEAD", cwd=bare).stderr
    assert run("--base", "HEAD", "--head", "HEAD", cwd=bare).returncode == 0


def test_a_day_can_be_given(repo: Path) -> None:
    text = '[[gate.suppressions]]\nrule = "new-lines"\npath = "core/a.c"\nreason = "r"\nexpires = 2030-01-01\n'
    (repo / "preventable.toml").write_text(RULES + text)
    (repo / "core/a.c").write_text("int a;\nint b;\n")
    assert run("--base", "HEAD", "--today", "2029-12-31", cwd=repo).returncode == 0
    late = run("--base", "HEAD", "--today", "2030-01-02", "--format", "json", cwd=repo)
    assert late.returncode == 1
    assert [f["rule"] for f in json.loads(late.stdout)["results"]] == ["PVG002", "PVG006"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "--base is missing"),
        (["--base", "nope"], 3, "Unknown revision nope"),
        (["--base", "HEAD", "--repo", "missing"], 3, "does not exist"),
        (["--base", "HEAD", "--staged", "--head", "HEAD"], 2, "exclude each other"),
        (["--base", "HEAD", "--case", "nope.toml"], 2, "does not exist"),
        (["--base", "HEAD", "--sarif", "no/such/dir.json"], 3, "cannot be written"),
    ],
)
def test_failures_have_their_status(repo: Path, arguments: list[str], status: int, said: str) -> None:
    done = run(*arguments, cwd=repo)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_is_a_valid_case_file(repo: Path) -> None:
    example = run("--example", cwd=repo)
    assert example.returncode == 0
    (repo / "preventable.toml").write_text(example.stdout)
    done = run("--base", "HEAD", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert "the glob src/parse matches nothing" in done.stderr
