"""Which commit brought each fault: candidates with weights for every fixing commit, from one replay."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from typing import Literal, Protocol

import msgspec
import numpy as np

from preventable.code.history.checkpoint import Checkpoint
from preventable.code.history.commits import Commits, read_commits
from preventable.code.history.gitcall import Repository
from preventable.code.history.replay import Replay
from preventable.code.history.shards import cores
from preventable.code.origin.corpus import Corpus
from preventable.code.origin.evidence import Attribution, Evidence
from preventable.code.origin.fixes import Fix, read_fixes
from preventable.code.origin.messages import Messages, named_commits
from preventable.code.origin.releases import Ancestry, Releases, version
from preventable.code.origin.score import LEVEL, introduction, ranked, reason, score
from preventable.collector import collector_paused
from preventable.records import Advisory, CodeRange

Outcome = Literal[
    "estimated", "named by the advisory", "fix not in the repository", "no fix named", "no earlier commit"
]
DONE: tuple[Outcome, ...] = ("estimated", "named by the advisory")
NAMED_REASON = "named by the advisory"
THREADS = 4
"""At most: for work beside the replay, and for weighing fixes, each of which takes some 20 MB."""
_ID = re.compile(r"[0-9a-fA-F]{7,64}")


class ProgressCall(Protocol):
    """Told how many commits were just done, and of how many."""

    def __call__(self, steps: int, total: int) -> None: ...


class Candidate(msgspec.Struct, frozen=True):
    """One commit that may have brought a fault."""

    advisory: str
    fix: str
    rank: int
    """1 is the heaviest."""
    commit: str
    weight: float
    """In (0, 1]; sums to 1 over the rows of a fix."""
    reason: str
    committed: date | None


class FixOrigin(msgspec.Struct, frozen=True):
    """What can be said about one fix."""

    advisory: str
    fix: str | None
    outcome: Outcome
    fix_date: date | None = None
    introduced_date: date | None = None
    introduced_low: date | None = None
    introduced_high: date | None = None
    level: float | None = None
    lifetime_days: float | None = None
    first_affected: str | None = None
    """The version that the advisory names, if it was used."""
    candidates: int = 0
    """How many commits were weighed."""
    listed_weight: float | None = None
    """Share of the weight of all candidates that the listed ones have, before they are scaled to 1."""
    note: str | None = None


class Origins(msgspec.Struct, frozen=True):
    """The candidates of all fixes, what became of each fix, and counts."""

    candidates: tuple[Candidate, ...]
    fixes: tuple[FixOrigin, ...]
    counts: Mapping[str, int]
    limits: tuple[str, ...]
    tip: str
    commits: int
    resumed_at: int


class _Task(msgspec.Struct, frozen=True):
    advisory: Advisory
    named: str
    """The fix as the advisory names it."""
    fix: int
    introduced: int | None
    introduced_absent: str | None


@collector_paused()
def find_origins(
    repository: Repository,
    advisories: Sequence[Advisory],
    *,
    revision: str = "HEAD",
    affected_versions: bool = True,
    named_origins: bool = True,
    most: int = 20,
    processes: int | None = None,
    resume: bool = True,
    commits_read: Callable[[], Commits] | None = None,
    progress: ProgressCall | None = None,
) -> Origins:
    """Candidates for the commit that brought each fault, for every fixing commit of the advisories.

    Args:
        repository: the history.
        advisories: their ranges name the fixing commits, and perhaps introducing ones and versions.
        revision: the history that is looked at is what this commit has behind it.
        affected_versions: the first affected version is evidence.
        named_origins: an introducing commit that the advisory names stands, with weight 1.
        most: candidates listed per fix.
        processes: shards of the replay; by default one per core.
        resume: go on from a saved run.
        commits_read: gives the commits of the revision, where that was begun before.
        progress: called with the number of commits just replayed, and with their total.
    Raises:
        RepositoryError: git refuses, or the repository has no commits.
    """
    commits = commits_read() if commits_read else read_commits(repository, revision)
    tasks, fixes = _tasks(repository, commits, advisories, named_origins)
    open_tasks = [task for task in tasks if task.introduced is None]
    limits = _limits(repository, commits)
    repository.require_objects(commits.id(len(commits) - 1))
    candidates: list[Candidate] = []
    resumed_at = 0
    for task in tasks:
        if task.introduced is not None:
            candidates.append(_named(commits, task))
            fixes.append(_named_origin(commits, task))
    if open_tasks:
        wanted = sorted({task.fix for task in open_tasks})
        tip = commits.id(len(commits) - 1)
        checkpoint = Checkpoint(["origin", repository.git_dir, tip, str(wanted), *sorted(repository.shallow_commits())])
        directory = checkpoint.directory_for_text()
        # Threads: some work beside the replay, then arithmetic on arrays, during which others may run.
        with ThreadPoolExecutor(min(processes or cores(), THREADS)) as pool:
            read = pool.submit(read_fixes, repository, commits, wanted)
            told = pool.submit(Messages, repository, commits, tip, [task.advisory.title for task in open_tasks])
            released = pool.submit(Releases, repository, commits)
            attribution = Attribution(wanted, read.result)
            replay = Replay(repository, commits, observers=[attribution], text=directory, processes=processes)
            resumed_at = checkpoint.run(
                replay,
                [attribution],
                resume=resume,
                done=None if progress is None else partial(progress, total=len(commits)),
            )
            corpus = Corpus(directory, len(commits))
            checkpoint.remove()
            if replay.unknown_files:
                limits.append(f"{len(replay.unknown_files)} files had a past that does not fit their diffs")
            del replay
            found, messages, releases = read.result(), told.result(), released.result()
            weigh = partial(
                _weigh,
                commits=commits,
                evidence=Evidence(corpus, messages, Ancestry(commits), attribution),
                messages=messages,
                releases=releases if affected_versions else None,
                seconds=np.array([np.nan if s is None else s for s in commits.commit_seconds], dtype=np.float64),
                prefixes=_Prefixes(commits),
                most=most,
            )
            for rows, origin in pool.map(weigh, open_tasks, [found[task.fix] for task in open_tasks]):
                candidates += rows
                fixes.append(origin)
    candidates.sort(key=lambda c: (c.advisory, c.fix, c.rank))
    fixes.sort(key=lambda f: (f.advisory, f.fix or ""))
    counts = Counter(f.outcome for f in fixes)
    return Origins(
        tuple(candidates),
        tuple(fixes),
        {"advisories": len(advisories), "fixes": sum(f.fix is not None for f in fixes), **dict(sorted(counts.items()))},
        tuple(limits),
        commits.id(len(commits) - 1),
        len(commits),
        resumed_at,
    )


def _tasks(
    repository: Repository, commits: Commits, advisories: Sequence[Advisory], named_origins: bool
) -> tuple[list[_Task], list[FixOrigin]]:
    tasks: list[_Task] = []
    failed: list[FixOrigin] = []
    for advisory in advisories:
        ranges = _fixed_ranges(advisory)
        if not ranges:
            failed.append(FixOrigin(advisory.id, None, "no fix named"))
        seen: set[int] = set()
        for span in ranges:
            assert span.fixed_commit is not None
            fix = _index(repository, commits, span.fixed_commit)
            if fix is None:
                failed.append(FixOrigin(advisory.id, span.fixed_commit, "fix not in the repository"))
                continue
            if fix in seen:
                continue
            seen.add(fix)
            introduced, absent = None, None
            if span.introduced_commit and named_origins:
                introduced = _index(repository, commits, span.introduced_commit)
                absent = span.introduced_commit if introduced is None else None
            tasks.append(_Task(advisory, span.fixed_commit, fix, introduced, absent))
    return tasks, failed


def _fixed_ranges(advisory: Advisory) -> list[CodeRange]:
    """The ranges that name a fixing commit: those of the main line where the record tells."""
    found = [span for span in advisory.ranges if span.fixed_commit]
    main = [span for span in found if span.mainline]
    unique = {span.fixed_commit: span for span in reversed(main or found)}
    return list(reversed(unique.values()))


def _index(repository: Repository, commits: Commits, name: str) -> int | None:
    """The index of a commit named in full or abbreviated, if it is in the history."""
    if not _ID.fullmatch(name):
        return None
    name = name.lower()
    found = commits.index(name)
    if found is None and len(name) < commits.hex_length:
        full = repository.try_run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        found = commits.index(full.decode("ascii").strip()) if full else None
    return found


class _Prefixes:
    """Commits by the beginning of their ids."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._short: dict[str, list[int]] = {}
        for index in range(len(commits)):
            self._short.setdefault(commits.id(index)[:7], []).append(index)

    def find(self, prefix: str) -> list[int]:
        """The one commit whose id begins so, or none."""
        found = [i for i in self._short.get(prefix[:7], ()) if self._commits.id(i).startswith(prefix)]
        return found if len(found) == 1 else []


def _limits(repository: Repository, commits: Commits) -> list[str]:
    limits = []
    if repository.shallow_commits():
        limits.append("the clone is shallow: faults older than its first commits cannot be dated")
    if replaced := repository.replaced():
        limits.append(f"{replaced} replace refs or grafts change the history that git shows")
    if commits.odd:
        limits.append(f"{len(commits.odd)} commits have an implausible date, which is not used")
    return limits


def _day(seconds: float | None) -> date | None:
    if seconds is None or math.isnan(seconds):
        return None
    return datetime.fromtimestamp(seconds, UTC).date()


def _named(commits: Commits, task: _Task) -> Candidate:
    assert task.introduced is not None
    return Candidate(
        task.advisory.id,
        commits.id(task.fix),
        1,
        commits.id(task.introduced),
        1.0,
        NAMED_REASON,
        _day(commits.commit_seconds[task.introduced]),
    )


def _named_origin(commits: Commits, task: _Task) -> FixOrigin:
    assert task.introduced is not None
    began, ended = commits.commit_seconds[task.introduced], commits.commit_seconds[task.fix]
    return FixOrigin(
        task.advisory.id,
        commits.id(task.fix),
        "named by the advisory",
        fix_date=_day(ended),
        introduced_date=_day(began),
        introduced_low=_day(began),
        introduced_high=_day(began),
        lifetime_days=None if began is None or ended is None else round((ended - began) / 86400, 1),
        candidates=1,
        listed_weight=1.0,
    )


def _first_affected(advisory: Advisory) -> str | None:
    """The lowest version in which the advisory says that the fault came in."""
    named = [span.introduced_version for span in advisory.ranges if span.introduced_version]
    known = [(numbers, text) for text in named if (numbers := version(text)) is not None]
    return min(known)[1] if known else None


def _weigh(
    task: _Task,
    fix: Fix,
    commits: Commits,
    evidence: Evidence,
    messages: Messages,
    releases: Releases | None,
    seconds: np.typing.NDArray[np.float64],
    prefixes: _Prefixes,
    most: int,
) -> tuple[list[Candidate], FixOrigin]:
    advisory, commit = task.advisory, commits.id(task.fix)
    behind, columns = evidence.of(fix, advisory.title, advisory.text)
    fix_seconds = commits.commit_seconds[task.fix]
    if not len(behind):
        return [], FixOrigin(advisory.id, commit, "no earlier commit", fix_date=_day(fix_seconds))
    release = _first_affected(advisory) if releases else None
    window = releases.window(release) if releases and release else None
    scores = score(
        behind,
        columns,
        named=[i for name in named_commits(messages.texts[task.fix]) for i in prefixes.find(name)],
        release_of=releases.first[behind].astype(np.int64) if releases else None,
        window=window,
    )
    top = ranked(scores, most)
    listed = float(scores.weights[top].sum())
    rows = [
        Candidate(
            advisory.id,
            commit,
            rank,
            commits.id(int(behind[position])),
            round(float(scores.weights[position]) / listed, 6),
            reason(scores, int(position), release),
            _day(commits.commit_seconds[int(behind[position])]),
        )
        for rank, position in enumerate(top, 1)
    ]
    mean, low, high = introduction(scores.weights, seconds[behind])
    known = fix_seconds is not None and not math.isnan(mean)
    return rows, FixOrigin(
        advisory.id,
        commit,
        "estimated",
        fix_date=_day(fix_seconds),
        introduced_date=_day(mean),
        introduced_low=_day(low),
        introduced_high=_day(high),
        level=LEVEL,
        lifetime_days=round((fix_seconds - mean) / 86400, 1) if known and fix_seconds is not None else None,
        first_affected=release if window is not None else None,
        candidates=len(behind),
        listed_weight=round(listed, 6),
        note=_note(task, fix, release, window),
    )


def _note(task: _Task, fix: Fix, release: str | None, window: int | None) -> str | None:
    said = []
    if task.introduced_absent:
        said.append(f"the introducing commit that the advisory names, {task.introduced_absent}, is not here")
    if not fix.changes:
        if not fix.paths and fix.other_files:
            said.append(f"the fix changes no code, only {fix.other_files} other files")
        elif not fix.paths:
            said.append("the fix changes nothing against its first parent")
        else:
            said.append("the fix changes only comments, whitespace or the place of lines")
        said.append("only the advisory's words and versions speak")
    if release and window is None:
        said.append(f"no tag for the first affected version {release} or a later one")
    return "; ".join(said) or None
