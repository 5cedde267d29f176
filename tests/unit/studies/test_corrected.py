from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from preventable.classify.examples import audit_ids, readings
from preventable.classify.model import held_out_classes
from preventable.classify.training import FOLDS
from preventable.errors import InputError
from preventable.evidence.tables import SCHEMA, Evidence
from preventable.stats.ppi import AUDIT_ALONE
from preventable.studies.audit import Audited
from preventable.studies.corrected import (
    CorrectedRow,
    audit_remarks,
    corrected_share,
    fitting_audit,
)
from preventable.studies.embedded import load_facts
from preventable.studies.population import Filters, Population, select
from preventable.taxonomy.loader import builtin


def population(weaknesses: list[str]) -> Population:
    rows = [
        {
            "id": f"CVE-X-{i:05}",
            "feed": "osv",
            "aliases": [f"GHSA-{i}"],
            "weakness": w,
            "label_source": "cwe",
            "informational": None,
            "severity": None,
            "cwe": None,
            "date": date(2023 + i % 2, 1, 1),
        }
        for i, w in enumerate(weaknesses)
    ]
    schema = {
        name: SCHEMA["advisories"][name]
        for name in ("id", "feed", "aliases", "weakness", "label_source", "informational", "severity", "cwe")
    }
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
    assert fitting_audit(records, builtin()) == []
    unsettled = [Audited("CVE-X-00001", "leak", "null", "", True, "", "human")] * 3
    assert corrected_share(records, unsettled, builtin()) == []


def test_an_audit_of_aliases_is_one_of_the_records() -> None:
    records, audit, _ = simulated()
    renamed = [msgspec.structs.replace(a, id=f"GHSA-{int(a.id[-5:])}") for a in audit]
    assert corrected_share(records, renamed, builtin()) == corrected_share(records, audit, builtin())
    by_alias = audited(["alias of a", "b"], ["leak", "leak"])
    assert audit_remarks(evidence(["a", "b"]), by_alias, Path("t.csv")) == []


def drawn(truth: list[bool], strata: list[str], sizes: dict[str, int]) -> list[Audited]:
    """A perfect reading of a sample by strata."""
    rng = np.random.default_rng(5)
    audit = []
    for name, size in sizes.items():
        members = [i for i, s in enumerate(strata) if s == name]
        for i in rng.choice(members, size, replace=False):
            w = "temporal" if truth[i] else "leak"
            audit.append(Audited(f"CVE-X-{i:05}", w, w, w, False, "", "human", name, len(members) / size))
    return audit


def test_a_sample_by_strata_is_weighted() -> None:
    """Nine tenths of the records are of one big stratum that gives half of the sample."""
    truth = [True] * 900 + [False] * 100
    strata = ["big"] * 900 + [f"small {i}" for i in range(100)]
    audit = drawn(truth, strata, {"big": 100} | {f"small {i}": 1 for i in range(100)})
    records = population(["temporal" if t else "leak" for t in truth])
    for row in corrected_share(records, audit, builtin(), methodologies=["strict"], period="year"):
        assert row.period == "all"  # a year holds records of both weights
        assert row.audit_only is not None
        assert row.corrected.value == pytest.approx(0.9)
        assert row.audit_only.value == pytest.approx(0.9)
        assert row.corrected.low < 0.9 < row.corrected.high < 1
        assert row.corrected.method == "ppi++, weighted"


def test_the_settled_stand_for_the_unsettled_of_their_stratum() -> None:
    """Of 38 drawn of the big stratum 4 are settled: they stand for 532 records of 1,000, not for 56."""
    truth = [True] * 532 + [False] * 468
    strata = ["big"] * 532 + ["small"] * 468
    audit = drawn(truth, strata, {"big": 38, "small": 62})
    kept = [a.id for a in audit if a.stratum == "big"][:4]
    audit = [a if a.stratum == "small" or a.id in kept else msgspec.structs.replace(a, final="") for a in audit]
    audit.append(Audited("CVE-elsewhere", "leak", "null", "", False, "", "human", "big", 14.0))
    records = population(["leak"] * 1000)

    def strict(given: Population) -> CorrectedRow:
        return corrected_share(given, audit, builtin(), methodologies=["strict"], period="all")[0]

    row = strict(records)
    assert row.audited == 66
    assert row.audit_only is not None
    assert row.audit_only.value == pytest.approx(0.532)
    assert row.corrected.low < 0.532 < row.corrected.high
    # Filters that leave a part: only what was drawn of it counts, settled or not.
    gone = {a.id for a in audit if a.stratum == "big" and not a.final}
    part = strict(msgspec.structs.replace(records, records=records.records.filter(~pl.col("id").is_in(list(gone)))))
    assert part.audit_only is not None
    assert part.audit_only.value == pytest.approx(56 / (56 + 468))
    # Another row settles a record by its alias: it is not open.
    open_ones = [a for a in audit if not a.final][:3]
    audit += [msgspec.structs.replace(a, id=f"GHSA-{int(a.id[-5:])}", final="temporal") for a in open_ones]
    row = strict(records)
    assert row.audited == 69
    assert row.audit_only is not None
    assert row.audit_only.value == pytest.approx(0.532)


def test_coverage_where_much_of_a_stratum_is_not_settled() -> None:
    """At random within its stratum: 150 repeats, by the audit alone and corrected, printed."""
    rng = np.random.default_rng(14)
    sizes, shares, numbers, settled = (2700, 1300), (0.55, 0.25), (100, 100), (20, 100)
    strata = np.repeat(["big", "small"], sizes)
    found = []
    for _ in range(150):
        truth = rng.random(4000) < np.repeat(shares, sizes)
        shown = np.where(rng.random(4000) < 0.8, truth, ~truth)
        audit = []
        for name, size, number, some in zip(("big", "small"), sizes, numbers, settled, strict=True):
            for at, i in enumerate(rng.choice(np.flatnonzero(strata == name), number, replace=False)):
                w = "temporal" if truth[i] else "leak"
                audit.append(
                    Audited(f"CVE-X-{i:05}", w, w, w if at < some else "", False, "", "human", name, size / number)
                )
        records = population(["temporal" if s else "leak" for s in shown])
        row = corrected_share(records, audit, builtin(), methodologies=["strict"], period="all", held_out={})[0]
        assert row.audit_only is not None
        true = truth.mean()
        found.append([x for e in (row.corrected, row.audit_only) for x in (e.value - true, e.low <= true <= e.high)])
    bias, held, bias_alone, held_alone = np.mean(found, axis=0)
    print(
        f"\n20 of 100 settled in the big stratum: corrected {bias:+.4f}, covers {held:.3f}; "
        f"audit alone {bias_alone:+.4f}, {held_alone:.3f}"
    )
    assert abs(bias) < 0.015
    assert abs(bias_alone) < 0.02
    assert min(held, held_alone) >= 0.92


def test_years_of_one_stratum_each_stay_years_where_some_are_not_settled() -> None:
    truth = [i % 3 == 0 for i in range(1000)]
    strata = [str(2023 + i % 2) for i in range(1000)]
    audit = drawn(truth, strata, {"2023": 250, "2024": 50})
    audit[7:20] = [msgspec.structs.replace(a, final="") for a in audit[7:20]]
    rows = corrected_share(
        population(["leak"] * 1000), audit, builtin(), methodologies=["strict"], period="year", held_out={}
    )
    assert [r.period for r in rows] == ["all", "2023", "2024"]
    assert [r.audited for r in rows] == [287, 237, 50]


def test_a_small_audit_has_one_interval() -> None:
    """The exact one, in both columns; nothing is made up for periods that it does not reach."""
    records = population(["temporal" if i % 5 == 0 else "leak" for i in range(1000)])
    audit = audited([f"CVE-X-{i:05}" for i in range(0, 40, 2)], ["temporal"] * 3 + ["leak"] * 17)  # all of 2023
    rows = corrected_share(records, audit, builtin(), methodologies=["strict"], period="year")
    assert [(r.period, r.audited) for r in rows] == [("all", 20), ("2023", 20)]
    for row in rows:
        assert row.corrected.method == AUDIT_ALONE
        assert row.audit_only == row.corrected
        assert (round(row.corrected.low, 3), round(row.corrected.high, 3)) == (0.032, 0.379)


def test_a_sample_by_year_still_has_years() -> None:
    truth = [i % 3 == 0 for i in range(1000)]
    strata = [str(2023 + i % 2) for i in range(1000)]
    audit = drawn(truth, strata, {"2023": 250, "2024": 50})
    records = population(["temporal" if t else "leak" for t in truth])
    rows = corrected_share(records, audit, builtin(), methodologies=["strict"], period="year")
    assert [r.period for r in rows] == ["all", "2023", "2024"]


def evidence(ids: list[str]) -> Evidence:
    frames = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMA.items()}
    frames["advisories"] = pl.DataFrame(
        {"id": ids, "aliases": [[f"alias of {i}"] for i in ids]},
        schema={n: SCHEMA["advisories"][n] for n in ("id", "aliases")},
    )
    return Evidence(**frames, reports=())


def test_what_an_audit_cannot_speak_for_is_said() -> None:
    audit = audited(["a", "b", "c", "d"], ["leak", "unknown", "leak", "leak"])
    assert audit_remarks(evidence(["a", "c", "d"]), [audit[0], audit[2]], Path("t.csv")) == []
    audit[3] = Audited("d", "leak", "null", "", False, "", "human")
    found = audit_remarks(evidence(["a", "b", "d"]), audit, Path("t.csv"))
    assert [words.split(" ")[0] for words in found] == ["1", "1"], "read as unknown is a reading"
    assert "such as c" in found[0]
    assert "not settled, and the others stand for them" in found[1]
    audit[0] = Audited("a", "leak", "leak", "leak", False, "", "human", "s", 2.0)
    assert any("3 audited records have no weight" in words for words in audit_remarks(evidence(["a"]), audit, Path()))
    with pytest.raises(InputError, match=r"none of its 4 ids"):
        audit_remarks(evidence(["x"]), audit, Path("t.csv"))
    with pytest.raises(InputError, match=r"the table is empty.*t\.csv"):
        audit_remarks(evidence(["x"]), [], Path("t.csv"))


def test_an_audit_that_corrects_nothing_says_so() -> None:
    audit = audited(["a", "b", "z"], ["leak", "leak", "leak"])
    assert not any("nothing is corrected" in s for s in audit_remarks(evidence(["a", "b"]), audit, Path()))
    (said,) = audit_remarks(evidence(["a", "b"]), audit[:1], Path())
    assert said == "fewer than two of its records are settled and among these records: nothing is corrected"
    assert audit_remarks(evidence(["a"]), audit, Path())[-1] == said
    audit[1] = msgspec.structs.replace(audit[1], final="")
    assert audit_remarks(evidence(["a", "b"]), audit[:2], Path())[-1] == said


def test_strata_of_which_nothing_is_settled_are_named() -> None:
    strata = {"a": "2023", "b": "2024", "c": "2024", "d": "2025", "e": "2026"}
    audit = [
        Audited(i, "leak", "null", "leak" if i in "ab" else "", False, "", "human", s, 2.0) for i, s in strata.items()
    ]
    found = audit_remarks(evidence(["a", "b", "c", "d"]), audit, Path())  # e of 2026 is not among these records
    assert found[1].startswith(
        "2 of 5 audited records are not settled, and the settled ones of their stratum stand for"
    )
    assert found[2] == "nothing is settled of 1 strata, for which the others stand: 2025"
    simple = [msgspec.structs.replace(a, stratum="", weight=None) for a in audit]
    assert not any("strata" in s for s in audit_remarks(evidence(["d", "e"]), simple, Path()))


def test_the_built_in_audit_speaks_for_the_kernel_alone() -> None:
    facts = load_facts()
    kernel = select(facts)
    assert len(fitting_audit(kernel, builtin())) >= 400
    foreign = kernel.records.head(1).with_columns(pl.lit("GHSA-1").alias("id"), pl.lit("osv").alias("feed"))
    mixed = msgspec.structs.replace(kernel, records=pl.concat([kernel.records, foreign]))
    assert fitting_audit(mixed, builtin()) == []
    few = select(facts, Filters(components=("net",)))
    here = len(set(few.records["id"]) & audit_ids())
    assert 2 <= here < 100
    row = corrected_share(few, fitting_audit(few, builtin()), builtin(), methodologies=["strict"], period="all")[0]
    assert (row.audited, row.corrected.method) == (here, AUDIT_ALONE)


def test_labels_of_texts_that_trained_the_model_are_replaced() -> None:
    """The model knows by heart what it was told: 40% are temporal and it says so, but not of the audited records."""
    rng = np.random.default_rng(6)
    truth = rng.random(4000) < 0.4
    unseen = truth & (rng.random(4000) < 0.75)
    chosen = rng.choice(4000, 400, replace=False)
    audited_ones = np.isin(np.arange(4000), chosen)
    shown = np.where(audited_ones, unseen, truth)
    records = population(["temporal" if f else "leak" for f in shown])
    by_model = msgspec.structs.replace(records, records=records.records.with_columns(label_source=pl.lit("model")))
    audit = audited([f"CVE-X-{i:05}" for i in chosen], ["temporal" if truth[i] else "leak" for i in chosen])
    known = {f"CVE-X-{i:05}": ("temporal" if unseen[i] else "leak",) for i in range(4000) if not audited_ones[i]}

    def pooled(given: Population, held_out: dict[str, tuple[str, ...]]) -> CorrectedRow:
        return corrected_share(given, audit, builtin(), methodologies=["strict"], period="all", held_out=held_out)[0]

    assert pooled(by_model, {}).corrected.low > truth.mean()
    assert pooled(records, known) == pooled(by_model, {})  # labels of another source are left as they are
    row = pooled(by_model, known)
    assert row.corrected.low < truth.mean() < row.corrected.high
    assert row.raw == pooled(by_model, {}).raw
    aliased = {f"GHSA-{int(i.removeprefix('CVE-X-'))}": w for i, w in known.items()}
    assert pooled(by_model, aliased) == row


def test_audited_records_count_by_the_mean_of_all_unseen_fits() -> None:
    """Four fits of different quality, and shown labels that are better: only the mean over all fits is unbiased."""
    rng = np.random.default_rng(11)
    values = []
    for _ in range(40):
        truth = rng.random(4000) < 0.4
        fits = truth[:, None] & (rng.random((4000, 4)) < (0.5, 0.7, 0.8, 1.0))
        own = fits[np.arange(4000), rng.integers(0, 4, 4000)]
        chosen = rng.choice(4000, 400, replace=False)
        records = population(["temporal" if t else "leak" for t in truth])
        by_model = msgspec.structs.replace(records, records=records.records.with_columns(label_source=pl.lit("model")))
        audit = audited([f"CVE-X-{i:05}" for i in chosen], ["temporal" if truth[i] else "leak" for i in chosen])
        held = {
            f"CVE-X-{i:05}": tuple("temporal" if f else "leak" for f in (fits[i] if i in chosen else own[i : i + 1]))
            for i in range(4000)
        }
        found = corrected_share(by_model, audit, builtin(), methodologies=["strict"], period="all", held_out=held)[0]
        assert found.corrected.method == "ppi++"
        values.append((found.corrected.value, truth.mean(), found.corrected.low, found.corrected.high))
    value, true, low, high = np.array(values).T
    assert abs((value - true).mean()) < 0.006
    assert ((low < true) & (true < high)).mean() >= 0.9


def test_records_that_a_definition_does_not_admit_shift_nothing() -> None:
    """They lie among the others, and a fit took all of them for what they are not."""
    records, audit, _ = simulated()
    known = {i: (w,) for i, w in records.records.select("id", "weakness").iter_rows()}
    frame = records.records.with_columns(label_source=pl.lit("model"))
    notes = frame.head(1000).with_columns(
        id=pl.col("id") + pl.lit("x"),
        informational=pl.lit("notice"),
        aliases=pl.lit([], pl.List(pl.String)),
    )
    mixed = pl.concat([frame, notes]).sort("id")
    held = known | dict.fromkeys(notes["id"], ("temporal",)) | {"CVE-X-00001": ()}
    plain, with_notes = (
        corrected_share(
            msgspec.structs.replace(records, records=given),
            audit, builtin(), methodologies=["strict"], period="all", held_out=held,
        )
        for given in (frame, mixed)
    )  # fmt: skip
    assert plain == with_notes


def test_where_the_model_abstains_an_unseen_fit_speaks() -> None:
    records, audit, _ = simulated()
    frame = records.records.with_columns(
        label_source=pl.when(pl.col("weakness") == "leak").then(pl.lit("none")).otherwise(pl.lit("model")),
        weakness=pl.col("weakness").replace("leak", "unknown"),
    )
    held = dict.fromkeys(frame["id"], ("temporal",))
    silent = msgspec.structs.replace(records, records=frame)
    alone, all_temporal = (
        corrected_share(silent, audit, builtin(), methodologies=["strict"], period="all", held_out=h)[0].corrected
        for h in ({}, held)
    )
    # Fits that say the same of all records teach nothing: what is left is the audit's own share.
    own = sum(a.final == "temporal" for a in audit) / len(audit)
    assert all_temporal.value == pytest.approx(own)
    assert alone.value != pytest.approx(own, abs=1e-4)


def test_a_cwe_that_rules_add_moves_no_correction() -> None:
    """Held-out labels carry no CWE, so that those of audited records must carry none either."""
    records, read, _ = simulated()
    audit = [msgspec.structs.replace(a, final="logic" if a.final == "leak" else a.final) for a in read]
    by_model = records.records.with_columns(
        label_source=pl.lit("model"), weakness=pl.col("weakness").replace("leak", "logic")
    )
    seen = [i for i in by_model["id"] if i not in {a.id for a in audit}]
    known = {i: (w,) for i, w in by_model.filter(pl.col("id").is_in(seen)).select("id", "weakness").iter_rows()}
    rows = [
        corrected_share(
            msgspec.structs.replace(records, records=by_model.with_columns(cwe=cwe)),
            audit, builtin(), methodologies=["cwe-1399"], period="all", held_out=known,
        )[0].corrected
        for cwe in (pl.lit(None, dtype=pl.Int64), pl.when(pl.col("weakness") == "logic").then(416))
    ]  # fmt: skip
    assert rows[0] == rows[1]


def test_the_model_that_ships_says_what_unseen_fits_gave() -> None:
    held = held_out_classes()
    assert len(held) > 20_000
    assert {c for classes in held.values() for c in classes} <= set(builtin().classes)
    assert {len(held[i]) for i in audit_ids()} == {FOLDS}
    untold = {i for i, classes in held.items() if len(classes) == FOLDS} - audit_ids()
    assert {r.weakness for i, r in readings().items() if i in untold} <= {"unknown", "divide"}
    assert {len(classes) for i, classes in held.items() if i not in untold | audit_ids()} == {1}


def evidence_of(records: Population) -> Evidence:
    return msgspec.structs.replace(evidence([]), advisories=records.records)


def test_a_record_audited_under_two_ids_counts_once_where_they_agree() -> None:
    records = population(["temporal", "leak", "leak", "temporal"])
    once = audited(["CVE-X-00000", "CVE-X-00001", "CVE-X-00002"], ["temporal", "leak", "temporal"])
    twice = [*once, *audited(["GHSA-0"], ["temporal"])]
    assert audit_remarks(evidence_of(records), once, Path("a.csv")) == []
    (said,) = audit_remarks(evidence_of(records), twice, Path("a.csv"))
    assert "1 audited ids name a record again" in said
    assert "GHSA-0 (CVE-X-00000)" in said
    assert corrected_share(records, twice, builtin()) == corrected_share(records, once, builtin())


def test_a_record_audited_under_two_ids_with_two_classes_is_refused() -> None:
    records = population(["temporal", "leak", "leak", "temporal"])
    audit = audited(["CVE-X-00000", "CVE-X-00001", "GHSA-0"], ["temporal", "leak", "leak"])
    with pytest.raises(InputError, match=r"CVE-X-00000 and GHSA-0 .* temporal and leak \(file a\.csv, field final\)"):
        audit_remarks(evidence_of(records), audit, Path("a.csv"))
    with pytest.raises(InputError, match="CVE-X-00000 and GHSA-0"):
        corrected_share(records, audit, builtin())
    # One of the two not settled yet: the other speaks.
    open_one = msgspec.structs.replace(audit[2], final="")
    assert not any("again" in s for s in audit_remarks(evidence_of(records), [*audit[:2], open_one], Path("a.csv")))
