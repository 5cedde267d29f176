"""Files of a git revision or of a change, read from the object store: no checkout, no network.

Repositories are untrusted: hooks, filters, external diffs, file system monitors and lazy fetches stay off.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from preventable.code.history.diffparse import unquote
from preventable.errors import RepositoryError

_SAFE = (
    "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
    "-c", "diff.external=", "-c", "protocol.allow=never", "--no-optional-locks", "--literal-pathspecs",
)  # fmt: skip
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_COMPARED_BYTES = 1 << 26
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class TreeEntry(msgspec.Struct, frozen=True, array_like=True):
    """One entry of a tree: a blob, a symbolic link (mode 120000) or a submodule (160000)."""

    path: str
    mode: str
    oid: str
    size: int | None


class Change(msgspec.Struct, frozen=True):
    """One path that differs; ``None`` where a side has no such file.

    The new oid is None for a file in the work tree that git has not hashed.
    """

    status: Literal["added", "deleted", "modified", "renamed"]
    old_path: str | None
    new_path: str | None
    old_oid: str | None
    new_oid: str | None
    old_mode: str | None
    new_mode: str | None


class Repository:
    """A git repository, bare or not.

    Args:
        path: the repository or any directory inside its work tree.
    Raises:
        RepositoryError: there is none, or git refuses it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        if not Path(self.path).is_dir():
            raise RepositoryError(
                "The repository does not exist", file=self.path, hint="Give a directory with a git repository"
            )
        lines = self.text("rev-parse", "--is-bare-repository", "--is-shallow-repository", "--show-prefix").split("\n")
        self.bare = lines[0] == "true"
        self.shallow = lines[1] == "true"
        self.prefix = "" if self.bare or len(lines) < 3 else lines[2]

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Run one git command; its standard output.

        Raises:
            RepositoryError: git is not installed or refuses, with its own words.
        """
        try:
            done = subprocess.run(
                ["git", *_SAFE, "-C", self.path, *arguments],
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL,
                capture_output=True,
                env={**os.environ, **_ENVIRONMENT},
                check=False,
            )
        except FileNotFoundError as error:
            raise RepositoryError("git is not installed", hint="Install git") from error
        if done.returncode != 0:
            raise self._error(done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def text(self, *arguments: str) -> str:
        """Output of a command as text without the final newline."""
        return self.run(*arguments).decode("utf-8", "surrogateescape").rstrip("\n")

    def commit(self, revision: str) -> str:
        """Full hash of the commit that a revision names.

        Raises:
            RepositoryError: unknown, ambiguous, or beyond the edge of a shallow clone.
        """
        if not revision or revision.startswith("-"):
            raise RepositoryError(
                f"{revision!r} is not a revision", file=self.path, hint="Give a branch, tag or commit"
            )
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}").split(
                "\n"
            )[-1]
        except RepositoryError as error:
            hint = "See `git branch --all` and `git tag` for what there is"
            if self.shallow:
                hint = "The clone is shallow: fetch what is missing with `git fetch --unshallow`"
            raise RepositoryError(f"Unknown revision {revision}", file=self.path, hint=hint) from error

    def unborn(self) -> bool:
        """Is there no commit yet on the current branch?"""
        try:
            self.commit("HEAD")
        except RepositoryError:
            return bool(self.text("symbolic-ref", "--quiet", "HEAD"))
        return False

    def merge_base(self, base: str, head: str) -> str | None:
        """The best commit that two commits have in common, or None if there is none that is known."""
        try:
            return self.text("merge-base", base, head).split("\n")[0]
        except RepositoryError:
            return None

    def tree(self, commit: str, *, sizes: bool = True) -> list[TreeEntry]:
        """All entries of the tree of a commit, sorted by path as git sorts."""
        flags = ["-r", "-z", "--full-tree", *(["--long"] if sizes else [])]
        entries = []
        for line in self.run("ls-tree", *flags, commit).split(b"\0"):
            if not line:
                continue
            meta, _, path = line.partition(b"\t")
            words = meta.split()
            size = int(words[3]) if sizes and words[3] != b"-" else None
            entries.append(TreeEntry(os.fsdecode(path), words[0].decode(), words[2].decode(), size))
        return entries

    def paths(self, commit: str) -> list[str]:
        """The names of all files of a commit, without reading any of them."""
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit)
        return [os.fsdecode(path) for path in listed.split(b"\0") if path]

    def blobs(self, oids: Sequence[str], limit_bytes: int) -> Iterator[tuple[str, bytes | None]]:
        """Contents of blobs, in the order asked for; None for one that is missing or over the limit."""
        if not oids:
            return
        with tempfile.TemporaryFile() as wanted:
            wanted.write(("\n".join(oids) + "\n").encode())
            wanted.seek(0)
            with subprocess.Popen(
                ["git", *_SAFE, "-C", self.path, "cat-file", "--batch", "--buffer"],
                stdin=wanted,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            ) as process:
                stream = process.stdout
                assert stream is not None
                for oid in oids:
                    answer = stream.readline()
                    words = answer.split()
                    if not words or answer.endswith((b" missing\n", b" ambiguous\n")):
                        if not words:
                            raise RepositoryError(
                                "git stopped while reading objects", file=self.path, hint="Run `git fsck`"
                            )
                        yield oid, None
                        continue
                    size = int(words[-1])
                    if size > limit_bytes:
                        left = size
                        while left:
                            left -= len(stream.read(min(left, 1 << 20)))
                        yield oid, None
                    else:
                        yield oid, stream.read(size)
                    stream.read(1)

    def changes(self, base: str, head: str | None, *, staged: bool = False) -> list[Change]:
        """Paths that differ between a commit and a head, the index (``staged``) or the work tree (None).

        Untracked files that are not ignored count as added. A file whose content is at another path as well
        is ``renamed`` if git says so (at most 400 candidates, so that a huge change stays fast). A submodule, and
        in the work tree a nested repository, is one path of mode 160000; what its own work tree changes is not seen.
        """
        flags = [
            "--raw",
            "-z",
            "--no-abbrev",
            "-M",
            "-l400",
            "--no-ext-diff",
            "--no-textconv",
            "--ignore-submodules=dirty",
        ]
        if head is not None:
            out = self.run("diff-tree", "-r", *flags, base, head)
        elif staged:
            out = self.run("diff-index", "--cached", *flags, base)
        else:
            out = self.run("diff", *flags, base)
        changes = _parse_raw(out)
        if head is None and not staged:
            # git names the hash even of a renamed file that it has not stored: what counts is the file on disk.
            changes = [msgspec.structs.replace(change, new_oid=None) for change in changes]
            changes = self._with_untracked(changes)
        return sorted(changes, key=lambda c: (c.new_path or "", c.old_path or ""))

    def _with_untracked(self, changes: list[Change]) -> list[Change]:
        """Untracked files count as added; one that the base has, but the index has not, as modified if it differs."""
        listed = self.run("ls-files", "-z", "--others", "--exclude-standard", "--full-name")
        names = [os.fsdecode(name).rstrip("/") for name in listed.split(b"\0") if name]  # a repository ends in "/"
        if not names:
            return changes
        top = self.top()
        gone = {c.old_path: c for c in changes if c.old_path is not None and c.old_path != c.new_path}
        back = {name for name in names if name in gone}
        result = []
        for change in changes:
            if change.old_path not in back or change.old_path == change.new_path:
                result.append(change)
            elif change.new_path is not None:  # no rename: the old file is still there
                kept = Change("added", None, change.new_path, None, change.new_oid, None, change.new_mode)
                result.append(kept)
        for name in names:
            mode = _mode_on_disk(top / name)
            was = gone.get(name)
            if was is None:
                result.append(Change("added", None, name, None, None, None, mode))
            elif was.old_mode == "120000" or mode != "100644" or not _holds(top / name, was.old_oid or ""):
                result.append(Change("modified", name, name, was.old_oid, None, was.old_mode, mode))
        return result

    def file(self, revision: str, path: str, limit_bytes: int = 1 << 26) -> bytes | None:
        """One file of a revision (``""`` is the index), or None if it is not there."""
        return next(iter(self.blobs([f"{revision}:{path}"], limit_bytes)))[1]

    def first_added_lines(
        self, base: str, head: str | None, paths: Sequence[str], *, staged: bool = False
    ) -> dict[str, int]:
        """For each path that gained lines, the number of the first one in the new file."""
        if not paths:
            return {}
        flags = [
            "-U0",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "-M",
            "-l400",
        ]
        command = ["diff-tree", "-p", *flags, base, head] if head is not None else ["diff-index", "-p", *flags, base]
        if staged:
            command.insert(1, "--cached")
        found: dict[str, int] = {}
        path: str | None = None
        for line in self.run(*command, "--", *paths).split(b"\n"):
            if line.startswith(b"+++ "):
                name = os.fsdecode(unquote(line[4:].rstrip(b"\t")))
                path = name[2:] if name.startswith("b/") else None
            elif path is not None and path not in found and line.startswith(b"@@ "):
                start, _, count = line.split(b" ")[2].lstrip(b"+").partition(b",")
                if count != b"0":
                    found[path] = int(start)
        return found

    def top(self) -> Path:
        """Root of the work tree."""
        if self.bare:
            raise RepositoryError("The repository is bare", file=self.path, hint="Name a revision: REPO@REV")
        return Path(self.text("rev-parse", "--show-toplevel"))

    def _error(self, words: str) -> RepositoryError:
        said = words.strip().split("\n")[-1].removeprefix("fatal: ") or "git failed"
        low = words.lower()
        if "not a git repository" in low:
            return RepositoryError(
                "There is no git repository",
                file=self.path,
                hint="Give a repository, or a plain directory without @REV",
            )
        if "dubious ownership" in low:
            return RepositoryError(
                "git refuses a repository owned by somebody else",
                file=self.path,
                hint="Say `git config --global --add safe.directory` for it if you trust it",
            )
        if self.__dict__.get("shallow"):
            return RepositoryError(
                said,
                file=self.path,
                hint="The clone is shallow: fetch what is missing with `git fetch --unshallow`",
            )
        return RepositoryError(f"git says: {said}", file=self.path, hint="Check the repository with `git fsck`")


def _holds(path: Path, oid: str) -> bool:
    """Is the content of a file on disk, as it lies there, that of a blob?"""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _COMPARED_BYTES:
            return False
        data = path.read_bytes()
    except OSError:
        return False
    kind = "sha256" if len(oid) == 64 else "sha1"
    return hashlib.new(kind, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == oid


def _mode_on_disk(path: Path) -> str:
    """The mode that git would store for what is at a path."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return "100644"
    return "120000" if stat.S_ISLNK(mode) else "160000" if stat.S_ISDIR(mode) else "100644"


def _parse_raw(out: bytes) -> list[Change]:
    fields = out.split(b"\0")
    changes = []
    at = 0
    kinds: dict[str, Literal["added", "deleted", "modified", "renamed"]]
    kinds = {"A": "added", "C": "added", "D": "deleted", "M": "modified", "T": "modified", "R": "renamed"}
    while at < len(fields) and fields[at]:
        old_mode, new_mode, old_oid, new_oid, status = fields[at].decode().lstrip(":").split()
        first = os.fsdecode(fields[at + 1])
        at += 2
        second = first
        if status[0] in "RC":
            second = os.fsdecode(fields[at])
            at += 1
        kind = kinds.get(status[0], "modified")
        has_old, has_new = kind != "added", kind != "deleted"
        changes.append(
            Change(
                kind,
                first if has_old else None,
                second if has_new else None,
                old_oid if has_old else None,
                new_oid if has_new and set(new_oid) != {"0"} else None,
                old_mode if has_old else None,
                new_mode if has_new else None,
            )
        )
    return changes
