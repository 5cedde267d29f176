"""The bars of the backbone: reading, labelling, a cold and a warm assessment, and the start of the program.

The input is ``kernel-cna.tar.zst``, in the directory that PREVENTABLE_SHARED names or in ``../shared/data``.
Times of whole commands are the best of a few runs, since other work on the machine only ever adds to them; beside
the wall seconds stand the CPU seconds, which a busy machine hardly changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import zstandard

from preventable.classify.text_rules import label_by_rules
from preventable.readers.registry import load

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("PREVENTABLE_SHARED") or ROOT / ".." / "shared" / "data")
KERNEL = SHARED / "kernel-cna.tar.zst"
Row = dict[str, object]


class Cost(NamedTuple):
    """What one run of the program took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: float


def run(archive: Path = KERNEL) -> list[Row]:
    """All rows; those that need the archive are skipped, and say so, without it."""
    rows = [_at_most("preventable --help", _best_wall(["--help"], runs=5), 0.3, "s")]
    if not archive.exists():
        print(f"SKIPPED: {archive} is not there; set PREVENTABLE_SHARED", file=sys.stderr)
        return [
            *rows,
            {"name": "backbone", "measured": None, "bar": None, "unit": "", "verdict": f"skipped: no {archive}"},
        ]
    bare = min(_cpu(lambda: _bare_loop(archive)) for _ in range(3))
    ours = min(_cpu(lambda: load(str(archive))) for _ in range(3))
    rows.append(_at_most("read kernel-cna / bare zstd+tar+json loop", ours / bare, 3.0, "x CPU"))
    records = load(str(archive)).advisories
    seconds = min(_cpu(lambda: [label_by_rules(a) for a in records]) for _ in range(2))
    rows.append(_at_least("label by rules", len(records) / seconds, 5000, "rec/s"))
    with tempfile.TemporaryDirectory() as directory:
        words = ["assess", "--advisories", str(archive), "--quiet", "--out"]
        cold = [_command([*words, f"{directory}/{i}"]) for i in range(2)]
        warm = [_command([*words, f"{directory}/0"]) for _ in range(3)]
        for name, runs, bar in (("cold", cold, 12.0), ("warm", warm, 2.0)):
            rows.append(_at_most(f"assess, {name}, CPU", min(r.cpu_seconds for r in runs), bar, "s CPU"))
            rows.append(_on_an_idle_machine(_at_most(f"assess, {name}", min(r.seconds for r in runs), bar, "s")))
        rows.append(_at_most("assess, cold, peak memory", max(r.peak_bytes for r in cold) / 1e6, 500.0, "MB"))
    return rows


def _bare_loop(archive: Path) -> int:
    """The least that any reader of the archive must do."""
    count = 0
    with (
        archive.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        for info in tar:
            if info.name.endswith(".json"):
                stream = tar.extractfile(info)
                assert stream is not None
                json.loads(stream.read())
                count += 1
    return count


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _best_wall(words: list[str], runs: int) -> float:
    return min(_command(words).seconds for _ in range(runs))


def _command(words: list[str]) -> Cost:
    """One run in a fresh process, asked of the kernel by the process itself when it ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "preventable", *words], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode not in (0, 1):
        raise RuntimeError(f"preventable {' '.join(words)} ended with status {process.returncode}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


def _on_an_idle_machine(row: Row) -> Row:
    """A bar in wall seconds that was missed while others had the cores says nothing about the program."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    if str(row["verdict"]).startswith("missed") and load > cores + 1:
        row["verdict"] = f"unsettled: {load:.0f} processes share {cores} cores; see the CPU seconds"
    return row


def _at_most(name: str, measured: float, bar: float, unit: str) -> Row:
    verdict = "met" if measured <= bar else f"missed ({measured / bar:.2f} times the bar)"
    return {"name": name, "measured": measured, "bar": f"<= {bar:g}", "unit": unit, "verdict": verdict}


def _at_least(name: str, measured: float, bar: float, unit: str) -> Row:
    verdict = "met" if measured >= bar else f"missed ({measured / bar:.2f} of the bar)"
    return {"name": name, "measured": measured, "bar": f">= {bar:,.0f}", "unit": unit, "verdict": verdict}


if __name__ == "__main__":
    for row in run():
        print(row)
