"""The answer of an assessment in sentences, each with its numbers."""

from __future__ import annotations

from preventable.evidence.tables import NO_FILE
from preventable.report.wording import count, interval, listing, percent, who_read
from preventable.stats.ppi import AUDIT_ALONE
from preventable.studies.assessment import Assessment
from preventable.studies.prevented import NOT_AVAILABLE, PreventedRow
from preventable.taxonomy.loader import UNKNOWN

_ROWS_OF = {"releases": "release dates", "kev": "the catalogue of exploited vulnerabilities"}
"""What the rows of a feed are, where they are no vulnerability records."""


def summary(a: Assessment) -> tuple[str, ...]:
    """The answer in sentences, each with its numbers."""
    pooled = {r.methodology: r for r in a.shares if r.period == r.component == "all"}
    if not pooled:
        return ("No record is left after the filters, so there is no share to report.",)
    own = pooled[a.primary]
    lowest, highest = (f(pooled.values(), key=lambda r: r.share) for f in (min, max))
    out = [
        f"{own.count:,} of {own.total:,} records ({percent(own.share)}, {interval(own.low, own.high)}) are memory "
        f"safety by the definition “{a.primary}”.",
        f"Depending on the definition, the share runs from {percent(lowest.share)} (“{lowest.methodology}”) to "
        f"{percent(highest.share)} (“{highest.methodology}”).",
    ]
    corrected = next((r for r in a.corrected if r.methodology == a.primary and r.period == "all"), None)
    if corrected and corrected.audit_only:
        c, only = corrected.corrected, corrected.audit_only
        audit = f"an audit of {corrected.audited:,} records drawn at random ({who_read(corrected.reader_kind)})"
        if c.method == AUDIT_ALONE:
            out.append(
                f"By {audit} alone, too few to correct the labels, it is {percent(c.value)} "
                f"({interval(c.low, c.high)})."
            )
        else:
            out.append(
                f"Corrected by {audit}, it is {percent(c.value)} ({interval(c.low, c.high)}); the audit alone says "
                f"{percent(only.value)} ({percent(only.low)}–{percent(only.high)})."
            )
    else:
        out.append(
            "No record of these was audited, so the shares are those of the labels, uncorrected; "
            "`preventable audit draw` draws a sample to read."
        )
    if own.unknown:
        out.append(
            f"The class of {count(own.unknown, 'record')} could not be told; if none or all of them counted, "
            f"“{a.primary}” would be {percent(own.bound_low)} or {percent(own.bound_high)}."
        )
    rust = {r.state: r for r in a.prevented if r.intervention == "rust" and r.weakness == r.period == "all"}
    if rust and not all(r.format in ("rustsec", *_ROWS_OF) for r in a.reports):
        out.append(_safe_rust(rust))
    top = [h for h in a.hotspots if h.memory_safety and h.component != NO_FILE][:3]
    if top:
        out.append(
            "Most memory-safety records touch "
            + listing([f"{h.component} ({h.memory_safety:,} of {h.records:,})" for h in top])
            + "."
        )
    exploited = sum(1 for x in a.records["known_exploited"] if x is not None)
    if exploited:
        out.append(_exploited(a, exploited))
    failed: dict[str, int] = {}
    for r in a.reports:
        if r.failed:
            failed[r.format] = failed.get(r.format, 0) + r.failed
    if failed:
        parts = [f"{count(n, 'row')} of {_ROWS_OF.get(name, f'{name} records')}" for name, n in failed.items()]
        out.append(f"{listing(parts)} could not be used; the section on the data lists each.")
    return tuple(out)


def _safe_rust(states: dict[str, PreventedRow]) -> str:
    built, effort = states["by_construction"], states["with_effort"]
    return (
        "Across all weakness classes, not only memory safety, safe Rust would have ruled out about "
        f"{count(built.count, 'record')} by construction (95% interval {_span(built)}). Another {effort.count:,.0f} "
        f"({_span(effort)}) might have been avoided with effort, by a safe abstraction or an idiom. For "
        f"{states[NOT_AVAILABLE].count + states[UNKNOWN].count:,.0f} no sourced answer exists. These figures are "
        "extrapolated: others read 240 CVEs of Linux drivers, and their shares per class are carried over to all "
        "records of that class."
    )


def _exploited(a: Assessment, exploited: int) -> str:
    dates = [r.data_date for r in a.reports if r.format == "kev" and r.data_date]
    when = f" as of {max(dates)}" if dates else ""
    return (
        f"{count(exploited, 'record')} {'is' if exploited == 1 else 'are'} known to be exploited, by CISA's "
        f"catalogue{when}. That is a lower bound: the catalogue cannot list what nobody reported."
    )


def _span(row: PreventedRow) -> str:
    return f"{row.low:,.0f}–{row.high:,.0f}"
