"""An audit that the user gives, and what it cannot speak for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from preventable.evidence.tables import Evidence
from preventable.plain_text import printable
from preventable.studies.audit import Audited, read_merged
from preventable.studies.corrected import CorrectedRow, audit_remarks, uncorrected_periods
from preventable.studies.population import Period
from preventable.taxonomy.loader import Taxonomy


def given_audit(
    evidence: Evidence, file: Path | None, taxonomy: Taxonomy, *, quiet: bool
) -> tuple[list[Audited] | None, bool]:
    """An audit that was given, and whether there is anything that it cannot speak for, told on standard error.

    Raises:
        InputError: it cannot be read, or was drawn from other records. FormatError: it is not an audit table.
    """
    if file is None:
        return None, False
    audit = read_merged(file, taxonomy)
    doubts = audit_remarks(evidence, audit, file)
    if not quiet:
        for doubt in doubts:
            click.echo(f"preventable: audit: {printable(doubt)}", err=True)
    return audit, bool(doubts)


def say_uncorrected_periods(
    rows: Sequence[CorrectedRow], audit: Sequence[Audited], evidence: Evidence, period: Period, *, quiet: bool
) -> None:
    """Tell once on standard error that a given audit corrects no periods, if so, and what to do."""
    if not quiet and (said := uncorrected_periods(rows, audit, evidence, period)):
        click.echo(f"preventable: note: {printable(said)}", err=True)
