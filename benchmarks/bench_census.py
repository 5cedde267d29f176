"""Speed and memory of the census and the gate, as ratios to scc within one run.

The census counts every language; scc counts once the same files, and once C and Rust alone, which is less work.

Inputs: ``PREVENTABLE_LINUX_TREE`` (a Linux source tree) and ``PREVENTABLE_CURL_REPO`` (curl's git history), or the
two as arguments. What lacks its input is skipped and said.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPEATS = 3
SCC = ["--no-gitignore", "--no-ignore", "--no-cocomo"]
C_AND_RUST = ["-i", "c,h,rs"]
RULES = (
    '[[gate.zones]]\nname = "net"\npaths = ["net", "drivers"]\nno_new_files = ["C"]\nno_new_lines = ["C"]\n'
    'no_growth = ["unsafe_blocks"]\nsafety_comments = true\n'
)


def run(linux: str | None = None, curl: str | None = None) -> list[dict[str, Any]]:
    """Rows {name, measured, bar, unit, verdict}; ``skipped`` where the input is missing."""
    linux = linux or os.environ.get("PREVENTABLE_LINUX_TREE")
    curl = curl or os.environ.get("PREVENTABLE_CURL_REPO")
    rows: list[dict[str, Any]] = []
    if linux and Path(linux).is_dir():
        rows += _linux(linux)
    else:
        rows += [_skipped(name, bar, unit) for name, bar, unit in (
            ("census of Linux / scc, the same files", 2.0, "ratio"),
            ("census of Linux / scc of C and Rust alone", 2.0, "ratio"), ("census with coupling / scc", 4.0, "ratio"),
            ("peak memory of the census", 500, "MB"), ("gate on a 20-file change in Linux", 2.0, "s"),
        )]  # fmt: skip
    if curl and Path(curl).is_dir():
        seconds = min(
            _wall(_preventable("census", "diff", f"{curl}@HEAD~1", f"{curl}@HEAD", "-q")) for _ in range(REPEATS)
        )
        rows.append(_row("census diff of adjacent curl revisions", seconds, 1.0, "s"))
    else:
        rows.append(_skipped("census diff of adjacent curl revisions", 1.0, "s"))
    return rows


def _linux(tree: str) -> list[dict[str, Any]]:
    scc = shutil.which("scc") or str(Path(sys.executable).with_name("scc"))
    commands = {
        "all": [scc, *SCC, tree],
        "scc": [scc, *SCC, *C_AND_RUST, tree],
        "census": _preventable("census", tree, "--format", "json", "-q"),
        "coupling": _preventable("census", tree, "--format", "json", "-q", "--coupling"),
    }
    walls: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for name in (*commands, *(n for _ in range(REPEATS) for n in commands)):
        walls[name].append(_timed(commands[name]))
    best = {name: min(times[1:]) for name, times in walls.items()}
    least = {name: min(cpu for _, cpu in times) for name, times in walls.items()}
    memory = _memory(commands["census"])
    return [
        _row("census of Linux / scc, the same files", best["census"][0] / best["all"][0], 2.0, "ratio"),
        _row("the same, processor time", least["census"] / least["all"], 2.0, "ratio"),
        _row("census of Linux / scc of C and Rust alone", best["census"][0] / best["scc"][0], 2.0, "ratio"),
        _row("the same, processor time", least["census"] / least["scc"], 2.0, "ratio"),
        _row("with coupling / scc of C and Rust alone", best["coupling"][0] / best["scc"][0], 4.0, "ratio"),
        _row("the same, processor time", least["coupling"] / least["scc"], 4.0, "ratio"),
        _row("peak memory of the census, all processes", memory, 500, "MB"),
        _row("gate on a 20-file change in Linux", _gate(tree), 2.0, "s"),
    ]


def _gate(tree: str) -> float:
    """A repository made of the tree (its objects borrowed by hard copy), with 20 files changed in a second commit."""
    with tempfile.TemporaryDirectory() as directory:
        git = [
            "git",
            "--git-dir",
            f"{directory}/.git",
            "--work-tree",
            tree,
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
        ]
        git += ["-c", "gc.auto=0", "-c", "core.compression=1"]
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
        subprocess.run([*git, "add", "-A", "-f"], check=True, capture_output=True)
        subprocess.run([*git, "commit", "-qm", "base"], check=True, capture_output=True)
        listed = subprocess.run(
            [*git, "ls-files", "net/*.c"], check=True, capture_output=True, text=True
        ).stdout.split()
        for path in listed[:20]:
            text = Path(tree, path).read_bytes() + b"int one_more;\n"
            oid = subprocess.run([*git, "hash-object", "-w", "--stdin"], input=text, check=True, capture_output=True)
            cached = f"100644,{oid.stdout.decode().strip()},{path}"
            subprocess.run([*git, "update-index", "--cacheinfo", cached], check=True, capture_output=True)
        subprocess.run([*git, "commit", "-qm", "change"], check=True, capture_output=True)
        rules = Path(directory, "rules.toml")
        rules.write_text(RULES)
        bare = f"{directory}/.git"
        subprocess.run(["git", "--git-dir", bare, "config", "core.bare", "true"], check=True, capture_output=True)
        command = _preventable("gate", "--repo", bare, "--base", "HEAD~1", "--head", "HEAD", "--case", str(rules), "-q")
        return min(_wall(command) for _ in range(REPEATS))


def _preventable(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "preventable", *arguments]


def _wall(command: list[str]) -> float:
    return _timed(command)[0]


def _timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True)
    wall = time.perf_counter() - began
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command[:4]} failed: {done.stderr.decode()[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _memory(command: list[str]) -> float:
    """Largest sum of resident memory over the processes of a command, sampled."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    peak = 0.0
    while process.poll() is None:
        total = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == process.pid:  # its session
                total += int(fields[21]) * resource.getpagesize()
        peak = max(peak, total / 1e6)
        time.sleep(0.05)
    return peak


def _row(name: str, measured: float, bar: float, unit: str) -> dict[str, Any]:
    verdict = "met" if measured <= bar else "missed"
    return {"name": name, "measured": round(measured, 3), "bar": bar, "unit": unit, "verdict": verdict}


def _skipped(name: str, bar: float, unit: str) -> dict[str, Any]:
    print(f"skipped: {name}: its input is missing (see the docstring of bench_census)", file=sys.stderr)
    return {"name": name, "measured": None, "bar": bar, "unit": unit, "verdict": "skipped"}


if __name__ == "__main__":
    for result in run(*sys.argv[1:3]):
        measured = f"{result['measured']!s:>10} {result['unit']:6}"
        print(f"{result['name']:48} {measured} bar {result['bar']}: {result['verdict']}")
