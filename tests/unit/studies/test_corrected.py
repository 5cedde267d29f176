from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from preventable.evidence.tables import SCHEMA
from preventable.studies.audit import Audited
from preventable.studies.corrected import NO_AUDIT, corrected_share, fitting_audit, side_by_side
from preventable.studies.population import Population
from preventable.taxonomy.loader import builtin


def population(weaknesses: list[str]) -> Population:
    rows = [
        {
            "id": f"CVE-X-{i:05}",
            "weakness": w,
            "informational": None,
            "severity": None,
            "cwe": None,
            "date": date(2023 + i % 2, 1, 1),
        }
        for i, w in enumerate(weaknesses)
    ]
    schema = {name: SCHEMA["advisories"][name] for name in ("id", "weakness", "informational", "severity", "cwe")}
    frame = pl.DataFrame(rows, schema=schema | {"date": pl.Date()})
    return Population(frame, pl.DataFrame({"id": [], "component": []}), "fix", 0, 0, 0, 0)


def audited(ids: list[str], finals: list[str]) -> list[Audited]:
    return [Audited(i, w, w, w, False, "", "model") for i, w in zip(ids, finals, strict=True)]


def simulated() -> tuple[Population, list[Audited], float]:
    """40% truly temporal; the labels find three quarters of them and no others."""
    rng = np.random.default_rng(4)
    truth = rng.random(4000) < 0.4
    found = truth & (rng.random(4000) < 0.75)
    chosen = rng.choice(4000, 400, replace=False)
    records = population(["temporal" if f else "leak" for f in found])
    audit = audited([f"CVE-X-{i:05}" for i in chosen], ["temporal" if truth[i] else "leak" for i in chosen])
    return records, audit, float(truth.mean())


def test_the_audit_corrects_what_the_labels_miss() -> None:
    records, audit, truth = simulated()
    pooled = corrected_share(records, audit, builtin(), methodologies=["strict"], period="all")
    assert len(pooled) == 1
    row = pooled[0]
    assert row.raw.high < truth
    assert row.corrected.low < truth < row.corrected.high
    assert row.audit_only is not None
    assert row.corrected.high - row.corrected.low < row.audit_only.high - row.audit_only.low
    assert (row.audited, row.reader_kind) == (400, "model")


def test_periods_are_pooled_partially() -> None:
    records, audit, truth = simulated()
    rows = corrected_share(records, audit, builtin(), methodologies=["strict"], period="year")
    assert [r.period for r in rows] == ["all", "2023", "2024"]
    for row in rows[1:]:
        assert row.corrected.low < truth < row.corrected.high
        assert 0 <= row.own_weight <= 1


def test_without_audited_records_nothing_is_corrected() -> None:
    records, _, _ = simulated()
    assert corrected_share(records, audited(["CVE-Y-1"], ["leak"]), builtin()) == []
    assert fitting_audit(records, builtin(), None) == []
    unsettled = [Audited("CVE-X-00001", "leak", "null", "", True, "", "human")] * 3
    assert corrected_share(records, unsettled, builtin()) == []


def test_what_share_adds_has_the_same_members_everywhere() -> None:
    records, audit, _ = simulated()
    added = side_by_side(corrected_share(records, audit, builtin(), methodologies=["strict"], period="year"))
    assert set(added[("strict", "all")]) == set(NO_AUDIT)
    assert added[("strict", "2024")]["audited"]
