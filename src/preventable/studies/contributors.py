"""Who keeps the code, in counts: active authors, newcomers and how many stay, turnover, reviewers, owners.

Counts of people under five are withheld, and so are counts of commits under five (there are no more authors than
commits) and every share that would give them away.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np

from preventable.code.history.checkpoint import Checkpoint
from preventable.code.history.commits import read_commits
from preventable.code.history.component_map import case_of, component_map
from preventable.code.history.diffparse import Change
from preventable.code.history.gitcall import Repository
from preventable.code.history.languages import FAMILIES, OTHER, language_of
from preventable.code.history.people import People, read_people
from preventable.code.history.periods import cohorts_of, period_snapshots, quarter_label
from preventable.code.history.replay import Replay
from preventable.code.history.tree import UNKNOWN, FileLines, Tree
from preventable.collector import collector_paused
from preventable.errors import InputError
from preventable.records import Estimate
from preventable.stats.prevalence import wilson
from preventable.studies.line_survival import ALL
from preventable.studies.lineage import Limit, Steps, history_limits

SMALLEST = 5
"""Counts of people, and of their commits, under this are withheld."""
STAY_QUARTERS = 4
LANGUAGES_PAIRED = 4
PEOPLE_SHOWN = 20
NOT_CODE = frozenset(
    (OTHER, "Plain Text", "Markdown", "ReStructuredText", "LaTeX", "HTML", "JSON", "XML", "YAML", "TOML", "SVG",
     "CSS", "Roff", "Autoconf", "CMake", "Makefile", "Meson", "Kconfig", "Dockerfile", "Device Tree")
)  # fmt: skip
"""Prose, data and build files: not what one means by the language someone writes."""


class QuarterRow(msgspec.Struct, frozen=True):
    """People in one quarter and language; None: withheld (named in ``withheld``) or not yet known.

    ``stayed``: newcomers who are active again in the next four quarters; None until those are over.
    ``left``: of the people active in the year that ended a year ago (``base``), those not active in the year
    that ends now. ``hold_half``: fewest people whose lines make up half of those there at the quarter's end.
    """

    quarter: str
    language: str
    commits: int | None
    active: int | None
    newcomers: int | None
    stayed: int | None
    base: int | None
    left: int | None
    turnover: Estimate | None
    reviewers: int | None
    testers: int | None
    hold_half: int | None
    withheld: tuple[str, ...]


class PairRow(msgspec.Struct, frozen=True):
    """Authors active in one or both of two languages in one quarter or, as ``all``, ever."""

    quarter: str
    first: str
    second: str
    both: int | None
    only_first: int | None
    only_second: int | None
    withheld: tuple[str, ...]


class PersonRow(msgspec.Struct, frozen=True):
    """One person by name; only on explicit request, and in order of name, never of rank."""

    name: str
    language: str
    lines: int
    commits: int
    first_quarter: str
    last_quarter: str


class Contributors(msgspec.Struct, frozen=True):
    """The answer."""

    revision: str
    commits: int
    resumed_at: int
    rows: tuple[QuarterRow, ...]
    pairs: tuple[PairRow, ...]
    people: tuple[PersonRow, ...]
    limits: tuple[Limit, ...]


def family_of(path: str) -> str:
    """The language people say they write: a header counts as its language."""
    language = language_of(path)
    return FAMILIES.get(language, language)


class _Holdings:
    """An observer: lines by author and language at chosen commits."""

    def __init__(
        self, commits: Collection[int], author: Sequence[int], people: int, wanted: Callable[[str], bool]
    ) -> None:
        self.before: frozenset[int] = frozenset()
        self.after = frozenset(commits)
        self._wanted = wanted
        self.lines: dict[int, dict[str, np.ndarray]] = {}
        """Commit → language → lines by author."""
        self._author = np.asarray(author, dtype=np.int64)
        self._people = people
        self._language: list[str | None] = []

    def see_before(self, index: int, tree: Tree, changes: Sequence[Change]) -> None:
        """Nothing to see."""

    def see_after(self, index: int, tree: Tree) -> None:
        """Count lines by author."""
        for name in tree.paths.names[len(self._language) :]:
            path = name.decode("utf-8", "replace")
            self._language.append(family_of(path) if self._wanted(path) else None)
        parts: dict[str, list[array[int]]] = defaultdict(list)
        for number, lines in tree.items():
            language = self._language[number]
            if isinstance(lines, FileLines) and language is not None:
                parts[language].append(lines.substantive)
        held = {}
        for language, arrays in parts.items():
            indices = np.frombuffer(b"".join(arrays), dtype=np.uint32)
            indices = indices[indices != UNKNOWN]
            held[language] = np.bincount(self._author[indices], minlength=self._people)
        self.lines[index] = held

    def state(self) -> bytes:
        """For a checkpoint."""
        saved = []
        for index, held in self.lines.items():
            for language, lines in held.items():
                who = np.flatnonzero(lines)
                saved.append((index, language, who.tobytes(), lines[who].tobytes()))
        return msgspec.msgpack.encode(saved)

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """Take a saved state."""
        del paths
        for index, language, who, lines in msgspec.msgpack.decode(state, type=list[tuple[int, str, bytes, bytes]]):
            held = np.zeros(self._people, dtype=np.int64)
            held[np.frombuffer(who, dtype=np.int64)] = np.frombuffer(lines, dtype=np.int64)
            self.lines.setdefault(index, {})[language] = held
        return True


class _Touched:
    """Which languages each commit changed, in one component or all."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.families: dict[int, set[str]] = defaultdict(set)
        self._wanted = wanted
        self._known: dict[bytes, str | None] = {}

    def __call__(self, commit: int, name: bytes, _added: int, _removed: int) -> None:
        """Note one changed file."""
        if name not in self._known:
            path = name.decode("utf-8", "replace")
            self._known[name] = family_of(path) if self._wanted(path) else None
        family = self._known[name]
        if family is not None:
            self.families[commit].add(family)

    def state(self) -> bytes:
        """For a checkpoint."""
        return msgspec.msgpack.encode({commit: sorted(found) for commit, found in self.families.items()})

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """Take a saved state."""
        del paths
        self.families.update(msgspec.msgpack.decode(state, type=dict[int, set[str]]))
        return True


@collector_paused()
def count_contributors(
    path: str | Path,
    *,
    revision: str = "HEAD",
    pairs: Sequence[tuple[str, str]] = (),
    names: bool = False,
    component: str | None = None,
    case: Path | None = None,
    processes: int | None = None,
    resume: bool = True,
    progress: Callable[[int, int], None] | None = None,
    resumed: Callable[[int, int], None] | None = None,
) -> Contributors:
    """Count the people behind a history, per quarter and language.

    Args:
        path: a clone.
        revision: the last commit.
        pairs: languages whose common authors are counted; by default C with Rust, and the pairs of the four
            programming languages with most authors.
        names: give up suppression, and name people.
        component: look at the files of one component alone, see ``[components]`` of the case file.
        case: the case file; by default the one beside the code or in the last commit.
        processes: shards; by default one per core.
        resume: go on from a saved run.
        progress: called with commits just done and commits in all.
        resumed: called instead, once, with commits that an earlier run had done and commits in all.
    Raises:
        RepositoryError: not a repository, or no commits.
        InputError: no file was ever in the component.
    """
    repository = Repository(path)
    commits = read_commits(repository, revision)
    limits = history_limits(repository, commits)
    people = read_people(repository, commits)
    quarters = list(cohorts_of(commits))
    snapshots = period_snapshots(commits, "quarter")
    authors = [c.author for c in people.of_commit]
    tip = commits.id(len(commits) - 1)
    found = case_of(repository, tip, case) if component is not None else None
    component_of = component_map(repository, tip, found)

    def wanted(name: str) -> bool:
        return component is None or component_of(name) == component

    holdings = _Holdings({s.commit for s in snapshots}, authors, len(people.names), wanted)
    counter = _Touched(wanted)
    touched = counter.families

    done = Steps(len(commits), progress, resumed)
    replay = Replay(repository, commits, substantive=True, observers=[holdings], churn=counter, processes=processes)
    globs = found.digest if found and component else ""
    key = ["contributors", repository.git_dir, tip, component or "", globs, *sorted(repository.shallow_commits())]
    checkpoint = Checkpoint(key)
    resumed_at = checkpoint.run(replay, [holdings, counter, done], resume=resume, done=done)
    checkpoint.remove()
    if component is not None and not touched:
        raise InputError(
            f"no file was ever in the component {component}",
            file=found.file if found else None,
            hint="`preventable lineage` lists the components",
        )
    activity = _Activity(people, quarters, touched)
    if people.bots:
        limits.append(Limit("programs by their name, not counted as people", len(people.bots)))
    if replay.unknown_files:
        limits.append(
            Limit("files whose diff did not fit what was known of them", len(replay.unknown_files), partial=True)
        )
    undated = sum(1 for index in touched if quarters[index] < 0)
    if undated:
        limits.append(Limit("commits without a plausible date, in no quarter", undated))
    held_at = {s.ends: holdings.lines[s.commit] for s in snapshots if s.ends is not None}
    smallest = 0 if names else SMALLEST
    rows = [
        _row(activity, held_at, people.bots, quarter, language, smallest)
        for quarter in range(activity.first, activity.last + 1)
        for language in (ALL, *activity.languages)
        if activity.commits.get((quarter, language))
    ]
    return Contributors(
        revision=tip,
        commits=len(commits),
        resumed_at=resumed_at,
        rows=tuple(rows),
        pairs=tuple(_pairs(activity, pairs, smallest)),
        people=tuple(_people(activity, people, held_at, snapshots[-1].ends)) if names and snapshots else (),
        limits=tuple(limits),
    )


class _Activity:
    """Who was active where and when; programs left out."""

    def __init__(self, people: People, quarters: Sequence[int], touched: dict[int, set[str]]) -> None:
        self.active: dict[tuple[int, str], set[int]] = defaultdict(set)
        self.reviewers: dict[tuple[int, str], set[int]] = defaultdict(set)
        self.testers: dict[tuple[int, str], set[int]] = defaultdict(set)
        self.commits: dict[tuple[int, str], int] = defaultdict(int)
        self.by_person: dict[tuple[int, str], list[int]] = defaultdict(list)
        for index, families in touched.items():
            quarter = quarters[index]
            who = people.of_commit[index]
            if quarter < 0 or who.author in people.bots:
                continue
            for language in (ALL, *families):
                cell = (quarter, language)
                self.active[cell].add(who.author)
                self.reviewers[cell].update(set(who.reviewers) - people.bots)
                self.testers[cell].update(set(who.testers) - people.bots)
                self.commits[cell] += 1
                self.by_person[who.author, language].append(quarter)
        known = [quarter for quarter, _ in self.active]
        self.first, self.last = (min(known), max(known)) if known else (0, -1)
        self.languages = sorted({language for _, language in self.active} - {ALL})
        self.began: dict[tuple[int, str], int] = {key: min(when) for key, when in self.by_person.items()}
        self.ever: dict[str, set[int]] = defaultdict(set)
        for person, language in self.by_person:
            self.ever[language].add(person)

    def in_quarters(self, first: int, last: int, language: str) -> set[int]:
        return set().union(*(self.active.get((q, language), ()) for q in range(first, last + 1)))


def _row(
    activity: _Activity,
    held_at: dict[int, dict[str, np.ndarray]],
    bots: frozenset[int],
    quarter: int,
    language: str,
    smallest: int,
) -> QuarterRow:
    active = activity.active[quarter, language]
    new = {person for person in active if activity.began[person, language] == quarter}
    stayed = base = left = None
    if quarter + STAY_QUARTERS < activity.last:  # the last quarter is not over
        stayed = len(new & activity.in_quarters(quarter + 1, quarter + STAY_QUARTERS, language))
    if quarter - 7 >= activity.first:
        before = activity.in_quarters(quarter - 7, quarter - 4, language)
        base, left = len(before), len(before - activity.in_quarters(quarter - 3, quarter, language))
    counts: dict[str, int | None] = {
        "commits": activity.commits[quarter, language],  # no fewer than authors: one commit is one author
        "active": len(active),
        "newcomers": len(new),
        "stayed": stayed,
        "base": base,
        "left": left,
        "reviewers": len(activity.reviewers[quarter, language]),
        "testers": len(activity.testers[quarter, language]),
        "hold_half": _hold_half(held_at.get(quarter, {}), language, bots),
    }
    shown, withheld = withhold(counts, smallest)
    turnover = None
    if shown["base"] and shown["left"] is not None and base and left is not None and shown_apart(left, base, smallest):
        turnover = wilson(left, base)
    elif base and left is not None and shown["left"] is not None and shown["base"] is not None:
        # What remains of the base would be a count under five.
        shown["left"] = None
        withheld = (*withheld, "left")
    return QuarterRow(
        quarter=quarter_label(quarter),
        language=language,
        turnover=turnover,
        withheld=tuple(sorted(withheld)),
        **shown,
    )


def withhold(counts: dict[str, int | None], smallest: int) -> tuple[dict[str, int | None], tuple[str, ...]]:
    """Counts with those from 1 to ``smallest`` - 1 replaced by None, and the names of the replaced.

    Zero is shown: it points at nobody.

    Example:
        >>> withhold({"active": 12, "newcomers": 2, "testers": 0}, 5)
        ({'active': 12, 'newcomers': None, 'testers': 0}, ('newcomers',))
    """
    hidden = tuple(name for name, count in counts.items() if count is not None and 0 < count < smallest)
    return {name: None if name in hidden else count for name, count in counts.items()}, hidden


def shown_apart(part: int, whole: int, smallest: int) -> bool:
    """Whether a part and its whole may be shown together: the rest must not be a small count either."""
    return not 0 < whole - part < smallest


def _hold_half(held: dict[str, np.ndarray], language: str, bots: frozenset[int]) -> int | None:
    tables = list(held.values()) if language == ALL else [held[language]] if language in held else []
    if not tables:
        return None
    lines = np.sum(tables, axis=0)
    total = int(lines.sum())
    if not total:
        return None
    ordered = np.sort(np.delete(lines, sorted(bots)))[::-1]
    reached = np.flatnonzero(np.cumsum(ordered) * 2 >= total)
    return int(reached[0]) + 1 if reached.size else None


def _pairs(activity: _Activity, asked: Sequence[tuple[str, str]], smallest: int) -> list[PairRow]:
    pairs = list(asked)
    if not pairs:
        code = sorted(
            (lang for lang in activity.languages if lang not in NOT_CODE),
            key=lambda lang: (-len(activity.ever[lang]), lang),
        )
        pairs = [("C", "Rust")]
        pairs += [p for p in combinations(code[:LANGUAGES_PAIRED], 2) if set(p) != {"C", "Rust"}]
    rows = []
    for first, second in pairs:
        cells = [
            (quarter_label(q), activity.active.get((q, first), set()), activity.active.get((q, second), set()))
            for q in range(activity.first, activity.last + 1)
        ]
        cells.append(("all", activity.ever[first], activity.ever[second]))
        for label, one, two in cells:
            if one or two or label == "all":
                counts, withheld = withhold(
                    {"both": len(one & two), "only_first": len(one - two), "only_second": len(two - one)}, smallest
                )
                rows.append(PairRow(label, first, second, withheld=withheld, **counts))
    return rows


def _people(
    activity: _Activity, people: People, held_at: dict[int, dict[str, np.ndarray]], last: int | None
) -> list[PersonRow]:
    held = held_at.get(last if last is not None else -1, {})
    rows = []
    for (person, language), when in activity.by_person.items():
        if language == ALL:
            continue
        lines = int(held[language][person]) if language in held else 0
        rows.append(
            PersonRow(
                people.names[person], language, lines, len(when), quarter_label(min(when)), quarter_label(max(when))
            )
        )
    return sorted(rows, key=lambda row: (row.name.casefold(), row.name, row.language))
