"""A git repository as a source: its files at HEAD, streamed by ``git archive``, and when each came in.

A clone of the kernel's records may be given by its root or by a directory in it (``vulns/cve/published``): both are
read at HEAD, under the same names, and dated by the same history. What tells such a clone from a copy of the records
in somebody's own repository, whose commits say nothing of the publication:

- ``cve/published`` lies at the root of the repository;
- no commit took in more than half of the records, and a thousand or more. The CNA's largest one has 282 of 10,607; a
  copy comes at once.

Git is asked by plumbing commands, which ignore how the user wants histories and differences shown, and without the
user's attributes and conversions of line ends: the same commit gives the same records everywhere.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from preventable.errors import RepositoryError
from preventable.readers.sources import Member, Source

_RECORDS = "cve/published"
_DATES = "cve/published.csv"
_AT_ONCE = 1000
"""Records of one commit that make a copy, if they are more than half."""
_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
"""What git sets for its hooks: another repository than the one that is asked for."""
_SAFE = (
    "-c", "core.attributesFile=" + os.devnull, "-c", "core.autocrlf=false", "-c", "core.eol=lf",
    "-c", "core.fsmonitor=false",
)  # fmt: skip
"""The user's own attributes could leave records out of ``git archive``, or have them rewritten; those that somebody
wrote into the clone itself still do."""


def is_git_repository(location: str | Path) -> bool:
    """Whether a path is the root of a clone, bare or not, that has something to read at HEAD.

    A work tree without any commit is a directory like others.
    """
    path = Path(location)
    if not (path / ".git").exists():
        return (path / "HEAD").is_file() and (path / "objects").is_dir()
    head = _run(location, "rev-parse", "--verify", "--quiet", "HEAD")
    # Only 1 says that there is none; git's own words about anything else are told when it is read.
    return head is None or head.returncode != 1


def clone_of_records(location: str | Path) -> tuple[Path, str] | None:
    """Root of the clone of the kernel's records that a directory is part of, and the directory's path in it.

    None for a root itself, for what has no such clone around it, and for files that HEAD does not have.
    """
    if not Path(location).is_dir() or is_git_repository(location):
        return None
    shown = _run(location, "rev-parse", "--show-toplevel", "--show-prefix")
    if shown is None or shown.returncode:
        return None
    root, _, prefix = os.fsdecode(shown.stdout).removesuffix("\n").rpartition("\n")
    prefix = prefix.removesuffix("/")
    if not f"{prefix}/".startswith("cve/"):
        return None
    for directory in (_RECORDS, prefix):
        found = _run(root, "cat-file", "-e", f"HEAD:{directory}")
        if found is None or found.returncode:
            return None
    return Path(root), prefix


class GitSource(Source):
    """See ``Source``; the digest is the commit at HEAD, with the directory where one was given.

    Args:
        location: root of a clone, or a directory for which ``clone_of_records`` finds one.
        wanted: tells by name, from the root of the clone, which members are read.
    """

    def __init__(self, location: str | Path, wanted: Callable[[str], bool]) -> None:
        super().__init__(location, wanted)
        self._root, self._prefix = clone_of_records(location) or (self.path, "")
        self.shallow = self._git("rev-parse", "--is-shallow-repository").strip() == "true"
        if (head := _run(self._root, "rev-parse", "--verify", "--quiet", "HEAD")) is not None and head.returncode == 1:
            raise RepositoryError(
                "the repository has no commit at HEAD", file=self.location, hint="Fetch one, or point HEAD at a branch"
            )
        # A clone that is made whole has the same HEAD and other dates.
        self.digest = (
            "git:"
            + self._git("rev-parse", "--verify", "HEAD").strip()
            + (f":{self._prefix}" if self._prefix else "")
            + (" (shallow)" if self.shallow else "")
        )
        self.why_undated: str | None = None
        """Why ``first_dates`` gave none."""

    def names(self) -> list[str]:
        """All file names at HEAD."""
        under = ("--", self._prefix) if self._prefix else ()
        return [n for n in self._git("ls-tree", "-r", "-z", "--name-only", "HEAD", *under).split("\0") if n]

    def members(self) -> Iterator[Member]:
        """The wanted files at HEAD.

        Raises:
            RepositoryError: git fails (a damaged or partial clone).
        """
        command = ["git", *_SAFE, "-C", str(self._root), "archive", "--format=tar", "HEAD"]
        if self._prefix:
            # The table of dates stands beside the records, outside a directory of them alone.
            table = [n for n in self._git("ls-tree", "--name-only", "-z", "HEAD", _DATES).split("\0") if n]
            command += ["--", self._prefix, *table]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                yield from self._tar(process.stdout)
            except tarfile.TarError as error:
                raise RepositoryError(
                    f"git archive failed: {process.stderr.read().decode(errors='replace').strip() or error}",
                    file=self.location,
                ) from error
            process.stdout.read()
            if process.wait() != 0:
                raise RepositoryError(
                    f"git archive failed: {process.stderr.read().decode(errors='replace').strip()}",
                    file=self.location,
                )

    def first_dates(self) -> dict[str, date]:
        """Date (UTC) on which a file whose stem is the key was first added under ``cve/published``.

        Where the history does not tell, all dates are left unknown and ``why_undated`` says why: a shallow clone has
        none, and that of a copy is not the CNA's.
        """
        if self.shallow:
            self.why_undated = "the clone is shallow: `git fetch --unshallow` gets the history that dates the records"
            return {}
        log = self._git(
            "diff-tree", "--stdin", "--root", "-r", "--diff-filter=A", "--no-renames", "--format=%x01%H %cI",
            "--name-only", "-z", "--", _RECORDS, stdin=self._git("rev-list", "HEAD", "--", _RECORDS),
        )  # fmt: skip
        first: dict[str, tuple[date, str]] = {}
        for entry in log.split("\x01")[1:]:
            stamp, *names = entry.replace("\n", "\0").split("\0")
            commit, _, moment = stamp.partition(" ")
            when = datetime.fromisoformat(moment).astimezone(UTC).date()
            for name in names:
                if name.endswith(".json"):
                    stem = name.rsplit("/", 1)[-1].removesuffix(".json")
                    if stem not in first or when <= first[stem][0]:
                        first[stem] = when, commit
        if not first:
            self.why_undated = f"its history has no record under {_RECORDS} at the root of the repository"
            return {}
        largest = Counter(commit for _, commit in first.values()).most_common(1)[0]
        if largest[1] >= _AT_ONCE and 2 * largest[1] > len(first):
            self.why_undated = (
                f"one commit ({largest[0][:12]}) took in {largest[1]:,} of its {len(first):,} records: a copy, whose "
                "dates are not those of the publication"
            )
            return {}
        return {stem: when for stem, (when, _) in first.items()}

    def _git(self, *arguments: str, stdin: str = "") -> str:
        result = _run(self._root, *arguments, stdin=stdin)
        if result is None:
            raise RepositoryError("git is not installed", file=self.location, hint="Install git, or give an archive")
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace").strip()
            raise RepositoryError(f"git {arguments[0]} failed: {said}", file=self.location)
        return result.stdout.decode(errors="replace")


def _run(directory: str | Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[bytes] | None:
    """One git command; None without git."""
    try:
        return subprocess.run(
            ["git", *_SAFE, "-C", str(directory), *arguments],
            input=stdin.encode(),
            capture_output=True,
            check=False,
            env=_environment(),
        )
    except FileNotFoundError:
        return None


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    return environment | {"GIT_ATTR_NOSYSTEM": "1"}
