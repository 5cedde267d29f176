"""``preventable ports``: what breaks on which architecture when a package starts to need a toolchain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from preventable.cli import output
from preventable.cli.ports_text import COLUMNS, counted, tell_more
from preventable.errors import InputError, UsageError
from preventable.progress import Progress
from preventable.readers.debian_architecture import tuple_of
from preventable.readers.debian_archive import (
    DigestMemo,
    Snapshot,
    check_architecture,
    from_directory,
    from_files,
    from_mirror,
)
from preventable.studies.ports.model import Policy
from preventable.studies.ports.storage import cache_folder
from preventable.studies.ports.survey import Findings, survey
from preventable.studies.ports.terms import Question, maintainer_term

if TYPE_CHECKING:
    from preventable.readers.debian_mirror import Mirror

_TODAY_COLUMNS = [
    "suite",
    "arch",
    "tool",
    "has_tool",
    "sources",
    "sources_direct",
    "sources_need",
    "sources_two",
    "sources_full",
    "binaries_need_at_run_time",
]
_ROWS_SHOWN = 200
_WARNINGS_SHOWN = 5


class _Lists(click.Command):
    """Lets options that take a list be written with several values: ``--arch amd64 arm64``.

    A word after such an option belongs to it as long as it can only mean that: the name of an architecture
    after ``--arch`` and ``--without-toolchain``, a path with a slash or the name of an existing file after
    the options that take files.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        out: list[str] = []
        current = ""
        fresh = False
        for i, word in enumerate(args):
            if word == "--":
                out.extend(args[i:])
                break
            if word.startswith("-"):
                current, fresh = word, True
            elif current and not fresh and _belongs(current, word):
                out.append(current)
            elif not fresh:
                current = ""
            out.append(word)
            if not word.startswith("-"):
                fresh = False
        return super().parse_args(ctx, out)


def _belongs(option: str, word: str) -> bool:
    if option in ("--arch", "-a", "--without-toolchain"):
        return all(tuple_of(part) is not None for part in word.split(","))
    if option in ("--sources", "--packages", "--archive"):
        return "/" in word or Path(word).is_file() or (":" in word and option == "--archive")
    return False


def _split(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for value in values for part in re.split(r"[,\s]+", value) if part))


@click.command(cls=_Lists, name="ports")
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@click.option("--requires", multiple=True, metavar="TOOL", help="Suppose that PACKAGE starts to need TOOL.")
@click.option(
    "--remove",
    multiple=True,
    metavar="TOOL",
    help="Suppose that TOOL (its source's binaries) is missing altogether.",
)
@click.option("--today", is_flag=True, help="Suppose nothing: who has the tool, and who needs it, as things stand.")
@click.option(
    "--dependency",
    type=click.Choice(["build", "run"]),
    default="build",
    show_default=True,
    help="Whether PACKAGE would need TOOL to be built or to run.",
)
@click.option(
    "--suite",
    "-s",
    "suites",
    multiple=True,
    metavar="SUITE",
    help="Suite to fetch, or to take from a directory.",
)
@click.option("--arch", "-a", "arches", multiple=True, metavar="ARCH…", help="Architectures; all there are by default.")
@click.option(
    "--without-toolchain",
    multiple=True,
    metavar="ARCH…",
    help="Architectures to treat as lacking the tool of --requires even if their index has it; chooses none.",
)
@click.option(
    "--archive",
    "archives",
    multiple=True,
    metavar="LOCATION…",
    help="A directory with indices, an index file, or suite:arch on APT's mirror.",
)
@click.option(
    "--sources",
    "source_files",
    multiple=True,
    metavar="FILE…",
    help="Sources indices (.xz, .gz, .zst or plain).",
)
@click.option(
    "--packages",
    "package_files",
    multiple=True,
    metavar="FILE…",
    help="Packages indices, one per architecture.",
)
@click.option("--component", multiple=True, default=("main",), show_default=True, help="Component to fetch.")
@click.option(
    "--profile",
    multiple=True,
    metavar="NAME",
    help="Active build profile: nocheck, nodoc, pkg.rustc.dlstage0 …",
)
@click.option(
    "--alternatives",
    type=click.Choice(["any", "first"]),
    default="any",
    show_default=True,
    help="Which alternatives of a build dependency count: any, or the first as on Debian's builders.",
)
@click.option("--arch-only", is_flag=True, help="Architecture-dependent builds: without Build-Depends-Indep.")
@click.option("--ignore-conflicts", is_flag=True, help="Do not ask whether packages can be installed together.")
@click.option("--keep", multiple=True, metavar="SOURCE", help="Suppose that SOURCE stays buildable whatever happens.")
@click.option("--only", multiple=True, metavar="PACKAGE", help="Count and explain only these packages.")
@click.option("--maintainer", multiple=True, metavar="TEXT", help="Count and explain only packages of this maintainer.")
@click.option("--reasons", is_flag=True, help="Add the chain of reasons of each lost package (JSON).")
@click.option("--why", multiple=True, metavar="PACKAGE", help="The chain of reasons of one package.")
@click.option("--hubs", type=click.IntRange(0, 50), default=5, show_default=True, help="How many hubs to name.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of models and indices.")
@click.option("--strict", is_flag=True, help="A record that cannot be read is an error.")
@output.format_option()
@output.quiet_option()
def command(
    packages: tuple[str, ...],
    requires: tuple[str, ...],
    remove: tuple[str, ...],
    today: bool,
    dependency: str,
    suites: tuple[str, ...],
    arches: tuple[str, ...],
    without_toolchain: tuple[str, ...],
    archives: tuple[str, ...],
    source_files: tuple[str, ...],
    package_files: tuple[str, ...],
    component: tuple[str, ...],
    profile: tuple[str, ...],
    alternatives: str,
    arch_only: bool,
    ignore_conflicts: bool,
    keep: tuple[str, ...],
    only: tuple[str, ...],
    maintainer: tuple[str, ...],
    reasons: bool,
    why: tuple[str, ...],
    hubs: int,
    no_cache: bool,
    strict: bool,
    fmt: str,
    quiet: bool,
) -> int:
    """What can no longer be built, then installed, if PACKAGE starts to need TOOL where TOOL is missing.

    Counts are differences to today's archive. Level "one" is who loses the toolchain itself, "two" is one
    round on, "full" is the end. Names may be given as src:NAME or bin:NAME.

    \b
    Exit status: 0 answered, 1 answered in part (see limits), 2 usage, 3 nothing usable.

    \b
    Example: preventable ports apt --requires rustc --suite sid --arch amd64 --without-toolchain amd64
    """
    question = Question(
        packages=packages,
        requires=_split(requires),
        remove=_split(remove),
        without=tuple(check_architecture(a) for a in _split(without_toolchain)),
        dependency="run" if dependency == "run" else "build",
        keep=_split(keep),
        only=_split(only),
        maintainers=maintainer,
        reasons=reasons,
        why=_split(why),
        hubs=hubs,
        conflicts=not ignore_conflicts,
        today=today,
    )
    _check_options(question)
    named = _split(suites)
    of_suites: tuple[str, ...] = ()
    if archives or source_files or package_files:
        # What is given names its architectures; fetching takes suite:arch apart itself.
        named, of_suites = _apart(named)
    wanted = tuple(dict.fromkeys(check_architecture(a) for a in (*_split(arches), *of_suites)))
    beside = [a for a in question.without if wanted and a not in wanted]
    if beside:
        raise UsageError(
            f"--without-toolchain {' '.join(beside)}, which --arch leaves out",
            hint="Name it with --arch as well, or leave --arch out",
        )
    policy = Policy(tuple(sorted(_split(profile))), alternatives == "first", arch_only)
    folder = None if no_cache else cache_folder()
    snapshots = _snapshots(
        archives,
        source_files,
        package_files,
        named,
        wanted,
        _split(component),
        folder,
    )
    asked = wanted
    total = sum(len(asked or s.packages) for s in snapshots)
    with Progress("architectures", total, quiet=quiet) as progress:
        findings = survey(snapshots, asked, policy, folder, question, strict=strict, done=progress.advance)
    _check_names(question, findings)
    return _write(snapshots, findings, question, policy, fmt)


def _check_options(question: Question) -> None:
    """Refuse options that would be without effect on the question."""
    if not question.requires and not question.remove:
        raise UsageError(
            "no tool was named",
            hint="Say --requires TOOL (PACKAGE starts to need it) or --remove TOOL (it is missing)",
        )
    if question.requires and not question.packages and not question.today:
        raise UsageError("--requires needs the PACKAGE that starts to need the tool", hint="Or ask --remove TOOL")
    if not all(person.strip() for person in question.maintainers):
        raise UsageError(
            "--maintainer with an empty text", hint="Give a part of the Maintainer or Uploaders field, or leave it out"
        )
    if question.today:
        given = {
            "--why": question.why,
            "--reasons": question.reasons,
            "--keep": question.keep,
            "--only": question.only,
            "--maintainer": question.maintainers,
            "--without-toolchain": question.without,
            "--dependency run": question.dependency == "run",
        }
        idle = [option for option, value in given.items() if value]
        if idle:
            raise UsageError(
                f"{', '.join(idle)} {'have' if idle[1:] else 'has'} no meaning with --today, which supposes no loss",
                hint="Leave --today out, or name the PACKAGE whose paths to the tool you want",
            )
    elif not question.requires and (question.without or question.dependency == "run"):
        option = "--without-toolchain" if question.without else "--dependency run"
        raise UsageError(
            f"{option} has no meaning with --remove alone: it is about the tool of --requires",
            hint="Choose architectures with --arch; --remove takes the tool away on each of them",
        )


def _apart(suites: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Suites and architectures of ``suite`` and ``suite:arch,…``."""
    parts = [suite.partition(":") for suite in suites]
    arches = tuple(a for _, _, own in parts for a in own.split(",") if a)
    return tuple(dict.fromkeys(bare for bare, _, _ in parts)), arches


def _snapshots(
    archives: Sequence[str],
    source_files: Sequence[str],
    package_files: Sequence[str],
    suites: Sequence[str],
    arches: Sequence[str],
    components: Sequence[str],
    folder: Path | None,
) -> list[Snapshot]:
    mirrors: list[Mirror] = []

    def mirror() -> Mirror:
        from preventable.readers.debian_mirror import Mirror  # noqa: PLC0415  (slow: only to fetch)

        if not mirrors:
            mirrors.append(Mirror(folder=folder / "indices" if folder else None))
        return mirrors[0]

    memo = DigestMemo(folder / "digests" if folder else None)
    out: list[Snapshot] = []
    files = [Path(f) for f in archives if Path(f).is_file()]
    if source_files or package_files or files:
        name = suites[0] if len(suites) == 1 else "files"
        snapshot = from_files([Path(f) for f in source_files], name, kind="Sources", memo=memo)
        for group, kind in ((package_files, "Packages"), (files, None)):
            more = from_files([Path(f) for f in group], name, kind=kind, memo=memo)
            snapshot.sources += more.sources
            for arch, indices in more.packages.items():
                snapshot.packages.setdefault(arch, []).extend(indices)
            if more.date:
                snapshot.date, snapshot.valid_until = more.date, more.valid_until
                snapshot.signature = more.signature
        out.append(snapshot)
        suites = [] if len(suites) == 1 else suites
    fetch: dict[str, list[str]] = {}
    for location in archives:
        path = Path(location)
        if path.is_file():
            continue
        if path.is_dir():
            for suite in suites or [None]:  # type: ignore[list-item]  # None means all suites of the directory
                out.extend(from_directory(path, suite, arches, memo))
            continue
        suite, colon, arch = location.partition(":")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+/-]*", suite) or (not colon and "/" in location):
            raise InputError("no such file or directory, and not suite:arch", file=location)
        own = fetch.setdefault(suite, [])
        own.extend(check_architecture(a) for a in arch.split(",") if a)
    if not any(Path(a).is_dir() for a in archives):
        for suite in suites:
            bare, _, arch = suite.partition(":")
            fetch.setdefault(bare, []).extend(check_architecture(a) for a in arch.split(",") if a)
    memo.save()
    if not out and not fetch:
        fetch["sid"] = []
    for suite, own in fetch.items():
        out.append(from_mirror(suite, tuple(dict.fromkeys(own)) or tuple(arches), components, mirror))
    return out


def _check_names(question: Question, findings: Findings) -> None:
    """A name that no architecture has is a mistake in the question."""
    known = {n for a in findings.answers for n in a.known}
    for person in question.maintainers:
        term = maintainer_term(person)
        if term not in known and any(term in a.unknown for a in findings.answers):
            raise UsageError(
                f"no source has a maintainer or uploader with {person!r} in the name or address",
                hint="Give a part of the Maintainer or Uploaders field as the index of sources writes it",
            )
    asked = (*question.packages, *question.requires, *question.remove, *question.keep, *question.only, *question.why)
    for name in asked:
        if name not in known and any(name in a.unknown for a in findings.answers):
            near = list(dict.fromkeys(n for a in findings.answers if name in a.unknown for n in a.near))[:3]
            raise UsageError(
                f"no source or binary package is called {name!r}",
                hint=f"Did you mean {', '.join(near)}?" if near else "Give its exact name",
            )


def _write(snapshots: Sequence[Snapshot], findings: Findings, question: Question, policy: Policy, fmt: str) -> int:
    answers = findings.answers
    rows: list[dict[str, Any]] = [r for a in answers for r in (a.today if question.today else a.rows)]
    limits = list(dict.fromkeys(limit for a in answers for limit in a.limits))
    for row in findings.failed[:_ROWS_SHOWN]:
        click.echo(f"preventable: {row.file}: {row.record or '?'}: {row.field}: {row.reason}", err=True)
    # What depends on the day stands here alone: results keep the clock out.
    doubts = [row for snapshot in snapshots for row in snapshot.warnings()]
    for row in (*doubts, *findings.warnings[:_WARNINGS_SHOWN]):
        click.echo(f"preventable: warning: {row.file}: {row.record or '?'}: {row.reason}", err=True)
    if len(findings.warnings) > _WARNINGS_SHOWN:
        click.echo(f"preventable: warning: {len(findings.warnings) - _WARNINGS_SHOWN:,} more like these", err=True)
    for limit in limits:
        click.echo(f"preventable: note: {limit}", err=True)
    # In the result without the clock: until when, not whether that is past.
    spans = [
        f"{s.suite}: the Release file vouches for the indices until {s.valid_until} only; after that day they may be "
        "out of date"
        for s in snapshots
        if s.valid_until
    ]
    partial = (
        bool(findings.failed)
        or any(r.get("sources_need", r.get("binaries_uninstallable")) is None for r in rows)
        or any(not a.rows and not a.today for a in answers)
    )
    if fmt == "json":
        output.write_json(
            output.envelope(
                "ports",
                rows,
                _inputs(snapshots),
                question=msgspec.to_builtins(question),
                policy=msgspec.to_builtins(policy),
                tools=[t for a in answers for t in a.tools],
                baseline=[a.baseline for a in answers if a.baseline],
                hubs=[h for a in answers for h in a.hubs],
                with_base_kept=[r for a in answers for r in a.with_base_kept],
                bootstrap=[b for a in answers for b in a.bootstrap],
                reasons=[r for a in answers for r in a.reasons],
                needs=[n for a in answers for n in a.needs],
                limits=[*limits, *spans],
                read={
                    "failed": [msgspec.to_builtins(r) for r in findings.failed],
                    "warnings": [msgspec.to_builtins(r) for r in findings.warnings[:_ROWS_SHOWN]],
                    "warnings_total": len(findings.warnings),
                    "duplicate": findings.duplicate,
                },
            )
        )
        return 1 if partial else 0
    if question.today:
        output.write_rows(rows, fmt, kind="ports", columns=_TODAY_COLUMNS)
    else:
        output.write_rows(counted(rows), fmt, kind="ports", columns=COLUMNS)
    if fmt == "table":
        tell_more(findings, question)
    return 1 if partial else 0


def _inputs(snapshots: Sequence[Snapshot]) -> list[dict[str, Any]]:
    return [
        {
            "suite": s.suite,
            "data_date": s.date.isoformat() if s.date else None,
            "valid_until": s.valid_until.isoformat() if s.valid_until else None,
            "signature": s.signature,
            "missing": s.missing,
            "indices": [
                {
                    "location": f.name,
                    "kind": f.kind,
                    "architecture": f.architecture,
                    "digest": f.digest,
                    "checked": f.checked,
                }
                for f in (*s.sources, *(f for own in s.packages.values() for f in own))
            ],
        }
        for s in snapshots
    ]
