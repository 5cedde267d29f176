"""Speed and memory of ``preventable ports`` beside dose-builddebcheck, in one run on the same files.

Usage::

    python benchmarks/bench_ports.py DIRECTORY [TOOL-SOURCE]

DIRECTORY holds plain ``Sources`` and ``Packages_ARCH`` files of one suite (``Packages_amd64`` among them;
with eight of them the last row but one is measured, too). Without an argument: PREVENTABLE_DEBIAN_DIR.
CPU seconds are user + system of the child process. dose answers one step for one architecture once;
Preventable parses, models, finds everything broken, and plays all levels with hubs and bootstrap.
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

SRC = Path(__file__).resolve().parents[1] / "src"


def spent(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak MB of a command."""
    code = (
        "import resource,subprocess,sys;"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(u.ru_utime+u.ru_stime,u.ru_maxrss/1024,r.returncode)"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, env=environment
    )
    wall = time.monotonic() - began
    cpu, peak, status = done.stdout.split()
    if int(status) not in (0, 1):
        raise RuntimeError(f"{command[:4]} … failed with status {status}")
    return float(cpu), wall, float(peak)


def row(name: str, measured: float, bar: float, unit: str, *, at_least: bool) -> dict[str, Any]:
    passed = measured >= bar if at_least else measured <= bar
    return {
        "name": name,
        "measured": round(measured, 3),
        "bar": bar,
        "unit": unit,
        "verdict": "met" if passed else "missed",
    }


def skipped(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "measured": None, "bar": None, "unit": "", "verdict": f"skipped: {why}"}


def run(directory: str | None = None, tool: str = "rustc") -> list[dict[str, Any]]:
    """Measure; rows without their input say so."""
    place = directory or os.environ.get("PREVENTABLE_DEBIAN_DIR")
    if not place or not (Path(place) / "Packages_amd64").is_file():
        return [skipped("ports", "no directory with Sources and Packages_amd64 (PREVENTABLE_DEBIAN_DIR)")]
    folder = Path(place)
    sources, amd64 = str(folder / "Sources"), str(folder / "Packages_amd64")
    every = sorted(str(p) for p in folder.glob("Packages_*") if p.suffix == "")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPATH": str(SRC), "XDG_CACHE_HOME": cache}
        # As in an installed package, modules are compiled once, not at every start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = f"{cache}/bytecode"
        spent([sys.executable, "-m", "preventable", "ports", "--help"], environment)
        base = [sys.executable, "-m", "preventable", "ports", "-q", "--format", "json", "--sources", sources]
        one = [*base, "--packages", amd64, "--remove", tool]
        own_cpu, _, own_peak = spent([*one, "--no-cache"], environment)
        if shutil.which("dose-builddebcheck"):
            dose = ["dose-builddebcheck", "--deb-native-arch=amd64", "-f", amd64, sources]
            dose_cpu, _, dose_peak = spent(dose)
            rows.append(row("CPU of dose, one step / all levels here", dose_cpu / own_cpu, 12, "×", at_least=True))
            rows.append(row("memory of dose / here", dose_peak / own_peak, 1, "×", at_least=True))
        else:
            rows.append(skipped("CPU against dose", "dose-builddebcheck is not installed"))
        rows.append(row("peak memory, one architecture", own_peak, 600, "MB", at_least=False))
        if len(every) >= 8:
            eight = [*base, "--remove", tool, "--no-cache"]
            for file in every[:8]:
                eight += ["--packages", file]
            _, one_wall, _ = spent([*one, "--no-cache"], environment)
            eight_cpu, eight_wall, _ = spent(eight, environment)
            rows.append(row("eight architectures / one, wall", eight_wall / one_wall, 3, "×", at_least=False))
            rows.append(row("eight architectures / one, CPU", eight_cpu / own_cpu, 3, "×", at_least=False))
        else:
            rows.append(skipped("eight architectures", f"only {len(every)} Packages files"))
        spent(one, environment)
        second = [*base, "--packages", amd64, "--remove", "ghc"]
        times = [spent(second, environment) for _ in range(3)]
        rows.append(row("second question, wall", min(t[1] for t in times), 0.5, "s", at_least=False))
        rows.append(row("second question, CPU", min(t[0] for t in times), 0.5, "s", at_least=False))
    assert resource.RUSAGE_CHILDREN
    return rows


if __name__ == "__main__":
    for result in run(*sys.argv[1:]):
        print(f"{result['name']:<45} {result['measured']} {result['unit']}  bar {result['bar']}  {result['verdict']}")
