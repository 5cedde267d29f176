"""The report as Markdown, and its summary as plain text fit for a mailing list."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from preventable.plain_text import printable
from preventable.records import METHOD_VERSION, ReadReport
from preventable.report.model import Column, Section, Table
from preventable.report.wording import percent, rounded, which_audit
from preventable.studies.audit_used import AuditUsed

_MARKDOWN_ROWS = 40
_WIDTH = 72


def render_markdown(
    title: str, summary: Sequence[str], sections: Sequence[Section], inputs: Sequence[ReadReport], citation: str
) -> str:
    """The whole report; long tables are cut at 40 rows and say so."""
    out = [f"# {_md(title)}", "", *(f"{_md(s)}\n" for s in summary)]
    for section in sections:
        out += [f"## {_md(section.title)}", ""]
        out += [f"{_md(s)}\n" for s in section.sentences]
        for figure in section.figures:
            out += [f"### {_md(figure.title)}", ""]
            if figure.note:
                out += [_md(figure.note), ""]
            if figure.table and figure.table.rows:
                out += [_table(figure.table), ""]
            out += [f"<details><summary>How this was computed</summary>\n\n{_md(figure.how)}\n\n</details>", ""]
    out += ["## Inputs", ""]
    out += [f"- {_md(r.location)}: {r.format}, {r.read:,} read, {r.digest}, licence {_md(r.licence)}" for r in inputs]
    out += ["", f"{_md(citation)} Method {METHOD_VERSION}.", ""]
    return "\n".join(out)


def render_text(
    title: str,
    summary: Sequence[str],
    inputs: Sequence[ReadReport],
    citation: str,
    shares: Sequence[str],
    audit: AuditUsed | None = None,
) -> str:
    """One page of plain text, 72 columns: the summary, the shares by definition, what was read, the citation."""
    out = [printable(title), "=" * min(len(title), _WIDTH), ""]
    for sentence in summary:
        out += [textwrap.fill(printable(sentence), _WIDTH), ""]
    out += ["Share by definition (95% interval):", ""]
    out += [f"  {printable(line)}" for line in shares]
    out += ["", "Read:"]
    for r in inputs:
        out.append(f"  {r.format}: {r.read:,} records, {r.rejected:,} rejected, {r.failed:,} failed")
        out.append(f"    {r.digest}")
    if audit:
        said = which_audit(audit.name, audit.rows, audit.settled, audit.design, audit.reader_kind)
        out += textwrap.wrap(printable(f"audit: {said}"), _WIDTH, initial_indent="  ", subsequent_indent="    ")
        out.append(f"    {audit.digest or 'no digest: it could not be read again'}")
    out += ["", textwrap.fill(printable(citation), _WIDTH), ""]
    return "\n".join(out)


def _table(table: Table) -> str:
    rows = list(table.rows)
    lines = [
        "| " + " | ".join(_md(c.label) for c in table.columns) + " |",
        "|" + "|".join(" ---: " if c.kind in ("count", "share", "number") else " --- " for c in table.columns) + "|",
    ]
    lines += [
        "| " + " | ".join(_cell(row.get(c.name), c) for c in table.columns) + " |" for row in rows[:_MARKDOWN_ROWS]
    ]
    if len(rows) > _MARKDOWN_ROWS:
        lines += ["", f"The first {_MARKDOWN_ROWS} of {len(rows):,} rows; the CSV file has all."]
    return "\n".join(lines)


def _cell(value: object, column: Column) -> str:
    if value is None:
        return "–"
    if column.kind == "share" and isinstance(value, int | float):
        return percent(value)
    if column.kind == "count" and isinstance(value, float):
        return rounded(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _md(str(value))


def _md(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no line breaks, no control characters."""
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", printable(text)).replace("<", "&lt;").replace(">", "&gt;")
