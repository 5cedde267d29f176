"""What an audit that was given cannot speak for, told where its figures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from preventable.evidence.tables import Evidence
from preventable.studies.audit import Audited
from preventable.studies.corrected import audit_remarks


def warn_of_audit(evidence: Evidence, audit: Sequence[Audited], file: Path | None, *, quiet: bool) -> bool:
    """Tell on standard error what an audit that was given cannot speak for; whether there is anything.

    Raises:
        InputError: it was drawn from other records.
    """
    doubts = audit_remarks(evidence, audit, file) if file else []
    if not quiet:
        for doubt in doubts:
            click.echo(f"preventable: audit: {doubt}", err=True)
    return bool(doubts)
