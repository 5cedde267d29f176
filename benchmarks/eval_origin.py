"""How often does ``preventable origin`` name the commit that brought the fault?

The truth are the advisories that name an introducing commit, of which the command is kept ignorant. The
halves are by the SHA-256 of the advisory's id: the coefficients were fitted on the even half only.

Run: ``python benchmarks/eval_origin.py REPO ADVISORIES [--without-pydriller]`` (needs the development extra; PyDriller,
where it is installed, takes minutes).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from preventable.code.history.addedtext import is_code
from preventable.code.history.commits import Commits, read_commits
from preventable.code.history.gitcall import Repository
from preventable.code.origin.fixes import Fix, Line, read_fixes
from preventable.code.origin.releases import Releases
from preventable.readers.registry import load
from preventable.records import Advisory
from preventable.studies.origin import Origins, find_origins

SEED = 20260822
RESAMPLES = 2000
REPORTED_WEIGHT = 0.2
"""Candidates of at least this weight are the set whose precision and recall are told."""


class Case(NamedTuple):
    """One fix whose introducing commit is known."""

    advisory: Advisory
    fix: int
    truth: int
    half: str


class Answer(NamedTuple):
    """What a method said about one fix."""

    ranked: Sequence[int]
    """Best first, without end where the method ranks; for set methods newest first."""
    reported: Sequence[int]
    introduced_seconds: float | None


def half_of(advisory: str) -> str:
    return "tuning" if int(hashlib.sha256(advisory.encode()).hexdigest(), 16) % 2 == 0 else "held out"


def cases_of(advisories: Sequence[Advisory], commits: Commits) -> list[Case]:
    cases = []
    for advisory in advisories:
        for span in advisory.ranges:
            if span.fixed_commit and span.introduced_commit:
                fix, truth = commits.index(span.fixed_commit), commits.index(span.introduced_commit)
                if fix is not None and truth is not None:
                    cases.append(Case(advisory, fix, truth, half_of(advisory.id)))
    return cases


def ours(origins: Origins, commits: Commits, cases: Sequence[Case]) -> dict[int, Answer]:
    rows: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in origins.candidates:
        index = commits.index(row.commit)
        assert index is not None
        rows.setdefault((row.advisory, row.fix), []).append((index, row.weight))
    lifetimes = {(f.advisory, f.fix): f.lifetime_days for f in origins.fixes}
    answers = {}
    for number, case in enumerate(cases):
        key = (case.advisory.id, commits.id(case.fix))
        found = rows.get(key, [])
        ended, lifetime = commits.commit_seconds[case.fix], lifetimes.get(key)
        answers[number] = Answer(
            [i for i, _ in found],
            [i for i, weight in found if weight >= REPORTED_WEIGHT],
            None if lifetime is None or ended is None else ended - 86400 * lifetime,
        )
    return answers


def _of_set(found: set[int], commits: Commits) -> Answer:
    ranked = sorted(found, key=lambda i: -(commits.commit_seconds[i] or 0))
    return Answer(ranked, ranked, commits.commit_seconds[ranked[0]] if ranked else None)


def newest_blamed(repository: Repository, commits: Commits, fix: Fix) -> Answer:
    """``git blame -w`` of the deleted lines, of the neighbours where nothing was deleted."""
    parents = commits.parents(fix.commit)
    found: set[int] = set()
    deleting = any(change.deleted for change in fix.changes)
    lines: dict[bytes, list[Line]] = {}
    for change in fix.changes:
        lines.setdefault(change.path, []).extend(change.deleted if deleting else change.neighbours)
    for path, wanted in lines.items():
        if not wanted or not parents:
            continue
        spans = [x for line in wanted for x in ("-L", f"{line.number + 1},{line.number + 1}")]
        output = repository.try_run(
            "blame", "-w", "-s", "-l", *spans, commits.id(parents[0]), "--", path.decode("utf-8", "surrogateescape")
        )
        for text in (output or b"").splitlines():
            index = commits.index(text.split(b" ", 1)[0].lstrip(b"^").decode())
            if index is None:  # a root commit loses a digit to its mark
                index = next((r for r in commits.roots if commits.id(r).encode().startswith(text[1:39])), None)
            if index is not None:
                found.add(index)
    return _of_set(found, commits)


def largest_in_window(
    added: Mapping[bytes, Mapping[int, int]], commits: Commits, releases: Releases, case: Case, fix: Fix
) -> Answer:
    """The commit that changed most lines of the fixed files in the first affected release."""
    version = next((r.introduced_version for r in case.advisory.ranges if r.introduced_version), None)
    window = releases.window(version) if version else None
    sizes: dict[int, int] = {}
    for path in fix.paths:
        for index, lines in added.get(path, {}).items():
            if releases.first[index] == window and index < case.fix:
                sizes[index] = sizes.get(index, 0) + lines
    ranked = sorted(sizes, key=lambda i: (-sizes[i], i))
    return Answer(ranked, ranked[:1], commits.commit_seconds[ranked[0]] if ranked else None)


def changed_lines(repository: Repository, commits: Commits) -> dict[bytes, dict[int, int]]:
    """Path → commit → lines added and deleted, renames not followed."""
    output = repository.run(
        "log", "--no-merges", "--no-renames", "--numstat", "-z", "--format=%x01%H", commits.id(len(commits) - 1)
    )
    table: dict[bytes, dict[int, int]] = {}
    for block in output.split(b"\x01")[1:]:
        index = commits.index(block[: commits.hex_length].decode())
        for row in block[commits.hex_length :].split(b"\0"):
            fields = row.strip(b"\n").split(b"\t")
            if index is not None and len(fields) == 3 and fields[0].isdigit() and is_code(fields[2]):
                table.setdefault(fields[2], {})[index] = int(fields[0]) + int(fields[1])
    return table


def pydriller(repository: Repository, commits: Commits, cases: Sequence[Case]) -> list[Answer]:
    """PyDriller's SZZ: ``Git.get_commits_last_modified_lines``. It wants a work tree: an empty one will do."""
    with tempfile.TemporaryDirectory() as directory:
        clone = ["git", "clone", "-q", "--shared", "--no-checkout", repository.git_dir, directory]
        subprocess.run(clone, check=True)
        return [_pydriller(directory, commits, case) for case in cases]


def _pydriller(path: str, commits: Commits, case: Case) -> Answer:
    from pydriller import Git  # noqa: PLC0415  (optional)

    git = Git(path)
    found: set[int] = set()
    try:
        blamed = git.get_commits_last_modified_lines(git.get_commit(commits.id(case.fix)))
        for names in blamed.values():
            found.update(i for name in names if (i := commits.index(name)) is not None)
    except Exception as error:
        print(f"PyDriller failed on {case.advisory.id}: {str(error)[:80]!r}", file=sys.stderr)
    finally:
        git.clear()
    return _of_set(found, commits)


def wilson(successes: int, n: int) -> tuple[float, float]:
    z = 1.959964
    p, d = successes / n, 1 + z * z / n
    centre, spread = p + z * z / (2 * n), z * ((p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5)
    return (centre - spread) / d, (centre + spread) / d


def measures(cases: Sequence[Case], answers: Sequence[Answer], commits: Commits) -> dict[str, str]:
    n = len(cases)

    def share(hits: int) -> str:
        low, high = wilson(hits, n)
        return f"{hits / n:.0%} [{low:.0%}, {high:.0%}]"

    first = sum(a.ranked[:1] == [c.truth] for c, a in zip(cases, answers, strict=True))
    five = sum(c.truth in a.ranked[:5] for c, a in zip(cases, answers, strict=True))
    hits = sum(c.truth in a.reported for c, a in zip(cases, answers, strict=True))
    said = sum(len(a.reported) for a in answers)
    precision, recall = hits / max(said, 1), hits / n
    true, estimated = [], []
    for case, answer in zip(cases, answers, strict=True):
        ended, began = commits.commit_seconds[case.fix], commits.commit_seconds[case.truth]
        if answer.introduced_seconds is not None and ended is not None and began is not None:
            true.append((ended - began) / 86400)
            estimated.append((ended - answer.introduced_seconds) / 86400)
    t, e = np.array(true), np.array(estimated)
    draws = np.random.default_rng(SEED).integers(0, len(t), (RESAMPLES, len(t)))
    ratio = e[draws].mean(axis=1) / t[draws].mean(axis=1) - 1
    low, high = np.quantile(ratio, [0.025, 0.975])
    return {
        "n": str(n),
        "first": share(first),
        "first five": share(five),
        "precision": f"{precision:.2f}",
        "recall": f"{recall:.2f}",
        "F1": f"{2 * precision * recall / max(precision + recall, 1e-9):.2f}",
        "dated": str(len(t)),
        "bias, days": f"{(e - t).mean():+.0f}",
        "absolute error, days": f"{np.abs(e - t).mean():.0f}",
        "mean lifetime off": f"{e.mean() / t.mean() - 1:+.1%} [{low:+.1%}, {high:+.1%}]",
    }


def evaluate(repo: str, feed: str, *, with_pydriller: bool) -> list[dict[str, str]]:
    repository = Repository(repo)
    commits = read_commits(repository)
    advisories = load(feed).advisories
    cases = cases_of(advisories, commits)
    fixes = read_fixes(repository, commits, [case.fix for case in cases])
    releases, added = Releases(repository, commits), changed_lines(repository, commits)

    def mine(affected_versions: bool) -> Callable[[], list[Answer]]:
        def run() -> list[Answer]:
            origins = find_origins(
                repository, advisories, affected_versions=affected_versions, named_origins=False, most=1000
            )
            return list(ours(origins, commits, cases).values())

        return run

    methods: dict[str, Callable[[], list[Answer]]] = {
        "origin": mine(True),
        "origin --ignore-affected-versions": mine(False),
        "largest commit in the window": lambda: [
            largest_in_window(added, commits, releases, c, fixes[c.fix]) for c in cases
        ],
        "newest blamed commit": lambda: [newest_blamed(repository, commits, fixes[c.fix]) for c in cases],
    }
    if with_pydriller:
        methods["PyDriller's SZZ, newest"] = lambda: pydriller(repository, commits, cases)
    table = []
    for name, run in methods.items():
        answers = run()
        for half in ("tuning", "held out", "all"):
            chosen = [i for i, case in enumerate(cases) if half in (case.half, "all")]
            row = measures([cases[i] for i in chosen], [answers[i] for i in chosen], commits)
            table.append({"method": name, "fixes": half, **row})
    return table


def main(arguments: Sequence[str]) -> None:
    """Print the table as Markdown."""
    paths = [a for a in arguments if not a.startswith("-")]
    if len(paths) != 2:
        sys.exit("skipped: give the path of a repository and of its advisories")
    rows = evaluate(paths[0], paths[1], with_pydriller="--without-pydriller" not in arguments)
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(row.values()) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
