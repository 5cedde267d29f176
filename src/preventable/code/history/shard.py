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

import marshal
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

from preventable.code.history.diffparse import (
    FILE,
    FOLLOWED,
    Change,
    Weave,
    may_differ_in_space,
    pair_ignored,
    parse_change,
    parse_edits,
    parse_weave,
    unquote,
)
from preventable.code.history.gitcall import Repository
from preventable.errors import RepositoryError

BLOCK = 1 << 18
FRAME_CHANGES = 4000
"""A frame is sent once it holds this many changes: bounds memory on commits of many files."""
DIFF = ("diff-tree", "--stdin", "-r", "-p", "-U0", "-M", "-l1000", "--root", "--always", "--full-index",
        "--no-textconv", "--no-ext-diff", "--no-color")  # fmt: skip
COMBINED = (*DIFF, "-U1", "-c", "--combined-all-paths")
"""One line of context: without it git leaves out the line that lost lines stand before, and miscounts."""
SPACED = ("diff-tree", "-r", "-p", "-U0", "-w", "--no-renames", "--full-index", "--no-textconv",
          "--no-ext-diff", "--no-color")  # fmt: skip
FOLLOW = ("diff-tree", "--stdin", "-r", "-p", "-U0", "-M", "-l1000", "--diff-filter=R", "--full-index",
          "--no-textconv", "--no-ext-diff", "--no-color")  # fmt: skip
FOLLOWED_PAIRS = 20_000
"""Lost times new files of one commit beyond which only git's own renames are followed."""
RAW = ("diff-tree", "--stdin", "-r", "--raw", "--no-renames", "--no-abbrev", "--always")
_HEX = re.compile(rb"[0-9a-f]+")

_BLOBS = re.compile(rb"\nindex ([0-9a-f]+)\.\.([0-9a-f]+)")
_SAME = re.compile(rb"\nsimilarity index 100%")
_SOURCE = re.compile(rb"\nrename from (\d+)/")
_FOLLOW_HEAD = re.compile(rb"(?:^|\n)(?=[0-9a-f]{40,64} [0-9a-f]{40,64}\n)")
_NUMBER = re.compile(rb"git a/(\d{9}) b/")

Entry = tuple[int, list[Change], list[tuple[bytes, int]], list[Weave], list[Weave]]
Frame = tuple[int, bool, list[Entry]]


class Sections:
    """The diffs of a list of commits, one file at a time.

    Args:
        stream: output of ``git diff-tree --stdin --always`` with patches.
        ids: the commits it was given, in order.
    """

    def __init__(self, stream: IO[bytes], ids: Sequence[bytes]) -> None:
        self._parts = self._split(stream)
        self._ids = ids
        self._width = len(ids[0]) if ids else 40

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Pairs of the position of a commit in ``ids`` and the diff of one of its files."""
        ids, width = self._ids, self._width
        at = -1
        for number, part in enumerate(self._parts):
            here = at
            end = len(part)
            # The ids of the next commits stand at the end of the last file's diff.
            if number == 0:
                at = self._forward(at, part[end - width :])
                continue
            last = part[end - width :]
            if part[end - width - 1 : end - width] == b"\n" and _HEX.fullmatch(last):
                at = self._forward(at, last)
                part = part[: end - (at - here) * (width + 1)]  # noqa: PLW2901
            yield here, part
        if ids and at != len(ids) - 1:
            raise RepositoryError(
                f"git stopped before commit {ids[at + 1].decode()}", hint="`git fsck` tells what is damaged"
            )

    def _forward(self, at: int, commit: bytes) -> int:
        ids = self._ids
        at += 1
        while at < len(ids) and ids[at] != commit:
            at += 1
        return at

    @staticmethod
    def _split(stream: IO[bytes]) -> Iterator[bytes]:
        mark = b"\ndiff --"
        pieces: list[bytes] = []
        while True:
            block = stream.read(BLOCK)
            if not block:
                break
            if pieces:
                # The mark may lie across two blocks; look there without joining everything again.
                tail = pieces.pop()
                block = tail + block
            if mark not in block:
                if len(block) > 64:
                    pieces += (block[:-64], block[-64:])
                else:
                    pieces.append(block)
                continue
            first, *rest = block.split(mark)
            pieces.append(first)
            yield b"".join(pieces)
            yield from rest[:-1]
            pieces = [rest[-1]] if len(rest[-1]) <= 64 else [rest[-1][:-64], rest[-1][-64:]]
        last = b"".join(pieces)
        yield last.removesuffix(b"\n")


class RawMerges:
    """Which paths a merge changed against its parents, from ``git diff-tree --raw``.

    Args:
        stream: the output for lines ``merge parent``.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._line = stream.readline()

    def next(self, commit: bytes) -> dict[bytes, bool]:
        """The paths that differ between the merge and its next parent; True: gone from the merge."""
        if self._line.rstrip(b"\n") != commit:
            raise RepositoryError(
                f"git said nothing about merge {commit.decode()}", hint="`git fsck` tells what is damaged"
            )
        paths: dict[bytes, bool] = {}
        while (line := self._stream.readline()).startswith(b":"):
            head, _, name = line[:-1].partition(b"\t")
            paths[unquote(name)] = head.endswith(b"D")
        self._line = line
        return paths


def _feed(lines: Sequence[bytes]) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (handed to git as its standard input)
    file.writelines(line + b"\n" for line in lines)
    file.seek(0)
    return file


def run_shard(plan: Mapping[str, Any], out: IO[bytes]) -> None:
    """Replay the chunks of a plan.

    Args:
        plan: ``git_dir``; ``chunks``: end, start and the ids of the commits between; ``parents``: merge id →
            ids of its parents; ``whitespace``: find whitespace-only changes; ``ignored``: ids to be ignored.
        out: where frames go.
    """
    repository = Repository.at_git_dir(plan["git_dir"])
    parents: dict[bytes, list[bytes]] = plan["parents"]
    chunks: list[tuple[int, int, list[bytes]]] = plan["chunks"]
    ids = [commit for _, _, commits in chunks for commit in commits]
    merges = [commit for commit in ids if commit in parents]
    plain = [commit for commit in ids if commit not in parents]
    started = [repository.start(*DIFF, stdin=_feed(plain))]
    sections = Lookahead(Sections(_stdout(started[0]), plain))
    reader = None
    if merges:
        lines = [b"%b %b" % (m, p) for m in merges for p in compared(parents[m])]
        raw = repository.start(*RAW, stdin=_feed(lines))
        combined = repository.start(*COMBINED, stdin=_feed(merges))
        started += (raw, combined)
        spaced = None
        if plan["whitespace"]:
            started.append(repository.start(*COMBINED, "-w", stdin=_feed(merges)))
            spaced = Sections(_stdout(started[-1]), merges)
        reader = MergeReader(RawMerges(_stdout(raw)), Sections(_stdout(combined), merges), spaced)
    with Respacer(repository, frozenset(plan["ignored"])) as respacer:
        follower = Follower(respacer)
        at = 0
        for chunk_end, first_position, commits in chunks:
            entries: list[Entry] = []
            size = 0
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
                    if plan["whitespace"] and change[0] is not None and change[1] is not None:
                        respacer.look(commit, section, changes)
                    follower.look(section, change, changes)
                    changes.append(change)
                    size += 1
                    if size >= FRAME_CHANGES:
                        follower.commit_done(changes, complete=False)
                        follower.resolve(respacer if plan["whitespace"] else None)
                        respacer.resolve()
                        _send(out, (chunk_end, False, [*entries, (position, changes, [], [], [])]))
                        entries, changes, size = [], [], 0
                at += 1
                follower.commit_done(changes)
                if changes:
                    entries.append((position, changes, [], [], []))
            follower.resolve(respacer if plan["whitespace"] else None)
            respacer.resolve()
            _send(out, (chunk_end, True, entries))
    for process in started:
        if process.wait() != 0:
            raise RepositoryError(
                "git diff-tree failed", hint="`git fsck` tells whether objects are missing or damaged"
            )


class Respacer:
    """Diffs of chosen files with whitespace ignored.

    The files are put side by side into two trees, which go to a temporary object directory that borrows
    the repository's objects (the repository is never written), so that one call of git diffs them all.

    Args:
        repository: where the files' contents are.
        ignored: commits to be ignored: all their files are chosen, and their lines paired.
    """

    def __init__(self, repository: Repository, ignored: frozenset[bytes]) -> None:
        self._ignored = ignored
        self._waiting: list[tuple[list[Change], int, bytes, bytes, bool]] = []
        self._directory = tempfile.TemporaryDirectory()
        self.repository = repository.borrowing(self._directory.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def look(self, commit: bytes, section: bytes, changes: list[Change], at: int | None = None) -> None:
        """Note the file whose change is about to be appended to ``changes`` (or is there already)."""
        ignored = commit in self._ignored
        if ignored or may_differ_in_space(section):
            found = _BLOBS.search(section)
            if found:
                at = len(changes) if at is None else at
                self._waiting.append((changes, at, found[1], found[2], ignored))

    def resolve(self) -> None:
        """Fill in ``spaced`` of all files noted since the last call."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        names = [b"\t%d\0" % (10**8 + number) for number in range(len(waiting))]
        trees = self.repository.make_trees(
            [
                b"".join(b"100644 blob " + item[2] + name for item, name in zip(waiting, names, strict=True)),
                b"".join(b"100644 blob " + item[3] + name for item, name in zip(waiting, names, strict=True)),
            ]
        )
        diff = self.repository.run(*SPACED, *(tree.decode() for tree in trees))
        sections = {}
        for section in diff.split(b"\ndiff --"):
            found = _NUMBER.search(section)
            if found:
                sections[int(found[1]) - 10**8] = section
        for number, (changes, at, _, _, ignored) in enumerate(waiting):
            section = sections.get(number, b"")
            path, old, edits, _, blobs, kind = changes[at]
            kept = pair_ignored(section) if ignored else None
            spaced = parse_edits(section)
            if spaced != edits or kept:
                changes[at] = (path, old, edits, (spaced, kept), blobs, kind)


def compared(parents: Sequence[bytes]) -> Sequence[bytes]:
    """The parents a merge is compared with: with two, what is not as in the first is as in the second."""
    return parents if len(parents) > 2 else parents[:1]


class Follower:
    """Files that one commit made from a file that it took away, as ``git blame`` follows them.

    A rename gives a lost file to one successor alone; ``git blame`` looks for the ancestor of each new file on
    its own, so that a file that was split is followed into all its parts. For the new files of a commit that
    also lost files, the comparison is made again, each new file alone against all lost ones.

    Args:
        respacer: lends its directory for trees.
    """

    def __init__(self, respacer: Respacer) -> None:
        self._respacer = respacer
        self._lost: dict[bytes, tuple[bytes, bytes]] = {}
        self._new: list[tuple[int, bytes]] = []
        self._waiting: list[tuple[list[Change], int, bytes, dict[bytes, tuple[bytes, bytes]]]] = []

    def look(self, section: bytes, change: Change, changes: Sequence[Change]) -> None:
        """Note a file that is lost or new; ``change`` is about to be appended to ``changes``."""
        path, old, edits, _, blobs, kind = change
        if path == old or kind != FILE:
            return
        found = _BLOBS.search(section)
        if old is not None:
            same = _SAME.search(section)
            if found:
                self._lost[old] = (found[1], old)
                if path is not None and not same:
                    self._new.append((len(changes), found[2]))
            elif same:
                self._lost[old] = (b"", old)
        elif found and edits and blobs is None:
            self._new.append((len(changes), found[2]))

    def commit_done(self, changes: list[Change], *, complete: bool = True) -> None:
        """All files of a commit have been seen (or as many as are looked at together)."""
        lost = {name: item for name, item in self._lost.items() if item[0]}
        if lost and self._new and len(lost) * len(self._new) <= FOLLOWED_PAIRS:
            renamed = sum(1 for at, _ in self._new if changes[at][1] is not None)
            # A single rename without other new or lost files has nothing to be compared with.
            if len(self._new) > renamed or len(lost) > 1:
                self._waiting += [(changes, at, blob, lost) for at, blob in self._new]
        self._lost, self._new = {}, []

    def resolve(self, respacer: Respacer | None) -> None:
        """Give the noted new files their ancestors; they may then be looked at for whitespace."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        repository = self._respacer.repository
        files: dict[tuple[bytes, bytes], int] = {}
        for changes, at, blob, lost in waiting:
            new = changes[at][0] or b""
            for item in (*((b, _base(name)) for b, name in lost.values()), (blob, _base(new))):
                files.setdefault(item, len(files))
        leaves = repository.make_trees([b"100644 blob %b\t%b\0" % item for item in files])
        tops: dict[bytes, int] = {}
        pairs = []
        for changes, at, blob, lost in waiting:
            sides = (
                b"".join(
                    b"040000 tree %b\t%09d\0" % (leaves[files[b, _base(name)]], n)
                    for n, (b, name) in enumerate(sorted(lost.values(), key=lambda item: item[1]))
                ),
                b"040000 tree %b\tx\0" % leaves[files[blob, _base(changes[at][0] or b"")]],
            )
            pairs.append(tuple(tops.setdefault(side, len(tops)) for side in sides))
        roots = repository.make_trees(list(tops))
        lines = [b"%b %b\n" % (roots[a], roots[b]) for a, b in pairs]
        out = repository.run(*FOLLOW, stdin=b"".join(lines))
        position = -1
        answers: dict[int, bytes] = {}
        order = {line.rstrip(b"\n"): [] for line in lines}  # type: dict[bytes, list[int]]
        for number, line in enumerate(lines):
            order[line.rstrip(b"\n")].append(number)
        for part in _FOLLOW_HEAD.split(out)[1:]:
            head, _, body = part.partition(b"\n")
            for position in order.get(head, ()):
                answers[position] = body
        for number, (changes, at, _, lost) in enumerate(waiting):
            body = answers.get(number, b"")
            names = sorted(lost.values(), key=lambda item: item[1])
            for section in body.split(b"diff --git ")[1:]:
                source = _SOURCE.search(section)
                if source:
                    self._apply(changes, at, names[int(source[1])][1], b"git " + section.rstrip(b"\n"), respacer)

    @staticmethod
    def _apply(changes: list[Change], at: int, source: bytes, section: bytes, respacer: Respacer | None) -> None:
        path, old, _, _, _, _ = changes[at]
        if old == source:
            return
        if old is not None:
            changes.append((None, old, [0, 0, 0], None, None, FILE))
        parsed = parse_change(section)
        edits = parsed[2] if parsed else []
        changes[at] = (path, source, edits, None, None, FOLLOWED)
        if respacer is not None:
            respacer.look(b"", section, changes, at)


def _base(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


class Lookahead:
    """Sections grouped by commit without holding more than one."""

    def __init__(self, sections: Sections) -> None:
        self._sections = iter(sections)
        self._next = next(self._sections, None)

    def of(self, position: int) -> Iterator[bytes]:
        """The sections of the commit at a position; positions must ascend."""
        while self._next is not None and self._next[0] == position:
            section = self._next[1]
            yield section
            self._next = next(self._sections, None)


class MergeReader:
    """What merges do to files, in order.

    Args:
        raw: which paths differ from the parents.
        combined: the combined diffs of the merges.
        spaced: the same with whitespace ignored, or None.
    """

    def __init__(self, raw: RawMerges, combined: Sections, spaced: Sections | None) -> None:
        self._raw = raw
        self._combined = Lookahead(combined)
        self._spaced = None if spaced is None else Lookahead(spaced)
        self._at = 0

    def read(self, commit: bytes, parents: Sequence[bytes]) -> tuple[list[tuple[bytes, int]], list[Weave], list[Weave]]:
        """Takes, weaves and weaves with whitespace ignored of the next merge."""
        weaves = self._weaves(self._combined, len(parents))
        weaves_w = [] if self._spaced is None else self._weaves(self._spaced, len(parents))
        self._at += 1
        woven = {weave[0] for weave in weaves}
        differs = [self._raw.next(commit) for _ in compared(parents)]
        takes: list[tuple[bytes, int]] = []
        for path, gone in differs[0].items():
            if gone:
                takes.append((path, -1))
            elif path not in woven:
                takes.append((path, next((i for i in range(1, len(differs)) if path not in differs[i]), 1)))
        return takes, weaves, weaves_w

    def _weaves(self, sections: Lookahead, parents: int) -> list[Weave]:
        found = (parse_weave(section, parents) for section in sections.of(self._at))
        return [weave for weave in found if weave is not None]


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
    try:
        run_shard(marshal.load(sys.stdin.buffer), sys.stdout.buffer)
    except RepositoryError as error:
        data = marshal.dumps((-1, True, str(error)))
        sys.stdout.buffer.write(len(data).to_bytes(8, "little") + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
