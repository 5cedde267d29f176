"""The commit hook and the GitHub Action call the gate with options that it has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from preventable.cli.gate import command

ROOT = Path(__file__).parents[2]
KNOWN = {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize(
    ("file", "line"),
    [(".pre-commit-hooks.yaml", "entry:"), ("action.yml", "arguments=("), ("action.yml", "arguments+=")],
)
def test_options_exist(file: str, line: str) -> None:
    lines = [text for text in (ROOT / file).read_text().splitlines() if line in text]
    used = [option for text in lines for option in re.findall(r"--[a-z-]+", text)]
    assert used
    assert set(used) <= KNOWN


def test_the_action_pastes_no_input_into_its_scripts() -> None:
    scripts = re.findall(r"run: \|\n((?:        .*\n|\n)+)", (ROOT / "action.yml").read_text())
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)


RULES = '[[gate.zones]]\nname = "core"\npaths = ["core"]\nno_new_files = ["C"]\n'


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    (path / "core").mkdir(parents=True)
    (path / "preventable.toml").write_text(RULES)
    (path / "core/a.rs").write_text("fn f() {}\n")
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "one")
    (path / "core/b.c").write_text("int b;\n")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "two")
    return path


def git(repo: Path, *arguments: str) -> None:
    words = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(words, cwd=repo, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="the action runs in bash")
@pytest.mark.parametrize(
    ("base", "fail", "status", "notice"),
    [
        ("HEAD", "true", 0, False),
        ("HEAD~1", "true", 1, False),
        ("HEAD~1", "false", 0, False),
        ("0" * 40, "true", 1, True),
        ("", "true", 1, True),
        ("f" * 40, "true", 3, False),
    ],
)
def test_the_script_of_the_action_runs(
    repo: Path, tmp_path: Path, base: str, fail: str, status: int, notice: bool
) -> None:
    script = re.findall(r"run: \|\n((?:        .*\n|\n)+)", (ROOT / "action.yml").read_text())[1]
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "preventable").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m preventable "$@"\n')
    (tools / "preventable").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src"), "BASE": base, "FAIL": fail,
        "HEAD_REVISION": "HEAD", "REPOSITORY": str(repo), "CASE": "", "SARIF": str(tmp_path / "s.sarif"),
        "BADGE": str(tmp_path / "b.json"), "GITHUB_OUTPUT": str(tmp_path / "output"),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", textwrap.dedent(script)],
        cwd=tmp_path, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert ("::notice::" in done.stdout) is notice
    expected = {"0": 0, "1": 1, "3": 3}[(tmp_path / "output").read_text().strip().removeprefix("status=")]
    assert expected == (1 if fail == "false" else status)
    assert (tmp_path / "s.sarif").is_file() is (status != 3)


def test_the_hook_runs_on_every_commit() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert "always_run: true" in text
    assert "pass_filenames: false" in text
    assert "types" not in text
