"""``preventable assess``: from advisories to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from preventable.cli import output
from preventable.cli.audited import given_audit, say_uncorrected_periods
from preventable.cli.feeds import evidence_of, feed_options, filter_options, filters_of, open_case, warn_of_rows
from preventable.errors import FormatError, UsageError
from preventable.evidence.tables import Evidence
from preventable.report.bundle import results_document, write_report
from preventable.report.model import Section
from preventable.report.sections.registry import included_section
from preventable.studies.assessment import Assessment, assess
from preventable.studies.population import Period


@click.command("assess")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@feed_options
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("preventable-report"),
    show_default=True,
    help="Directory of the report.",
)
@click.option("--name", help="What is assessed, for titles.")
@click.option("--period", type=click.Choice(["year", "quarter", "month"]), default="year", show_default=True)
@filter_options
@click.option(
    "--include",
    "includes",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A saved JSON result of another command (census, lineage, compare, ports ...): adds its section. A "
    "census also normalises the hotspots.",
)
@click.option(
    "--since-results",
    "earlier",
    type=click.Path(dir_okay=False, path_type=Path),
    help="An earlier results.json: adds what changed since.",
)
@click.option(
    "--audit", type=click.Path(path_type=Path), help="An audit table of these records (see preventable audit merge)."
)
@output.format_option("text", ("text", "json", "markdown"))
@output.quiet_option()
def command(
    path: Path | None,
    out: Path,
    name: str | None,
    period: Period,
    includes: tuple[Path, ...],
    earlier: Path | None,
    audit: Path | None,
    fmt: str,
    quiet: bool,
    **values: Any,
) -> None:
    """Turn vulnerability records into a report on what was preventable.

    PATH is the code the records are about; its preventable.toml is used when there, and its MAINTAINERS where that
    says so ([census] components_from). Without PATH and --advisories the embedded facts about Linux are assessed.

    \b
    Writes index.html, report.md, summary.txt, results.json and the tables (CSV, Parquet) to --out,
    and prints the summary. The tables are shares (by the labels, corrected and by the audit alone, as
    in `share`), prevented, trend, hotspots and records. The evidence store lies in --out unless
    --store names another place.

    Exit status 1: some records could not be read (they are counted and listed), or some of the audit do not fit or
    are not settled.

    \b
    Example: preventable assess --advisories vulns/ --out report
    """
    filters = filters_of(values)
    case = open_case(path, values.pop("case_file"), name)
    values["store"] = values["store"] or out / "evidence"
    documents = [_saved(file) for file in includes]
    embedded = not values["locations"] and not case.advisories.locations
    before = _bytes(earlier) if earlier else None
    evidence = evidence_of(case, path=path, quiet=quiet, **values)
    lines = _lines(documents)
    _say_unfitting(lines, evidence, quiet=quiet)
    audited, doubtful = given_audit(evidence, audit, case.taxonomy, quiet=quiet)
    assessment = assess(
        evidence,
        case.taxonomy,
        name="Linux" if embedded and name is None else case.name,
        primary=case.primary,
        filters=filters,
        period=period,
        lines=lines,
        earlier=before,
        audit=audited,
        audit_file=audit,
    )
    if audited is not None:
        say_uncorrected_periods(assessment.corrected, audited, evidence, assessment.period, quiet=quiet)
    finish(assessment, case.taxonomy, out, fmt, quiet=quiet, included=[included_section(d) for d in documents])
    if warn_of_rows(evidence, quiet=quiet) or doubtful:
        raise click.exceptions.Exit(1)


def finish(assessment: Assessment, taxonomy: Any, out: Path, fmt: str, *, quiet: bool, included: list[Section]) -> None:
    """Write the report and print its summary."""
    files = write_report(assessment, taxonomy, out, included=included)
    if fmt == "json":
        output.write_json(results_document(assessment))
    else:
        name = "summary.txt" if fmt == "text" else "report.md"
        click.echo((out / name).read_text(encoding="utf-8"), nl=False)
    if not quiet:
        click.echo(f"preventable: report written to {files[0]}", err=True)


def _saved(file: Path) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(_bytes(file), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(
            f"not a saved result: {error}", file=str(file), hint="Save one with --format json of another command"
        ) from error
    return document


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise UsageError("no such file", file=str(file)) from error


def _say_unfitting(lines: dict[str, int], evidence: Evidence, *, quiet: bool) -> None:
    """Tell where a census counted by other components than the records are placed by."""
    touched = set(evidence.files["component"])
    here = touched & lines.keys()
    if lines and len(here) < len(touched) / 2 and not quiet:
        click.echo(
            f"preventable: the census has {len(here):,} of the {len(touched):,} components of the records; hotspots of "
            "the others have no count per line. Count by the same components ([census] components_from of the case)",
            err=True,
        )


def _lines(documents: list[dict[str, Any]]) -> dict[str, int]:
    """Lines of code per component from the censuses among the saved results; tests, vendored and generated left out."""
    lines: dict[str, int] = {}
    for document in documents:
        if document.get("kind") != "census":
            continue
        for row in document.get("results", []):
            if row.get("bucket") == "code" and isinstance(row.get("code"), int):
                lines[row["component"]] = lines.get(row["component"], 0) + row["code"]
    return lines
