"""How a history is cut for the shards does not show in what they find."""

from __future__ import annotations

import io
import marshal
from pathlib import Path
from types import ModuleType

import pytest

from preventable.code.history import shard, shards
from preventable.code.history.commits import Commits, read_commits
from preventable.code.history.gitcall import Repository
from preventable.code.history.replay import Replay
from preventable.code.history.scratch import Scratch
from preventable.code.history.shard import HEAD, Entry, Shard
from preventable.errors import RepositoryError


@pytest.fixture(scope="module")
def repository(histories: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    path = tmp_path_factory.mktemp("chunks") / "history"
    histories.Generator(11, steps=40).write(path)
    return Repository(path)


def lines_of(repository: Repository, commits: Commits, processes: int) -> dict[bytes, tuple[bytes, bytes]]:
    tree = Replay(repository, commits, processes=processes).run()
    return {name: (lines.touched.tobytes(), lines.substantive.tobytes()) for name, lines in tree.files()}


@pytest.mark.parametrize(("longest", "smallest", "processes"), [(1, 1, 2), (3, 2, 3), (7, 5, 1)])
def test_chunks_of_any_size_give_the_same_lines(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, longest: int, smallest: int, processes: int
) -> None:
    commits = read_commits(repository)
    expected = lines_of(repository, commits, 1)
    assert expected
    monkeypatch.setattr(shards, "CHUNK_COMMITS", longest)
    monkeypatch.setattr(shards, "SMALLEST_CHUNK", smallest)
    assert lines_of(repository, commits, processes) == expected


@pytest.mark.parametrize("length", [0, 1, 199, 200, 201, 6401, 39_490])
def test_chunks_cover_every_commit_once_and_shrink_at_the_end(length: int) -> None:
    spans = list(shards._spans(5, 5 + length, 2))
    assert [i for first, last in spans for i in range(first, last)] == list(range(5, 5 + length))
    sizes = [last - first for first, last in spans]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size <= shards.CHUNK_COMMITS for size in sizes)


def entries_of(repository: Repository) -> tuple[list[Entry], int]:
    """All entries of one chunk with the whole history, the parts of each commit joined; and the number of frames."""
    commits = read_commits(repository)
    ids = [commits.id_bytes(i) for i in range(len(commits))]
    parents = {ids[i]: [ids[p] for p in commits.parents(i)] for i in range(len(ids)) if commits.is_merge(i)}
    plan = {"whitespace": True, "exact": True, "ignored": [], "text": None}
    out = io.BytesIO()
    with Scratch(repository) as scratch:
        Shard(plan, repository, scratch, out).run((len(ids), 0, ids, parents))
    out.seek(0)
    joined: list[Entry] = []
    lasts = []
    while head := out.read(HEAD.size):
        size, last = HEAD.unpack(head)
        lasts.append(last)
        _, done, entries = marshal.loads(out.read(size))
        assert done == last
        for entry in entries:
            if joined and joined[-1][0] == entry[0]:
                joined[-1][1].extend(entry[1])
            else:
                joined.append(entry)
    assert lasts == [False] * (len(lasts) - 1) + [True]
    return joined, len(lasts)


def test_frames_come_in_order_however_small_and_wherever_they_wait(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, frames = entries_of(repository)
    assert frames == 1
    assert [entry[0] for entry in expected] == sorted({entry[0] for entry in expected})
    monkeypatch.setattr(shard, "FRAME_CHANGES", 4)
    monkeypatch.setattr(shard, "FRAMES_BYTES", 1)  # all but the first byte goes to a file
    small, frames = entries_of(repository)
    assert frames > 3
    assert small == expected


def test_a_path_with_marks_of_path_lists_is_a_path(histories: ModuleType, tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain", tmp_path / 'a:b "c" \\d'
    for path in (plain, odd):
        histories.Generator(11).write(path)
    found = [lines_of(r, read_commits(r), 1) for r in map(Repository, (plain, odd))]
    assert found[0] == found[1]
    assert any(touched != substantive for touched, substantive in found[0].values())


def test_a_shard_that_dies_is_an_error_with_what_to_do(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards.sys, "executable", "/bin/false")
    with pytest.raises(RepositoryError, match="a process that reads the history died"):
        list(shards.frames(repository, read_commits(repository)))


def test_a_failure_of_git_in_a_shard_is_told_in_its_words(repository: Repository, tmp_path: Path) -> None:
    commits = read_commits(repository)
    broken = Repository.at_git_dir(str(tmp_path))
    with pytest.raises(RepositoryError, match=r"git .* failed"):
        list(shards.frames(broken, commits))
