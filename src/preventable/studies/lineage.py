"""How old code is: surviving lines by cohort, survival and half-life of code, lines added and removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec
import numpy as np

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
from preventable.studies.line_survival import HalfLife, SurvivalPoint, survival_of

IGNORE_REVS_FILE = ".git-blame-ignore-revs"
EXAMPLES = 5


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


class Steps:
    """Tells of commits that were replayed, and of those that an earlier run had done apart.

    The last part of a checkpoint: without a state of its own, it learns that the others were restored.

    Args:
        total: commits in all.
        progress: called with commits just done and commits in all.
        resumed: called once with commits done by an earlier run and commits in all; by default ``progress``.
    """

    def __init__(
        self,
        total: int,
        progress: Callable[[int, int], None] | None,
        resumed: Callable[[int, int], None] | None,
    ) -> None:
        self._total = total
        self._progress = progress
        self._resumed = resumed or progress
        self._restored = False

    def __call__(self, steps: int) -> None:
        """Count commits."""
        tell = self._resumed if self._restored else self._progress
        self._restored = False
        if tell:
            tell(steps, self._total)

    def state(self) -> bytes:
        """Nothing."""
        return b""

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """The next count is that of the earlier run."""
        del state, paths
        self._restored = True
        return True


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
    resumed: Callable[[int, int], None] | None = None,
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
        resumed: called instead, once, with commits that an earlier run had done and commits in all.
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

    done = Steps(len(commits), progress, resumed)
    parts: list[Part] = [counter, churn, *(o for o in observers if isinstance(o, Part))]
    resumed_at = 0
    if len(parts) == 2 + len(observers):
        key = ["lineage", repository.git_dir, tip, every, age, str(replay.exact), *ignored, *sorted(cut)]
        for observer in observers:
            key += [type(observer).__qualname__, str(sorted(observer.before)), str(sorted(observer.after))]
        checkpoint = Checkpoint(key, checkpoint_directory)
        resumed_at = checkpoint.run(replay, [*parts, done], resume=resume, done=done)
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
    survival, half_life = survival_of(counter, quarters, groups, age)
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
    roots = [commits.id(index) for index in commits.roots if commits.id(index) not in cut]
    if len(roots) > 1:
        limits.append(Limit("commits without parents", len(roots), tuple(roots[:EXAMPLES])))
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
