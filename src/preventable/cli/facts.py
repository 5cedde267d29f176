"""``preventable facts``: compute the embedded case again from a feed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from preventable.cli import output
from preventable.cli.feeds import evidence_of, feed_options, open_case
from preventable.errors import UsageError
from preventable.readers.registry import READERS, load, recognise, split_location
from preventable.studies.embedded import save_facts


@click.command("facts")
@feed_options
@click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Directory to write."
)
@output.quiet_option()
def command(out: Path, quiet: bool, **values: Any) -> None:
    """Keep facts without prose: ids, dates, versions, files, components, classes and who gave them.

    Texts, titles and quoted words are left out, so that the result can be passed on freely. This is how the embedded
    case was made.

    \b
    Example: preventable facts -a kernel-cna.tar.zst -a linux-releases.json -o facts
    """
    case = open_case(None, values.pop("case_file"))
    if not values["locations"]:
        raise UsageError("facts need a feed", hint="Give one with --advisories")
    evidence = evidence_of(case, path=None, quiet=quiet, **values)
    releases: dict[str, date] = {}
    for location in values["locations"]:
        if READERS[recognise(split_location(location)[0]).name].kind == "releases":
            releases.update(load(location).releases)
    names = " ".join(f"-a {Path(location).name}" for location in values["locations"])
    save_facts(evidence, releases, out, f"preventable facts {names} -o {out.name}")
    if not quiet:
        size = sum(f.stat().st_size for f in out.iterdir() if f.is_file())
        click.echo(f"preventable: {evidence.advisories.height:,} records, {size:,} bytes in {out}", err=True)
