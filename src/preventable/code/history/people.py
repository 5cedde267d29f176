"""Who wrote, reviewed and tested each commit, as numbers: a person is one number, whatever names they used.

``.mailmap`` of the last commit is honoured. Beyond it, two spellings are one person when they share an
e-mail address or a full name of two words or more. Nobody is looked up anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from preventable.code.history.commits import Commits
from preventable.code.history.gitcall import Repository

_IDENTITY = re.compile(r"^\s*([^<>]*?)\s*(?:<([^<>]*)>.*)?$")
_BOT = re.compile(r"\[bot\]|\bbot$|^(?:dependabot|renovate|github-actions)\b", re.IGNORECASE)
_TRAILER = re.compile(r"^[ \t]*(reviewed|tested)-by:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)
"""Anywhere in the message: many projects end it with lines that git does not take for trailers."""
_BATCH = 20_000


class CommitPeople(NamedTuple):
    """The people of one commit, as numbers."""

    author: int
    reviewers: tuple[int, ...]
    testers: tuple[int, ...]


class People:
    """All people of a history.

    Attributes:
        of_commit: by index of commit.
        names: by number of person; the name used in the newest commit.
        bots: numbers of persons whose name says that they are a program.
    """

    def __init__(self) -> None:
        self.of_commit: list[CommitPeople] = []
        self.names: list[str] = []
        self.bots: frozenset[int] = frozenset()


def read_people(repository: Repository, commits: Commits) -> People:
    """Authors, reviewers and testers of every commit.

    Raises:
        RepositoryError: git failed.
    """
    tip = commits.id(len(commits) - 1)
    mailmap = ("-c", f"mailmap.blob={tip}:.mailmap", "-c", "mailmap.file=")
    rows: list[tuple[str, list[str], list[str]]] = [("", [], [])] * len(commits)
    records = repository.records(
        *mailmap,
        "log", "-z", "--topo-order", "--encoding=UTF-8", "--no-color", "--no-notes", "--no-decorate",
        "--format=%H%x1f%aN <%aE>%x1f%B", tip, "--",
    )  # fmt: skip
    for record in records:
        fields = record.decode("utf-8", "replace").split("\x1f", 2)
        index = commits.index(fields[0]) if len(fields) == 3 else None
        if index is not None:
            found: dict[str, list[str]] = {"reviewed": [], "tested": []}
            for kind, value in _TRAILER.findall(fields[2]):
                found[kind.casefold()].append(" ".join(value.split()))
            rows[index] = (fields[1], found["reviewed"], found["tested"])
    helpers = sorted({value for _, reviewers, testers in rows for value in (*reviewers, *testers)})
    mapped = _mapped(repository, mailmap, helpers)
    join = _Join()
    for author, reviewers, testers in rows:
        for value in (author, *(mapped[r] for r in reviewers), *(mapped[t] for t in testers)):
            join.add(value)
    people = People()
    numbers: dict[str, int] = {}

    def number(value: str) -> int:
        root = join.root(value)
        if root not in numbers:
            numbers[root] = len(people.names)
            people.names.append("")
        name, email = _split(value)
        people.names[numbers[root]] = name or email
        return numbers[root]

    for author, reviewers, testers in rows:
        people.of_commit.append(
            CommitPeople(
                number(author),
                tuple(sorted({number(mapped[r]) for r in reviewers})),
                tuple(sorted({number(mapped[t]) for t in testers})),
            )
        )
    people.bots = frozenset(n for n, name in enumerate(people.names) if _BOT.search(name))
    return people


def _mapped(repository: Repository, mailmap: tuple[str, ...], values: list[str]) -> dict[str, str]:
    mapped = {value: value for value in values}
    full = [value for value in values if re.fullmatch(r"[^<>]*<[^<> ]+>", value)]
    for start in range(0, len(full), _BATCH):
        batch = full[start : start + _BATCH]
        out = repository.run(*mailmap, "check-mailmap", "--stdin", stdin="\n".join([*batch, ""]).encode())
        mapped.update(zip(batch, out.decode("utf-8", "replace").splitlines(), strict=False))
    return mapped


def _split(value: str) -> tuple[str, str]:
    match = _IDENTITY.match(value)
    return (match[1].strip().strip('"'), (match[2] or "").strip()) if match else (value.strip(), "")


class _Join:
    """Union of the keys of spellings that are one person."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def add(self, value: str) -> None:
        keys = list(_keys(value))
        roots = [self._find(key) for key in keys]
        for root in roots[1:]:
            self._above[root] = roots[0]
            roots = [self._find(key) for key in keys]

    def root(self, value: str) -> str:
        return self._find(next(iter(_keys(value))))

    def _find(self, key: str) -> str:
        path = []
        while (above := self._above.setdefault(key, key)) != key:
            path.append(key)
            key = above
        for step in path:
            self._above[step] = key
        return key


def _keys(value: str) -> Iterable[str]:
    name, email = _split(value)
    keys = []
    if email:
        keys.append("<" + email.casefold() + ">")
    if " " in name or not email:
        keys.append(" ".join(name.casefold().split()))
    return keys
