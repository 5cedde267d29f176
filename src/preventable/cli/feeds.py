"""The options that say which records a command reads, and the evidence they give. Shared by several commands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import platformdirs

from preventable.cli import output
from preventable.cli.columns import columns_of
from preventable.code.census_case import CensusCase
from preventable.code.components import ComponentMap, map_components
from preventable.errors import UsageError
from preventable.evidence.tables import Evidence
from preventable.readers.base import Options
from preventable.readers.case_file import CaseFile, find_case_file, read_case_file
from preventable.readers.registry import READERS
from preventable.studies.embedded import is_embedded, load_facts
from preventable.studies.gather import Request, gather
from preventable.studies.population import Filters
from preventable.taxonomy.loader import Taxonomy, builtin, load_taxonomy

F = TypeVar("F", bound=Callable[..., Any])
SEVERITIES = ("none", "low", "medium", "high", "critical")


class AdvisoriesSection(msgspec.Struct, frozen=True):
    """``[advisories]`` of the case file."""

    locations: tuple[str, ...] = ()
    """Feeds, relative to the case file."""
    format: str | None = None
    columns: dict[str, str] = {}


class CaseSection(msgspec.Struct, frozen=True):
    """``[case]`` of the case file, as far as records are concerned."""

    name: str | None = None
    repository: str | None = None
    start: date | None = None


class MethodologySection(msgspec.Struct, frozen=True):
    """``[methodology]`` of the case file."""

    primary: str = "strict"


class Case(msgspec.Struct, frozen=True):
    """What a command knows before it reads records."""

    name: str
    file: CaseFile | None
    advisories: AdvisoriesSection
    primary: str
    taxonomy: Taxonomy
    directory: Path


def feed_options(function: F) -> F:
    """``--advisories``, ``--from``, ``--column``, ``--case``, ``--strict``, ``--store``."""
    for option in reversed(
        (
            click.option(
                "-a",
                "--advisories",
                "locations",
                multiple=True,
                metavar="LOCATION",
                help="A feed: file, directory, archive or clone; several are merged. LOCATION#field=value keeps "
                "matching rows of a jsonl or csv file. See `preventable list readers`.",
            ),
            click.option(
                "--from",
                "format_name",
                type=click.Choice(list(READERS)),
                help="The feeds' format, where it is not recognised.",
            ),
            click.option(
                "--column",
                "columns",
                multiple=True,
                metavar="FIELD=COLUMN",
                help="Map a column of a csv file, for example id=Key.",
            ),
            click.option(
                "--case",
                "case_file",
                type=click.Path(dir_okay=False, path_type=Path),
                help="The case file; preventable.toml in PATH or here when not given.",
            ),
            click.option("--strict", is_flag=True, help="Any row of a read report is an error."),
            click.option(
                "--store",
                type=click.Path(file_okay=False, path_type=Path),
                help="Directory of the evidence store; in the user's cache when not given.",
            ),
        )
    ):
        function = option(function)
    return function


def filter_options(function: F) -> F:
    """``--component``, ``--severity``, ``--exploited``, ``--since``, ``--until``, ``--by``."""
    day = click.DateTime(["%Y-%m-%d"])
    for option in reversed(
        (
            click.option("--component", "components", multiple=True, help="Only records that touch it; repeatable."),
            click.option(
                "--severity",
                "severities",
                multiple=True,
                type=click.Choice(SEVERITIES),
                help="Only records of it; repeatable. Records without one are counted apart.",
            ),
            click.option("--exploited", is_flag=True, help="Only records known to be exploited."),
            click.option("--since", type=day, help="Only records dated on or after this day."),
            click.option("--until", type=day, help="Only records dated on or before this day."),
            click.option(
                "--by",
                type=click.Choice(["fix", "publication"]),
                help="Which date counts; the mainline fix where known, else publication.",
            ),
        )
    ):
        function = option(function)
    return function


def filters_of(values: dict[str, Any]) -> Filters:
    """The filters among a command's values; takes them out."""
    since, until = values.pop("since"), values.pop("until")
    if since and until and since > until:
        raise UsageError(
            f"{since.date()} is after {until.date()}",
            field="--since",
            hint="No day lies between them",
        )
    return Filters(
        components=tuple(values.pop("components")),
        severities=tuple(values.pop("severities")),
        exploited=values.pop("exploited"),
        since=since.date() if since else None,
        until=until.date() if until else None,
        by=values.pop("by"),
    )


def open_case(path: Path | None, case_file: Path | None, name: str | None = None) -> Case:
    """The case file that was named, or the one in PATH or here, or none; with the taxonomy beside it."""
    if path is not None and not path.exists():
        raise UsageError("no such directory", file=str(path), hint="PATH is the code; feeds go to --advisories")
    found = case_file or find_case_file(path or Path.cwd())
    case = read_case_file(found) if found else None
    directory = found.parent if found else (path or Path.cwd())
    own = case.decode("case", CaseSection) if case else None
    methodology = case.decode("methodology", MethodologySection) if case else None
    taxonomy = load_taxonomy(directory) if found else builtin()
    primary = methodology.primary if methodology else "strict"
    if primary not in taxonomy.methodologies:
        raise UsageError(
            f"no methodology {primary!r}",
            file=str(found),
            field="methodology.primary",
            hint=f"Methodologies: {', '.join(taxonomy.methodologies)}",
        )
    return Case(
        name=name or (own.name if own else None) or (path.resolve().name if path else "These records"),
        file=case,
        advisories=(case.decode("advisories", AdvisoriesSection) if case else None) or AdvisoriesSection(),
        primary=primary,
        taxonomy=taxonomy,
        directory=directory,
    )


def component_map(case: Case, path: Path | None) -> tuple[ComponentMap, str]:
    """The map from path to component and a key that names it; MAINTAINERS is read from PATH where the case says so."""
    counting = CensusCase.of(case.file)
    rest = counting.census.components_from
    maintainers = None
    key = f"{rest} {case.file.digest if case.file else ''}"
    if rest == "maintainers":
        file = (path or case.directory) / "MAINTAINERS"
        if not file.is_file():
            raise UsageError("the case maps components by MAINTAINERS, which is not there", file=str(file))
        maintainers = file.read_text(encoding="utf-8", errors="replace")
        key += hashlib.sha256(maintainers.encode()).hexdigest()
    return map_components(counting.components, rest, maintainers=maintainers), key


def evidence_of(
    case: Case,
    *,
    path: Path | None,
    locations: Sequence[str],
    format_name: str | None,
    columns: Sequence[str],
    strict: bool,
    store: Path | None,
    quiet: bool,
) -> Evidence:
    """The evidence that the options name; the embedded Linux facts when neither they nor the case name a feed."""
    chosen = [*locations] or [str(case.directory / one) for one in case.advisories.locations]
    if not chosen:
        if path is not None:
            raise UsageError(
                "no feed of vulnerability records is named for this code",
                file=str(path),
                hint="Give one with --advisories, or under [advisories] in its preventable.toml",
            )
        if not quiet:
            click.echo("preventable: no --advisories given: using the embedded facts about Linux", err=True)
        return load_facts()
    mapping = {**case.advisories.columns, **columns_of(columns)}
    component_of, key = component_map(case, path)
    request = Request(
        locations=tuple(chosen),
        format_name=format_name or case.advisories.format,
        options=Options(columns=mapping, today=date.today()),
        strict=strict,
        components_key=key,
    )
    return gather(
        request,
        component_of,
        store=store or default_store(chosen),
        taxonomy=case.taxonomy,
        quiet=quiet,
        say=(lambda _message: None) if quiet else lambda message: click.echo(f"preventable: {message}", err=True),
    )


def default_store(locations: Sequence[str]) -> Path:
    """Where the evidence of these locations is kept when no store is named."""
    name = hashlib.sha256("\0".join(str(Path(one).resolve()) for one in locations).encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("preventable")) / "evidence" / name


def warn_of_rows(evidence: Evidence, *, quiet: bool) -> bool:
    """Tell on standard error what could not be read; whether any record of a feed was lost.

    What the embedded facts were made without is not news to who gave no feed: it stands among the inputs of the result.
    """
    for report in evidence.reports:
        if not is_embedded(report):
            output.say_failed(report, quiet=quiet)
    return any(r.failed and READERS[r.format].kind == "advisories" for r in evidence.reports)
