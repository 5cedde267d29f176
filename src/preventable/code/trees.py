"""Where files come from: a directory, an archive or a git revision, all seen as paths with readable contents.

Symbolic links are never followed, submodules are not entered, special files are not opened; each is named in
``not_counted``. In a git work tree the files are those that git would show (tracked, or untracked and not
ignored); in any other directory all of them. Contents of archives and revisions go to the counter in bounded
shards under names of our own (see docs/decisions/0301-shards.md); no name from an archive is ever written to
disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from preventable.code.archives import archive_members, is_archive
from preventable.code.gitfiles import Repository
from preventable.errors import InputError, RepositoryError, UsageError

DEFAULT_MAX_FILE_BYTES = 64 * 1024 * 1024


class NotCounted(msgspec.Struct, frozen=True):
    """A path that is there but was not counted, and why."""

    path: str
    reason: str


class FileItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One regular file; ``local`` is its path on disk, or None when its bytes come by ``contents``."""

    path: str
    size: int | None
    local: str | None = None
    oid: str | None = None


class SourceInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was read, for the provenance of a result."""

    kind: Literal["directory", "archive", "revision", "result"]
    location: str
    commit: str | None = None
    digest: str | None = None
    note: str | None = None


class Source(Protocol):
    """One tree of files."""

    max_file_bytes: int
    not_counted: list[NotCounted]
    wrapped: bool
    """A single top directory that holds everything is not part of the paths."""

    def provenance(self) -> SourceInput:
        """What was read; complete only once everything was."""

    in_place: bool
    """The files lie on disk: every item has a ``local``."""

    def files(self) -> Iterable[FileItem] | None:
        """All regular files, in any order, found while they are taken; None if they can only be streamed once."""

    def contents(self, items: list[FileItem] | None) -> Iterator[tuple[FileItem, bytes]]:
        """The bytes of the given files (of all, for a stream)."""


class DirectorySource:
    """Files below a directory."""

    in_place = True

    def __init__(self, root: Path, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> None:
        if not root.is_dir():
            raise InputError(
                "There is no such directory", file=str(root), hint="Give a directory, an archive or REPO@REV"
            )
        self.root = root
        self.max_file_bytes = max_file_bytes
        self.not_counted: list[NotCounted] = []
        self.wrapped = False
        self._commit: str | None = None
        self._links: dict[str, bool] = {}

    def provenance(self) -> SourceInput:
        return SourceInput("directory", str(self.root), commit=self._commit)

    def files(self) -> Iterable[FileItem]:
        listed = self._from_git()
        return self._walk() if listed is None else listed

    def contents(self, items: list[FileItem] | None) -> Iterator[tuple[FileItem, bytes]]:
        for item in items or []:
            if item.local is not None:
                yield item, Path(item.local).read_bytes()

    def _from_git(self) -> list[FileItem] | None:
        own = (self.root / ".git").exists()
        try:
            repository = Repository(self.root)
            out = repository.run("ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard")
        except RepositoryError as error:
            if own:
                self.not_counted.append(NotCounted(".git", f"not used: {error.what}; all files are counted"))
            return None
        if not out and not own:
            return None  # an ignored directory inside a work tree, such as an unpacked release
        try:
            self._commit = repository.commit("HEAD")
        except RepositoryError:
            self._commit = None
        items: list[FileItem] = []
        tags = {line[2:]: line[:1] for line in out.split(b"\0") if line}
        for name in sorted(tags):
            path = os.fsdecode(name)
            if not self._behind_link(path.rstrip("/").rpartition("/")[0]):
                self._add(path, self.root / path, items, sparse=tags[name] == b"S")
        return items

    def _behind_link(self, directory: str) -> bool:
        """Is a directory below the root a symbolic link, or in one? To git, what it has there is deleted."""
        if not directory:
            return False
        if directory not in self._links:
            linked = self._behind_link(directory.rpartition("/")[0])
            try:
                if not linked and (self.root / directory).is_symlink():
                    self.not_counted.append(NotCounted(directory, "symbolic link"))
                    linked = True
            except OSError:  # `_add` says why
                linked = False
            self._links[directory] = linked
        return self._links[directory]

    def _add(self, path: str, local: Path, items: list[FileItem], *, sparse: bool) -> None:
        try:
            status = local.lstat()
        except (FileNotFoundError, NotADirectoryError):
            if sparse:
                self.not_counted.append(NotCounted(path, "missing: not checked out (sparse checkout)"))
            return  # else deleted in the work tree
        except OSError as error:
            self.not_counted.append(NotCounted(path, f"unreadable: {error.strerror}"))
            return
        reason = None
        if stat.S_ISLNK(status.st_mode):
            reason = "symbolic link"
        elif stat.S_ISDIR(status.st_mode):
            reason = "submodule or nested repository"
        elif not stat.S_ISREG(status.st_mode):
            reason = "special file"
        elif status.st_size > self.max_file_bytes:
            reason = f"larger than {self.max_file_bytes:,} bytes"
        if reason:
            self.not_counted.append(NotCounted(path.rstrip("/"), reason))
        else:
            items.append(FileItem(path, status.st_size, str(local)))

    def _walk(self) -> Iterator[FileItem]:
        stack: list[tuple[str, str]] = [(str(self.root), "")]
        while stack:
            directory, prefix = stack.pop()
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        path = prefix + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if entry.name not in (".git", ".hg", ".svn"):
                                stack.append((entry.path, path + "/"))
                        elif not entry.is_file(follow_symlinks=False):
                            kind = "symbolic link" if entry.is_symlink() else "special file"
                            self.not_counted.append(NotCounted(path, kind))
                        else:
                            size = entry.stat(follow_symlinks=False).st_size
                            if size > self.max_file_bytes:
                                reason = f"larger than {self.max_file_bytes:,} bytes"
                                self.not_counted.append(NotCounted(path, reason))
                            else:
                                yield FileItem(path, size, entry.path)
            except OSError as error:
                self.not_counted.append(NotCounted(prefix.rstrip("/") or ".", f"unreadable: {error.strerror}"))


class RevisionSource:
    """Files of a commit, from the object store."""

    in_place = False

    def __init__(self, repository: Repository, revision: str, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> None:
        self.repository = repository
        self.revision = revision
        self.commit = repository.commit(revision)
        self.max_file_bytes = max_file_bytes
        self.not_counted: list[NotCounted] = []
        self.wrapped = False

    def provenance(self) -> SourceInput:
        return SourceInput("revision", f"{self.repository.path}@{self.revision}", commit=self.commit)

    def files(self) -> list[FileItem]:
        items = []
        for entry in self.repository.tree(self.commit):
            if entry.mode == "120000":
                self.not_counted.append(NotCounted(entry.path, "symbolic link"))
            elif entry.mode == "160000":
                self.not_counted.append(NotCounted(entry.path, "submodule or nested repository"))
            elif entry.size is not None and entry.size > self.max_file_bytes:
                self.not_counted.append(NotCounted(entry.path, f"larger than {self.max_file_bytes:,} bytes"))
            else:
                items.append(FileItem(entry.path, entry.size, oid=entry.oid))
        return sorted(items, key=lambda item: item.path)

    def contents(self, items: list[FileItem] | None) -> Iterator[tuple[FileItem, bytes]]:
        wanted = items or []
        oids = [item.oid or "" for item in wanted]
        for item, (_, data) in zip(wanted, self.repository.blobs(oids, self.max_file_bytes), strict=True):
            if data is None:
                self.not_counted.append(NotCounted(item.path, "unreadable: the object is missing from the repository"))
            else:
                yield item, data


class ArchiveSource:
    """Members of a tar or zip archive, read once, in the order they stand there.

    A single top directory that holds everything (``linux-7.2/``) is the root.
    """

    in_place = False

    def __init__(self, archive: Path, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> None:
        self.archive = archive
        self.max_file_bytes = max_file_bytes
        self.not_counted: list[NotCounted] = []
        self.wrapped = True
        self._digest: str | None = None

    def provenance(self) -> SourceInput:
        if self._digest is None:
            with self.archive.open("rb") as stream:
                self._digest = "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
        return SourceInput("archive", str(self.archive), digest=self._digest)

    def files(self) -> None:
        return None

    def contents(self, items: list[FileItem] | None) -> Iterator[tuple[FileItem, bytes]]:
        for path, data, reason in archive_members(self.archive, self.max_file_bytes):
            if data is None:
                self.not_counted.append(NotCounted(path, reason or "not a regular file"))
            else:
                yield FileItem(path, len(data)), data


def open_source(what: str, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> Source:
    """The source that an argument names: an existing directory or archive, ``REPO@REV``, or a revision of the
    repository in the current directory. A bare repository stands for its HEAD.

    Raises:
        InputError: nothing of that name exists.
        RepositoryError: the repository or the revision is not there.
    """
    path = Path(what)
    if path.is_dir():
        if not (path / ".git").exists() and (path / "HEAD").is_file() and (path / "objects").is_dir():
            return RevisionSource(Repository(path), "HEAD", max_file_bytes)
        return DirectorySource(path, max_file_bytes)
    if path.is_file():
        if not is_archive(path):
            raise InputError(
                "This file is no archive that can be read",
                file=what,
                hint="Give a .tar(.gz|.xz|.bz2|.zst), .zip, directory or REPO@REV",
            )
        return ArchiveSource(path, max_file_bytes)
    place = split_revision(what)
    if place is not None:
        return RevisionSource(Repository(place[0]), place[1], max_file_bytes)
    return RevisionSource(_here(what), what, max_file_bytes)


def split_revision(what: str) -> tuple[str, str] | None:
    """``REPO@REV`` as the two, if REPO is a directory.

    Example:
        >>> split_revision(".@v1.0")
        ('.', 'v1.0')
    """
    at = what.rfind("@")
    while at > 0:
        if Path(what[:at]).is_dir():
            if at + 1 == len(what):
                raise UsageError(f"{what} names no revision", hint="Write REPO@REV, for example .@HEAD")
            return what[:at], what[at + 1 :]
        at = what.rfind("@", 0, at)
    return None


def _here(what: str) -> Repository:
    if "/" in what and not what.startswith(("refs/", "origin/")) and ("." in what or what.startswith("/")):
        raise InputError(
            "There is no such file or directory", file=what, hint="Give a directory, an archive or REPO@REV"
        )
    try:
        repository = Repository(".")
        repository.commit(what)
    except RepositoryError as error:
        raise InputError(
            "This is neither a path that exists nor a revision of a repository here",
            file=what,
            hint="Give a directory, an archive or REPO@REV",
        ) from error
    return repository
