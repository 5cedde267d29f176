"""Speed and memory of lineage against printing the same history, in one run.

    python benchmarks/bench_lineage.py PATH      or  PREVENTABLE_BENCH_REPO=PATH

PATH is a clone of curl (or another repository). Ratios are of wall times in this run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROUNDS = 3


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


def _timed(command: list[str], cwd: str | None = None, environment: dict[str, str] | None = None) -> tuple[float, int]:
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
    return seconds, peak


def run(repository: str | None = None) -> list[dict[str, object]]:
    """Rows ``name, measured, bar, unit, verdict``; the best of three rounds for every command."""
    path = repository or os.environ.get("PREVENTABLE_BENCH_REPO")
    if not path:
        print("bench_lineage: skipped: give a repository by argument or PREVENTABLE_BENCH_REPO", file=sys.stderr)
        return []
    best: dict[str, float] = {}
    peak = 0
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        ours = [sys.executable, "-m", "preventable", "lineage", path, "--format", "json", "--quiet", "--fresh"]
        commands = {
            "git log": ["git", "log", "--no-merges", "-p", "-U0"],
            "last touched": [*ours, "--age", "last-touched"],
            "both ages": ours,
        }
        for _ in range(ROUNDS):
            for name, command in commands.items():
                inside = path if name == "git log" else None
                seconds, kilobytes = _timed(command, inside, environment)
                best[name] = min(best.get(name, seconds), seconds)
                if name != "git log":
                    peak = max(peak, kilobytes)
    rows: list[dict[str, object]] = []
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
            "name": "lineage: peak memory of all its processes",
            "measured": round(peak / 1024),
            "bar": 300,
            "unit": "MB",
            "verdict": "met" if peak / 1024 <= 300 else "missed",
        }
    )
    return rows


if __name__ == "__main__":
    for row in run(*sys.argv[1:2]):
        print(row)
