"""``preventable share``: which share is memory safety, under every definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from preventable.cli import output
from preventable.cli.audited import given_audit, say_uncorrected_periods
from preventable.cli.feeds import evidence_of, feed_options, filter_options, filters_of, open_case, warn_of_rows
from preventable.errors import UsageError
from preventable.studies.audit_columns import BESIDE, with_audit
from preventable.studies.audit_used import built_in_audit_used, given_audit_used
from preventable.studies.corrected import corrected_share, fitting_audit
from preventable.studies.population import Period, select
from preventable.studies.share import ShareRow, share

COLUMNS = ("methodology", "period", "component", "count", "total", "unknown", "share", "low", "high", "estimator")
"""Those of the labels; ``BESIDE`` follow. JSON has all members."""


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
    period: Period,
    by_component: bool,
    audit: Path | None,
    fmt: str,
    quiet: bool,
    **values: Any,
) -> None:
    """Share of the records that is memory safety, by definition, period and component.

    `total` includes records of unknown class; pooled rows say `all`. Without --advisories the embedded facts about
    Linux are used. `share` is what the labels say; `corrected` and `audit_only` stand beside it where a random
    sample of these records was read (for Linux: built in, read by models), and are empty elsewhere: with too few
    audited records, per component, and in periods that cannot be corrected. JSON names the audit in `audit`, with its
    digest and design.

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
        period=period,
        by_component=by_component,
    )
    audited, doubtful = given_audit(evidence, audit, case.taxonomy, quiet=quiet)
    used = fitting_audit(population, case.taxonomy) if audited is None else audited
    corrected = corrected_share(
        population,
        used,
        case.taxonomy,
        methodologies=methodologies or None,
        period=period,
    )
    if audited is not None:
        say_uncorrected_periods(corrected, audited, evidence, period, quiet=quiet)
    output.write_rows(
        with_audit(rows, corrected),
        fmt,
        kind="share",
        columns=(*COLUMNS, *BESIDE),
        inputs=evidence.reports,
        audit=built_in_audit_used(used) if audited is None else given_audit_used(used, audit),
        dated_by=population.by,
        undated=population.undated,
        withdrawn=population.withdrawn,
        without_severity=population.without_severity,
    )
    if warn_of_rows(evidence, quiet=quiet) or doubtful:
        raise click.exceptions.Exit(1)
