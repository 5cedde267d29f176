"""Arguments that ``compare``, ``lifetimes`` and ``claims`` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from preventable.classify.labeller import label_records
from preventable.cli import output
from preventable.cli.feeds import AdvisoriesSection
from preventable.evidence.merge import shared_aliases
from preventable.plain_text import printable
from preventable.readers.case_file import CaseFile, find_case_file, parse_case, read_case_file
from preventable.studies.embedded import is_embedded
from preventable.studies.setting import EMBEDDED_CASE, Inputs, Labeller, text_of
from preventable.taxonomy.loader import load_taxonomy

F = TypeVar("F", bound=Callable[..., Any])


def study_options(function: F) -> F:
    """FEEDS, ``--advisories``, ``--case``, ``--releases`` and ``--repository``."""
    for decorate in (
        click.option(
            "--repository",
            type=click.Path(path_type=Path),
            help="A git clone that dates versions and commits.",
        ),
        click.option("--releases", metavar="FILE", help="Release dates per version (endoflife.date's shape)."),
        click.option("--case", type=click.Path(path_type=Path), help="The case file; ./preventable.toml by default."),
        click.option("-a", "--advisories", multiple=True, metavar="FEED", help="A feed; the same as an argument."),
        click.argument("feeds", nargs=-1, metavar="[FEEDS]..."),
    ):
        function = decorate(function)
    return function


_SECTIONS = {"advisories", "compare", "pairs", "claims"}
"""A case file here that has none of these (one for the gate alone) says nothing about records."""


def case_at(case: Path | None, feeds: Sequence[str] = ()) -> tuple[CaseFile | None, Path]:
    """The case file and the directory that its names are relative to.

    Without a case file there are defaults; without feeds too it is the embedded Linux case.
    """
    path = case / "preventable.toml" if case is not None and case.is_dir() else case
    if path is not None:
        return read_case_file(path), path.parent
    found = find_case_file(Path())
    here = read_case_file(found) if found is not None else None
    if not feeds and (here is None or not _SECTIONS & here.sections.keys()):
        return parse_case(*text_of(EMBEDDED_CASE, Path())), Path()
    return here, found.parent if found is not None else Path()


def feeds_of(case: CaseFile | None, base: Path, given: Sequence[str]) -> list[str]:
    """The feeds that were given, else those of ``[advisories]``; where there are none it says that Linux stands in."""
    section = case.decode("advisories", AdvisoriesSection) if case is not None and not given else None
    feeds = list(given) or [str(base / name) for name in (section.locations if section else ())]
    if not feeds:
        click.echo("no feeds were given: using the embedded facts about Linux", err=True)
    return feeds


def labeller(base: Path) -> Labeller:
    """The labeller, blind to path and language: by CWE where one decides, else by the words."""
    taxonomy = load_taxonomy(base)
    return lambda advisories: {
        labels.standing.advisory: labels.standing for labels in label_records(advisories, taxonomy)
    }


def warn_losses(inputs: Inputs, *, quiet: bool) -> None:
    """Say on standard error what was not read or not dated; never silently."""
    for report in inputs.reports:
        if is_embedded(report):
            continue  # no news to who gave no feed; it stands among the inputs of the result
        output.say_failed(report, quiet=False)
    for reason, count in inputs.events.undated.items():
        click.echo(f"{count:,} records are not dated: {reason}", err=True)
    warn_shared(inputs.readings, inputs, "a hand reading")
    if not inputs.labelled:
        click.echo("no record has a weakness class: only counts over all classes are given", err=True)
    if not quiet:
        click.echo(f"fixes from {inputs.start} to {inputs.end} count; the data end on {inputs.data_date}", err=True)


def warn_shared(names: Iterable[str], inputs: Inputs, what: str) -> None:
    """Say which names are aliases of several records, so that what is said by them applies to none of these."""
    shared = shared_aliases(inputs.advisories)
    unclear = sorted({name for name in names if name in shared})
    if unclear:
        first = f"{unclear[0]} is one of {' and of '.join(shared[unclear[0]])}"
        more = f" ({len(unclear) - 1:,} more such names)" if len(unclear) > 1 else ""
        message = f"{what} by an alias of several records applies to none: {first}{more}; give it by an id"
        click.echo(f"preventable: warning: {printable(message)}", err=True)


def partial(inputs: Inputs) -> bool:
    """Whether advisories were lost: the result is then partial, and the exit status 1."""
    return any(report.failed for report in inputs.reports if report.format != "releases")
