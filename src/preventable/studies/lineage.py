"""How old code is: surviving lines by cohort, survival and half-life of code, lines added and removed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.code.history.checkpoint import Checkpoint, Part
from preventable.code.history.cohorts import ChurnByQuarter, CohortCounter, Groups
from preventable.code.history.commits import Commits, read_commits
from preventable.code.history.component_map import case_of, component_map
from preventable.code.history.following import FOLLOWED_PAIRS
from preventable.code.history.gitcall import RENAME_LIMIT, Repository
from preventable.code.history.languages import language_of
from preventable.code.history.periods import (
    UNKNOWN_COHORT,
    Every,
    Snapshot,
    cohorts_of,
    period_snapshots,
    quarter_label,
    tag_snapshots,
)
from preventable.code.history.replay import Observer, Replay
from preventable.code.history.tree import Age
from preventable.collector import collector_paused
from preventable.records import NotAvailable

IGNORE_REVS_FILE = ".git-blame-ignore-revs"
EXAMPLES = 5
ALL = "all languages"


class CohortRow(msgspec.Struct, frozen=True):
    """Lines of one cohort, language and component that are there at one snapshot.

    ``lines`` go by the age asked for (last touched, when both are); ``lines_substantive`` by the substantive
    age. Either sums to the lines of all text files at the snapshot.
    """

    snapshot: str
    cohort: str
    language: str
    component: str
    lines: int
    lines_substantive: int | None


class SnapshotInfo(msgspec.Struct, frozen=True):
    """One snapshot: which commit it is and what it holds."""

    snapshot: str
    commit: str
    lines: int
    files: int
    binary_files: int
    unknown_lines: int


class SurvivalPoint(msgspec.Struct, frozen=True):
    """Share of lines that are still there so many quarters after the quarter they were written in."""

    age: str
    language: str
    quarters: int
    share: float
    at_risk: int


class HalfLife(msgspec.Struct, frozen=True):
    """Years until half of the lines are gone, with an interval from resampling cohorts."""

    age: str
    language: str
    years: float | NotAvailable
    low: float | None
    high: float | None
    level: float
    cohorts: int
    method: str


class ChurnRow(msgspec.Struct, frozen=True):
    """Lines added and removed in one quarter by the commits written in it, merges apart."""

    quarter: str
    language: str
    added: int
    removed: int


class Limit(msgspec.Struct, frozen=True):
    """What bounds the answer, how often, and examples."""

    what: str
    count: int
    examples: tuple[str, ...] = ()
    partial: bool = False
    """Whether lines are unknown because of it."""


class CaseRead(msgspec.Struct, frozen=True):
    """The case file that gave the components."""

    location: str
    digest: str


class Lineage(msgspec.Struct, frozen=True):
    """The answer, see the parts."""

    revision: str
    commits: int
    case: CaseRead | None
    merges: int
    resumed_at: int
    exact: bool
    """Whether every changed file was compared without whitespace, or those where it was likely to matter."""
    snapshots: tuple[SnapshotInfo, ...]
    rows: tuple[CohortRow, ...]
    survival: tuple[SurvivalPoint, ...]
    half_life: tuple[HalfLife, ...]
    churn: tuple[ChurnRow, ...]
    ignored_commits: tuple[str, ...]
    limits: tuple[Limit, ...]

    @property
    def partial(self) -> bool:
        return any(limit.partial for limit in self.limits)


@collector_paused()
def trace_lineage(
    path: str | Path,
    *,
    revision: str = "HEAD",
    every: Every = "quarter",
    age: Age = "both",
    exact: bool | None = None,
    ignore_revs: Path | None = None,
    component_of: Callable[[str], str] | None = None,
    case: Path | None = None,
    processes: int | None = None,
    checkpoint_directory: Path | None = None,
    resume: bool = True,
    observers: Sequence[Observer] = (),
    commits_read: Callable[[], Commits] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Lineage:
    """Replay a history and count its surviving lines by the quarter they were written in.

    Args:
        path: a clone.
        revision: the last commit.
        every: at which commits lines are counted.
        age: which ages are kept.
        exact: see :class:`~preventable.code.history.replay.Replay`.
        ignore_revs: file of commits that the substantive age ignores; by default ``.git-blame-ignore-revs``
            of the last commit.
        component_of: component of a path; by default as the case file says, else its top directory.
        case: the case file; by default the one beside the code or in the last commit.
        processes: shards; by default one per core.
        checkpoint_directory: where the run is saved now and then; by default the user's cache.
        resume: go on from a saved run.
        observers: others who look at the same pass; the run is saved if they are all of the kind
            :class:`~preventable.code.history.checkpoint.Part`.
        commits_read: gives the commits of the revision, where that was begun before.
        progress: called with commits just done and commits in all.
    Raises:
        RepositoryError: not a repository, no commits, or objects are missing.
    """
    repository = Repository(path)
    commits = commits_read() if commits_read else read_commits(repository, revision)
    limits = history_limits(repository, commits)
    ignored, unmatched = _ignored(repository, commits, ignore_revs)
    if unmatched:
        limits.append(Limit("commits to be ignored that are not in this history", len(unmatched), _some(unmatched)))
    cohorts = list(cohorts_of(commits))
    cut = repository.shallow_commits()
    for index in commits.roots:
        if commits.id(index) in cut:
            cohorts[index] = -1
    snapshots, outside = _snapshots(repository, commits, every, revision)
    if outside:
        limits.append(Limit("tags outside this history", len(outside), _some(outside)))
    quarters = period_snapshots(commits, "quarter")
    tip = commits.id(len(commits) - 1)
    found = None if component_of else case_of(repository, tip, case)
    groups = Groups(language_of, component_of or component_map(repository, tip, found))
    substantive = age != "last-touched"
    wanted = {s.commit for s in snapshots} | {s.commit for s in quarters}
    counter = CohortCounter(wanted, cohorts, groups, substantive=substantive)
    churn = ChurnByQuarter(cohorts, language_of)
    replay = Replay(
        repository,
        commits,
        substantive=substantive,
        exact=exact,
        ignored=ignored,
        observers=[counter, *observers],
        churn=churn,
        processes=processes,
    )

    def done(steps: int) -> None:
        if progress:
            progress(steps, len(commits))

    parts: list[Part] = [counter, churn, *(o for o in observers if isinstance(o, Part))]
    resumed_at = 0
    if len(parts) == 2 + len(observers):
        key = ["lineage", repository.git_dir, tip, every, age, str(replay.exact), *ignored, *sorted(cut)]
        for observer in observers:
            key += [type(observer).__qualname__, str(sorted(observer.before)), str(sorted(observer.after))]
        checkpoint = Checkpoint(key, checkpoint_directory)
        resumed_at = checkpoint.run(replay, parts, resume=resume, done=done)
        checkpoint.remove()
    else:
        replay.run(done)
    limits.append(
        Limit(
            f"commits that lost and added so many files that only git's renames were followed (git compares at most "
            f"{RENAME_LIMIT:,} of either; files that were split are followed up to {FOLLOWED_PAIRS:,} pairs)",
            len(replay.capped),
            tuple(map(commits.id, replay.capped[:EXAMPLES])),
        )
    )
    if replay.unknown_files:
        examples = _some([name.decode("utf-8", "backslashreplace") for _, name in replay.unknown_files])
        limits.append(
            Limit("files whose diff did not fit what was known of them", len(replay.unknown_files), examples, True)
        )
    unknown_now = counter.counts[len(commits) - 1].touched[:, -1].sum() if len(commits) - 1 in wanted else 0
    if unknown_now:
        limits.append(Limit("lines of unknown age at the last snapshot", int(unknown_now), (), True))
    survival, half_life = _survival(counter, quarters, groups, age)
    return Lineage(
        revision=tip,
        commits=len(commits),
        case=None if found is None else CaseRead(found.file, found.digest),
        merges=commits.merges,
        resumed_at=resumed_at,
        exact=replay.exact,
        snapshots=tuple(_infos(commits, counter, snapshots)),
        rows=tuple(_rows(counter, snapshots, groups, age)),
        survival=tuple(survival),
        half_life=tuple(half_life),
        churn=tuple(
            ChurnRow(quarter_label(quarter) if quarter >= 0 else UNKNOWN_COHORT, language, added, removed)
            for (quarter, language), (added, removed) in sorted(churn.counts.items())
            if added or removed
        ),
        ignored_commits=tuple(ignored),
        limits=tuple(limits),
    )


def digest_of(lineage: Lineage) -> str:
    """``sha256:`` and the digest of the commit that was read: a commit id covers all its history."""
    return "sha256:" + hashlib.sha256(lineage.revision.encode("ascii")).hexdigest()


def _some(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:EXAMPLES])


def history_limits(repository: Repository, commits: Commits) -> list[Limit]:
    """What bounds any answer from a history.

    Raises:
        RepositoryError: objects are missing.
    """
    limits = []
    cut = repository.shallow_commits()
    if cut:
        limits.append(
            Limit(
                "the clone is shallow: lines of its oldest commits are older than they look; "
                "`git fetch --unshallow` gets the rest",
                len(cut),
                _some(cut),
                True,
            )
        )
    repository.require_objects(commits.id(len(commits) - 1))
    replaced = repository.replaced()
    if replaced:
        limits.append(Limit("replace refs and grafts change the history that git shows", replaced))
    if len(commits.roots) > 1:
        limits.append(
            Limit("commits without parents", len(commits.roots), tuple(map(commits.id, commits.roots[:EXAMPLES])))
        )
    if commits.odd:
        limits.append(
            Limit(
                "commits with an author or committer date before 1971 or over 30 years after the median",
                len(commits.odd),
                tuple(map(commits.id, commits.odd[:EXAMPLES])),
            )
        )
    return limits


def _ignored(repository: Repository, commits: Commits, file: Path | None) -> tuple[list[str], list[str]]:
    """Full ids of the commits to ignore, and those that this history does not have."""
    if file is None:
        text = repository.try_run("cat-file", "blob", f"{commits.id(len(commits) - 1)}:{IGNORE_REVS_FILE}") or b""
    else:
        text = file.read_bytes()
    inside: set[str] = set()
    outside: set[str] = set()
    for line in text.decode("utf-8", "replace").splitlines():
        name = line.partition("#")[0].strip()
        if name:
            (inside if commits.index(name) is not None else outside).add(name)
    return sorted(inside), sorted(outside)


def _snapshots(
    repository: Repository, commits: Commits, every: Every, revision: str
) -> tuple[list[Snapshot], list[str]]:
    tip = [Snapshot(revision, len(commits) - 1)]
    if every == "head":
        return tip, []
    if every == "tags":
        inside, outside = tag_snapshots(repository, commits)
        return inside or tip, outside
    return period_snapshots(commits, every) or tip, []


def _infos(commits: Commits, counter: CohortCounter, snapshots: Sequence[Snapshot]) -> list[SnapshotInfo]:
    infos = []
    for snapshot in snapshots:
        count = counter.counts[snapshot.commit]
        infos.append(
            SnapshotInfo(
                snapshot.label,
                commits.id(snapshot.commit),
                int(count.touched.sum()),
                count.files,
                count.binary_files,
                int(count.touched[:, -1].sum()),
            )
        )
    return infos


def _rows(counter: CohortCounter, snapshots: Sequence[Snapshot], groups: Groups, age: Age) -> list[CohortRow]:
    labels = [quarter_label(counter.first_cohort + n) for n in range(counter.width - 1)] + [UNKNOWN_COHORT]
    order = sorted(range(len(groups.pairs)), key=lambda g: groups.pairs[g])
    rows: list[CohortRow] = []
    for snapshot in snapshots:
        count = counter.counts[snapshot.commit]
        first = count.substantive if age == "substantive" else count.touched
        second = count.substantive
        members = [group for group in order if group < first.shape[0]]
        first, second = first[members].T, second[members].T
        filled = (first + second) > 0
        cohorts, places = (where.tolist() for where in np.nonzero(filled))
        chosen = first[filled].tolist()
        substantive = [None] * len(chosen) if age == "last-touched" else second[filled].tolist()
        rows += [
            CohortRow(snapshot.label, labels[cohort], *groups.pairs[members[place]], lines, lines_substantive)
            for cohort, place, lines, lines_substantive in zip(cohorts, places, chosen, substantive, strict=True)
        ]
    return rows


SURVIVAL_METHOD = (
    "share(k) = product over j < k of 1 - lost(j) / at_risk(j); at_risk(j): lines there j quarters after the "
    "end of their own quarter, lost(j): those gone one quarter later, summed over cohorts; "
    "interval: percentiles of 400 resamples of cohorts"
)
_RESAMPLES = 400
_LANGUAGES_SHOWN = 6


def _survival(
    counter: CohortCounter, quarters: Sequence[Snapshot], groups: Groups, age: Age
) -> tuple[list[SurvivalPoint], list[HalfLife]]:
    if not quarters:
        return [], []
    size: dict[str, int] = defaultdict(int)
    last = counter.counts[quarters[-1].commit].touched.sum(axis=1)
    by_language: dict[str, list[int]] = defaultdict(list)
    for group, (language, _) in enumerate(groups.pairs):
        by_language[language].append(group)
        size[language] += int(last[group]) if group < len(last) else 0
    largest = sorted((lang for lang in by_language if size[lang]), key=lambda lang: (-size[lang], lang))
    choice: dict[str, list[int]] = {ALL: list(range(len(groups.pairs)))}
    choice.update({language: by_language[language] for language in sorted(largest[:_LANGUAGES_SHOWN])})
    ages = {"both": ("last_touched", "substantive"), "last-touched": ("last_touched",)}.get(age, ("substantive",))
    points: list[SurvivalPoint] = []
    halves: list[HalfLife] = []
    for name in ages:
        for language, members in choice.items():
            alive = np.zeros((len(quarters), counter.width - 1), dtype=np.int64)
            for number, snapshot in enumerate(quarters):
                count = counter.counts[snapshot.commit]
                table = count.substantive if name == "substantive" else count.touched
                alive[number] = table[[m for m in members if m < table.shape[0]], :-1].sum(axis=0)
            first = quarters[0].ends or 0
            risk, lost = at_risk(alive, first - counter.first_cohort)
            curve = survival_curve(risk, lost)
            points += [
                SurvivalPoint(
                    name, language, k, round(float(share), 6), int(risk[:, k].sum()) if k < risk.shape[1] else 0
                )
                for k, share in enumerate(curve)
            ]
            halves.append(_half_life(name, language, risk, lost, curve))
    return points, halves


def at_risk(alive: npt.NDArray[np.int64], offset: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lines at risk and lines lost by cohort and age.

    Args:
        alive: shape (quarters, cohorts): lines of each cohort at the end of each quarter.
        offset: cohort whose own quarter is the first row.
    Returns:
        Two arrays of shape (cohorts, quarters): by age in quarters since the end of the cohort's own one.
    """
    quarters, cohorts = alive.shape
    risk = np.zeros((cohorts, max(quarters - 1, 0)), dtype=np.int64)
    lost = np.zeros_like(risk)
    for cohort in range(cohorts):
        begin = max(cohort - offset, 0)
        series = alive[begin:, cohort]
        steps = len(series) - 1
        if steps > 0:
            risk[cohort, :steps] = series[:-1]
            lost[cohort, :steps] = np.maximum(series[:-1] - series[1:], 0)
    return risk, lost


def survival_curve(
    risk: npt.NDArray[np.int64] | npt.NDArray[np.float64], lost: npt.NDArray[np.int64] | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Share still there by age, from 1 at age 0 to the greatest age at which any line is at risk.

    Example:
        >>> survival_curve(np.array([[100, 80]]), np.array([[20, 40]])).tolist()
        [1.0, 0.8, 0.4]
    """
    total, gone = risk.sum(axis=0), lost.sum(axis=0)
    seen = np.flatnonzero(total > 0)
    end = int(seen[-1]) + 1 if seen.size else 0
    hazard = np.divide(gone[:end], total[:end], out=np.zeros(end), where=total[:end] > 0)
    return np.concatenate([[1.0], np.cumprod(1.0 - hazard)])


def half_point(curve: npt.NDArray[np.float64]) -> float | None:
    """Age in quarters at which a curve first reaches one half, between points by a straight line."""
    below = np.flatnonzero(curve <= 0.5)
    if not below.size:
        return None
    k = int(below[0])
    if k == 0:
        return 0.0
    high, low = float(curve[k - 1]), float(curve[k])
    return k - 1 + (high - 0.5) / (high - low)


def _half_life(
    age: str,
    language: str,
    risk: npt.NDArray[np.int64],
    lost: npt.NDArray[np.int64],
    curve: npt.NDArray[np.float64],
) -> HalfLife:
    used = np.flatnonzero(risk.sum(axis=1) > 0)
    point = half_point(curve)
    low = high = None
    years: float | NotAvailable
    if point is None:
        years = NotAvailable(
            f"more than half of the lines outlive the {(len(curve) - 1) / 4:.4g} years that can be seen"
        )
    else:
        years = round(point / 4, 3)
        rng = np.random.default_rng(20260101)
        resamples = _RESAMPLES if used.size > 1 else 0
        drawn = [rng.integers(0, used.size, used.size) for _ in range(resamples)]
        # As floating-point numbers, for which there are fast products; counts of lines are exact in them.
        weights = np.array([np.bincount(d, minlength=used.size) for d in drawn], dtype=np.float64)
        weights = weights.reshape(resamples, used.size)
        found = []
        for total, gone in zip(weights @ risk[used], weights @ lost[used], strict=True):
            picked = half_point(survival_curve(total[None, :], gone[None, :]))
            found.append(np.inf if picked is None else picked / 4)
        if found:
            bounds = np.quantile(np.array(found), [0.025, 0.975], method="inverted_cdf")
            low = round(float(bounds[0]), 3) if np.isfinite(bounds[0]) else None
            high = round(float(bounds[1]), 3) if np.isfinite(bounds[1]) else None
    return HalfLife(age, language, years, low, high, 0.95, int(used.size), SURVIVAL_METHOD)
