"""Rows and results to standard output in the format asked for. Messages never come here."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import click
import msgspec

from preventable.plain_text import in_spreadsheet, printable
from preventable.records import METHOD_VERSION, SCHEMA_VERSION, ReadReport

Format = Literal["table", "json", "jsonl", "csv", "markdown"]
FORMATS: tuple[Format, ...] = ("table", "json", "jsonl", "csv", "markdown")

F = TypeVar("F", bound=Callable[..., Any])
Row = Mapping[str, object] | msgspec.Struct


def format_option(default: str = "table", formats: Sequence[str] = FORMATS) -> Callable[[F], F]:
    """The ``--format`` option, the same everywhere."""
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(list(formats)),
        default=default,
        show_default=True,
        help="How to write the result to standard output.",
    )


def quiet_option() -> Callable[[F], F]:
    """The ``--quiet`` option, the same everywhere."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")


def envelope(kind: str, results: object, inputs: object = (), **more: object) -> dict[str, object]:
    """The top-level members that every JSON result has; ``kind`` names the question (``share``, ``census``).

    A saved result can be given to ``assess --include``, which adds the section for its kind to the report.
    """
    return {
        "kind": kind,
        "schema_version": SCHEMA_VERSION,
        "method_version": METHOD_VERSION,
        "inputs": inputs,
        "results": results,
        **more,
    }


def write_rows(
    rows: Sequence[Row], fmt: str, *, kind: str, columns: Sequence[str], inputs: object = (), **more: object
) -> None:
    """Write rows as a table, JSON (in the envelope), JSON Lines, CSV or Markdown.

    Args:
        rows: mappings or structs that have every column; other members appear in JSON only.
        fmt: one of ``FORMATS``.
        columns: the columns of the flat formats, in order.
        kind: the question that the rows answer.
        inputs: what the envelope says was read.
        more: further members of the JSON envelope (a summary, limits, reasons).
    """
    if fmt == "json":
        write_json(envelope(kind, rows, inputs, **more))
    elif fmt == "jsonl":
        if rows:
            click.echo(msgspec.json.Encoder().encode_lines(rows), nl=False)
    else:
        click.echo(render_rows(rows, fmt, columns), nl=False)


def write_json(value: object) -> None:
    """Indented JSON with a final newline."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def render_rows(rows: Sequence[Row], fmt: str, columns: Sequence[str]) -> str:
    """Rows as the text of a table, CSV or Markdown document, ending in a newline."""
    values = [[_value(row, c) for c in columns] for row in rows]
    if fmt == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(value) for value in row] for row in values)
        return buffer.getvalue()
    from tabulate import tabulate  # noqa: PLC0415  (heavy: only when a table is drawn)

    cells = [[_cell(value) for value in row] for row in values]
    if fmt == "markdown":
        cells = [[cell.replace("|", "\\|").replace("<", "&lt;") for cell in row] for row in cells]
    numeric = [
        all(value is None or isinstance(value, int | float) for value in column) for column in zip(*values, strict=True)
    ]
    text: str = tabulate(
        cells,
        headers=list(columns),
        tablefmt="github" if fmt == "markdown" else "simple",
        disable_numparse=True,
        colalign=["right" if n else "left" for n in numeric] if rows else None,
    )
    return text + "\n"


def _value(row: Row, column: str) -> object:
    return getattr(row, column) if isinstance(row, msgspec.Struct) else row[column]


def _plain(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        value = " ".join(str(v) for v in value)
    return in_spreadsheet(value) if isinstance(value, str) else value


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    text = " ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
    return printable(text)


def say_failed(report: ReadReport, *, quiet: bool) -> None:
    """Tell how many rows could not be read, if any, and why the first could not."""
    if report.failed and not quiet:
        first = report.rows[0]
        where = f"file {first.file}{f', record {first.record}' if first.record else ''}"
        what = "release dates are unknown" if report.format == "releases" else "rows could not be read"
        message = f"{report.format}: {report.failed:,} {what}; the first: {first.reason} ({where})"
        click.echo(f"preventable: {printable(message)}", err=True)
    if report.duplicate and not quiet:
        again = f"{report.location}: {report.duplicate:,} of its records are there twice and count once"
        click.echo(f"preventable: {report.format}: {printable(again)}", err=True)
    if report.joined and not quiet:
        click.echo(f"preventable: {report.format}: {printable(joined_words(report))}", err=True)
    if report.warnings and not quiet:
        first = report.warnings[0]
        named = (("file", first.file), ("record", first.record), ("field", first.field))
        where = ", ".join(f"{name} {value}" for name, value in named if value)
        many = f"{len(report.warnings):,} warnings; the first" if len(report.warnings) > 1 else "warning"
        message = f"{report.format}: {many}: {first.reason} ({where})"
        click.echo(f"preventable: {printable(message)}", err=True)


def joined_words(report: ReadReport) -> str:
    """How many records of a location are one with an earlier one's."""
    return (
        f"{report.location}: {report.joined:,} of its records are one with an earlier location's, by an alias or in "
        "another format, and count once"
    )


def say_resumed(commits: int, *, quiet: bool) -> None:
    """Tell that a run went on from a saved one, if it did."""
    if commits and not quiet:
        click.echo(f"preventable: note: this run goes on from commit {commits:,} of an earlier one", err=True)
