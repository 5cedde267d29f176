"""``preventable label``: a class for every record of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from preventable.classify.labeller import OUTWEIGHED, claimed_classes, label_by_cwe
from preventable.classify.model import default_model, why_silent
from preventable.cli import output
from preventable.cli.columns import columns_of
from preventable.collector import collector_paused
from preventable.errors import UsageError
from preventable.readers.base import Options
from preventable.readers.registry import READERS, load
from preventable.records import Advisory, Label, ReadReport
from preventable.report.wording import count
from preventable.taxonomy.loader import UNKNOWN, Taxonomy, builtin

COLUMNS = ("id", "class", "source", "reason", "cwe_class", "text_class")


@click.command("label")
@click.argument("file", metavar="FILE")
@click.option("--from", "format_name", type=click.Choice(list(READERS)), help="The format, where it is not recognised.")
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Map a column of a csv file.")
@click.option("--strict", is_flag=True, help="A row that cannot be read is an error.")
@output.format_option("jsonl")
@output.quiet_option()
def command(file: str, format_name: str | None, columns: tuple[str, ...], strict: bool, fmt: str, quiet: bool) -> None:
    """Label every record of FILE, in its order: one line each.

    A specific CWE decides where one is given, else the text. Every source's class stays visible: `cwe_class` and
    `text_class`, empty where the source tells none, are `sources` in JSON, and there `reasons` has every CWE with who
    said it, also the vague and the outweighed (`decides` is false, `why_not` says why). A record that its publisher
    rejected has no line; one that is `withdrawn` has, with the date in JSON. Both are counted on standard error.

    \b
    Example: preventable label bugs.jsonl --format jsonl
    """
    if _label(file, format_name, columns, strict=strict, fmt=fmt, quiet=quiet):
        raise click.exceptions.Exit(1)


@collector_paused()
def _label(file: str, format_name: str | None, columns: tuple[str, ...], *, strict: bool, fmt: str, quiet: bool) -> int:
    """Label and write; the number of rows that could not be read."""
    loaded = load(
        file,
        format_name=format_name,
        options=Options(columns=columns_of(columns)),
        strict=strict,
        keep_duplicates=True,
        quiet=quiet,
    )
    if READERS[loaded.report.format].kind != "advisories":
        raise UsageError(
            f"no vulnerability records: {READERS[loaded.report.format].title}", file=file, hint="Give a feed of records"
        )
    taxonomy = builtin()
    model = default_model()
    predicted = model.predict(loaded.advisories)
    chances = predicted.probabilities.astype(float).round(4).tolist()
    counted = {name: p.astype(float).round(4).tolist() for name, p in predicted.methodologies.items()}
    rows = [
        label_row(
            record,
            label_by_cwe(record, taxonomy),
            by_text,
            taxonomy,
            dict(zip(model.classes, chances[i], strict=True)),
            {name: p[i] for name, p in counted.items()},
        )
        for i, (record, by_text) in enumerate(zip(loaded.advisories, predicted.labels, strict=True))
    ]
    if fmt not in ("json", "jsonl"):
        rows = [row | _classes_by_source(row) for row in rows]
    output.write_rows(rows, fmt, kind="label", columns=COLUMNS, inputs=[loaded.report])
    output.say_failed(loaded.report, quiet=quiet)
    _say_withdrawn(loaded.report, sum(a.withdrawn is not None for a in loaded.advisories), quiet=quiet)
    return loaded.report.failed


def label_row(
    record: Advisory,
    by_cwe: Label,
    by_text: Label,
    taxonomy: Taxonomy,
    probabilities: dict[str, float],
    counted: dict[str, float],
) -> dict[str, object]:
    """One line of output: the class that stands, what each source says, and why.

    ``probabilities`` are the text's in any case. ``methodologies`` holds the chance that the record counts: 0 or 1
    where a CWE decides, the text's calibrated one otherwise, ``None`` where neither tells. A text that makes
    no class likely enough is ``unknown``, its probabilities stand. ``reasons`` has every CWE claim, those that decide
    first, then what the text gives; ``reason`` is the first of those that decide, or the text's doubt.
    """
    label = by_cwe if by_cwe.weakness != UNKNOWN else by_text
    told = by_text.weakness != UNKNOWN or bool(by_text.reasons)
    cwe = taxonomy.cwe_of(label.weakness, label.cwe)
    methodologies: dict[str, float | None] = {}
    for m in taxonomy.methodologies.values():
        if label.weakness == UNKNOWN and not told:
            methodologies[m.id] = None
        elif label.source == "cwe":
            methodologies[m.id] = float(m.counts(label.weakness, cwe))
        else:
            methodologies[m.id] = counted[m.id]
    reasons: list[dict[str, object]] = [
        {"source": "cwe", "kind": "cwe", "detail": f"CWE-{c.cwe}", "said_by": c.said_by, "span": None,
         "class": c.weakness, "decides": c.why_not is None, "why_not": c.why_not}
        for c in (claimed_classes(record.cwes, taxonomy) if record.cwes else ())
    ]  # fmt: skip
    decides = label is by_text and label.weakness != UNKNOWN
    why_not = None if label is by_text else OUTWEIGHED
    reasons += [
        {"source": by_text.source, "kind": r.kind, "detail": r.detail, "said_by": r.said_by, "span": r.span,
         "class": by_text.weakness, "decides": decides, "why_not": why_not}
        for r in by_text.reasons
    ]  # fmt: skip
    return {
        "id": record.id,
        "class": label.weakness,
        "source": label.source,
        "probabilities": probabilities if told else None,
        "methodologies": methodologies,
        "sources": {"cwe": by_cwe.weakness, "text": by_text.weakness},
        "withdrawn": record.withdrawn,
        "reasons": reasons,
        "reason": label.reasons[0].detail if label.reasons else why_silent(record.title, record.text),
    }


def _classes_by_source(row: Mapping[str, Any]) -> dict[str, object]:
    """Columns of the flat formats; None where a source tells no class."""
    return {f"{name}_class": None if weakness == UNKNOWN else weakness for name, weakness in row["sources"].items()}


def _say_withdrawn(report: ReadReport, withdrawn: int, *, quiet: bool) -> None:
    """Tell how many records have no line, and how many have one although they are withdrawn."""
    if report.rejected and not quiet:
        click.echo(
            f"preventable: {report.format}: {count(report.rejected, 'record')} rejected or withdrawn by their "
            "publisher, without a line",
            err=True,
        )
    if withdrawn and not quiet:
        click.echo(
            f"preventable: {report.format}: {count(withdrawn, 'record')} withdrawn, but labelled; JSON has the date",
            err=True,
        )
