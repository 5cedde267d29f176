"""``preventable contributors``: who keeps the code, in counts."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from preventable.cli import output
from preventable.cli.lineage import ReplayProgress, say_limits
from preventable.studies.contributors import QuarterRow, count_contributors
from preventable.studies.line_survival import ALL

COLUMNS = QuarterRow.__struct_fields__
_FLAT = tuple(name for name in COLUMNS if name not in ("turnover", "withheld"))


@click.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.option("--revision", default="HEAD", show_default=True, help="The last commit of the history.")
@click.option(
    "--both",
    "pairs",
    nargs=2,
    multiple=True,
    metavar="LANG LANG",
    help="Languages whose common authors to count; by default C with Rust and the busiest four.",
)
@click.option("--names", is_flag=True, help="Show small counts too, and name people (in JSON).")
@click.option("--component", help="Look at the files of one component alone ([components] of the case file).")
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
    pairs: tuple[tuple[str, str], ...],
    names: bool,
    component: str | None,
    case_path: Path | None,
    workers: int | None,
    fresh: bool,
    fmt: str,
    quiet: bool,
) -> None:
    """Count the people behind REPO per quarter and language: active, new, staying, leaving, reviewing.

    People are told apart by .mailmap, e-mail address and full name. Counts from 1 to 4 are withheld; nobody
    is named unless --names is given. Tables show all languages together.

    \b
    Example: preventable contributors . --both C Rust --format json
    """
    commits = ReplayProgress(quiet=quiet)
    found = count_contributors(
        repo,
        revision=revision,
        pairs=pairs,
        names=names,
        component=component,
        case=case_path,
        processes=workers,
        resume=not fresh,
        progress=commits.advance,
        resumed=commits.go_on,
    )
    commits.close()
    say_limits(found.limits)
    full = fmt in ("json", "jsonl")
    rows = [
        {name: msgspec.to_builtins(getattr(row, name)) for name in COLUMNS}
        for row in found.rows
        if full or fmt == "csv" or row.language == ALL
    ]
    more = {"people": msgspec.to_builtins(found.people)} if names else {}
    output.write_rows(
        rows,
        fmt,
        kind="contributors",
        columns=COLUMNS if full else _FLAT,
        inputs=[{"location": str(repo), "revision": found.revision}],
        commits=found.commits,
        component=component,
        pairs=msgspec.to_builtins(found.pairs),
        limits=msgspec.to_builtins(found.limits),
        smallest_shown=1 if names else 5,
        **more,
    )
    raise SystemExit(1 if any(limit.partial for limit in found.limits) else 0)
