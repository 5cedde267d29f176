"""The section of a saved gate result: did the line hold, and where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

_STATES = ("open", "suppressed")


def section(envelope: Mapping[str, Any]) -> Section:
    """Render the JSON of ``preventable gate``."""
    findings: Sequence[Mapping[str, Any]] = envelope["results"]
    summary, inputs = envelope["summary"], envelope["inputs"]
    left = summary["findings"]
    verdict = "The gate holds" if not left else f"The gate does not hold: {_number(left, 'finding')}"
    sentences = [
        f"{verdict} for {_number(summary['changed_files'], 'changed file')} between {_short(inputs['base'])} and "
        f"{_short(inputs['head'])}, judged by {inputs['case']} on {inputs['today']}."
    ]
    if summary["suppressed"]:
        hidden = summary["suppressed"]
        sentences.append(f"{_number(hidden, 'more finding')} {_are(hidden)} suppressed, each until a date.")
    old = sum(f["baseline_state"] == "unchanged" and not f["suppressed"] for f in findings)
    if old:
        sentences.append(f"{_number(old, 'finding')} {'was' if old == 1 else 'were'} there before the change.")
    warnings = envelope.get("warnings", ())
    if warnings:
        sentences.append(f"{_number(len(warnings), 'warning')}: " + "; ".join(str(w) for w in warnings) + ".")
    figures = (_figure(findings, left),) if findings else ()
    return Section("gate", "Does the line hold?", tuple(sentences), figures, short="Gate")


def _figure(findings: Sequence[Mapping[str, Any]], left: int) -> Figure:
    rules = sorted({(f["rule"], f["name"]) for f in findings})
    names = [f"{rule} {name}" for rule, name in rules]
    counts = [
        {"rule": f"{rule} {name}", "state": state, "findings": number}
        for rule, name in rules
        for state in _STATES
        if (number := sum(f["rule"] == rule and f["suppressed"] == (state == "suppressed") for f in findings))
    ]
    chart = (
        alt.Chart(alt.Data(values=counts))  # type: ignore[no-untyped-call]  # the schema classes have no types
        .mark_bar()
        .encode(
            x=alt.X("findings:Q", title="findings", stack=True, axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("rule:N", sort=names, title=None, axis=alt.Axis(labelLimit=260)),
            color=alt.Color("state:N", sort=list(_STATES), title=None),
            tooltip=["rule:N", "state:N", "findings:Q"],
        )
        .properties(width="container", height=alt.Step(22))
    )
    rows = [
        {
            "rule": f"{f['rule']} {f['name']}",
            "zone": f["zone"],
            "place": f"{f['path']}:{f['line']}",
            "message": f["message"],
            "state": f"suppressed: {f['reason']}" if f["suppressed"] else f["baseline_state"],
        }
        for f in findings
    ]
    return Figure(
        id="gate-findings",
        title=f"{_number(left, 'open finding')} of {_number(len(findings), 'finding')} by rule",
        how=(
            "Only the files that differ between the two revisions are measured. Lines are lines of code; unsafe code "
            "is counted on the syntax tree, macro bodies included. A finding is suppressed while its suppression in "
            "the case file has not expired on the day named above; unchanged means that it was there before."
        ),
        chart=chart.to_dict(),
        alt="Bars of findings per rule, open and suppressed: "
        + "; ".join(f"{c['rule']} {c['findings']} {c['state']}" for c in counts)
        + ".",
        table=Table(
            (
                Column("rule", "Rule"),
                Column("zone", "Zone"),
                Column("place", "Place"),
                Column("message", "Finding"),
                Column("state", "State"),
            ),
            rows,
        ),
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _short(commit: str | None) -> str:
    return commit[:12] if commit else "the work tree"
