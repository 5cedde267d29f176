"""An assessment as sections of sentences and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from preventable.records import Estimate, NotAvailable
from preventable.report import charts
from preventable.report.ladder import AUDIT_COLUMNS, how_audited, in_words, ladder_rows
from preventable.report.model import Column, Figure, Section, Table
from preventable.report.wording import count, listing, percent
from preventable.studies.assessment import Assessment
from preventable.studies.audit_columns import with_audit
from preventable.studies.audit_used import AuditUsed
from preventable.studies.share import ShareRow
from preventable.taxonomy.loader import UNKNOWN, Taxonomy

_SHOWN_CLASSES = ("spatial", "temporal", "initialization", "type", "null", "race", "integer")
_TOP_COMPONENTS = 20
_LISTED_PERIODS = 8
_FEWEST_DRAWN = 20
"""Records that a period must have for its share to be drawn; under it the 95% interval spans 40 points and more."""


def sections(a: Assessment, taxonomy: Taxonomy) -> list[Section]:
    """The sections in reading order."""
    return [
        *([_changes(a)] if a.comparison else []),
        _share(a, taxonomy),
        _prevented(a, taxonomy),
        _trend(a),
        _hotspots(a, taxonomy),
        _labels(a),
        _data(a),
    ]


def _share(a: Assessment, taxonomy: Taxonomy) -> Section:
    pooled = [r for r in a.shares if r.period == "all"]
    known = {m.id: m for m in taxonomy.methodologies.values()}
    audited = {r.methodology: r for r in a.corrected if r.period == "all"}
    rows = ladder_rows(pooled, audited)
    references = [
        {
            "definition": f"{ref.who}, {ref.period}",
            "from": "published",
            "share": ref.share,
            "scope": ref.scope,
            "source": ref.source,
        }
        for ref in sorted(taxonomy.references, key=lambda ref: ref.share)
    ]
    by_period = [r for r in a.shares if r.period not in ("all", "undated")]
    columns: tuple[Column, ...] = (*_SHARE_COLUMNS, *_METHOD_COLUMNS)
    if audited:
        columns = (*_SHARE_COLUMNS, *AUDIT_COLUMNS, *_METHOD_COLUMNS, Column("corrected_by", "corrected by"))
    names = [a.primary, *(m for m in ("broad", "strict") if m != a.primary)][:2]
    time_rows = [
        {"period": r.period, "definition": r.methodology, "share": r.share, "low": r.low, "high": r.high,
         "count": r.count, "total": r.total}
        for r in by_period
        if r.methodology in names
    ]  # fmt: skip
    drawn_rows, too_few = _enough_records(time_rows)
    figures = [
        Figure(
            id="share-ladder",
            title=_ladder_title(pooled),
            how=(
                "share = records that count / records admitted, unknown ones in the denominator. "
                + how_audited(audited.values())
                + "Line: 95% interval (Wilson for the labels). Tick: the share. Wide pale line: the share if no record "
                "of unknown class counted, and if all did. "
                "Diamonds: published figures of others, who counted other things in other years: "
                + "; ".join(
                    f"{r.who} {'about ' if r.approximate else ''}{percent(r.share, 0)} ({r.scope}; {r.source})"
                    for r in taxonomy.references
                )
                + ". Definitions: "
                + "; ".join(f"{m.id}: {m.text} Source: {m.source}" for m in known.values())
            ),
            chart=charts.ladder(rows, references) if rows else None,
            alt="Share of records that count as memory safety by definition: "
            + "; ".join(in_words(r, audited.get(r.methodology)) for r in pooled),
            table=Table(columns, with_audit(pooled, a.corrected)),
        ),
        Figure(
            id="share-by-period",
            title=f"Share per {a.period}, by date of {a.by}",
            how=(
                f"As above, per {a.period} of the {'mainline fix' if a.by == 'fix' else 'publication'}. Bands: 95% "
                "Wilson intervals. A step between periods may come from how records were numbered, not from the code."
            ),
            chart=charts.share_over_time(drawn_rows) if drawn_rows else None,
            alt=f"Share per {a.period}: "
            + "; ".join(
                f"{r['period']} {r['definition']} {percent(r['share'])} of {r['total']:,}"
                for r in drawn_rows
                if r["share"] is not None
            ),
            note=_left_undrawn(too_few),
            table=Table(
                (Column("period", a.period), *columns),
                with_audit(by_period, a.corrected),
            ),
        ),
    ]
    return Section("share", "How much is memory safety, by definition", (), tuple(figures), short="By definition")


def _enough_records(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows to draw, and the periods of which none is drawn with their number of records.

    What has too few records is a gap between others, and absent at either end.
    """
    most: dict[str, int] = {}
    for r in rows:
        most[r["period"]] = max(most.get(r["period"], 0), r["total"])
    few = {period: total for period, total in most.items() if total < _FEWEST_DRAWN}
    enough = most.keys() - few.keys()
    if not enough:
        return [], few
    inside = [r for r in rows if min(enough) <= r["period"] <= max(enough)]
    undrawn = {"share": None, "low": None, "high": None}
    return [r | undrawn if r["total"] < _FEWEST_DRAWN else r for r in inside], few


def _left_undrawn(few: Mapping[str, int]) -> str:
    if not few:
        return ""
    listed = [f"{period} ({total:,})" for period, total in few.items()]
    if len(listed) > _LISTED_PERIODS:
        listed = [*listed[:_LISTED_PERIODS], f"{len(listed) - _LISTED_PERIODS:,} more"]
    return f"Not drawn, for fewer than {_FEWEST_DRAWN} records: {listing(listed)}. The table has them."


def _ladder_title(pooled: Iterable[ShareRow]) -> str:
    rows = list(pooled)
    if not rows:
        return "No record is left after the filters"
    low, high = min(r.share for r in rows), max(r.share for r in rows)
    return f"From {percent(low, 0)} to {percent(high, 0)}, depending on the definition"


_SHARE_COLUMNS = (
    Column("methodology", "definition"),
    Column("count", "counted", "count", "records that count as memory safety"),
    Column("total", "of", "count", "records admitted, unknown ones included"),
    Column("unknown", "unknown", "count", "records whose class could not be told"),
    Column("share", "share", "share"),
    Column("low", "low", "share", "lower end of the 95% interval"),
    Column("high", "high", "share", "upper end of the 95% interval"),
)
_METHOD_COLUMNS = (
    Column("bound_low", "if none", "share", "the share if no unknown record counted"),
    Column("bound_high", "if all", "share", "the share if every unknown record counted"),
    Column("estimator", "estimator"),
)


def _prevented(a: Assessment, taxonomy: Taxonomy) -> Section:
    pooled = [r for r in a.prevented if r.period == "all"]
    totals = [r for r in pooled if r.weakness == "all"]
    bar_rows = [
        {"intervention": taxonomy.interventions[r.intervention].title, "state": r.state.replace("_", " "),
         "share": r.share, "count": r.count, "low": r.low, "high": r.high}
        for r in totals
    ]  # fmt: skip
    cells = [
        {**msgspec.structs.asdict(r), "title": taxonomy.interventions[r.intervention].title,
         "state": r.state.replace("_", " "), "interval": f"{r.low:,.0f}–{r.high:,.0f}",
         "probability": r.detection_probability}
        for r in pooled
        if r.weakness != "all"
    ]  # fmt: skip
    places = {name: i for i, name in enumerate(taxonomy.classes)}
    chosen = {name: i for i, name in enumerate(taxonomy.interventions)}
    cells.sort(key=lambda r: (r["state"] == "not available", chosen[r["intervention"]], places[r["weakness"]]))
    caveats = [{"title": i.title, "text": i.text, "caveat": i.caveat} for i in taxonomy.interventions.values()]
    columns = (
        Column("title", "intervention"),
        Column("state", "state"),
        Column("count", "records", "count"),
        Column("low", "low", "count"),
        Column("high", "high", "count"),
        Column("share", "share", "share"),
    )
    return Section(
        "prevented",
        "What each intervention would have done",
        (
            "Prevention has states. “Contained” turns a fault into a controlled stop, “detected” catches it with a "
            "probability; neither is the absence of a fault.",
        ),
        (
            Figure(
                id="prevented-states",
                title="States by intervention, all records",
                how=(
                    "records of a class x its distribution over the states, summed over classes. Where a study "
                    "gives counts, intervals are 95% of a Dirichlet(counts + 1/2) posterior; a rule from a "
                    "specification has no interval. Grey: no sourced cell, or the class is unknown. The number of "
                    "records is taken as it is."
                ),
                chart=charts.state_bars(bar_rows) if bar_rows else None,
                alt="; ".join(
                    f"{r['intervention']}: {percent(float(str(r['share'])))} {r['state']}"
                    for r in bar_rows
                    if r["share"]
                ),
                table=Table(columns, [{**r, "title": r["intervention"]} for r in bar_rows]),
            ),
            Figure(
                id="prevented-caveats",
                title="What to hold against each",
                how="From the sources of the cells below.",
                table=Table(
                    (Column("title", "intervention"), Column("text", "what it is"), Column("caveat", "caveat")),
                    caveats,
                ),
            ),
            Figure(
                id="prevented-cells",
                title="Class by class, with the source of every cell",
                how="As above, before the sum. A cell without a source says so. "
                + " ".join(
                    sorted({c.note for i in taxonomy.interventions.values() for c in i.cells.values() if c.note})
                ),
                table=Table(
                    (
                        Column("title", "intervention"),
                        Column("weakness", "class"),
                        Column("state", "state"),
                        Column("records", "records in class", "count"),
                        Column("count", "records in state", "count", "expected; rounded to whole records"),
                        Column("interval", "95% interval"),
                        Column("probability", "probability", "share", "of detection, per access"),
                        Column("source", "source"),
                    ),
                    cells,
                ),
            ),
        ),
        short="By intervention",
    )


def _trend(a: Assessment) -> Section:
    grouped: dict[tuple[str, str], int] = {}
    for r in a.trend:
        shown = r.weakness if r.weakness in (*_SHOWN_CLASSES, UNKNOWN) else "other classes"
        grouped[(r.period, shown)] = grouped.get((r.period, shown), 0) + r.count
    rows = [{"period": p, "class": c, "count": n} for (p, c), n in sorted(grouped.items())]
    backfill = sum(r.backfill for r in a.trend)
    partial = sorted({r.period for r in a.trend if r.partial})
    sentences = []
    if backfill:
        sentences.append(
            f"{backfill:,} of {a.total:,} records ({percent(backfill / a.total)}) were fixed before their numbering "
            "authority began on 2024-02-13 and were numbered later. Counts before that date are no rate."
        )
    if partial:
        sentences.append(f"The data ends inside {partial[-1]}; its bar is not a whole {a.period}.")
    if a.undated:
        sentences.append(f"{count(a.undated, 'record')} carry no date of {a.by} and appear as “undated”.")
    return Section(
        "trend",
        "When",
        tuple(sentences),
        (
            Figure(
                id="trend-classes",
                title=f"Records per {a.period} of {a.by}, by class",
                how=f"Count of records by date of {a.by} and class of the label.",
                chart=charts.stacked_counts(
                    rows, x="period", colour="class", colours=charts.CLASS_COLOURS, y_title="records"
                )
                if rows
                else None,
                alt=f"Stacked bars of records per {a.period}.",
                table=Table(
                    (
                        Column("period", a.period),
                        Column("weakness", "class"),
                        Column("count", "records", "count"),
                        Column("backfill", "of these backfill", "count"),
                    ),
                    [msgspec.structs.asdict(r) for r in a.trend],
                ),
            ),
        ),
    )


def _hotspots(a: Assessment, taxonomy: Taxonomy) -> Section:
    rows = [
        {
            **msgspec.structs.asdict(h),
            "other": h.records - h.memory_safety - h.unknown,
            "per_thousand_lines": None if isinstance(h.per_thousand_lines, NotAvailable) else h.per_thousand_lines,
        }
        for h in a.hotspots
    ]
    lines_known = any(h.lines for h in a.hotspots)
    columns = [
        Column("component", "component"),
        Column("records", "records", "count"),
        Column("memory_safety", "memory safety", "count"),
        Column("unknown", "class unknown", "count"),
        Column("known_exploited", "known exploited", "count"),
    ]
    if lines_known:
        columns += [
            Column("lines", "lines of code", "count"),
            Column("per_thousand_lines", "per 1,000 lines", "number"),
        ]
    shown = rows[:_TOP_COMPONENTS]
    return Section(
        "hotspots",
        "Where",
        ()
        if lines_known
        else ("Lines per component are not known here, so these are counts and no rates; big components lead.",),
        (
            Figure(
                id="hotspots",
                title=f"Components by memory-safety records (“{a.primary}”)",
                how=(
                    "A record counts once in every component that its fix touches: bars do not add up to the total. "
                    f"Definition: {taxonomy.methodologies[a.primary].text}"
                ),
                chart=charts.component_bars(shown) if shown else None,
                alt="; ".join(f"{r['component']} {r['memory_safety']}" for r in shown),
                table=Table(tuple(columns), rows),
            ),
        ),
    )


def _labels(a: Assessment) -> Section:
    by_source: dict[str, int] = {}
    for r in a.label_sources:
        by_source[r.source] = by_source.get(r.source, 0) + r.count
    words = {"cwe": "a specific CWE", "rules": "rules over the text", "model": "the learned model",
             "none": "nowhere (unknown)", "audit": "the audit"}  # fmt: skip
    sentences = [
        "Labels come from "
        + listing([f"{words.get(s, s)} ({n:,})" for s, n in sorted(by_source.items(), key=lambda x: -x[1])])
        + "."
    ]
    if a.agreement and isinstance(a.agreement.kappa, Estimate):
        k = a.agreement.kappa
        sentences.append(
            f"Where both a CWE and the text decide, they agree on {percent(a.agreement.observed)} of "
            f"{sum(map(sum, a.agreement.table)):,} records; Cohen's kappa {k.value:.2f} ({k.low:.2f}–{k.high:.2f})."
        )
    return Section(
        "labels",
        "Who said so",
        tuple(sentences),
        (
            Figure(
                id="label-sources",
                title="Classes and where they come from",
                how=(
                    "A specific CWE decides; vague ones (CWE-20, -200, -400 and others) do not; else the text. "
                    "`preventable explain ID` shows the reasons of one record."
                ),
                table=Table(
                    (Column("weakness", "class"), Column("source", "source"), Column("count", "records", "count")),
                    [msgspec.structs.asdict(r) for r in a.label_sources],
                ),
            ),
        ),
    )


def _data(a: Assessment) -> Section:
    rows = [{**msgspec.structs.asdict(r), "problems": len(r.rows), "warnings": len(r.warnings)} for r in a.reports]
    problems = [
        {"feed": r.format, "kind": kind, "file": p.file, "record": p.record, "field": p.field, "reason": p.reason}
        for r in a.reports
        for kind, listed in (("failed", r.rows), ("warning", r.warnings))
        for p in listed
    ]
    sentences = [
        f"{a.withdrawn:,} withdrawn records are left out of every figure." if a.withdrawn else "",
        f"{a.left_out:,} records were left out by filters, {a.without_severity:,} of them for lack of a severity."
        if a.left_out
        else "",
        a.citation(),
    ]
    figures = [
        Figure(
            id="read-report",
            title="What was read",
            how="The date of the data is the newest date inside it.",
            table=Table(
                (
                    Column("location", "location"),
                    Column("format", "format"),
                    Column("data_date", "newest date", "date"),
                    Column("read", "read", "count"),
                    Column("rejected", "rejected", "count"),
                    Column("duplicate", "duplicate", "count"),
                    Column("joined", "joined", "count", "read, but one with an earlier location's record"),
                    Column("failed", "failed", "count"),
                    Column("warnings", "warnings", "count"),
                ),
                rows,
            ),
        ),
        Figure(
            id="read-licences",
            title="Under which licences, and which bytes",
            how="Licences are those of the feeds. Digests are of the bytes read.",
            table=Table(
                (Column("location", "location"), Column("licence", "licence"), Column("digest", "digest")), rows
            ),
        ),
    ]
    if a.audit:
        figures.append(_audit_figure(a.audit))
    if problems:
        figures.append(
            Figure(
                id="read-problems",
                title=f"{count(len(problems), 'row')} of the read reports",
                how="Every record or field that could not be used, with its reason. Nothing else was lost.",
                table=Table(
                    tuple(Column(c, c) for c in ("feed", "kind", "file", "record", "field", "reason")), problems
                ),
            )
        )
    return Section("data", "The data", tuple(s for s in sentences if s), tuple(figures))


def _audit_figure(audit: AuditUsed) -> Figure:
    return Figure(
        id="read-audit",
        title="Which audit stands beside the labels",
        how=(
            "The table of the readings that the corrected and the audit's own shares come from. Settled rows have a "
            "final class and count. By strata: rows have weights. The digest is of its bytes."
        ),
        table=Table(
            (
                Column("name", "audit"),
                Column("rows", "rows", "count"),
                Column("settled", "settled", "count"),
                Column("design", "drawn"),
                Column("reader_kind", "read by"),
                Column("digest", "digest"),
            ),
            [msgspec.structs.asdict(audit)],
        ),
    )


def _changes(a: Assessment) -> Section:
    c = a.comparison
    assert c is not None
    sentences = [
        f"Since the earlier run {count(len(c.added), 'record')} came, {count(len(c.removed), 'record')} went, and "
        f"{count(len(c.relabelled), 'record')} changed class."
    ]
    if not c.same_method:
        sentences.append("The methods changed too: the figures differ for more reasons than the data.")
    return Section(
        "changes",
        "What changed",
        tuple(sentences),
        (
            Figure(
                id="changed-shares",
                title="Shares before and now",
                how="Pooled shares of the two runs.",
                table=Table(
                    (
                        Column("methodology", "definition"),
                        Column("count_before", "counted before", "count"),
                        Column("total_before", "of", "count"),
                        Column("share_before", "share before", "share"),
                        Column("count", "counted now", "count"),
                        Column("total", "of ", "count"),
                        Column("share", "share now", "share"),
                    ),
                    [msgspec.structs.asdict(s) for s in c.shares],
                ),
            ),
        ),
    )
