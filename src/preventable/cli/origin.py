"""``preventable origin``: which commits may have brought each fault."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from preventable.cli import output
from preventable.code.history.commits import reading_commits
from preventable.code.history.gitcall import Repository
from preventable.errors import InputError
from preventable.progress import Progress
from preventable.readers.registry import READERS, load

COLUMNS = ("advisory", "fix", "rank", "commit", "weight", "reason")


@click.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.option(
    "-a",
    "--advisories",
    "locations",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Records that name fixing commits: a file, archive or directory; may be repeated.",
)
@click.option(
    "--from", "format_name", type=click.Choice(list(READERS)), help="Their format; recognised when not given."
)
@click.option("--revision", default="HEAD", show_default=True, help="The last commit of the history.")
@click.option("--ignore-affected-versions", is_flag=True, help="Leave out the first affected version as evidence.")
@click.option(
    "--ignore-named-commits",
    is_flag=True,
    help="Estimate also where the advisory names the introducing commit, to see how good estimates are.",
)
@click.option(
    "--top", "most", type=click.IntRange(1, 1000), default=20, show_default=True, help="Candidates listed per fix."
)
@click.option("--strict", is_flag=True, help="A record that cannot be read is an error.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; by default the number of cores.")
@click.option("--fresh", is_flag=True, help="Do not go on from a run that was interrupted.")
@output.format_option()
@output.quiet_option()
def command(
    repo: Path,
    locations: tuple[str, ...],
    format_name: str | None,
    revision: str,
    ignore_affected_versions: bool,
    ignore_named_commits: bool,
    most: int,
    strict: bool,
    workers: int | None,
    fresh: bool,
    fmt: str,
    quiet: bool,
) -> None:
    """List candidates for the commits that brought the faults, for every fixing commit, with weights and reasons.

    One pass over the history of REPO. The weights of a fix sum to 1. A commit that an advisory names stands.
    JSON also has, per fix, the estimate of the date of introduction with an interval. Ends with 1 when a fix
    or an advisory had to be left out; JSON and standard error say which.

    \b
    Example: preventable origin . --advisories osv.json --format json
    """
    repository = Repository(repo)
    loads = [load(location, format_name=format_name, strict=strict, quiet=quiet) for location in locations]
    advisories = {a.id: a for one in loads for a in one.advisories}
    with reading_commits(repository, revision) as commits_read, ExitStack() as stack:
        from preventable.studies.origin import DONE, find_origins  # noqa: PLC0415  (slow: git lists on meanwhile)

        bar: Progress | None = None

        def progress(steps: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(Progress("commits", total, quiet=quiet))
            bar.advance(steps)

        result = find_origins(
            repository,
            [advisories[key] for key in sorted(advisories)],
            revision=revision,
            affected_versions=not ignore_affected_versions,
            named_origins=not ignore_named_commits,
            most=most,
            processes=workers,
            resume=not fresh,
            commits_read=commits_read,
            progress=progress,
        )
    output.say_resumed(result.resumed_at, quiet=quiet)
    for limit in result.limits:
        click.echo(f"preventable: warning: {limit}", err=True)
    left_out = [fix for fix in result.fixes if fix.outcome not in DONE]
    for fix in left_out:
        where = f"record {fix.advisory}" + (f", commit {fix.fix}" if fix.fix else "")
        click.echo(f"preventable: warning: {fix.outcome} ({where})", err=True)
    failed = sum(one.report.failed for one in loads)
    if not result.candidates:
        raise InputError(
            f"no fix of {len(advisories):,} records could be looked at", file=", ".join(locations),
            hint="Do the records name fixing commits, and are they in this repository?",
        )  # fmt: skip
    output.write_rows(
        result.candidates,
        fmt,
        kind="origin",
        columns=COLUMNS,
        inputs=[
            {"location": str(repo), "revision": result.tip, "commits": result.commits},
            *msgspec.to_builtins([one.report for one in loads]),
        ],
        fixes=msgspec.to_builtins(result.fixes),
        counts=dict(result.counts),
        limits=result.limits,
        affected_versions=not ignore_affected_versions,
        named_commits=not ignore_named_commits,
    )
    raise SystemExit(1 if left_out or failed else 0)
