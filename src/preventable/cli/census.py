"""``preventable census``: what is there, by component, language and bucket; ``census diff``: what changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from preventable.cli import output
from preventable.code.census import HEADER_RULES, ROW_COLUMNS, Census, is_partial, take_census
from preventable.code.census_case import CensusSection
from preventable.code.counting import counter_name
from preventable.code.coupling import CouplingRow
from preventable.code.trees import DEFAULT_MAX_FILE_BYTES, NotCounted, open_source
from preventable.progress import Progress
from preventable.readers.case_file import CaseFile, read_case_file
from preventable.studies.census_diff import DIFF_COLUMNS, NotCountedOn, diff_census
from preventable.studies.census_series import SERIES_COLUMNS, census_series

_SHOWN = 5


def _display(value: Any) -> Any:
    """File names may be no Unicode: show what cannot be shown as U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {key: _display(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_display(member) for member in value]
    return value


def _plain(value: Any) -> Any:
    return _display(msgspec.to_builtins(value))


class _CensusGroup(click.Group):
    """``census WHAT`` counts; ``census diff A B`` compares. A path called ``diff`` is ``./diff``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in ("diff", "series", "-h", "--help"):
            args = ["count", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] WHAT")
        formatter.write_usage(ctx.command_path, "diff [OPTIONS] A B")
        formatter.write_usage(ctx.command_path, "series [OPTIONS] WHAT...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        count.format_options(ctx, formatter)


@click.group(cls=_CensusGroup, no_args_is_help=True)
def command() -> None:
    """Count what is there: files and lines by component, language and bucket, and unsafe Rust.

    WHAT is a directory, a tar or zip archive, or a git revision (REPO@REV; nothing is checked out).
    Vendored, generated and test code are buckets of their own; .h files are "C Header" or "C++ Header".

    \b
    Example: preventable census . --format json
    Example: preventable census linux@v7.2 --components-from maintainers --coupling
    Example: preventable census diff .@v1.0 .@HEAD
    Example: preventable census series .@v1.0 .@v2.0 .@HEAD
    """


_case_option = click.option(
    "--case",
    "case_path",
    type=click.Path(path_type=Path),
    help="Case file; by default the one at the root of WHAT.",
)
_headers_option = click.option(
    "--headers",
    type=click.Choice(["auto", "c", "c++"]),
    help="What .h files are: by the sources beside them (auto), C, or C++.",
)
_components_option = click.option(
    "--components-from",
    type=click.Choice(["directories", "maintainers", "cargo", "other"]),
    help="How paths that [components] does not name are mapped.",
)
_size_or_saved_option = click.option(
    "--max-file-bytes",
    type=click.IntRange(min=1),
    help=f"Larger files are named but not counted; by default as in a saved census, else {DEFAULT_MAX_FILE_BYTES}.",
)
_size_option = click.option(
    "--max-file-bytes",
    type=click.IntRange(min=1),
    default=DEFAULT_MAX_FILE_BYTES,
    show_default=True,
    help="Larger files are named but not counted.",
)


@command.command("count", hidden=True)
@click.argument("what")
@_case_option
@_headers_option
@_components_option
@_size_option
@click.option("--coupling", is_flag=True, help="Also includes, exported symbols and bindings per component.")
@click.option("--files", is_flag=True, help="Also one row per file, with the rule that decided its bucket (JSON).")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; by default the number of cores.")
@output.format_option(formats=(*output.FORMATS, "badge"))
@output.quiet_option()
def count(
    what: str,
    case_path: Path | None,
    headers: str | None,
    components_from: str | None,
    max_file_bytes: int,
    coupling: bool,
    files: bool,
    workers: int | None,
    fmt: str,
    quiet: bool,
) -> None:
    """Count a directory, an archive or a git revision."""
    case = _case(case_path)
    census = take_census(
        open_source(what, max_file_bytes),
        case,
        coupling=coupling,
        keep_files=files,
        workers=workers,
        adjust=lambda own: msgspec.structs.replace(own, census=_adjusted(own.census, headers, components_from)),
    )
    _warn(census, quiet=quiet)
    rows = _plain(census.rows)
    if fmt == "badge":
        from preventable.report.badge import unsafe_badge  # noqa: PLC0415  (only for this format)

        output.write_json(unsafe_badge(rows))
    elif coupling and fmt in ("table", "markdown"):
        click.echo(output.render_rows(rows, fmt, ROW_COLUMNS))
        click.echo(output.render_rows(_plain(census.coupling), fmt, CouplingRow.__struct_fields__), nl=False)
    else:
        more = {n: _plain(getattr(census, n)) for n in Census.__struct_fields__ if n not in ("rows", "source")}
        more["header_rule"] = HEADER_RULES[census.headers]
        more["case"] = case.digest if case is not None else ""
        for optional in ("coupling", "files"):
            if more[optional] is None:
                del more[optional]
        output.write_rows(
            rows,
            fmt,
            kind="census",
            columns=ROW_COLUMNS,
            inputs=[_plain(census.source)],
            counter=counter_name(),
            **more,
        )
    _exit(census.partial)


@command.command("diff")
@click.argument("a")
@click.argument("b")
@_case_option
@_headers_option
@_components_option
@_size_or_saved_option
@output.format_option()
@output.quiet_option()
def diff(
    a: str,
    b: str,
    case_path: Path | None,
    headers: str | None,
    components_from: str | None,
    max_file_bytes: int | None,
    fmt: str,
    quiet: bool,
) -> None:
    """What changed from A to B, each as WHAT above or a saved JSON census.

    Between two revisions of one repository only the files that differ are read. The other side of a saved census is
    counted as that was; exit status 2 where it cannot be. Of trees, each goes by its own case file unless --case is
    given, and a warning names each setting in which they differ.

    \b
    Example: preventable census diff .@v1.0 .@HEAD
    """
    result = diff_census(
        a,
        b,
        _case(case_path),
        max_file_bytes=max_file_bytes,
        adjust=lambda section: _adjusted(section, headers, components_from),
    )
    if not quiet:
        _say_warnings(result.warnings)
        _say_not_counted([_with_side(item) for item in result.not_counted])
    output.write_rows(
        _plain(result.rows),
        fmt,
        kind="census_diff",
        columns=DIFF_COLUMNS,
        inputs=_plain(result.inputs),
        counter=counter_name(),
        files=_plain(result.files),
        not_counted=_plain(result.not_counted),
        warnings=_plain(result.warnings),
    )
    _exit(result.partial)


@command.command("series")
@click.argument("what", nargs=-1, required=True)
@_case_option
@_headers_option
@_components_option
@_size_or_saved_option
@output.format_option()
@output.quiet_option()
def series(
    what: tuple[str, ...],
    case_path: Path | None,
    headers: str | None,
    components_from: str | None,
    max_file_bytes: int | None,
    fmt: str,
    quiet: bool,
) -> None:
    """Languages over several releases, the oldest first; each as WHAT above or a saved JSON census.

    Beside saved ones all are counted as these were; exit status 2 where they cannot be. A warning names each setting
    in which the own case files of trees differ.

    \b
    Example: preventable census series .@v1.0 .@v2.0 .@HEAD
    """
    with Progress("releases", len(what), quiet=quiet) as progress:
        result = census_series(
            what,
            _case(case_path),
            max_file_bytes=max_file_bytes,
            adjust=lambda section: _adjusted(section, headers, components_from),
            advance=progress.advance,
        )
    left = [NotCounted(f"{item['release']}: {item['path']}", item["reason"]) for item in result.not_counted]
    if not quiet:
        _say_warnings(result.warnings)
        _say_not_counted(left)
    output.write_rows(
        _plain(result.rows), fmt, kind="census_series", columns=SERIES_COLUMNS, inputs=_plain(result.inputs),
        counter=counter_name(), not_counted=_plain(result.not_counted), warnings=_plain(result.warnings),
    )  # fmt: skip
    _exit(is_partial(left))


def _case(path: Path | None) -> CaseFile | None:
    return None if path is None else read_case_file(path)


def _adjusted(section: CensusSection, headers: str | None, components_from: str | None) -> CensusSection:
    changes: dict[str, Any] = {}
    if headers is not None:
        changes["headers"] = headers
    if components_from is not None:
        changes["components_from"] = components_from
    return msgspec.structs.replace(section, **changes)


def _warn(census: Census, *, quiet: bool) -> None:
    if quiet:
        return
    _say_warnings(census.warnings)
    _say_not_counted(census.not_counted)
    if census.indeterminate:
        shown = ", ".join(f"{i.path}: {i.reason}" for i in census.indeterminate[:_SHOWN])
        click.echo(
            f"preventable: unsafe code unknown in {len(census.indeterminate):,} Rust files: {_display(shown)}",
            err=True,
        )


def _say_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(f"preventable: warning: {_display(warning)}", err=True)


def _with_side(item: NotCounted) -> NotCounted:
    side = item.side if isinstance(item, NotCountedOn) else None
    return item if side is None else NotCounted(f"{item.path} ({side})", item.reason)


def _say_not_counted(items: Sequence[NotCounted]) -> None:
    reasons: dict[str, list[str]] = {}
    for item in items:
        reasons.setdefault(item.reason, []).append(item.path)
    for reason, paths in sorted(reasons.items()):
        shown = ", ".join(paths[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")
        click.echo(f"preventable: not counted: {len(paths):,} ({reason}): {_display(shown)}", err=True)


def _exit(partial: bool) -> None:
    if partial:
        raise click.exceptions.Exit(1)
