"""One shard of the replay: runs git over chunks of commits and turns diffs into edit scripts.

Run as ``python -m preventable.code.history.shard``: a plan and then chunks come in on standard input, frames go out
on standard output, all by ``marshal`` (they never leave this machine or this run). A process of its own lets git and
the parsing of several ranges of commits run on all cores. Its imports are kept few: it starts once per core.

A frame is ``(end, commits)``, with ``end`` the position after the last commit of its chunk; its head tells whether it
is the last of the chunk. ``commits`` is a list of ``(position, changes, takes, weaves, weaves_w)`` for
those commits that change anything. ``takes`` are ``(path, parent number)`` of a merge, with parent -1 for a
path that is gone; ``weaves_w`` are its weaves with whitespace ignored.
"""

from __future__ import annotations

import gc
import io
import marshal
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from struct import Struct
from typing import IO, Any

from preventable.code.history.addedtext import AddedText
from preventable.code.history.binaries import Binaries
from preventable.code.history.diffparse import FILE, Change, Weave, parse_change
from preventable.code.history.following import Follower
from preventable.code.history.gitcall import Repository
from preventable.code.history.merges import COMBINED, RAW, MergeReader, RawMerges, compared, weaving, whole
from preventable.code.history.respacing import Respacer
from preventable.code.history.scratch import Scratch
from preventable.code.history.sections import Lookahead, Sections
from preventable.errors import RepositoryError

FRAME_CHANGES = 6000
"""A frame is closed once it holds this many changes: bounds memory on commits of many files."""
FRAMES_BYTES = 1 << 24
"""Frames of one chunk that are held in memory."""
MERGES_AT_ONCE = 100
"""Merges of one call of git: what a merge took from its other parents may be long."""
DIFF = ("diff-tree", "--stdin", "-r", "-p", "-U0", "-M", "-l1000", "--root", "--always", "--full-index",
        "--no-textconv", "--no-ext-diff", "--no-color")  # fmt: skip

Entry = tuple[int, list[Change], list[tuple[bytes, int]], list[Weave], list[Weave]]
Frame = tuple[int, bool, list[Entry]]
"""End of the chunk, whether it is complete with this frame, and what its commits do."""
HEAD = Struct("<Q?")
"""Before every frame: its length, and whether its chunk ends with it."""
Chunk = tuple[int, int, list[bytes], dict[bytes, list[bytes]]]
"""End, start, the ids of the commits between, and merge id → ids of its parents."""


class Shard:
    """Replays the chunks it is given.

    Args:
        plan: ``git_dir``; ``whitespace``: also compare without whitespace; ``exact``: every changed file, not only
            where it likely matters; ``ignored``: ids to be ignored; ``text``: a directory for the words of the code
            that was added, or None.
        scratch: where trees may be written.
        out: where frames go.
    """

    def __init__(self, plan: Mapping[str, Any], repository: Repository, scratch: Scratch, out: IO[bytes]) -> None:
        self._repository = repository
        self._whitespace: bool = plan["whitespace"]
        self._text: str | None = plan["text"]
        self._out = out
        self._respacer = Respacer(scratch, frozenset(plan["ignored"]), exact=plan["exact"])
        self._follower = Follower(scratch, self._respacer)
        self._binaries = Binaries(scratch)

    def run(self, chunk: Chunk) -> None:
        """Replay one chunk, the newest commit first: in a pack, old versions of a file are made from newer ones."""
        end, first, commits, parents = chunk
        backward = commits[::-1]
        sections = Lookahead(_diffs(self._repository, [commit for commit in backward if commit not in parents]))
        merges = MergeReaders(
            self._repository, {c: parents[c] for c in backward if c in parents}, whitespace=self._whitespace
        )
        frames = Backward()
        text = AddedText() if self._text else None
        entries: list[Entry] = []
        size = at = 0

        def close() -> None:
            nonlocal entries, size
            self._resolve()
            if entries or not frames:
                frames.add(marshal.dumps((end, entries[::-1])))
            entries, size = [], 0

        for position, commit in zip(range(end - 1, first - 1, -1), backward, strict=True):
            if commit in parents:
                takes, weaves, weaves_w = merges.read(commit)
                if takes or weaves:
                    entries.append((position, [], takes, weaves, weaves_w))
                    size += len(takes) + len(weaves)
                continue
            changes: list[Change] = []
            parts: list[bytes] = []
            for section in sections.of(at):
                change = parse_change(section)
                if change is None:
                    continue
                if text is not None:
                    text.add(position, change[0], change[1], section)
                self._look(commit, section, change, changes)
                if len(changes) == FRAME_CHANGES:
                    # A commit is cut by its own size alone: what is found in it does not depend on others.
                    parts.append(self._part(end, position, commit, changes))
                    changes = []
            at += 1
            if parts:
                parts.append(self._part(end, position, commit, changes))
                close()
                for part in reversed(parts):
                    frames.add(part)
                continue
            self._follower.commit_done(commit, changes)
            if changes:
                entries.append((position, changes, [], [], []))
                size += len(changes)
                if size >= FRAME_CHANGES:
                    close()
        close()
        if text is not None:
            # Before the last frame: who has that may read the file.
            text.save(os.path.join(self._text or "", f"{first:09}"))  # noqa: PTH118  (pathlib costs a start)
        frames.send(self._out)

    def _part(self, end: int, position: int, commit: bytes, changes: list[Change]) -> bytes:
        """A frame with some of the changes of a commit of very many files."""
        self._follower.commit_done(commit, changes)
        self._resolve()
        return marshal.dumps((end, [(position, changes, [], [], [])]))

    def _look(self, commit: bytes, section: bytes, change: Change, changes: list[Change]) -> None:
        """Add a change to those of its commit, and note what is to be asked about it."""
        path, old, edits, _, _, kind = change
        if self._whitespace and edits and path is not None and old is not None and kind == FILE:
            change = self._respacer.look(commit, section, change, changes, len(changes))
        self._binaries.look(change, changes)
        self._follower.look(commit, section, change, len(changes))
        changes.append(change)

    def _resolve(self) -> None:
        self._follower.resolve(whitespace=self._whitespace)
        self._binaries.resolve()
        self._respacer.resolve()


def _diffs(repository: Repository, ids: Sequence[bytes], *options: str) -> Iterator[tuple[int, bytes]]:
    """Positions of commits and diffs of their files."""
    if not ids:
        return
    with tempfile.TemporaryFile() as file:
        file.writelines(commit + b"\n" for commit in ids)
        file.seek(0)
        process = repository.start(*DIFF, *options, stdin=file)
    with _stdout(process) as stream:
        yield from Sections(stream, ids)
    if process.wait() != 0:
        raise RepositoryError("git diff-tree failed", hint="`git fsck` tells whether objects are missing or damaged")


class MergeReaders:
    """What the merges of a chunk do to files: some at a time, by calls of git that do not stay.

    Args:
        parents: merge → its parents, in the order in which they are read.
        whitespace: also compare without whitespace.
    """

    def __init__(self, repository: Repository, parents: Mapping[bytes, Sequence[bytes]], *, whitespace: bool) -> None:
        self._repository = repository.sparing()
        self._parents = parents
        self._whitespace = whitespace
        self._merges = list(parents)
        self._read = 0
        self._reader: MergeReader | None = None

    def read(self, merge: bytes) -> tuple[list[tuple[bytes, int]], list[Weave], list[Weave]]:
        """Takes, weaves and weaves with whitespace ignored of the next merge."""
        if self._reader is None or self._read % MERGES_AT_ONCE == 0:
            some = self._merges[self._read : self._read + MERGES_AT_ONCE]
            self._reader = _merge_reader(self._repository, some, self._parents, whitespace=self._whitespace)
        self._read += 1
        return self._reader.read(merge, self._parents[merge])


def _merge_reader(
    repository: Repository, merges: Sequence[bytes], parents: Mapping[bytes, Sequence[bytes]], *, whitespace: bool
) -> MergeReader:
    lines = [b"%b %b\n" % (merge, parent) for merge in merges for parent in compared(parents[merge])]
    raw = RawMerges(io.BytesIO(repository.run(*RAW, stdin=b"".join(lines))))
    woven = weaving(repository, merges)
    renames = {merge: any(b"A" in unlike.status for unlike in paths.values()) for merge, paths in woven.items()}
    spaced = _combined(repository, merges, renames, "-w") if whitespace else None
    return MergeReader(raw, _combined(repository, merges, renames), spaced, whole(repository, woven, parents))


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


def _stdout(process: Any) -> IO[bytes]:
    stream: IO[bytes] = process.stdout
    return stream


class Backward:
    """The frames of a chunk, from the last to the first: those that do not fit in memory wait in a file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(FRAMES_BYTES)  # noqa: SIM115  (closed by send)
        self._ends = [0]

    def __bool__(self) -> bool:
        """Whether any frame waits."""
        return len(self._ends) > 1

    def add(self, frame: bytes) -> None:
        """Keep the frame before those that were added so far."""
        self._file.write(frame)
        self._ends.append(self._file.tell())

    def send(self, out: IO[bytes]) -> None:
        """Write all frames, the first one first; only once."""
        with self._file:
            for start, end in zip(self._ends[-2::-1], self._ends[:0:-1], strict=True):
                self._file.seek(start)
                send(out, self._file.read(end - start), last=start == 0)
        out.flush()


def send(out: IO[bytes], frame: bytes, *, last: bool) -> None:
    """Write a frame; ``last``: its chunk is complete, or given up."""
    out.write(HEAD.pack(len(frame), last))
    out.write(frame)


def main() -> None:
    """Read a plan and chunks, send frames; a failure is the last frame, as text."""
    gc.disable()  # millions of small tuples, and no cycles
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # what is temporary is taken away
    out = sys.stdout.buffer
    try:
        try:
            plan = marshal.load(sys.stdin.buffer)
            repository = Repository.at_git_dir(plan["git_dir"])
            with Scratch(repository) as scratch:
                try:
                    shard = Shard(plan, repository, scratch, out)
                    while (chunk := marshal.load(sys.stdin.buffer)) is not None:
                        shard.run(chunk)
                finally:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is about to end
        except (RepositoryError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            send(out, marshal.dumps((-1, _words(error))), last=True)
            out.flush()
    except (EOFError, BrokenPipeError):
        os._exit(1)  # nobody is there any more to read or to be told
    os._exit(0)  # nothing is left to do: to free all memory object by object takes time


def _words(error: RepositoryError | OSError) -> str:
    if isinstance(error, RepositoryError):
        return str(error)
    return f"a temporary file cannot be written: {error.strerror or error}. Is the disk full? TMPDIR names another"


if __name__ == "__main__":
    main()
