"""Both sides of a change in a repository, measured: only the files that differ are read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from preventable.code.gitfiles import EMPTY_TREE, Change, Repository
from preventable.code.measure import KEEP_NAMES, KEEP_PATHS, FileFacts, Measure, measure_contents
from preventable.code.trees import DEFAULT_MAX_FILE_BYTES, NotCounted

_LINK, _SUBMODULE = NOT_FILES = ("120000", "160000")
"""Modes of symbolic links and submodules."""


class Side(msgspec.Struct, frozen=True):
    """One side of a change."""

    paths: list[str]
    """All paths of the tree, also the unchanged ones."""
    kept: Mapping[str, bytes]
    facts: Mapping[str, FileFacts]
    """The files that differ, by path; those in no known language are absent."""


class ChangedTree(msgspec.Struct, frozen=True):
    """What a change did."""

    base: str
    head: str | None
    """Commit, or None for the work tree or the index."""
    changes: list[Change]
    before: Side
    after: Side
    not_counted: list[NotCounted]


def measure_change(
    repository: Repository,
    base: str,
    head: str | None = None,
    *,
    staged: bool = False,
    sites: bool = False,
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
) -> ChangedTree:
    """Measure the files that differ between a revision and another, the index or the work tree.

    Args:
        repository: opened at the root of its work tree, or bare with a head.
        base: a revision, or ``EMPTY_TREE`` for nothing.
        head: a revision; None compares with the work tree, or with the index if ``staged``.
        sites: keep every unsafe site.
        max_file_bytes: larger files are named but not read.
    Raises:
        RepositoryError: a revision is unknown, or the objects are not there.
    """
    base_commit = base if base == EMPTY_TREE else repository.commit(base)
    head_commit = None if head is None else repository.commit(head)
    changes = repository.changes(base_commit, head_commit, staged=staged)
    not_counted: list[NotCounted] = []
    before_paths = repository.paths(base_commit)
    gone = {c.old_path for c in changes if c.old_path}
    after_paths = [p for p in before_paths if p not in gone] + [c.new_path for c in changes if c.new_path]
    what = Measure(sites=sites)
    before = dict(_old_contents(repository, changes, max_file_bytes, not_counted))
    after = dict(_new_contents(repository, changes, max_file_bytes, not_counted))
    kept_before = _kept(repository, base_commit, before_paths)
    kept_after = {p: d for p, d in kept_before.items() if p not in gone}
    kept_after |= {p: d for p, d in after.items() if p in KEEP_PATHS or p.rpartition("/")[2] in KEEP_NAMES}
    return ChangedTree(
        base_commit,
        head_commit,
        changes,
        Side(before_paths, kept_before, {f.path: f for f in measure_contents(before.items(), what)}),
        Side(sorted(after_paths), kept_after, {f.path: f for f in measure_contents(after.items(), what)}),
        sorted(not_counted, key=lambda n: n.path),
    )


def not_a_file(mode: str | None) -> str:
    """What one of ``NOT_FILES`` is, as the reason why it is not counted."""
    return "symbolic link" if mode == _LINK else "submodule or nested repository"


def _kept(repository: Repository, commit: str, paths: list[str]) -> dict[str, bytes]:
    wanted = [p for p in paths if (p in KEEP_PATHS or p.rpartition("/")[2] in KEEP_NAMES) and "\n" not in p]
    names = [f"{commit}:{path}" for path in wanted]
    contents = repository.blobs(names, 1 << 26)
    return {path: data for path, (_, data) in zip(wanted, contents, strict=True) if data is not None}


def _old_contents(
    repository: Repository, changes: list[Change], limit: int, not_counted: list[NotCounted]
) -> Iterator[tuple[str, bytes]]:
    wanted = [c for c in changes if c.old_oid is not None and c.old_mode not in NOT_FILES]
    yield from _blobs(repository, [(c.old_path or "", c.old_oid or "") for c in wanted], limit, not_counted)


def _new_contents(
    repository: Repository, changes: list[Change], limit: int, not_counted: list[NotCounted]
) -> Iterator[tuple[str, bytes]]:
    stored, local = [], []
    for change in changes:
        if change.new_path is None:
            continue
        if change.new_mode in NOT_FILES:
            not_counted.append(NotCounted(change.new_path, not_a_file(change.new_mode)))
        elif change.new_oid is not None:
            stored.append((change.new_path, change.new_oid))
        else:
            local.append(change.new_path)
    yield from _blobs(repository, stored, limit, not_counted)
    top = repository.top() if local else Path()
    for path in local:
        try:
            status = os.lstat(top / path)
            if not stat.S_ISREG(status.st_mode):
                not_counted.append(NotCounted(path, "not a regular file"))
            elif status.st_size > limit:
                not_counted.append(NotCounted(path, f"larger than {limit:,} bytes"))
            else:
                yield path, (top / path).read_bytes()
        except OSError as error:
            not_counted.append(NotCounted(path, f"unreadable: {error.strerror}"))


def _blobs(
    repository: Repository, wanted: list[tuple[str, str]], limit: int, not_counted: list[NotCounted]
) -> Iterator[tuple[str, bytes]]:
    contents = repository.blobs([oid for _, oid in wanted], limit)
    for (path, _), (_, data) in zip(wanted, contents, strict=True):
        if data is None:
            not_counted.append(NotCounted(path, f"missing from the repository, or larger than {limit:,} bytes"))
        else:
            yield path, data
