"""One shard of the replay: runs git over its commits and turns diffs into edit scripts.

Run as ``python -m preventable.code.history.shard``: a plan comes in on standard input, frames go out on
standard output, both by ``marshal`` (they never leave this machine or this run). A process of its own
lets git and the parsing of several ranges of commits run on all cores. Its imports are kept few: it
starts once per core.

A frame is ``(end, done, commits)``: ``end`` is the position after the last commit of its chunk and ``done``
marks the last frame of a chunk. ``commits`` is a list of ``(position, changes, takes, weaves, weaves_w)`` for
those commits that change anything. ``takes`` are ``(path, parent number)`` of a merge, with parent -1 for a
path that is gone; ``weaves_w`` are its weaves with whitespace ignored.
"""

from __future__ import annotations

import gc
import io
import marshal
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import IO, Any

from preventable.code.history.addedtext import AddedText
from preventable.code.history.binaries import Binaries
from preventable.code.history.diffparse import FILE, Change, Weave, parse_change
from preventable.code.history.following import Follower
from preventable.code.history.gitcall import Repository
from preventable.code.history.merges import COMBINED, RAW, MergeReader, RawMerges, compared, weaving
from preventable.code.history.respacing import Respacer
from preventable.code.history.sections import Lookahead, Sections
from preventable.errors import RepositoryError

FRAME_CHANGES = 6000
"""A frame is sent once it holds this many changes: bounds memory on commits of many files."""
CALL_COMMITS = 3200
"""Commits of one call of git."""
DIFF = ("diff-tree", "--stdin", "-r", "-p", "-U0", "-M", "-l1000", "--root", "--always", "--full-index",
        "--no-textconv", "--no-ext-diff", "--no-color")  # fmt: skip

Entry = tuple[int, list[Change], list[tuple[bytes, int]], list[Weave], list[Weave]]
Frame = tuple[int, bool, list[Entry]]


def _feed(lines: Sequence[bytes]) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (handed to git as its standard input)
    file.writelines(line + b"\n" for line in lines)
    file.seek(0)
    return file


def run_shard(plan: Mapping[str, Any], out: IO[bytes]) -> None:
    """Replay the chunks of a plan.

    Args:
        plan: ``git_dir``; ``chunks``: end, start and the ids of the commits between; ``parents``: merge id →
            ids of its parents; ``whitespace``: also compare without whitespace; ``exact``: every changed
            file, not only where it likely matters; ``ignored``: ids to be ignored;
            ``text``: a directory for the words of the code that was added, or None.
        out: where frames go.
    """
    repository = Repository.at_git_dir(plan["git_dir"])
    parents: dict[bytes, list[bytes]] = plan["parents"]
    chunks: list[tuple[int, int, list[bytes]]] = plan["chunks"]
    ids = [commit for _, _, commits in chunks for commit in commits]
    plain = [commit for commit in ids if commit not in parents]
    sections = Lookahead(_diffs(repository, plain))
    aside = repository.sparing()
    with Respacer(repository, frozenset(plan["ignored"]), exact=plan["exact"]) as respacer:
        follower = Follower(respacer)
        binaries = Binaries(respacer.repository)
        at = 0
        for chunk_end, first_position, commits in chunks:
            entries: list[Entry] = []
            size = 0
            text = AddedText() if plan["text"] else None
            merges = [commit for commit in commits if commit in parents]
            reader = _merge_reader(aside, merges, parents, whitespace=plan["whitespace"]) if merges else None
            for position, commit in enumerate(commits, first_position):
                if commit in parents:
                    assert reader is not None
                    takes, weaves, weaves_w = reader.read(commit, parents[commit])
                    if takes or weaves:
                        entries.append((position, [], takes, weaves, weaves_w))
                        size += len(takes) + len(weaves)
                    continue
                changes: list[Change] = []
                for section in sections.of(at):
                    change = parse_change(section)
                    if change is None:
                        continue
                    if text is not None:
                        text.add(position, change[0], change[1], section)
                    path, old, edits, _, _, kind = change
                    if plan["whitespace"] and edits and path is not None and old is not None and kind == FILE:
                        change = respacer.look(commit, section, change, changes, len(changes))
                    binaries.look(change, changes)
                    follower.look(commit, section, change, len(changes))
                    changes.append(change)
                    size += 1
                    if size >= FRAME_CHANGES:
                        follower.commit_done(commit, changes)
                        follower.resolve(whitespace=plan["whitespace"])
                        binaries.resolve()
                        respacer.resolve()
                        _send(out, (chunk_end, False, [*entries, (position, changes, [], [], [])]))
                        entries, changes, size = [], [], 0
                at += 1
                follower.commit_done(commit, changes)
                if changes:
                    entries.append((position, changes, [], [], []))
            follower.resolve(whitespace=plan["whitespace"])
            binaries.resolve()
            respacer.resolve()
            if text is not None:
                # Before the last frame: who has that may read the file.
                text.save(os.path.join(plan["text"], f"{first_position:09}"))  # noqa: PTH118  (pathlib costs a start)
            _send(out, (chunk_end, True, entries))


def _diffs(repository: Repository, ids: Sequence[bytes], *options: str) -> Iterator[tuple[int, bytes]]:
    """Positions of commits and diffs of their files; one call of git after the other, for it keeps what it reads."""
    for first in range(0, len(ids), CALL_COMMITS):
        some = ids[first : first + CALL_COMMITS]
        process = repository.start(*DIFF, *options, stdin=_feed(some))
        for position, section in Sections(_stdout(process), some):
            yield first + position, section
        _finish(process)


def _merge_reader(
    repository: Repository, merges: Sequence[bytes], parents: Mapping[bytes, Sequence[bytes]], *, whitespace: bool
) -> MergeReader:
    """The merges of one chunk: one call of git after the other, and none of them stays."""
    lines = [b"%b %b\n" % (merge, parent) for merge in merges for parent in compared(parents[merge])]
    raw = RawMerges(io.BytesIO(repository.run(*RAW, stdin=b"".join(lines))))
    renames = weaving(repository, merges)
    combined = _combined(repository, merges, renames)
    return MergeReader(raw, combined, _combined(repository, merges, renames, "-w") if whitespace else None)


def _combined(
    repository: Repository, merges: Sequence[bytes], renames: Mapping[bytes, bool], *options: str
) -> list[tuple[int, bytes]]:
    """Positions and combined diffs of those merges that weave files; renames are looked for where they matter."""
    found: list[tuple[int, bytes]] = []
    for renamed in (False, True):
        where = [position for position, merge in enumerate(merges) if renames.get(merge) is renamed]
        more = options if renamed else (*options, "--no-renames")
        diffs = _diffs(repository, [merges[i] for i in where], *COMBINED, *more)
        found += [(where[position], section) for position, section in diffs]
    return sorted(found, key=itemgetter(0))


def _finish(process: subprocess.Popen[bytes]) -> None:
    """Nothing is left to read; git must have come to its end in peace."""
    if process.wait() != 0:
        raise RepositoryError("git diff-tree failed", hint="`git fsck` tells whether objects are missing or damaged")


def _stdout(process: Any) -> IO[bytes]:
    stream: IO[bytes] = process.stdout
    return stream


def _send(out: IO[bytes], frame: Frame) -> None:
    data = marshal.dumps(frame)
    out.write(len(data).to_bytes(8, "little"))
    out.write(data)
    out.flush()


def main() -> None:
    """Read a plan, send frames; a failure is the last frame, as text."""
    gc.disable()  # millions of small tuples, and no cycles
    try:
        run_shard(marshal.load(sys.stdin.buffer), sys.stdout.buffer)
    except RepositoryError as error:
        data = marshal.dumps((-1, True, str(error)))
        sys.stdout.buffer.write(len(data).to_bytes(8, "little") + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
