"""Calls of git, made safe.

Git is only ever asked by plumbing commands (they ignore the user's diff settings), with attributes,
external diff programs and text conversion switched off, so that the same history gives the same answer
everywhere and nothing of the repository is executed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from preventable.errors import RepositoryError
from preventable.termination import termination_waits

if sys.platform == "linux":
    import fcntl

RENAME_LIMIT = 1000
"""Lost and new files of a commit among which git looks for renames: what git blame and git log use."""

SAFE = (
    "core.bare=true",  # with --bare: no attributes of the directory we happen to be in, nor of the work tree
    "core.quotePath=false",
    "core.fsmonitor=false",
    "core.attributesFile=" + os.devnull,
    "core.packedGitWindowSize=1m",
    "core.packedGitLimit=16m",
    "core.deltaBaseCacheLimit=64m",
    f"diff.renameLimit={RENAME_LIMIT}",
    "log.showSignature=false",
)

SPARING = ("core.packedGitWindowSize=1m", "core.packedGitLimit=8m", "core.deltaBaseCacheLimit=8m")
"""For calls that run beside the one that does most of the work."""


PIPE_BYTES = 1 << 18


class Repository:
    """Runs git in one repository.

    Args:
        path: a work tree, a ``.git`` directory or a bare repository.
    Raises:
        RepositoryError: the path is not a git repository, or git is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise RepositoryError("no such directory", file=str(path), hint="Give the path of a git clone")
        found = _run(["git", "-C", str(self.path), "rev-parse", "--absolute-git-dir"], check=False)
        if found.returncode != 0:
            raise RepositoryError(
                f"git does not take it for a repository: {_last_line(found.stderr)}",
                file=str(path),
                hint="Give the path of a git clone",
            )
        self._more: dict[str, str] = {}
        self._settings: tuple[str, ...] = SAFE
        self.git_dir = found.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    @classmethod
    def at_git_dir(cls, git_dir: str) -> Self:
        """The repository of a git directory that is already known to be one."""
        self = cls.__new__(cls)
        self.path = Path(git_dir)
        self.git_dir = git_dir
        self._more = {}
        self._settings = SAFE
        return self

    def sparing(self) -> Repository:
        """This repository for calls that get by on little memory."""
        other = Repository.at_git_dir(self.git_dir)
        other._more = self._more
        other._settings = (*SAFE, *SPARING)
        return other

    def command(self, *arguments: str) -> list[str]:
        """The full command line of one git call."""
        line = ["git", f"--git-dir={self.git_dir}", "--bare"]
        for setting in self._settings:
            line += ["-c", setting]
        return [*line, *arguments]

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Standard output of a git call.

        Raises:
            RepositoryError: git failed; its own words are in the message.
        """
        done = _run(self.command(*arguments), stdin=stdin, more=self._more)
        return done.stdout

    @contextmanager
    def beside(self, *arguments: str) -> Iterator[Callable[[], bytes]]:
        """A git call that goes on while others work; what is given waits for its standard output.

        Whoever leaves before it is done ends it.

        Raises:
            RepositoryError: by what is given: git failed; its own words are in the message.
        """
        line = self.command(*arguments)
        with ExitStack() as stack:
            with termination_waits():
                process = subprocess.Popen(
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=_environment(self._more),
                )
                stack.enter_context(process)
                stack.callback(process.kill)

            def finish() -> bytes:
                out, words = process.communicate()
                _require_success(line, process.returncode, words)
                return out

            yield finish

    def records(self, *arguments: str) -> Iterator[bytes]:
        """The parts of a git call's output that end in NUL, one at a time.

        Raises:
            RepositoryError: git failed.
        """
        with subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=_environment(self._more),
        ) as process:
            assert process.stdout is not None
            rest = b""
            while block := process.stdout.read(1 << 18):
                *whole, rest = (rest + block).split(b"\0")
                yield from whole
            if rest:
                yield rest
        if process.returncode != 0:
            raise RepositoryError("git failed", hint="`git fsck` tells whether the repository is damaged")

    def try_run(self, *arguments: str) -> bytes | None:
        """Standard output of a git call, or None when git fails."""
        done = _run(self.command(*arguments), check=False)
        return done.stdout if done.returncode == 0 else None

    def start(self, *arguments: str, stdin: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a git call that reads ``stdin`` (a file, or ``subprocess.PIPE``) and is read from its ``stdout``."""
        process = subprocess.Popen(
            self.command(*arguments), stdin=stdin, stdout=subprocess.PIPE, env=_environment(self._more)
        )
        widen(process.stdout)
        return process

    def resolve(self, revision: str) -> str:
        """The commit id a revision names.

        Raises:
            RepositoryError: it names nothing, or the repository has no commits.
        """
        found = self.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found is None:
            if not self.run("rev-list", "--all", "--max-count=1"):
                raise RepositoryError(
                    "the repository has no commits", file=str(self.path), hint="There is no history to replay"
                )
            raise RepositoryError(
                f"the revision {revision} names no commit",
                file=str(self.path),
                hint="`git branch -a` and `git tag` list what there is",
            )
        return found.decode("ascii").strip()

    def shallow_commits(self) -> frozenset[str]:
        """Commits whose parents were cut off by ``git clone --depth``."""
        file = self._own_file("shallow")
        if not file.exists():
            return frozenset()
        return frozenset(file.read_text(encoding="ascii").split())

    def _own_file(self, name: str) -> Path:
        """A file of git's own; work trees share it with the repository that they belong to."""
        found = self.run("rev-parse", "--path-format=absolute", "--git-path", name)
        return Path(found.decode("utf-8", "surrogateescape").removesuffix("\n"))

    def is_partial(self) -> bool:
        """Whether objects may be missing here (``git clone --filter``)."""
        found = self.try_run("config", "--get-regexp", r"^remote\..*\.promisor$")
        return bool(found and b"true" in found)

    def require_objects(self, revision: str) -> None:
        """Refuse a partial clone that lacks objects of a history; git would fetch them one by one.

        Raises:
            RepositoryError: objects are missing.
        """
        missing = self.missing_objects(revision) if self.is_partial() else 0
        if missing:
            raise RepositoryError(
                f"{missing:,} objects are missing from this partial clone",
                file=str(self.path),
                hint="Get them with `git fetch --refetch --no-filter`, or clone without --filter",
            )

    def missing_objects(self, revision: str) -> int:
        """Number of objects of a history that are not here."""
        listing = self.run("rev-list", "--objects", "--missing=print", revision, "--")
        return sum(1 for line in listing.splitlines() if line.startswith(b"?"))

    def replaced(self) -> int:
        """Number of replace refs and grafts, which change the history that git shows."""
        replaced = len(self.run("replace", "--list").split())
        grafts = self._own_file("info/grafts")
        if grafts.exists():
            replaced += sum(
                1 for line in grafts.read_bytes().splitlines() if line.strip() and not line.startswith(b"#")
            )
        return replaced


def widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold more, where the system knows how: its two ends wake each other less often."""
    if sys.platform == "linux" and pipe is not None:
        with suppress(OSError):  # only so much is granted to one user
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k == "GIT_CONFIG_GLOBAL"}
    environment.update(
        GIT_NO_LAZY_FETCH="1",
        GIT_TERMINAL_PROMPT="0",
        GIT_OPTIONAL_LOCKS="0",
        LC_ALL="C",
        GIT_PAGER="cat",
        GIT_ATTR_NOSYSTEM="1",
    )
    environment["GIT_FLUSH"] = "0"  # nobody waits for the diff of one commit: write when there is a buffer full
    # Diffs allocate and free whole files: keep the memory instead of giving it back each time.
    environment.setdefault("MALLOC_TOP_PAD_", "1048576")
    environment.setdefault("MALLOC_TRIM_THRESHOLD_", "33554432")
    environment.setdefault("MALLOC_MMAP_THRESHOLD_", "33554432")
    environment.update(more)
    return environment


def _run(
    line: Sequence[str],
    *,
    stdin: bytes | None = None,
    check: bool = True,
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    try:
        done = subprocess.run(
            line,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
            env=_environment(more or {}),
        )
    except FileNotFoundError as error:
        raise RepositoryError("git is not installed", hint="Install git 2.33 or newer") from error
    if check:
        _require_success(line, done.returncode, done.stderr)
    return done


def _require_success(line: Sequence[str], status: int, words: bytes) -> None:
    if status != 0:
        raise RepositoryError(
            f"git {_subcommand(line)} failed: {_last_line(words)}",
            hint="`git fsck` tells whether the repository is damaged",
        )


def _subcommand(line: Sequence[str]) -> str:
    words = iter(line[1:])
    for word in words:
        if word in ("-c", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
