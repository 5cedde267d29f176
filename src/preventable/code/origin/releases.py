"""Releases of a history by its tags: which release a commit first came out in, which commits a fix had seen."""

from __future__ import annotations

import re
from array import array

import numpy as np
import numpy.typing as npt

from preventable.code.history.commits import Commits
from preventable.code.history.gitcall import Repository

Version = tuple[int, ...]

_TAG = re.compile(r"(?:[A-Za-z][A-Za-z+]*(?:[-_/]?[A-Za-z]+)*)?[-_/.]?(\d+(?:[._-]\d+)*)")
_VERSION = re.compile(r"\D{0,12}?(\d+(?:[._-]\d+)*)(?:[^.\d].*)?")
UNRELEASED = 0x7FFFFFFF
"""In place of a release: no tag contains the commit."""


def version(text: str) -> Version | None:
    """The numbers of a version without final zeros, or None if it has none.

    Example:
        >>> version("7.10.0"), version("v2.6.39"), version("unknown")
        ((7, 10), (2, 6, 39), None)
    """
    match = _VERSION.fullmatch(text.strip())
    return _numbers(match[1]) if match else None


def _numbers(text: str) -> Version:
    numbers = [int(part) for part in re.split(r"[._-]", text)]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def tag_version(name: str) -> Version | None:
    """The version a tag names, or None for a pre-release or anything else.

    Example:
        >>> tag_version("curl-7_81_0"), tag_version("v6.1-rc2"), tag_version("before_rename")
        ((7, 81), None, None)
    """
    match = _TAG.fullmatch(name)
    return _numbers(match[1]) if match else None


class Releases:
    """The tagged releases of a history in the order of their versions.

    Attributes:
        versions: ascending.
        first: shape (commits,), number of the first release that contains a commit, or ``UNRELEASED``.
    """

    def __init__(self, repository: Repository, commits: Commits) -> None:
        tagged: dict[Version, int] = {}
        listing = repository.run(
            "for-each-ref", "refs/tags", "--format=%(objectname) %(*objectname) %(refname:strip=2)"
        )
        for line in listing.decode("utf-8", "replace").splitlines():
            direct, peeled, name = line.split(" ", 2)
            found = tag_version(name)
            index = commits.index(peeled or direct)
            if found is not None and index is not None:
                tagged[found] = min(index, tagged.get(found, index))
        self.versions = sorted(tagged)
        first = array("i", (UNRELEASED,)) * len(commits)
        for number, key in enumerate(self.versions):
            waiting = [tagged[key]]
            while waiting:
                at = waiting.pop()
                if first[at] == UNRELEASED:
                    first[at] = number
                    waiting += commits.parents(at)
        self.first: npt.NDArray[np.int32] = np.frombuffer(first, np.int32)

    def window(self, text: str) -> int | None:
        """The number of the release that a version is, or that follows it; None if that cannot be told."""
        wanted = version(text)
        if wanted is None or not self.versions:
            return None
        for number, key in enumerate(self.versions):
            if key >= wanted:
                return number
        return None


class Ancestry:
    """Which commits a commit had behind it.

    Every commit is entered under the first commit of the main line (the first parents of the tip) that
    contains it, so that the ancestors of a commit on the main line are a comparison.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        entered = array("i", (-1,)) * len(commits)
        for place in commits.first_parent_chain():
            waiting = [place]
            while waiting:
                at = waiting.pop()
                if entered[at] < 0:
                    entered[at] = place
                    waiting += commits.parents(at)
        self._entered: npt.NDArray[np.int32] = np.frombuffer(entered, np.int32)

    def behind(self, commit: int) -> npt.NDArray[np.bool_]:
        """Shape (commits,): whether each is an ancestor of ``commit`` (which itself is not)."""
        entered = self._entered
        if entered[commit] == commit:
            mask = (entered <= commit) & (entered >= 0)
        else:
            side: set[int] = set()
            main = -1
            waiting = [commit]
            while waiting:
                at = waiting.pop()
                if entered[at] == at:
                    main = max(main, at)
                elif at not in side:
                    side.add(at)
                    waiting += self._commits.parents(at)
            mask = (entered <= main) & (entered >= 0)
            mask[list(side)] = True
        mask[commit] = False
        return mask
