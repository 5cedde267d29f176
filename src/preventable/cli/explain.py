"""``preventable explain``: one record, its labels and why, and what would touch it."""

from __future__ import annotations

from typing import Any

import click
import polars as pl

from preventable.classify.labeller import OUTWEIGHED, claimed_classes
from preventable.classify.model import why_silent
from preventable.classify.words import HEAD_WORDS
from preventable.cli import output
from preventable.cli.feeds import evidence_of, feed_options, open_case
from preventable.errors import UsageError
from preventable.evidence.tables import Evidence
from preventable.plain_text import printable
from preventable.readers.case_file import nearest
from preventable.records import CweClaim
from preventable.studies.embedded import is_embedded
from preventable.taxonomy.loader import UNKNOWN, Taxonomy

_CONTEXT = 40
_GAIN = " (+"
"""Ends the words in the detail of a model's reason."""
_ZONES = (
    "  (+n, where): how far the words raise the score of that class over the mean of all classes, and where they "
    f"stand: in the title, in the head (first {HEAD_WORDS} words of the text), anywhere in the text (body), or as "
    "terms that follow each other once all other words are left out (chain)"
)


@click.command("explain")
@click.argument("record", metavar="ID")
@feed_options
@output.format_option("text", ("text", "json"))
@output.quiet_option()
def command(record: str, fmt: str, quiet: bool, **values: Any) -> None:
    """Show a record, its labels with their reasons, the definitions it counts under, and the interventions.

    Without --advisories the embedded facts about Linux are used, which hold no texts. Every CWE that a source gave is
    among the reasons with who said it, also one that decides nothing.

    \b
    Example: preventable explain CVE-2024-26581 --advisories vulns/
    """
    case = open_case(None, values.pop("case_file"))
    evidence = evidence_of(case, path=None, quiet=quiet, **values)
    found = explain(evidence, case.taxonomy, record)
    if fmt == "json":
        output.write_json(output.envelope("explain", found, evidence.reports))
    else:
        click.echo(_text(found, embedded=any(map(is_embedded, evidence.reports))))


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
    cwes = evidence.cwes.filter(own).drop("id").to_dicts()
    by_cwe = row["label_source"] == "cwe"
    reasons: list[dict[str, Any]] = [
        {"weakness": c.weakness, "kind": "cwe", "detail": f"CWE-{c.cwe}", "said_by": c.said_by, "field": None,
         "start": None, "end": None, "context": None, "decides": c.why_not is None, "why_not": c.why_not}
        for c in claimed_classes([CweClaim(**c) for c in cwes], taxonomy)
    ]  # fmt: skip
    reasons += [
        {**r, "context": _context(row[r["field"]], r["start"], r["end"]) if r["field"] else None,
         "decides": not by_cwe and r["weakness"] != UNKNOWN, "why_not": OUTWEIGHED if by_cwe else None}
        for r in evidence.reasons.filter(own & (pl.col("kind") != "cwe")).drop("id").to_dicts()
    ]  # fmt: skip
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
        "cwes": cwes,
        "ranges": evidence.ranges.filter(own).drop("id").to_dicts(),
        "reasons": reasons,
        "methodologies": definitions,
        "interventions": interventions,
    }


def _context(text: str, start: int, end: int) -> str:
    left = "…" if start > _CONTEXT else ""
    right = "…" if end + _CONTEXT < len(text) else ""
    return f"{left}{text[max(0, start - _CONTEXT) : start]}[{text[start:end]}]{text[end : end + _CONTEXT]}{right}"


def _names_letters(reason: dict[str, Any]) -> bool:
    """Whether a model's reason names lone letters only, which tell a reader nothing; JSON has these, too."""
    words, gain, _ = reason["detail"].partition(_GAIN)
    return reason["kind"] == "model" and bool(gain) and all(len(word) == 1 for word in words.split())


def _text(found: dict[str, Any], *, embedded: bool) -> str:
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
        lines.append(
            f"  CWE says {found['weakness_by_cwe']}; the text says {found['weakness_by_text']}; the CWE decides"
        )
    shown = [r for r in found["reasons"] if not _names_letters(r)]
    for r in shown:
        said = f"  {r['weakness'] or 'no class'}: {r['kind']} “{r['detail']}” ({r['said_by']})"
        lines.append(f"{said}; does not decide: {r['why_not']}" if r["kind"] == "cwe" and r["why_not"] else said)
        if r["context"]:
            lines.append(f"      {r['field']}: {r['context']}")
    if any(_GAIN in r["detail"] for r in shown if r["kind"] == "model"):
        lines.append(_ZONES)
    if not any(r["decides"] or r["kind"] != "cwe" for r in found["reasons"]):
        if found["weakness"] == UNKNOWN or not (found["title"] or found["text"]):
            why = why_silent(found["title"], found["text"]) + (" (embedded facts hold none)" if embedded else "")
        else:
            why = "none of its words decided"
        lines.append(f"  no reasons at hand: {why}")
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
