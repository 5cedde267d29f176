"""``preventable share``: which share is memory safety, under every definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from preventable.cli import output
from preventable.cli.audited import given_audit
from preventable.cli.feeds import evidence_of, feed_options, filter_options, filters_of, open_case, warn_of_rows
from preventable.errors import UsageError
from preventable.studies.corrected import NO_AUDIT, corrected_share, fitting_audit, side_by_side
from preventable.studies.population import ALL, select
from preventable.studies.share import ShareRow, share

COLUMNS = ("methodology", "period", "component", "count", "total", "unknown", "share", "low", "high", "estimator")
BESIDE = ("corrected", "corrected_low", "corrected_high", "corrected_by", "audit_only", "audited", "reader_kind")
"""What an audit adds, to be read beside them; CSV keeps to ``COLUMNS``, JSON has all members."""


@click.command("share")
@feed_options
@click.option("-m", "--methodology", "methodologies", multiple=True, help="Only these definitions; repeatable.")
@click.option("--period", type=click.Choice(["year", "quarter", "month", "all"]), default="year", show_default=True)
@click.option("--by-component", is_flag=True, help="Also one row per component.")
@click.option(
    "--audit", type=click.Path(path_type=Path), help="An audit table of these records (see preventable audit merge)."
)
@filter_options
@output.format_option()
@output.quiet_option()
def command(
    methodologies: tuple[str, ...],
    period: str,
    by_component: bool,
    audit: Path | None,
    fmt: str,
    quiet: bool,
    **values: Any,
) -> None:
    """Share of the records that is memory safety, by definition, period and component.

    `total` includes records of unknown class; pooled rows say `all`. Without --advisories the embedded facts about
    Linux are used. `share` is what the labels say; `corrected` and `audit_only` stand beside it where a random
    sample of these records was read (for Linux: built in, read by models), in all formats but csv.

    Exit status 1: some records could not be read, or some of the audit do not fit or are not settled.

    \b
    Example: preventable share --advisories vulns/ --period all --format json
    """
    filters = filters_of(values)
    case = open_case(None, values.pop("case_file"))
    if unknown := [m for m in methodologies if m not in case.taxonomy.methodologies]:
        raise UsageError(
            f"no methodology {unknown[0]!r}", hint=f"Methodologies: {', '.join(case.taxonomy.methodologies)}"
        )
    evidence = evidence_of(case, path=None, quiet=quiet, **values)
    population = select(evidence, filters)
    rows: list[ShareRow] = share(
        population,
        case.taxonomy,
        methodologies=methodologies or None,
        period=period,  # type: ignore[arg-type]  # the choices above are its values
        by_component=by_component,
    )
    audited, doubtful = given_audit(evidence, audit, case.taxonomy, quiet=quiet)
    beside = side_by_side(
        corrected_share(
            population,
            fitting_audit(population, case.taxonomy) if audited is None else audited,
            case.taxonomy,
            methodologies=methodologies or None,
            period=period,  # type: ignore[arg-type]  # the choices above are its values
        )
    )
    output.write_rows(
        [
            msgspec.structs.asdict(r)
            | (beside.get((r.methodology, r.period), NO_AUDIT) if r.component == ALL else NO_AUDIT)
            for r in rows
        ],
        fmt,
        kind="share",
        columns=COLUMNS if fmt == "csv" else COLUMNS + BESIDE,
        inputs=evidence.reports,
        dated_by=population.by,
        undated=population.undated,
        withdrawn=population.withdrawn,
        without_severity=population.without_severity,
    )
    if warn_of_rows(evidence, quiet=quiet) or doubtful:
        raise click.exceptions.Exit(1)
