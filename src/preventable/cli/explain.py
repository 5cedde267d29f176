"""``preventable explain``: one record, its labels and why, and what would touch it."""

from __future__ import annotations

from typing import Any

import click
import polars as pl

from preventable.cli import output
from preventable.cli.feeds import evidence_of, feed_options, open_case
from preventable.errors import UsageError
from preventable.evidence.tables import Evidence
from preventable.plain_text import printable
from preventable.readers.case_file import nearest
from preventable.taxonomy.loader import UNKNOWN, Taxonomy

_CONTEXT = 40


@click.command("explain")
@click.argument("record", metavar="ID")
@feed_options
@output.format_option("text", ("text", "json"))
@output.quiet_option()
def command(record: str, fmt: str, quiet: bool, **values: Any) -> None:
    """Show a record, its labels with their reasons, the definitions it counts under, and the interventions.

    Without --advisories the embedded facts about Linux are used, which hold no texts.

    \b
    Example: preventable explain CVE-2024-26581 --advisories vulns/
    """
    case = open_case(None, values.pop("case_file"))
    evidence = evidence_of(case, path=None, quiet=quiet, **values)
    found = explain(evidence, case.taxonomy, record)
    if fmt == "json":
        output.write_json(output.envelope("explain", found, evidence.reports))
    else:
        click.echo(_text(found))


def explain(evidence: Evidence, taxonomy: Taxonomy, record: str) -> dict[str, Any]:
    """Everything known about one record.

    Raises:
        UsageError: no such id or alias; the nearest ones are offered.
    """
    named = (pl.col("id") == record) | pl.col("aliases").list.contains(record)
    rows = evidence.advisories.filter(named)
    if rows.is_empty():
        close = nearest(record, evidence.advisories["id"].to_list())
        raise UsageError(f"no record {record!r}", hint=f"The nearest is {close}" if close else "Check the id")
    row = rows.row(0, named=True)
    own = pl.col("id") == row["id"]
    reasons = [
        {**r, "context": _context(row[r["field"]], r["start"], r["end"]) if r["field"] else None}
        for r in evidence.reasons.filter(own).drop("id").to_dicts()
    ]
    cwe = taxonomy.cwe_of(row["weakness"], row["cwe"])
    definitions = {
        m.id: {
            "admitted": m.admits(row["informational"], row["severity"]),
            "counts": None if row["weakness"] == UNKNOWN else m.counts(row["weakness"], cwe),
        }
        for m in taxonomy.methodologies.values()
    }
    interventions = {}
    for i in taxonomy.interventions.values():
        cell = i.cell(row["weakness"])
        interventions[i.id] = {
            "title": i.title,
            "states": cell.states,
            "detection_probability": cell.detection_probability,
            "condition": cell.condition,
            "source": cell.source,
            "unavailable": "the class is unknown" if row["weakness"] == UNKNOWN else cell.unavailable,
        }
    return {
        **row,
        "files": evidence.files.filter(own).drop("id").to_dicts(),
        "cwes": evidence.cwes.filter(own).drop("id").to_dicts(),
        "ranges": evidence.ranges.filter(own).drop("id").to_dicts(),
        "reasons": reasons,
        "methodologies": definitions,
        "interventions": interventions,
    }


def _context(text: str, start: int, end: int) -> str:
    left = "…" if start > _CONTEXT else ""
    right = "…" if end + _CONTEXT < len(text) else ""
    return f"{left}{text[max(0, start - _CONTEXT) : start]}[{text[start:end]}]{text[end : end + _CONTEXT]}{right}"


def _text(found: dict[str, Any]) -> str:
    known = "unknown"
    lines = [
        f"{found['id']}  {found['title']}".rstrip(),
        f"  from {found['feed']}; published {found['published'] or known}; fixed {found['fixed'] or known}; "
        f"severity {found['severity'] or known}"
        + (f"; known exploited since {found['known_exploited']}" if found["known_exploited"] else "")
        + (f"; withdrawn {found['withdrawn']}" if found["withdrawn"] else ""),
    ]
    for file in found["files"][:8]:
        lines.append(f"  touches {file['path']} ({file['component']})")
    if len(found["files"]) > 8:
        lines.append(f"  and {len(found['files']) - 8} more files")
    for span in found["ranges"]:
        if span["mainline"]:
            since = span["introduced_version"] or span["introduced_commit"] or "an unknown release"
            until = span["fixed_version"] or span["fixed_commit"] or "no release yet"
            lines.append(
                f"  in mainline from {since} ({span['introduced'] or known}) to {until} ({span['fixed'] or known})"
            )
    lines += ["", f"Class: {found['weakness']} (by {found['label_source']})"]
    if found["weakness_by_cwe"] != UNKNOWN:
        lines.append(f"  CWE says {found['weakness_by_cwe']}; the text says {found['weakness_by_text']}")
    for r in found["reasons"]:
        lines.append(f"  {r['weakness']}: {r['kind']} “{r['detail']}” ({r['said_by']})")
        if r["context"]:
            lines.append(f"      {r['field']}: {r['context']}")
    if not found["reasons"]:
        lines.append(
            "  no reasons at hand: "
            + (
                "none of its words decided"
                if found["title"] or found["text"]
                else "it has no text (embedded facts hold none)"
            )
        )
    lines += ["", "Counts as memory safety under:"]
    for name, verdict in found["methodologies"].items():
        answer = (
            "not admitted" if not verdict["admitted"] else {True: "yes", False: "no", None: known}[verdict["counts"]]
        )
        lines.append(f"  {name:<10} {answer}")
    lines += ["", "Interventions, for this class:"]
    for name, cell in found["interventions"].items():
        if cell["states"]:
            shares = ", ".join(f"{s.replace('_', ' ')} {100 * p:.0f}%" for s, p in cell["states"].items() if p)
            if cell["detection_probability"]:
                shares += f" (probability {cell['detection_probability']:.4g})"
            lines.append(f"  {name:<20} {shares}")
        else:
            lines.append(f"  {name:<20} not available: {cell['unavailable']}")
    return "\n".join(map(printable, lines))
