"""Every line of a random merge-heavy history has the commit that ``git blame`` names, at both ages."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from preventable.code.history.commits import read_commits
from preventable.code.history.gitcall import Repository
from preventable.code.history.replay import Replay


def check(histories: ModuleType, path: Path, seed: int) -> tuple[int, int]:
    history = histories.Generator(seed)
    history.write(path)
    repository = Repository(path)
    commits = read_commits(repository)
    replay = Replay(repository, commits, processes=1)
    tree = replay.run()
    assert replay.unknown_files == []
    names = histories.git(path, "ls-tree", "-r", "--name-only", "HEAD").split()
    assert sorted(name for name, _ in tree.files()) == sorted(names)
    for name, lines in tree.files():
        assert [commits.id(i) for i in lines.touched] == histories.blame(path, name), (seed, name)
        assert [commits.id(i) for i in lines.substantive] == histories.blame(path, name, "-w"), (seed, name)
    return history.merges, history.commits


def test_lines_have_the_commit_of_git_blame(histories: ModuleType, tmp_path: Path) -> None:
    counted = [check(histories, tmp_path / str(seed), seed) for seed in range(8)]
    merges, commits = (sum(column) for column in zip(*counted, strict=True))
    assert merges / commits >= 0.3


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 100))
def test_five_hundred_histories(histories: ModuleType, tmp_path: Path, first: int) -> None:
    counted = [check(histories, tmp_path / str(seed), seed) for seed in range(first, first + 100)]
    merges, commits = (sum(column) for column in zip(*counted, strict=True))
    assert merges / commits >= 0.3
