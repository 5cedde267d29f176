"""A git repository as a source: its files at HEAD, streamed by ``git archive``, and when each came in."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from preventable.errors import RepositoryError
from preventable.readers.sources import Member, Source


def is_git_repository(location: str | Path) -> bool:
    """Whether a path is the root of a clone, bare or not."""
    path = Path(location)
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


class GitSource(Source):
    """See ``Source``; the digest is the commit at HEAD."""

    def __init__(self, location: str | Path, wanted: Callable[[str], bool]) -> None:
        super().__init__(location, wanted)
        self.digest = "git:" + self._git("rev-parse", "--verify", "HEAD").strip()

    def names(self) -> list[str]:
        """All file names at HEAD."""
        return [n for n in self._git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0") if n]

    def members(self) -> Iterator[Member]:
        """The wanted files at HEAD.

        Raises:
            RepositoryError: git fails (a damaged or partial clone).
        """
        command = ["git", "-C", str(self.path), "archive", "--format=tar", "HEAD"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
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

        A shallow clone has no such history: all dates are then left unknown.
        """
        if self._git("rev-parse", "--is-shallow-repository").strip() == "true":
            return {}
        log = self._git(
            "log", "--diff-filter=A", "--no-renames", "--format=%x01%cI", "--name-only", "-z", "HEAD", "--",
            "cve/published", ":(glob)**/cve/published/**",
        )  # fmt: skip
        dates: dict[str, date] = {}
        for entry in log.split("\x01")[1:]:
            stamp, *names = entry.replace("\n", "\0").split("\0")
            when = datetime.fromisoformat(stamp).astimezone(UTC).date()
            for name in names:
                if name.endswith(".json"):
                    stem = name.rsplit("/", 1)[-1].removesuffix(".json")
                    dates[stem] = min(when, dates.get(stem, when))
        return dates

    def _git(self, *arguments: str) -> str:
        result = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
        )
        if result.returncode != 0:
            raise RepositoryError(f"git {arguments[0]} failed: {result.stderr.strip()}", file=self.location)
        return result.stdout
