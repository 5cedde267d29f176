"""``python -m benchmarks``: runs every ``bench_*.py`` beside this file and prints one table.

Each module has ``run() -> list[dict]`` with rows ``name, measured, bar, unit, verdict``. A verdict that begins with
``missed`` makes the exit status 1; ``skipped`` says loudly which input was absent. Names given as arguments choose modules
(``python -m benchmarks backbone``).
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> int:
    """Run them and return the exit status."""
    chosen = set(sys.argv[1:])
    modules = sorted(p.stem for p in Path(__file__).parent.glob("bench_*.py"))
    rows: list[dict[str, object]] = []
    for module in modules:
        if chosen and module.removeprefix("bench_") not in chosen:
            continue
        print(f"running {module} ...", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"benchmarks.{module}").run()
    width = max((len(str(row["name"])) for row in rows), default=4)
    print(f"{'benchmark':<{width}}  {'measured':>10}  {'bar':>12}  unit      verdict")
    for row in rows:
        measured = row["measured"]
        shown = f"{measured:,.3g}" if isinstance(measured, float) and measured < 1000 else f"{_text(measured)}"
        print(
            f"{row['name']!s:<{width}}  {shown:>10}  {_text(row['bar']):>12}  {row['unit'] or '':<8}  {row['verdict']}"
        )
    missed = [row for row in rows if str(row["verdict"]).startswith("missed")]
    skipped = [row for row in rows if str(row["verdict"]).startswith("skipped")]
    print(f"{len(rows)} measured, {len(missed)} missed, {len(skipped)} SKIPPED", file=sys.stderr)
    return 1 if missed else 0


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
