"""Speed of rates, lifetimes and claims: all studies on the full kernel data in 3 s, 100,000 events tested in 1 s.

    python benchmarks/bench_compare.py [KERNEL_CNA LINUX_RELEASES]

Processor seconds of this process, so that a busy machine does not tell against it. Without arguments the embedded
Linux facts stand in for the feed: the same records without their prose.
"""

from __future__ import annotations

import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from preventable.cli.study_inputs import labeller
from preventable.readers.case_file import parse_case
from preventable.studies.claims import Batch, Claim, Evidence, Sighting, describe, evaluate
from preventable.studies.compare import compare
from preventable.studies.counterparts import compare_pairs, pairs_of
from preventable.studies.ledger import Line, Look, looks_of, next_line, verify
from preventable.studies.lifetimes import lifetimes
from preventable.studies.setting import EMBEDDED_CASE, read_inputs, setting_of, text_of
from preventable.taxonomy.loader import builtin

STUDIES_SECONDS = 3.0
LEDGER_SECONDS = 1.0
NOTHING = Evidence(0, 0, 1.0, 100.0, 1.0, 1.0, 1.0, 1.0, 0.0, None)
"""Evidence of the earlier looks, which a test does not compute again."""


def run(*paths: str) -> list[dict[str, Any]]:
    """Rows ``name, measured, bar, unit, verdict``."""
    case = parse_case(*text_of(EMBEDDED_CASE, Path()))
    setting = setting_of(case)
    inputs = read_inputs(setting, Path(), list(paths), labeller=labeller(Path()), methodologies=builtin().methodologies)
    events = inputs.events.events
    claim = Claim("half", "", 0.5, date(2026, 11, 24))
    began = time.process_time()
    compare(
        events, inputs.lines(), setting.sides(), inputs.methodologies, start=inputs.start, end=inputs.end,
        readings=inputs.readings, name=setting.name,
    )  # fmt: skip
    compare_pairs(pairs_of(case), inputs, Path())
    lifetimes(
        events, start=setting.regime_start, end=inputs.end, first_date=setting.first_date, releases=inputs.releases,
        by=("all", "class", "component", "language", "year"),
    )  # fmt: skip
    describe(claim, events, inputs.lines(), inputs.methodologies, start=inputs.start, end=inputs.end)
    studies = time.process_time() - began
    lines = _ledger(claim)
    began = time.process_time()
    faults = verify(lines, every_look=False)
    looks = looks_of(lines, claim.id)
    evidence = evaluate(claim, [look.batches for look in looks], 1.0, 100.0)
    ledger = time.process_time() - began
    assert not faults
    assert evidence.events_new + evidence.events_old == 100_000
    return [
        _row("compare, pairs, lifetimes and a claim on the kernel's records", studies, STUDIES_SECONDS),
        _row("a ledger of 1,000 looks at 100,000 events, checked and tested", ledger, LEDGER_SECONDS),
    ]


def _ledger(claim: Claim) -> list[Line]:
    """1,000 looks at 100 events each; exposure grows in steps."""
    rng = np.random.default_rng(1)
    lines = [next_line([], "opened", claim.id, {"claim": claim, "claim_digest": claim.digest()})]
    batches: list[Batch] = []
    for number in range(1000):
        day = claim.opened + timedelta(days=1 + number)
        new = int(rng.binomial(100, 0.01))
        ratio = 0.01 * (1 + number // 63 / 20)
        batches.append(Batch(day, new, 100 - new, ratio, ratio))
        seen = tuple(
            Sighting(f"E-{number}-{i}", "new" if i < new else "old", day, (f"E-{number}-{i}",)) for i in range(100)
        )
        last = number == 999
        evidence = evaluate(claim, [batches], 1.0, 100.0) if last else NOTHING
        look = Look(claim.digest(), {}, str(day), str(day), seen, (batches[-1],), (), evidence, None, "open")
        lines.append(next_line(lines, "test", claim.id, msgspec.structs.asdict(look)))
    return lines


def _row(name: str, measured: float, bar: float) -> dict[str, Any]:
    return {
        "name": name,
        "measured": round(measured, 3),
        "bar": bar,
        "unit": "s",
        "verdict": "met" if measured <= bar else "missed",
    }


if __name__ == "__main__":
    for row in run(*sys.argv[1:]):
        print(f"{row['name']}: {row['measured']} {row['unit']} (bar {row['bar']}): {row['verdict']}")
