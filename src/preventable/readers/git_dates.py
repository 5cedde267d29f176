"""Dates from a git repository: of its release tags, and of commits that advisories name."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

from preventable.errors import RepositoryError

_VERSION = re.compile(r"(?:^|[^0-9])(\d+(?:[._-]\d+)+)$")
_TIMEOUT_SECONDS = 600


def tag_dates(repository: Path) -> Mapping[str, date]:
    """Version -> date of the commit that its tag names; ``curl-8_21_0`` and ``v8.21.0`` are both ``8.21.0``.

    Tags that do not end in a version (release candidates, branches' marks) are left out.

    Raises:
        RepositoryError: not a repository, or git fails.
    """
    # An annotated tag shows the date of its commit (*) first; a light one only its own.
    shape = "--format=%(refname:strip=2)\t%(*committerdate:short)%(committerdate:short)"
    lines = _git(repository, "for-each-ref", shape, "refs/tags")
    dates: dict[str, date] = {}
    for line in lines.splitlines():
        name, _, when = line.partition("\t")
        found = _VERSION.search(name)
        if found and when:
            dates[re.sub("[_-]", ".", found.group(1))] = date.fromisoformat(when[:10])
    return dates


def commit_dates(repository: Path, commits: Collection[str]) -> Mapping[str, date]:
    """Commit -> date it was committed (UTC); commits that the repository does not have are left out.

    Raises:
        RepositoryError: not a repository, or git fails.
    """
    wanted = sorted({c for c in commits if re.fullmatch(r"[0-9a-f]{7,64}", c)})
    if not wanted:
        return {}
    checked = _git(repository, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin="\n".join(wanted))
    full = {}
    for asked, line in zip(wanted, checked.splitlines(), strict=True):
        name, _, kind = line.partition(" ")
        if kind == "commit":
            full[asked] = name
    if not full:
        return {}
    shown = _git(
        repository, "log", "--no-walk=unsorted", "--stdin", "--format=%H %cd", "--date=format-local:%Y-%m-%d",
        stdin="\n".join(sorted(set(full.values()))),
    )  # fmt: skip
    dates = {h: date.fromisoformat(d) for h, d in (line.split() for line in shown.splitlines())}
    return {asked: dates[name] for asked, name in full.items() if name in dates}


def _git(repository: Path, *arguments: str, stdin: str = "") -> str:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC", "LC_ALL": "C"}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "HOME": os.devnull}
    try:
        result = subprocess.run(
            ["git", "-c", "log.showSignature=false", "-C", str(repository), *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise RepositoryError("git is not installed", hint="Install git, or give release dates as a file") from error
    except subprocess.TimeoutExpired as error:
        raise RepositoryError("git did not answer in ten minutes", file=str(repository)) from error
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["it does not say why"]
        raise RepositoryError(
            f"git {arguments[0]} failed: {said[-1]}",
            file=str(repository),
            hint="Give the path of a full clone",
        )
    return result.stdout
