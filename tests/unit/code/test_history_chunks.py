"""How a history is cut for the shards does not show in what they find."""

from __future__ import annotations

import io
import marshal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from preventable.code.history import replay, shard, shards
from preventable.code.history.commits import Commits, read_commits
from preventable.code.history.diffparse import Change
from preventable.code.history.gitcall import Repository
from preventable.code.history.replay import Replay
from preventable.code.history.scratch import Scratch
from preventable.code.history.shard import HEAD, Entry, Frame, Shard
from preventable.code.history.tree import Tree
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


def frames_here(repository: Repository, commits: Commits, **_: object) -> Iterator[Frame]:
    """All frames of the whole history as one chunk, made in this process, where constants can be changed."""
    ids = [commits.id_bytes(i) for i in range(len(commits))]
    parents = {ids[i]: [ids[p] for p in commits.parents(i)] for i in range(len(ids)) if commits.is_merge(i)}
    plan = {"whitespace": True, "exact": True, "ignored": [], "text": None}
    out = io.BytesIO()
    with Scratch(repository) as scratch:
        Shard(plan, repository, scratch, out).run((len(ids), 0, ids, parents))
    out.seek(0)
    while head := out.read(HEAD.size):
        size, last = HEAD.unpack(head)
        end, entries = marshal.loads(out.read(size))
        yield end, last, entries


def entries_of(repository: Repository) -> tuple[list[Entry], int]:
    """All entries of the history, the parts of each commit joined; and the number of frames."""
    joined: list[Entry] = []
    lasts = []
    for _, last, entries in frames_here(repository, read_commits(repository)):
        lasts.append(last)
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


class Watcher:
    """Sees every commit before and after it is applied."""

    def __init__(self, commits: Commits) -> None:
        self.before = self.after = range(len(commits))
        self.seen: list[object] = []

    def see_before(self, index: int, tree: Tree, changes: Sequence[Change]) -> None:
        self.seen.append((index, list(changes), self._lines(tree)))

    def see_after(self, index: int, tree: Tree) -> None:
        self.seen.append((index, self._lines(tree)))

    @staticmethod
    def _lines(tree: Tree) -> object:
        return sorted((name, lines.touched.tobytes(), lines.substantive.tobytes()) for name, lines in tree.files())


def watched(repository: Repository) -> list[object]:
    commits = read_commits(repository)
    watcher = Watcher(commits)
    Replay(repository, commits, observers=[watcher]).run()
    assert len(watcher.seen) == 2 * len(commits)
    return watcher.seen


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_an_observer_sees_the_same_however_small_frames_are(
    histories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    histories.Generator(seed, steps=30).write(tmp_path / "history")
    repository = Repository(tmp_path / "history")
    expected = watched(repository)
    monkeypatch.setattr(shard, "FRAME_CHANGES", 3)
    monkeypatch.setattr(replay, "frames", frames_here)
    assert watched(repository) == expected


def test_a_link_that_turns_into_a_file_survives_a_cut_between_the_two(
    histories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "repo"
    path.mkdir()
    histories.git(path, "init", "-q")
    (path / "m.c").symlink_to("elsewhere")
    histories.git(path, "add", "-A")
    histories.git(path, "commit", "-q", "-m", "link")
    (path / "m.c").unlink()
    for name in ("a.c", "b.c", "m.c", "z.c"):
        (path / name).write_text("one\ntwo\n")
    histories.git(path, "add", "-A")
    histories.git(path, "commit", "-q", "-m", "file")
    repository = Repository(path)
    expected = watched(repository)
    monkeypatch.setattr(replay, "frames", frames_here)
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(shard, "FRAME_CHANGES", size)
        assert watched(repository) == expected


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


def test_an_accident_in_the_thread_of_a_shard_ends_the_run(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(shards, "_exactly", fail)
    with pytest.raises(RepositoryError, match="a process that reads the history died"):
        list(shards.frames(repository, read_commits(repository)))


def test_a_disk_that_takes_nothing_is_named(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="a temporary file cannot be written: No such file or directory"):
        list(shards.frames(repository, read_commits(repository), text=str(tmp_path / "absent")))
