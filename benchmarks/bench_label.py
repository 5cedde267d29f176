"""Speed of labelling: records per second of processor time on one core, memory, and the time to load the model.

python benchmarks/bench_label.py kernel.jsonl        # id, title, text per line; or PREVENTABLE_BENCH_TEXTS
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

RECORDS_PER_SECOND = 5000
MEGABYTES = 400
LOAD_SECONDS = 0.2


def run(texts: str | None = None) -> list[dict[str, object]]:
    """Rows of name, measured, bar, unit, verdict; one row that says so when there is no input."""
    path = texts or os.environ.get("PREVENTABLE_BENCH_TEXTS")
    if not path or not Path(path).exists():
        return [{"name": "label", "measured": None, "bar": None, "unit": "", "verdict": "skipped: no file of texts"}]
    with Path(path).open("rb") as stream:
        count = sum(1 for line in stream if line.strip())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "preventable", "label", path, "--format", "jsonl", "-q"],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    code = (
        "import time; from preventable.classify.model import default_model as m; "
        "t = time.process_time(); m(); print(time.process_time() - t)"
    )
    loading = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    return [
        _row("label, end to end, per second of processor time", count / processor, RECORDS_PER_SECOND, "records/s"),
        _row("label, end to end, wall clock", wall, 5.0, "s", least=False),
        _row("label, peak memory", after.ru_maxrss / 1024, MEGABYTES, "MB", least=False),
        _row("load the model, processor time", loading, LOAD_SECONDS, "s", least=False),
    ]


def _row(name: str, measured: float, bar: float, unit: str, *, least: bool = True) -> dict[str, object]:
    verdict = "met" if (measured >= bar if least else measured <= bar) else "missed"
    return {"name": name, "measured": round(measured, 3), "bar": bar, "unit": unit, "verdict": verdict}


if __name__ == "__main__":
    for row in run(*sys.argv[1:2]):
        print(row)
