"""The commit hook and the GitHub Action call the gate with options that it has."""

from __future__ import annotations

import re
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
