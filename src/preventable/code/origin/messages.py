"""What the messages of commits say: words, and what kind of commit it calls itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from preventable.code.history.commits import Commits
from preventable.code.history.gitcall import Repository

WORD = re.compile(r"[a-z][a-z0-9]{2,}")
_PARTS = re.compile(r"[A-Z]?[a-z][a-z0-9]{2,}|[A-Z][A-Z0-9]{2,}")
_PARTS_AND_ENDS = re.compile(_PARTS.pattern + r"|\n")
_COMMON = (
    "the and for that this with from have has was were are can could would when which not but use used using "
    "uses then than its into them they will such due also only other does did make makes made being been more "
    "one two any all may might these those there their via while where what flaw bug vulnerability vulnerable "
    "attacker malicious user users application applications problem wrong server client host data file "
    "function option code issue set get instead without same first even after before since because like"
)
STOPWORDS = frozenset(_COMMON.split())
_REFACTORING = re.compile(
    r"\b(mov|renam|re-?indent|clean|style|reformat|whitespace|comment|typo|spell|copyright|refactor|unif|split|"
    r"const|tidy|remove|deprecat|warning|lint|nit)"
)
_FEATURE = re.compile(r"\b(add|introduc|support|implement|initial|new)")
_NAMED = re.compile(
    r"(?:fixes:|revert\w*|regress\w*|introduc\w*|since|broke\w*|caused|bisect\w*)[^\n]{0,30}?\b([0-9a-f]{7,40})\b",
    re.IGNORECASE,
)


def parts(identifier: str) -> set[str]:
    """The words inside an identifier, in lower case.

    Example:
        >>> sorted(parts("curl_easyReset")), sorted(parts("HTTP_PORT"))
        (['curl', 'easy', 'reset'], ['http', 'port'])
    """
    return {word.lower() for word in _PARTS.findall(identifier)}


def parts_of_all(names: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Position and part, for every part of every identifier in order; one pass, for a history has very many.

    Example:
        >>> list(parts_of_all([b"curl_easyReset", b"x", b"HTTP_PORT"]))
        [(0, 'curl'), (0, 'easy'), (0, 'reset'), (2, 'http'), (2, 'port')]
    """
    at = 0
    for match in _PARTS_AND_ENDS.finditer(b"\n".join(names).decode("utf-8", "replace")):
        if match[0] == "\n":
            at += 1
        else:
            yield at, match[0].lower()


def identifiers(text: str) -> set[str]:
    """Words of prose that can only be names of code: with an underscore or an inner capital."""
    found = re.findall(r"[A-Za-z_]\w{2,}", text)
    return {w for w in found if "_" in w.strip("_") or re.search(r"[a-z][A-Z]", w)}


def prose_words(text: str) -> set[str]:
    """The words of prose that may tell commits apart."""
    return set(WORD.findall(text.lower())) - STOPWORDS


def named_commits(message: str) -> list[str]:
    """Commits, perhaps abbreviated, that a message blames.

    Example:
        >>> named_commits("Fix it\\n\\nRegression from b46cfbc068 (7.59.0)\\nFollow-up to 1234567")
        ['b46cfbc068']
    """
    return [match.lower() for match in _NAMED.findall(message)]


class Messages:
    """The messages of all commits.

    Args:
        titles: of the advisories whose words are looked for.

    Attributes:
        texts: in the order of the commits.
        refactoring, feature: shape (commits,), whether the message speaks of moving or tidying code, of
            adding something.
        by_word: for each word of the titles the commits whose message has it, in order.
    """

    def __init__(self, repository: Repository, commits: Commits, revision: str, titles: Iterable[str] = ()) -> None:
        output = repository.run("rev-list", "--no-commit-header", "--format=%H%n%B%x00", revision, "--")
        found: dict[str, str] = {}
        for record in output.decode("utf-8", "replace").split("\0"):
            commit, _, text = record.lstrip("\n").partition("\n")
            found[commit] = text
        self.texts: Sequence[str] = [found.get(commits.id(i), "") for i in range(len(commits))]
        lower = [text.lower() for text in self.texts]
        self.refactoring: npt.NDArray[np.bool_] = np.array(
            [bool(_REFACTORING.search(t.partition("\n")[0])) for t in lower]
        )
        self.feature: npt.NDArray[np.bool_] = np.array([bool(_FEATURE.search(t)) for t in lower])
        words = frozenset(word for title in titles for word in prose_words(title))
        self.by_word: dict[str, list[int]] = {word: [] for word in sorted(words)}
        for index, text in enumerate(lower):
            for word in words.intersection(WORD.findall(text)):
                self.by_word[word].append(index)
