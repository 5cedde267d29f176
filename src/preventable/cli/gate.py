"""``preventable gate``: judge a change by the rules of the case file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from preventable.cli import output
from preventable.code.changed import measure_change
from preventable.code.gitfiles import EMPTY_TREE, Repository
from preventable.code.trees import DEFAULT_MAX_FILE_BYTES
from preventable.errors import CaseError, OutputError, RepositoryError, UsageError
from preventable.readers.case_file import (
    CASE_FILE,
    PYPROJECT,
    CaseFile,
    find_case_file,
    parse_case,
    read_case_file,
)
from preventable.report.badge import gate_badge
from preventable.report.sarif import sarif_log
from preventable.studies.gate import RULES, Finding, judge

COLUMNS = ("rule", "name", "zone", "path", "line", "message", "baseline_state", "suppressed")

EXAMPLE = """\
# Rules for `preventable gate`; see docs/gate.md.
[gate]
exempt = []                            # vendored code, by name: exempt from every zone

[[gate.zones]]
name = "parsers"
paths = ["src/parse"]                  # a directory means all below it
exempt = []                            # exempt from this zone
no_new_files = ["C", "C++"]            # headers are included
no_new_lines = ["C", "C++"]            # no such file may hold more lines of code than before

[[gate.zones]]
name = "rust"
paths = ["rust"]
no_growth = ["unsafe_blocks", "unsafe_lines"]
safety_comments = true                 # new unsafe blocks and impls need // SAFETY:

# [[gate.suppressions]]
# rule = "PVG002"                      # or its name, new-lines
# path = "src/parse/legacy.c"
# reason = "fix of a reported fault, no rewrite before the release"
# expires = 2030-01-31
"""


@click.command()
@click.option("--base", metavar="REV", help="The revision to compare with: a branch, tag or commit.")
@click.option("--head", metavar="REV", help="The revision to judge; by default the work tree with untracked files.")
@click.option("--merge-base", is_flag=True, help="Compare with the commit where base and head parted.")
@click.option("--staged", is_flag=True, help="Judge what is staged, as a commit hook wants.")
@click.option("--repo", default=".", show_default=True, type=click.Path(), help="The repository.")
@click.option(
    "--case",
    "case_path",
    type=click.Path(path_type=Path),
    help="Case file; by default the one at the root of the head.",
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day that suppressions are compared with; by default today (UTC).",
)
@click.option("--exit-zero", is_flag=True, help="End with 0 also with findings, so that a later step can upload them.")
@click.option("--sarif", "sarif_path", type=click.Path(path_type=Path), help="Also write SARIF to this file.")
@click.option("--badge", "badge_path", type=click.Path(path_type=Path), help="Also write a badge (JSON) to this file.")
@click.option("--example", is_flag=True, help="Print rules to begin with, and stop.")
@output.format_option(formats=(*output.FORMATS, "sarif", "badge"))
@output.quiet_option()
def command(
    base: str | None,
    head: str | None,
    merge_base: bool,
    staged: bool,
    repo: str,
    case_path: Path | None,
    today: datetime | None,
    exit_zero: bool,
    sarif_path: Path | None,
    badge_path: Path | None,
    example: bool,
    fmt: str,
    quiet: bool,
) -> None:
    """Hold the line: no new C or C++, no more unsafe Rust, where the case file says so.

    Reads only the files that differ. Ends with 0 when the rules hold, 1 with findings, 2 when the rules or
    options are wrong, 3 when the repository cannot be read.

    \b
    Example: preventable gate --base origin/main
    Example: preventable gate --base HEAD~1 --head HEAD --format sarif
    """
    if example:
        click.echo(EXAMPLE, nl=False)
        return
    if base is None:
        raise UsageError("--base is missing", hint="Name the revision to compare with, for example --base origin/main")
    if staged and head is not None:
        raise UsageError("--staged and --head exclude each other", hint="Give one of them")
    repository = Repository(repo)
    if not repository.bare:
        repository = Repository(repository.top())
    elif head is None:
        raise UsageError("The repository is bare: there is no work tree to judge", hint="Name a revision by --head")
    day = today.date() if today is not None else datetime.now(UTC).date()
    head_commit = repository.commit(head) if head is not None else None
    warnings: list[str] = []
    base_commit = _base(repository, base, head_commit, warnings, merge_base=merge_base)
    case = _case(repository, head_commit, staged, case_path, warnings)
    tree = measure_change(
        repository, base_commit, head_commit, staged=staged, sites=True, max_file_bytes=DEFAULT_MAX_FILE_BYTES
    )
    verdict = judge(tree, case, day, None if case_path else _base_case(repository, base_commit))
    both = {p for c in tree.changes if c.new_path in verdict.grown for p in (c.old_path, c.new_path) if p}
    lines = repository.first_added_lines(base_commit, head_commit, sorted(both), staged=staged)
    findings = [
        msgspec.structs.replace(f, line=lines.get(f.path, f.line)) if f.rule == "PVG002" else f
        for f in verdict.findings
    ]
    warnings += verdict.warnings
    if case_path is None and any({c.old_path, c.new_path} & {CASE_FILE, PYPROJECT} for c in tree.changes):
        warnings.append("the change touches the file with the rules themselves")
    if not quiet:
        for warning in warnings:
            click.echo(f"preventable: warning: {_shown(warning)}", err=True)
    sarif = sarif_log(findings, RULES, base=base_commit, head=head_commit, warnings=warnings)
    badge = gate_badge(verdict.open)
    for path, document in ((sarif_path, sarif), (badge_path, badge)):
        if path is not None:
            _write(path, document)
    if fmt == "sarif":
        output.write_json(sarif)
    elif fmt == "badge":
        output.write_json(badge)
    else:
        _write_findings(
            findings, fmt, case, base_commit, head_commit, day, warnings, verdict.changed_files, quiet=quiet
        )
    if verdict.open and not exit_zero:
        raise click.exceptions.Exit(1)


def _write_findings(
    findings: list[Finding],
    fmt: str,
    case: CaseFile,
    base: str,
    head: str | None,
    day: date,
    warnings: list[str],
    changed: int,
    *,
    quiet: bool,
) -> None:
    rows = [{k: _shown(v) if isinstance(v, str) else v for k, v in msgspec.to_builtins(f).items()} for f in findings]
    suppressed = sum(f.suppressed for f in findings)
    if not quiet:
        click.echo(
            f"preventable: {_number(changed, 'file')} changed, {_number(len(findings) - suppressed, 'finding')}, "
            f"{suppressed:,} suppressed",
            err=True,
        )
    if not rows and fmt == "table":
        click.echo("The gate holds.")
        return
    output.write_rows(
        rows,
        fmt,
        kind="gate",
        columns=COLUMNS,
        inputs={
            "base": base,
            "head": head,
            "case": case.file,
            "case_digest": case.digest,
            "today": day.isoformat(),
        },
        summary={"changed_files": changed, "findings": len(findings) - suppressed, "suppressed": suppressed},
        warnings=[_shown(w) for w in warnings],
    )


def _base(repository: Repository, base: str, head_commit: str | None, warnings: list[str], *, merge_base: bool) -> str:
    """The commit to compare with. Before the first commit of a repository HEAD is nothing at all."""
    if head_commit is None and repository.unborn():
        return EMPTY_TREE if base == "HEAD" else repository.commit(base)
    commit = repository.commit(base)
    head = head_commit or repository.commit("HEAD")
    if commit == head or (repository.shallow and not merge_base):
        return commit
    common = repository.merge_base(commit, head)
    if merge_base and common is None:
        raise RepositoryError(
            f"{base} and the head have no commit in common",
            file=repository.path,
            hint="The clone is shallow: fetch what is missing with `git fetch --unshallow`"
            if repository.shallow
            else "Compare them without --merge-base",
        )
    if merge_base and common is not None:
        return common
    if common != commit:
        warnings.append(
            f"{base} has commits that the head lacks; they count as undone here: --merge-base leaves them out"
        )
    return commit


def _case(repository: Repository, head: str | None, staged: bool, path: Path | None, warnings: list[str]) -> CaseFile:
    if path is not None:
        return _relative(read_case_file(path), repository)
    if head is not None or staged:
        found = _stored_case(repository, head or "")
        if found is not None:
            return found
    if not repository.bare:
        on_disk = find_case_file(repository.top())
        if on_disk is not None:
            if head is not None:
                warnings.append("the head has no rules; they are those of the work tree")
            return msgspec.structs.replace(read_case_file(on_disk), file=on_disk.name)
    raise CaseError(
        "There is no case file with rules for the gate",
        file=CASE_FILE,
        hint="`preventable gate --example > preventable.toml` begins one",
    )


def _relative(case: CaseFile, repository: Repository) -> CaseFile:
    """A case file inside the repository goes by its path there, so that findings about it have a place."""
    path = Path(case.file).resolve()
    if not repository.bare and path.is_relative_to(repository.top().resolve()):
        return msgspec.structs.replace(case, file=path.relative_to(repository.top().resolve()).as_posix())
    return msgspec.structs.replace(case, file=path.as_posix())


def _base_case(repository: Repository, base: str) -> CaseFile | None:
    try:
        return _stored_case(repository, base)
    except CaseError:
        return None  # the old rules were wrong; what counts is the new ones


def _stored_case(repository: Repository, revision: str) -> CaseFile | None:
    own = repository.file(revision, CASE_FILE)
    if own is not None:
        return parse_case(own, CASE_FILE)
    pyproject = repository.file(revision, PYPROJECT)
    if pyproject is not None and b"tool.preventable" in pyproject:
        return parse_case(pyproject, PYPROJECT)
    return None


def _write(path: Path, document: Any) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        raise OutputError(
            f"The file cannot be written: {error.strerror}", file=str(path), hint="Choose another place"
        ) from error


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
