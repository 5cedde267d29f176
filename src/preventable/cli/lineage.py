"""``preventable lineage``: how old the code is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from preventable.cli import output
from preventable.code.history.commits import reading_commits
from preventable.code.history.gitcall import Repository
from preventable.code.history.periods import EVERY, Every
from preventable.code.history.tree import AGES, Age
from preventable.progress import Progress

if TYPE_CHECKING:
    from preventable.studies.lineage import Limit

COLUMNS = ("snapshot", "cohort", "language", "component", "lines", "lines_substantive")


class ReplayProgress:
    """Commits of a replay on standard error; those of an earlier run are said and count in no rate."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Progress | None = None

    def go_on(self, commits: int, total: int) -> None:
        """An earlier run had done so many: the count is of those that are left."""
        if not self._quiet:
            click.echo(f"preventable: note: going on at {commits:,} of {total:,} commits", err=True)
        self._bar = Progress("remaining commits", total - commits, quiet=self._quiet)

    def advance(self, steps: int, total: int) -> None:
        """Count commits."""
        if self._bar is None:
            self._bar = Progress("commits", total, quiet=self._quiet)
        self._bar.advance(steps)

    def close(self) -> None:
        """The replay is over."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


def say_limits(limits: Sequence[Limit]) -> None:
    """What bounds the answer: a warning where something is unknown because of it, else a note."""
    for limit in limits:
        if limit.count:
            grade = "warning" if limit.partial else "note"
            examples = f" ({', '.join(limit.examples)})" if limit.examples else ""
            click.echo(f"preventable: {grade}: {limit.count:,} × {limit.what}{examples}", err=True)


@click.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.option("--revision", default="HEAD", show_default=True, help="The last commit of the history.")
@click.option(
    "--snapshots",
    "every",
    type=click.Choice(EVERY),
    default="quarter",
    show_default=True,
    help="At which commits lines are counted: ends of periods (UTC), tags, or the last commit alone.",
)
@click.option(
    "--age",
    type=click.Choice(AGES),
    default="both",
    show_default=True,
    help="What dates a line: its last touch, its last change of substance, or both side by side.",
)
@click.option(
    "--ignore-revs-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Commits that the substantive age ignores; by default .git-blame-ignore-revs of the revision.",
)
@click.option(
    "--exact/--likely",
    "exact",
    default=None,
    help="Compare every changed file without whitespace, or those where it likely matters; "
    "by default exact up to 20,000 commits.",
)
@click.option(
    "--case",
    "case_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Case file; by default the preventable.toml beside the code or in the revision.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; by default the number of cores.")
@click.option("--fresh", is_flag=True, help="Do not go on from a run that was interrupted.")
@output.format_option()
@output.quiet_option()
def command(
    repo: Path,
    revision: str,
    every: Every,
    age: Age,
    ignore_revs_file: Path | None,
    exact: bool | None,
    case_path: Path | None,
    workers: int | None,
    fresh: bool,
    fmt: str,
    quiet: bool,
) -> None:
    """Count the lines of REPO that survive, by the quarter they were written in, language and component.

    One pass over the history. `lines` goes by the last touch (what git blame says), `lines_substantive` by
    the last change that was more than whitespace (git blame -w) or a commit to be ignored. JSON also has
    survival curves, half-life, and lines added and removed per quarter. Tables show the last snapshot.

    \b
    Example: preventable lineage . --snapshots year --format json
    """
    commits = ReplayProgress(quiet=quiet)
    with reading_commits(Repository(repo), revision) as commits_read:
        from preventable.studies.lineage import CohortRow, digest_of, trace_lineage  # noqa: PLC0415  (slow: git lists on)

        lineage = trace_lineage(
            repo,
            revision=revision,
            every=every,
            age=age,
            exact=exact,
            ignore_revs=ignore_revs_file,
            case=case_path,
            processes=workers,
            resume=not fresh,
            commits_read=commits_read,
            progress=commits.advance,
            resumed=commits.go_on,
        )
    commits.close()
    say_limits(lineage.limits)
    rows: Sequence[CohortRow] = lineage.rows
    if fmt in ("table", "markdown"):
        rows = [row for row in rows if row.snapshot == lineage.snapshots[-1].snapshot]
    output.write_rows(
        rows,
        fmt,
        kind="lineage",
        columns=COLUMNS,
        inputs=[
            {"location": str(repo), "revision": lineage.revision, "digest": digest_of(lineage)},
            *([msgspec.to_builtins(lineage.case)] if lineage.case else []),
        ],
        age=age,
        **{
            name: msgspec.to_builtins(getattr(lineage, name))
            for name in (
                "commits",
                "merges",
                "exact",
                "snapshots",
                "survival",
                "half_life",
                "churn",
                "ignored_commits",
                "limits",
            )
        },
    )
    raise SystemExit(1 if lineage.partial else 0)
