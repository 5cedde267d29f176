"""What the origins of all fixes cost beside the lineage of the same history, in one run.

Run: ``python benchmarks/bench_origin.py REPO ADVISORIES``, or set PREVENTABLE_BENCH_REPO and
PREVENTABLE_BENCH_ADVISORIES. Each side is run in a process of its own, in turns, and the best of each counts.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

ROUNDS = 2
BAR = 0.20

Row = dict[str, object]


def _seconds(*arguments: str) -> tuple[float, float]:
    """Wall and processor seconds of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "preventable", *arguments, "--quiet", "--format", "json"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode > 1:
        sys.exit(f"preventable {' '.join(arguments)} ended with {done.returncode}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(repo: str | None = None, advisories: str | None = None) -> list[Row]:
    """Rows ``name, measured, bar, unit, verdict``; one that says so where an input is missing."""
    repo = repo or os.environ.get("PREVENTABLE_BENCH_REPO") or os.environ.get("PREVENTABLE_CURL_REPO")
    advisories = advisories or os.environ.get("PREVENTABLE_BENCH_ADVISORIES")
    if not repo or not advisories:
        print("skipped: origin needs PREVENTABLE_BENCH_REPO and PREVENTABLE_BENCH_ADVISORIES", file=sys.stderr)
        return [{"name": "origin", "measured": None, "bar": BAR, "unit": "share", "verdict": "skipped: no input"}]
    lineage: list[tuple[float, float]] = []
    origin: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        lineage.append(_seconds("lineage", repo, "--fresh"))
        origin.append(_seconds("origin", repo, "--advisories", advisories, "--ignore-named-commits", "--fresh"))
    rows: list[Row] = []
    for name, at in (("wall time", 0), ("processor time", 1)):
        base, whole = min(x[at] for x in lineage), min(x[at] for x in origin)
        added = round(whole / base - 1, 3)
        rows.append(
            {
                "name": f"origin of all fixes beyond lineage, {name} ({base:.1f} s and {whole:.1f} s)",
                "measured": added,
                "bar": BAR,
                "unit": "share",
                "verdict": "met" if added <= BAR else "missed",
            }
        )
    return rows


def main(arguments: Sequence[str]) -> None:
    """Print the rows."""
    for row in run(*arguments):
        print(row)


if __name__ == "__main__":
    main(sys.argv[1:])
