"""Speed and memory of lineage against printing the same history, in one run.

    python benchmarks/bench_lineage.py PATH      or  PREVENTABLE_BENCH_REPO=PATH

PATH is a clone of curl (or another repository). Ratios are of wall times in this run; those of processor time stand
beside them, for on a machine that has other work to do wall times of one process and of several do not compare.
PyDriller and git-of-theseus, where installed, work on a part (2,000 commits; two minutes, PREVENTABLE_BENCH_SECONDS
changes that), which is scaled by their own counts.
"""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROUNDS = int(os.environ.get("PREVENTABLE_BENCH_ROUNDS", "3"))
PYDRILLER_COMMITS = 2000
THESEUS_SECONDS = float(os.environ.get("PREVENTABLE_BENCH_SECONDS", "120"))
INTERVALS = {"quarter": 7_889_400, "month": 2_629_800, "week": 604_800}
"""Seconds between two snapshots of git-of-theseus; a week is its default."""

Row = dict[str, object]

_PYDRILLER = """
import sys, time
from itertools import islice
from pydriller import Repository
began = time.monotonic()
commits = 0
for commit in islice(Repository(sys.argv[1], order="reverse").traverse_commits(), int(sys.argv[2])):
    commits += 1
    for file in commit.modified_files:
        file.diff_parsed
print(commits, time.monotonic() - began)
"""


def _tree_kilobytes(root: int) -> int:
    """Resident memory of a process and its descendants, shared pages counted once per process (Pss)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def _timed(
    command: list[str], cwd: str | None = None, environment: dict[str, str] | None = None
) -> tuple[float, float, int]:
    """Wall and processor seconds, and peak memory in kilobytes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    peak = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.25):
            peak = max(peak, _tree_kilobytes(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    seconds = time.monotonic() - began
    over.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def _clone(path: str, directory: str) -> str:
    """Both tools want a clone with a work tree and a branch of its own."""
    clone = str(Path(directory) / "clone")
    subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", path, clone], check=True)
    subprocess.run(["git", "-C", clone, "update-ref", "refs/heads/master", "HEAD"], check=True)
    return clone


def _pydriller(path: str, ours: float, commits: int) -> Row:
    """PyDriller reads the diffs of the newest commits; scaled to all of them."""
    name = f"lineage, both ages: times faster than PyDriller's diffs ({PYDRILLER_COMMITS:,} commits, scaled)"
    if importlib.util.find_spec("pydriller") is None:
        return _skipped(name, "PyDriller is not installed")
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [sys.executable, "-c", _PYDRILLER, _clone(path, out), str(PYDRILLER_COMMITS)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    count, seconds = done.stdout.split()
    return _row(name, float(seconds) / int(count) * commits / ours, 20.0)


def _theseus(path: str, every: str, ours: str, seconds_of_ours: float) -> Row:
    """git-of-theseus for some time; scaled by its own count of pairs of commit and file.

    A line has one age for it, that of its last touch; so ours is the run for that age.

    Its first minutes go to the oldest commits, which had few files and short histories, and the time that it takes
    to list commits and entries is scaled too. Both errors are small beside each other.
    """
    name = (
        f"lineage, last touched, every {ours}: times faster than git-of-theseus every {every} "
        f"({THESEUS_SECONDS:.0f} s, scaled by its own count)"
    )
    program = Path(sys.executable).with_name("git-of-theseus-analyze")
    if not program.exists():
        return _skipped(name, "git-of-theseus is not installed")
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryFile() as log:
        clone = _clone(path, out)
        process = subprocess.Popen(
            [
                program,
                "--outdir",
                out,
                "--interval",
                str(INTERVALS[every]),
                "--procs",
                "2",
                "--branch",
                "master",
                clone,
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        began = time.monotonic()
        try:
            process.wait(THESEUS_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        seconds = time.monotonic() - began
        log.seek(0)
        counts = re.findall(rb"Entries Processed[^\r\n]*?(\d+)/(\d+) \[", log.read())
    if not counts or not int(counts[-1][0]):
        return _skipped(name, "it had not begun to blame when the time was over")
    return _row(name, seconds * int(counts[-1][1]) / int(counts[-1][0]) / seconds_of_ours, 200.0)


def _skipped(name: str, why: str) -> Row:
    print(f"bench_lineage: skipped: {why}", file=sys.stderr)
    return {"name": name, "measured": None, "bar": None, "unit": "times", "verdict": f"skipped: {why}"}


def _row(name: str, times: float, bar: float) -> Row:
    return {
        "name": name,
        "measured": round(times, 1),
        "bar": bar,
        "unit": "times",
        "verdict": "met" if times >= bar else "missed",
    }


def run(repository: str | None = None) -> list[Row]:
    """Rows ``name, measured, bar, unit, verdict``; the best of three rounds for every command."""
    path = repository or os.environ.get("PREVENTABLE_BENCH_REPO") or os.environ.get("PREVENTABLE_CURL_REPO")
    if not path:
        print("bench_lineage: skipped: give a repository by argument or PREVENTABLE_BENCH_REPO", file=sys.stderr)
        return []
    best: dict[str, float] = {}
    work: dict[str, float] = {}
    peak = 0
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        ours = [sys.executable, "-m", "preventable", "lineage", path, "--format", "json", "--quiet", "--fresh"]
        commands = {
            "git log": ["git", "log", "--no-merges", "-p", "-U0"],
            "last touched": [*ours, "--age", "last-touched"],
            "both ages": ours,
            "every month": [*ours, "--age", "last-touched", "--snapshots", "month"],
        }
        for _ in range(ROUNDS):
            for name, command in commands.items():
                inside = path if name == "git log" else None
                seconds, processor, kilobytes = _timed(command, inside, environment)
                best[name] = min(best.get(name, seconds), seconds)
                work[name] = min(work.get(name, processor), processor)
                if name != "git log":
                    peak = max(peak, kilobytes)
    rows: list[Row] = []
    for name, bar in (("last touched", 0.75), ("both ages", 1.0)):
        ratio = best[name] / best["git log"]
        rows.append(
            {
                "name": f"lineage, {name}: wall time over git log -p -U0 ({best['git log']:.1f} s)",
                "measured": round(ratio, 3),
                "bar": bar,
                "unit": "ratio",
                "verdict": "met" if ratio <= bar else "missed",
            }
        )
        rows.append(
            {
                "name": f"lineage, {name}: processor time over git log -p -U0 ({work['git log']:.1f} s)",
                "measured": round(work[name] / work["git log"], 3),
                "bar": None,
                "unit": "ratio",
                "verdict": f"for the record: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
            }
        )
    rows.append(
        {
            "name": "lineage: peak memory of all its processes",
            "measured": round(peak / 1024),
            "bar": 300,
            "unit": "MB",
            "verdict": "met" if peak / 1024 <= 300 else "missed",
        }
    )
    count = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"], cwd=path, stdout=subprocess.PIPE, text=True, check=True
    )
    rows.append(_pydriller(path, best["both ages"], int(count.stdout)))
    rows += [
        _theseus(path, "quarter", "quarter", best["last touched"]),
        _theseus(path, "month", "month", best["every month"]),
        _theseus(path, "week", "quarter", best["last touched"]),
    ]
    return rows


if __name__ == "__main__":
    for row in run(*sys.argv[1:2]):
        print(row)
