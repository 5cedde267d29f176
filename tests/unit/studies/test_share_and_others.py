"""Small evidence whose answers were worked out by hand."""

from __future__ import annotations

from datetime import date

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preventable.errors import UsageError
from preventable.records import NotAvailable
from preventable.stats.prevalence import wilson
from preventable.studies.hotspots import hotspots
from preventable.studies.population import Filters, admitted_column, counted_column, select
from preventable.studies.prevented import prevented
from preventable.studies.record_table import compare_with, label_agreement, record_table
from preventable.studies.share import default_cwes, share
from preventable.studies.trend import trend
from preventable.taxonomy.loader import Methodology, builtin
from support.evidence import evidence, record

ROWS = [
    record("A", "spatial", cwe=787, by_cwe="spatial", by_text="spatial", fixed=date(2023, 5, 1), feed="kernel_cna",
           files=("net/a.c", "net/b.c", "fs/c.c"), severity="high", known_exploited=date(2023, 6, 1)),
    record("B", "temporal", fixed=date(2024, 5, 1), feed="kernel_cna", files=("net/a.c",), severity="low"),
    record("C", "null", cwe=476, by_cwe="null", by_text="temporal", fixed=date(2025, 6, 1), feed="kernel_cna"),
    record("D", fixed=date(2025, 6, 2), feed="kernel_cna", files=("net/z.c",)),
    record("E", "leak", published=date(2025, 1, 1), feed="kernel_cna", files=("fs/x.c",)),
    record("W", "spatial", withdrawn=date(2025, 1, 1)),
    record("I", "type", informational="unsound", fixed=date(2025, 1, 1)),
]  # fmt: skip


def test_share_by_hand() -> None:
    """Strict: A and B of A-E (I is informational, W withdrawn); D is unknown."""
    rows = share(select(evidence(ROWS)), builtin(), by_component=True)
    table = {(r.methodology, r.period, r.component): r for r in rows}
    strict = table["strict", "all", "all"]
    assert (strict.count, strict.total, strict.unknown, strict.not_admitted) == (2, 5, 1, 1)
    assert (strict.share, strict.bound_low, strict.bound_high) == (0.4, 0.4, 0.6)
    assert (strict.low, strict.high) == (wilson(2, 5).low, wilson(2, 5).high)
    broad = table["broad", "all", "all"]
    assert (broad.count, broad.total, broad.not_admitted) == (4, 6, 0)
    assert table["openssf", "all", "all"].count == 5
    assert table["cwe-1399", "all", "all"].count == 3  # the leak by its default CWE-401
    assert (table["strict", "2025", "all"].count, table["strict", "2025", "all"].total) == (0, 2)
    assert table["strict", "undated", "all"].total == 1
    assert (table["strict", "all", "net"].count, table["strict", "all", "net"].total) == (2, 3)
    assert table["strict", "all", "unknown"].total == 1


def test_filters_by_hand() -> None:
    found = select(evidence(ROWS), Filters(severities=("high",)))
    assert (found.records["id"].to_list(), found.without_severity, found.left_out) == (["A"], 4, 5)
    assert select(evidence(ROWS), Filters(components=("fs",))).records["id"].to_list() == ["A", "E"]
    assert select(evidence(ROWS), Filters(exploited=True)).records["id"].to_list() == ["A"]
    late = select(evidence(ROWS), Filters(since=date(2025, 6, 1), until=date(2025, 6, 1)))
    assert (late.records["id"].to_list(), late.by, late.withdrawn) == (["C"], "fix", 1)
    with pytest.raises(UsageError):
        select(evidence(ROWS), Filters(components=("nope",)))
    unmarked = evidence(ROWS)
    unmarked = msgspec.structs.replace(
        unmarked, advisories=unmarked.advisories.with_columns(known_exploited=pl.lit(None, pl.Date))
    )
    with pytest.raises(UsageError, match="no feed says which records are exploited"):
        select(unmarked, Filters(exploited=True))


def test_prevented_by_hand() -> None:
    rows = prevented(select(evidence(ROWS)), builtin(), interventions=["rust"])
    pooled = {r.state: r for r in rows if r.weakness == "all"}
    assert sum(r.count for r in pooled.values()) == pytest.approx(5)
    assert pooled["unknown"].count == 1
    temporal = {r.state: r for r in rows if r.weakness == "temporal"}
    assert temporal["by_construction"].count == pytest.approx(15 / 22)
    assert all(r.low <= r.count <= r.high for r in rows)
    assert all(r.source for r in rows)


def test_trend_and_hotspots_by_hand() -> None:
    population = select(evidence(ROWS))
    rows = {(r.period, r.weakness): r for r in trend(population, data_date=date(2025, 7, 1))}
    assert (rows["2023", "spatial"].count, rows["2023", "spatial"].backfill) == (1, 1)
    assert rows["2024", "temporal"].backfill == 0
    assert rows["2025", "null"].partial
    assert not rows["2024", "temporal"].partial
    spots = {h.component: h for h in hotspots(population, builtin(), builtin().methodologies["strict"],
                                              lines={"net": 4000})}  # fmt: skip
    net = spots["net"]
    assert (net.records, net.memory_safety, net.unknown, net.known_exploited) == (3, 2, 1, 1)
    assert net.per_thousand_lines == 0.5
    assert isinstance(spots["fs"].per_thousand_lines, NotAvailable)


def test_record_table_and_comparison_by_hand() -> None:
    population = select(evidence(ROWS))
    rows = {r["id"]: r for r in record_table(population, builtin()).iter_rows(named=True)}
    assert rows["A"]["component"] == "net; fs"
    assert (rows["B"]["strict"], rows["C"]["strict"], rows["D"]["strict"], rows["I"]["strict"]) == (
        True, False, None, None,
    )  # fmt: skip
    agreement = label_agreement(population)
    assert agreement is not None
    assert agreement.observed == 0.5
    shares = share(population, builtin())
    changed = compare_with({"A": "null", "Z": "leak"}, shares, {"A": "spatial", "B": "null"}, shares, same_method=True)
    assert (changed.added, changed.removed, changed.relabelled) == (("B",), ("Z",), (("A", "null", "spatial"),))


CLASSES = sorted(builtin().classes)
cwes = st.sampled_from([None, 20, 119, 121, 190, 401, 416, 476, 674, 787, 843, 908, 99_999])


@given(
    st.lists(st.tuples(st.sampled_from([*CLASSES, "unknown"]), cwes), min_size=1, max_size=8),
    st.sampled_from([*builtin().methodologies.values()])
    | st.builds(
        Methodology, id=st.just("m"), title=st.just("t"), text=st.just("t"), source=st.just("s"),
        classes=st.lists(st.sampled_from(CLASSES), max_size=4).map(tuple),
        cwes_in=st.lists(st.sampled_from([121, 416, 476]), max_size=2).map(tuple),
        cwes_out=st.lists(st.sampled_from([121, 416, 476]), max_size=2).map(tuple), cwes_only=st.booleans(),
    ),
)  # fmt: skip
def test_the_column_says_what_the_methodology_says(pairs: list[tuple[str, int | None]], method: Methodology) -> None:
    taxonomy = builtin()
    frame = pl.DataFrame(pairs, schema={"weakness": pl.String, "cwe": pl.Int64}, orient="row")
    column = frame.select(counted_column(method, default_cwes(taxonomy))).to_series().to_list()
    assert column == [method.counts(w, taxonomy.cwe_of(w, c)) for w, c in pairs]
    admitted = pl.DataFrame({"informational": [None, "unsound"], "severity": [None, "high"]})
    assert admitted.select(admitted_column(method)).to_series().to_list() == [
        method.admits(None, None), method.admits("unsound", "high"),
    ]  # fmt: skip
