"""``preventable compare``: rates by language, their ratio, and counterparts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from preventable.cli import output
from preventable.cli.study_inputs import case_at, feeds_of, labeller, partial, study_options, warn_losses, warn_shared
from preventable.errors import UsageError
from preventable.records import NotAvailable
from preventable.report.sections.pairs import pair_sentence
from preventable.studies import compare as study
from preventable.studies.counterparts import PAIR_COLUMNS, STATUS_COLUMNS, compare_pairs, pairs_of
from preventable.studies.setting import read_inputs, setting_of
from preventable.taxonomy.loader import load_taxonomy

COLUMNS = (
    "population", "counts", "labels", "events_new", "events_old", "exposure_new", "exposure_old", "rate_new",
    "rate_old", "ratio", "low", "high", "adjustment", "reason",
)  # fmt: skip


@click.command()
@study_options
@click.option(
    "--exposure", multiple=True, metavar="[DATE=]FILE",
    help="Lines by date: CSV, a saved lineage, or DATE= and a saved census; repeatable.",
)  # fmt: skip
@click.option("--cohorts", metavar="FILE", help="Lines by year of writing (a saved lineage, or CSV): age-matched.")
@click.option("--pairs", "only_pairs", is_flag=True, help="Counterparts of the case file, pair by pair.")
@click.option("--tree", type=click.Path(path_type=Path), help="Source tree to measure counterparts in.")
@output.format_option()
@output.quiet_option()
def command(
    *, feeds: tuple[str, ...], advisories: tuple[str, ...], case: Path | None, releases: str | None,
    repository: Path | None, exposure: tuple[str, ...], cohorts: str | None, only_pairs: bool, tree: Path | None,
    fmt: str, quiet: bool,
) -> int:  # fmt: skip
    """Does the newcomer hold up? Vulnerabilities per million line-years by language, dated by mainline fix.

    FEEDS are advisories and release dates. Rates have exact Poisson intervals, ratios exact conditional ones.

    \b
    Example: preventable compare --case examples/linux/preventable.toml vulns/ linux-releases.json
    """
    if tree is not None and not only_pairs:
        raise UsageError("--tree is for --pairs", hint="Exposure for the whole comparison comes from --exposure")
    read_case, base = case_at(case, [*feeds, *advisories])
    setting = setting_of(read_case)
    taxonomy = load_taxonomy(base)
    inputs = read_inputs(
        setting, base, feeds_of(read_case, base, [*feeds, *advisories]), labeller=labeller(base),
        methodologies=taxonomy.methodologies, releases=releases, exposure=exposure, repository=repository, quiet=quiet,
    )  # fmt: skip
    warn_losses(inputs, quiet=quiet)
    if only_pairs:
        pairs = pairs_of(read_case)
        named = [name for pair in pairs for side in (pair.new, pair.old) for name in side.events]
        warn_shared(named, inputs, "an event of a pair")
        rows = [msgspec.to_builtins(r) for r in compare_pairs(pairs, inputs, base, tree=tree)]
        if fmt in ("table", "markdown"):
            for row in rows:
                click.echo(pair_sentence(row))
            click.echo()
        if fmt == "csv":
            rows = [{**row, "too_young": "; ".join(row["too_young"])} for row in rows]
        output.write_rows(
            rows, fmt, kind="pairs", columns=(*PAIR_COLUMNS, *STATUS_COLUMNS) if fmt == "csv" else PAIR_COLUMNS,
            inputs=inputs.described(), window={"start": inputs.start, "end": inputs.end},
            caveats=study.CAVEATS, undated=inputs.events.undated,
        )  # fmt: skip
        _say_caveats(fmt)
        return 1 if partial(inputs) else 0
    table = study.read_cohorts(Path(cohorts)) if cohorts else ()
    result = study.compare(
        inputs.events.events, inputs.lines(), setting.sides(), inputs.methodologies, start=inputs.start,
        end=inputs.end, readings=inputs.readings, cohorts=table, primary=setting.primary, name=setting.name,
    )  # fmt: skip
    rows_: list[Mapping[str, object]] = [msgspec.to_builtins(r) for r in result.rows]
    if not isinstance(result.age_matched, NotAvailable):
        rows_.append(msgspec.to_builtins(result.age_matched))
    if fmt in ("table", "markdown"):
        for sentence in (*result.sentences, *result.notes):
            click.echo(sentence)
        click.echo()
    output.write_rows(
        rows_, fmt, kind="compare", columns=COLUMNS, inputs=inputs.described(), sentences=result.sentences,
        window={"start": result.start, "end": result.end, "reason": setting.regime_reason},
        unsafe=result.unsafe, new_side=result.events_new, age_matched=result.age_matched,
        caveats=study.CAVEATS, notes=result.notes, undated=inputs.events.undated, labelled=inputs.labelled,
        relabelled=study.relabel(inputs.labels, inputs.readings),
    )  # fmt: skip
    _say_caveats(fmt)
    return 1 if partial(inputs) else 0


def _say_caveats(fmt: str) -> None:
    if fmt in ("table", "markdown"):
        click.echo()
        for caveat in study.CAVEATS.values():
            click.echo(f"Caveat: {caveat}")
