"""The bars of the backbone: reading, labelling, a cold and a warm assessment, and the start of the program.

The input is ``kernel-cna.tar.zst``, in the directory that PREVENTABLE_SHARED names or in ``../shared/data``.
Times of whole commands are the best of a few runs, since other work on the machine only ever adds to them.
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

import zstandard

from preventable.classify.text_rules import label_by_rules
from preventable.readers.registry import load

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("PREVENTABLE_SHARED") or ROOT / ".." / "shared" / "data")
KERNEL = SHARED / "kernel-cna.tar.zst"
Row = dict[str, object]


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
        rows.append(_at_most("assess, cold", min(t for t, _ in cold), 12.0, "s"))
        rows.append(_at_most("assess, cold, peak memory", max(m for _, m in cold) / 1e6, 500.0, "MB"))
        rows.append(_at_most("assess, warm", min(_command([*words, f"{directory}/0"])[0] for _ in range(3)), 2.0, "s"))
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
    return min(_command(words)[0] for _ in range(runs))


def _command(words: list[str]) -> tuple[float, float]:
    """Wall seconds and peak resident bytes of one run in a fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'preventable', *sys.argv[1:]], stdout=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    if words == ["--help"]:  # too short to afford a second interpreter around it
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "preventable", *words], env=environment, stdout=subprocess.DEVNULL, check=True
        )
        return time.perf_counter() - began, 0.0
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    seconds = time.perf_counter() - began
    status, kilobytes = map(int, done.stdout.split())
    if status not in (0, 1):
        raise RuntimeError(f"preventable {' '.join(words)} ended with status {status}")
    return seconds, kilobytes * (1024.0 if sys.platform != "darwin" else 1.0)


def _at_most(name: str, measured: float, bar: float, unit: str) -> Row:
    verdict = "met" if measured <= bar else f"missed ({measured / bar:.2f} times the bar)"
    return {"name": name, "measured": measured, "bar": f"<= {bar:g}", "unit": unit, "verdict": verdict}


def _at_least(name: str, measured: float, bar: float, unit: str) -> Row:
    verdict = "met" if measured >= bar else f"missed ({measured / bar:.2f} of the bar)"
    return {"name": name, "measured": measured, "bar": f">= {bar:,.0f}", "unit": unit, "verdict": verdict}


if __name__ == "__main__":
    for row in run():
        print(row)
