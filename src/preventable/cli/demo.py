"""``preventable demo``: the embedded case, Linux."""

from __future__ import annotations

from pathlib import Path

import click

from preventable.cli import output
from preventable.cli.assess import finish
from preventable.studies.assessment import assess
from preventable.studies.embedded import load_facts
from preventable.taxonomy.loader import builtin


@click.command("demo")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("preventable-report"),
    show_default=True,
    help="Directory of the report.",
)
@output.format_option("text", ("text", "json", "markdown"))
@output.quiet_option()
def command(out: Path, fmt: str, quiet: bool) -> None:
    """Report on Linux from the embedded facts; needs no data and no network.

    \b
    Example: preventable demo --out report
    """
    taxonomy = builtin()
    finish(assess(load_facts(), taxonomy, name="Linux"), taxonomy, out, fmt, quiet=quiet, included=[])
