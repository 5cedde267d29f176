"""Writes a report directory: the page, its Markdown and plain-text sisters, the results, and the tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from preventable.errors import OutputError
from preventable.evidence.store import replace_file
from preventable.plain_text import in_spreadsheet, printable
from preventable.records import METHOD_VERSION, SCHEMA_VERSION
from preventable.report.assessment import sections as assessment_sections
from preventable.report.html import Page, render_html
from preventable.report.model import Section
from preventable.report.plain import render_markdown, render_text
from preventable.report.summary import summary
from preventable.report.wording import percent
from preventable.stats.ppi import AUDIT_ALONE
from preventable.studies.assessment import Assessment, Results
from preventable.studies.audit_columns import BESIDE, with_audit
from preventable.taxonomy.loader import Taxonomy

_SHARE_WIDTH = len(" 49.4% (48.4%-50.3%)")
FILES = ("index.html", "report.md", "summary.txt", "results.json", "citation.txt")


def write_report(a: Assessment, taxonomy: Taxonomy, directory: Path, *, included: Sequence[Section] = ()) -> list[Path]:
    """Write all files of a report; each is replaced atomically.

    Args:
        a: the results.
        taxonomy: for titles and sources.
        directory: is made when it is not there.
        included: sections from saved results of other commands, shown after the assessment's own.
    Returns:
        The files, ``index.html`` first.
    Raises:
        OutputError: the directory cannot be written, or the disk is full.
    """
    title = f"{a.name}: how much was preventable"
    sentences = summary(a)
    all_sections = [*assessment_sections(a, taxonomy), *included]
    page = Page(
        title=title,
        kicker=_kicker(a),
        summary=sentences,
        sections=all_sections,
        inputs=a.reports,
        citation=a.citation(),
        records=_packed_records(a, taxonomy),
    )
    contents: dict[str, bytes] = {
        "index.html": render_html(page).encode(),
        "report.md": render_markdown(title, sentences, all_sections, a.reports, a.citation()).encode(),
        "summary.txt": render_text(title, sentences, a.reports, a.citation(), _share_lines(a), a.audit).encode(),
        "results.json": msgspec.json.format(msgspec.json.encode(results_document(a)), indent=1) + b"\n",
        "citation.txt": (printable(a.citation()) + "\n").encode(),
    }
    for name, frame in _tables(a).items():
        contents[f"{name}.csv"] = _for_spreadsheets(frame).write_csv().encode()
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd")
        contents[f"{name}.parquet"] = buffer.getvalue()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            replace_file(directory / name, data)
    except OSError as error:
        raise OutputError(
            f"the report cannot be written: {error.strerror or error}",
            file=str(error.filename or directory),
            hint="Free space, or name another directory with --out",
        ) from error
    return [directory / name for name in contents]


def results_document(a: Assessment) -> dict[str, object]:
    """``results.json``; its schema is docs/schema/results.json."""
    return {
        "kind": "assessment",
        "schema_version": SCHEMA_VERSION,
        "method_version": METHOD_VERSION,
        "inputs": a.reports,
        "audit": a.audit,
        "results": {name: getattr(a, name) for name in Results.__struct_fields__},
        "citation": a.citation(),
    }


def _kicker(a: Assessment) -> str:
    when = f" · data to {a.data_date}" if a.data_date else ""
    return f"{a.total:,} records{when} · dated by {a.by} · {a.data_digest[:19]}…"


def _share_lines(a: Assessment) -> list[str]:
    """Per definition the share by the labels, and beside it the corrected one where there is one."""
    pooled = [r for r in a.shares if r.period == r.component == "all"]
    corrected = {r.methodology: r.corrected for r in a.corrected if r.period == "all"}
    width = max((len(r.methodology) for r in pooled), default=0)
    lines = [f"{'':{width + 18}} {'by the labels':<{_SHARE_WIDTH}} corrected"] if corrected else []
    for r in pooled:
        line = f"{r.methodology:<{width}}  {r.count:>6,} of {r.total:>6,} "
        line += f"{_share_words(r.share, r.low, r.high):<{_SHARE_WIDTH}}"
        if e := corrected.get(r.methodology):
            line += f" {_share_words(e.value, e.low, e.high)}{' *' if e.method == AUDIT_ALONE else ''}"
        lines.append(line.rstrip())
    if any(e.method == AUDIT_ALONE for e in corrected.values()):
        lines.append("* by the audited records alone, too few to correct the labels")
    return lines


def _share_words(share: float, low: float, high: float) -> str:
    return f"{percent(share):>6} ({percent(low)}-{percent(high)})"


def _tables(a: Assessment) -> dict[str, pl.DataFrame]:
    shares = [*a.shares, *(r for r in a.component_shares if r.component != "all")]
    rows: dict[str, list[dict[str, object]]] = {
        "shares": with_audit(shares, a.corrected),
        "prevented": [msgspec.structs.asdict(r) for r in a.prevented],
        "trend": [msgspec.structs.asdict(r) for r in a.trend],
    }
    # Types are given for what may be empty in every row.
    tables = {
        name: pl.DataFrame(found, schema_overrides=BESIDE if name == "shares" else None, infer_schema_length=None)
        for name, found in rows.items()
        if found
    }
    if a.hotspots:
        flat = [{**msgspec.structs.asdict(h), "per_thousand_lines": _number(h.per_thousand_lines)} for h in a.hotspots]
        tables["hotspots"] = pl.DataFrame(flat, infer_schema_length=None)
    tables["records"] = a.records
    return tables


def _for_spreadsheets(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts as cells that no spreadsheet runs, as in ``cli.output``."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(pl.col(name).map_elements(in_spreadsheet, return_dtype=pl.String) for name in texts)


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _packed_records(a: Assessment, taxonomy: Taxonomy) -> dict[str, object] | None:
    """The record table with repeated texts by number and the definitions as bits, so that the page stays small."""
    if a.records.is_empty():
        return None
    definitions = list(taxonomy.methodologies)
    components: dict[str, int] = {}
    classes: dict[str, int] = {}
    sources: dict[str, int] = {}
    rows = []
    for r in a.records.iter_rows(named=True):
        bits = sum(1 << i for i, d in enumerate(definitions) if r[d])
        rows.append(
            [
                r["id"],
                r["published"],
                r["fixed"],
                components.setdefault(r["component"], len(components)),
                classes.setdefault(r["weakness"], len(classes)),
                sources.setdefault(r["label_source"], len(sources)),
                bits,
            ]
        )
    return {
        "definitions": definitions,
        "components": list(components),
        "classes": list(classes),
        "sources": list(sources),
        "rows": rows,
    }
