"""Claims: freezing, looking, judging; the ledger and what it notices; late rejections."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from preventable.errors import CaseError, FormatError
from preventable.readers.exposure import ExposureFile, ExposureRow
from preventable.records import Advisory, CodeRange, Label
from preventable.studies.claim_looks import Answer, look_at_all
from preventable.studies.claims import Claim, batch, judge, needed, sightings
from preventable.studies.events import Dates, date_events
from preventable.studies.exposure import Exposure
from preventable.studies.ledger import Line, append, line_digest, next_line, read_ledger, verify
from preventable.studies.setting import Inputs, Setting
from preventable.taxonomy.loader import builtin

OPENED = date(2026, 11, 24)
CLAIM = Claim("half", "Rust has at most half of C's rate", 0.5, OPENED, primary=True)
ROWS = tuple(
    ExposureRow(day, "lib", language, "shipped", lines)
    for day, factor in ((date(2026, 6, 1), 1), (date(2027, 6, 1), 1))
    for language, lines in (("Rust", 100_000 * factor), ("C", 1_000_000))
)


def record(
    name: str, language: str, fixed: date, commit: str = "", weakness: str = "spatial"
) -> tuple[Advisory, Label]:
    suffix = "rs" if language == "Rust" else "c"
    span = CodeRange(
        introduced_commit=commit or name, introduced_date=date(2020, 1, 1), fixed_date=fixed, mainline=True
    )
    return Advisory(id=name, feed="t", file="t", files=(f"lib/a.{suffix}",), ranges=(span,)), Label(
        name, weakness, "rules"
    )


def inputs(records: list[tuple[Advisory, Label]], end: date = date(2030, 1, 1)) -> Inputs:
    advisories = tuple(a for a, _ in records)
    labels = {label.advisory: label for _, label in records}
    return Inputs(
        setting=Setting(), advisories=advisories, labels=labels, labelled=True,
        events=date_events(advisories, labels, Dates({}), lambda _: "lib"),
        exposure=ExposureFile("x", "sha256:0", ROWS),
        readings={}, methodologies=builtin().methodologies, start=date(2024, 2, 13), end=end,
        data_date=end + timedelta(days=45), reports=(), releases={},
    )  # fmt: skip


def opened(*claims: Claim) -> list[Line]:
    lines: list[Line] = []
    for claim in claims or (CLAIM,):
        lines.append(next_line(lines, "opened", claim.id, {"claim": claim, "claim_digest": claim.digest()}))
    return lines


def look(lines: list[Line], data: Inputs, *claims: Claim) -> Answer:
    answer = look_at_all({c.id: c for c in claims or (CLAIM,)}, lines, data)
    for name, body in answer.looks.items():
        lines.append(next_line(lines, "test", name, msgspec.structs.asdict(body)))
    return answer


def many(n: int, language: str = "C", start: date = date(2026, 12, 1)) -> list[tuple[Advisory, Label]]:
    return [record(f"{language}-{i:05}", language, start + timedelta(days=i % 300)) for i in range(n)]


def test_what_lies_before_the_opening_is_description_without_a_verdict() -> None:
    answer = look(opened(), inputs([record("A", "Rust", OPENED), *many(400, start=date(2026, 1, 1))], end=OPENED))
    verdicts = {r.descriptive: r.verdict for r in answer.rows}
    assert verdicts == {False: "open", True: None}
    assert next(r for r in answer.rows if not r.descriptive).events_old == 0


def test_enough_evidence_supports_and_stays_supported() -> None:
    lines = opened()
    first = look(lines, inputs(many(900)))
    assert first.rows[0].verdict == "supported"
    assert first.rows[0].status == "permanent"
    again = look(lines, inputs(many(900) + many(600, "Rust", date(2027, 12, 1))))
    assert again.rows[0].verdict == "supported"
    assert verify(lines) == []


def test_enough_evidence_against_refutes() -> None:
    answer = look(opened(), inputs(many(200) + many(200, "Rust")))
    assert answer.rows[0].verdict == "refuted"


def test_seen_events_are_admitted_once() -> None:
    lines = opened()
    look(lines, inputs(many(50)))
    second = look(lines, inputs(many(60)))
    assert len(second.looks["half"].admitted) == 10
    assert second.rows[0].events_old == 60


def test_a_record_that_was_admitted_by_another_name_is_no_new_event_and_not_rejected() -> None:
    """A feed that is added before the others gives the vulnerability its own id; an alias tells that it is the same."""
    lines = opened()
    look(lines, inputs([record("RUSTSEC-1", "Rust", date(2027, 1, 1))]))
    advisory, label = record("CVE-1", "Rust", date(2027, 1, 1))
    named = msgspec.structs.replace(advisory, aliases=("RUSTSEC-1",))
    second = look(lines, inputs([(named, label)]))
    assert second.looks["half"].admitted == ()
    assert (second.rows[0].events_new, second.looks["half"].rejected) == (1, ())


def test_a_late_record_of_a_counted_cluster_is_no_new_event() -> None:
    lines = opened()
    look(lines, inputs([record("B", "C", date(2027, 1, 1), "x")]))
    second = look(lines, inputs([record("A", "C", date(2027, 1, 1), "x"), record("B", "C", date(2027, 1, 1), "x")]))
    assert second.rows[0].events_old == 1


def test_rejected_records_must_not_carry_a_verdict() -> None:
    lines = opened()
    look(lines, inputs(many(300)))
    answer = look(lines, inputs(many(900)[600:] + many(10)))
    body = answer.looks["half"]
    assert len(body.rejected) == 290
    assert body.cleaned is not None
    assert body.cleaned.e_value < body.evidence.e_value


def test_late_rejections_do_not_inflate_the_error() -> None:
    """At the null a tenth of all records is rejected later, whatever its side; one looks every 20 days."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(40):
        records = []
        for day in range(0, 400, 20):
            when = OPENED + timedelta(days=day + 10)
            records += [record(f"C{day}-{i}", "C", when) for i in range(rng.poisson(14))]
            records += [record(f"R{day}-{i}", "Rust", when) for i in range(rng.poisson(14 * 0.05))]
        dies = rng.integers(20, 400, len(records)) * np.where(rng.random(len(records)) < 0.1, 1, 10_000)
        lines = opened()
        for day in range(20, 420, 40):
            end = OPENED + timedelta(days=day)
            alive = [r for r, d in zip(records, dies, strict=True) if d > day]
            if look(lines, inputs(alive, end=end)).rows[0].verdict == "supported":
                hits += 1
                break
    assert hits / 40 <= 0.05


def test_a_family_is_judged_by_e_bh() -> None:
    claims = {i: Claim(i, "s", 0.5, OPENED) for i in "abc"}
    assert judge(claims, dict.fromkeys("abc", (25.0, 1.0)), {}) == dict.fromkeys("abc", "supported")
    alone = judge(claims, {"a": (25.0, 1.0), "b": (1.0, 1.0), "c": (1.0, 1.0)}, {})
    assert alone["a"] == "open"


def test_the_primary_claim_is_judged_alone() -> None:
    claims = {"p": Claim("p", "s", 0.5, OPENED, primary=True), "f": Claim("f", "s", 0.5, OPENED)}
    assert judge(claims, {"p": (25.0, 1.0), "f": (1.0, 1.0)}, {})["p"] == "supported"


def test_the_digest_covers_every_field() -> None:
    for field, value in (("statement", "x"), ("at_most", 0.4), ("methodology", "broad"), ("alpha", 0.01),
                         ("population", ("fs",)), ("opened", date(2026, 1, 1)), ("cluster", 2.0)):  # fmt: skip
        assert msgspec.structs.replace(CLAIM, **{field: value}).digest() != CLAIM.digest()


def test_exposures_are_those_known_before_and_drift_favours_neither_side() -> None:
    grown = (ExposureRow(date(2026, 1, 1), "lib", "Rust", "shipped", 50_000),
             ExposureRow(date(2026, 1, 1), "lib", "C", "shipped", 1_000_000), *ROWS)  # fmt: skip
    data = inputs([record("A", "Rust", date(2027, 1, 1))])
    seen = sightings(CLAIM, data.events.events, data.methodologies, after=OPENED, until=date(2030, 1, 1))
    (made,), silent = batch(CLAIM, seen, Exposure(grown))
    assert (made.ratio, made.ratio_refuted, silent) == (pytest.approx(0.1), pytest.approx(0.2), 0)


def test_needed_exposure_is_said_before_the_opening() -> None:
    data = inputs(many(100, start=date(2026, 1, 1)))
    forecast = needed(CLAIM, data.events.events, Exposure(ROWS), data.methodologies, start=data.start, end=OPENED)
    assert not isinstance(forecast, str)
    assert forecast.years == pytest.approx(forecast.exposure_new / 0.1)


def test_unknown_methodology_names_the_field() -> None:
    with pytest.raises(CaseError, match="methodology"):
        msgspec.structs.replace(CLAIM, methodology="strickt").check(builtin().methodologies, "f")


@pytest.mark.parametrize("edit", ["evidence", "date", "remove", "swap", "claim", "rechained"])
def test_every_edit_is_noticed(edit: str) -> None:
    lines = opened()
    look(lines, inputs(many(50)))
    look(lines, inputs(many(80)))
    trusted = [line.digest for line in lines]
    broken = list(lines)
    if edit == "evidence":
        body = dict(lines[1].body) | {"evidence": dict(lines[1].body["evidence"]) | {"e_value": 99.0}}
        broken[1] = msgspec.structs.replace(lines[1], body=body)
    elif edit == "date":
        broken[1] = msgspec.structs.replace(lines[1], body=dict(lines[1].body) | {"data_date": "2031-01-01"})
    elif edit == "remove":
        del broken[1]
    elif edit == "swap":
        broken[1], broken[2] = broken[2], broken[1]
    elif edit == "claim":
        claim = dict(lines[0].body["claim"]) | {"at_most": 0.9}
        broken[0] = msgspec.structs.replace(lines[0], body=dict(lines[0].body) | {"claim": claim})
    else:
        # Whoever rewrites the chain is consistent with himself; the trusted head tells.
        broken = broken[:2]
        broken.append(next_line(broken, "withdrawn", "half", {"reason": "inconvenient"}))
        assert verify(broken) == []
    assert verify(broken, copies=[trusted])


def test_wrong_arithmetic_in_a_well_chained_line_is_noticed() -> None:
    lines = opened()
    answer = look_at_all({"half": CLAIM}, lines, inputs(many(50)))
    body = msgspec.structs.asdict(answer.looks["half"])
    body["evidence"] = msgspec.structs.replace(body["evidence"], e_value=99.0)
    lines.append(next_line(lines, "test", "half", body))
    assert any("do not follow" in fault.what for fault in verify(lines))


def test_the_file_holds_what_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = opened()
    append(path, lines)
    assert read_ledger(path) == lines
    assert line_digest(lines[0].seq, lines[0].kind, lines[0].claim, lines[0].body, "") == lines[0].digest


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"seq": 0}\n', encoding="utf-8")
    with pytest.raises(FormatError, match=":1"):
        read_ledger(path)


def test_a_population_without_a_line_of_code_is_said() -> None:
    claim = msgspec.structs.replace(CLAIM, population=("lbi",))
    answer = look(opened(claim), inputs(many(20)), claim)
    assert "no line" in answer.rows[0].reason
    assert answer.rows[0].verdict == "open"
