"""``preventable lifetimes``: how long faults live."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from preventable.cli import output
from preventable.cli.study_inputs import case_at, feeds_of, labeller, partial, study_options, warn_losses, warn_shared
from preventable.errors import InputError
from preventable.evidence.merge import by_id
from preventable.studies.lifetimes import By, lifetimes, read_origins, with_origins
from preventable.studies.setting import read_inputs, setting_of
from preventable.taxonomy.loader import load_taxonomy

COLUMNS = (
    "by", "group", "events", "dated", "left_censored", "naive_mean", "naive_median", "corrected_mean",
    "corrected_median", "exponential_mean", "weibull_shape", "half_life", "hidden_share", "tau_p", "reason",
)  # fmt: skip
GROUPS: tuple[By, ...] = ("class", "component", "language", "year")


@click.command()
@study_options
@click.option("--by", type=click.Choice(GROUPS), multiple=True, help="Group by; may be repeated. Default: all four.")
@click.option("--origin", type=click.Path(path_type=Path), help="A saved origin: dates what records do not tell.")
@click.option("--bootstrap", type=click.IntRange(0, 10000), default=100, show_default=True, help="Resamples.")
@output.format_option()
@output.quiet_option()
def command(
    *, feeds: tuple[str, ...], advisories: tuple[str, ...], case: Path | None, releases: str | None,
    repository: Path | None, by: tuple[By, ...], origin: Path | None, bootstrap: int, fmt: str, quiet: bool,
) -> int:  # fmt: skip
    """How long faults live, from introduction to fix, corrected for what the data cannot show. In years.

    FEEDS are advisories and release dates; --repository dates versions by tags and commits by themselves.

    \b
    Example: preventable lifetimes curl-osv.json --repository curl/
    """
    read_case, base = case_at(case, [*feeds, *advisories])
    setting = setting_of(read_case)
    inputs = read_inputs(
        setting, base, feeds_of(read_case, base, [*feeds, *advisories]), labeller=labeller(base),
        methodologies=load_taxonomy(base).methodologies, releases=releases, repository=repository,
        quiet=quiet,
    )  # fmt: skip
    warn_losses(inputs, quiet=quiet)
    kinds: tuple[By, ...] = ("all", *(by or GROUPS))
    origins = read_origins(origin) if origin is not None else {}
    warn_shared(origins, inputs, "a saved origin")
    events, filled = with_origins(inputs.events.events, by_id(origins, inputs.advisories))
    if not any(e.introduced for e in events):
        raise InputError(
            "no record says when its fault was introduced",
            hint="Give the feed's release dates, or a clone with --repository",
        )
    result = lifetimes(
        events, start=setting.regime_start, end=inputs.end, first_date=setting.first_date,
        releases=inputs.releases, by=kinds, bootstrap=bootstrap, name=setting.name,
        packages={a.id: a.package for a in inputs.advisories if a.package},
    )  # fmt: skip
    sentences = result.sentences
    if filled:
        sentences += (f"{filled:,} introductions are estimates by origin, the rest are the records' own.",)
    if fmt in ("table", "markdown"):
        for sentence in sentences:
            click.echo(sentence)
        click.echo()
    output.write_rows(
        [msgspec.to_builtins(r) for r in result.rows], fmt, kind="lifetimes", columns=COLUMNS,
        inputs=inputs.described(), sentences=sentences, curves=result.curves, zero=result.zero,
        window={"start": result.start, "end": result.end}, longest_years=result.longest_years,
        truncation=result.truncation, published=result.published, undated=inputs.events.undated,
        outside=result.outside, unit="years",
    )  # fmt: skip
    return 1 if partial(inputs) else 0
