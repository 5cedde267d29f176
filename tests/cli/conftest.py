"""Runs the command line inside the test process, through the same entry point as the script."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from preventable.cli.main import main


class Outcome(NamedTuple):
    """Exit status and what came on the two streams."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Outcome]:
    """Call it with the words of a command line; it runs in an empty directory."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))

    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["preventable", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code = stop.value.code
        return Outcome(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run
