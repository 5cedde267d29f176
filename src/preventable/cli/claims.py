"""``preventable claims new|test|log|verify|withdraw``."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from preventable.cli import output
from preventable.cli.study_inputs import case_at, feeds_of, labeller, partial, study_options, warn_losses
from preventable.errors import CaseError, InputError, UsageError
from preventable.readers.case_file import CaseFile, find_case_file, read_case_file
from preventable.studies import claims as study
from preventable.studies import ledger as book
from preventable.studies.claim_looks import look_at_all
from preventable.studies.setting import read_inputs, setting_of
from preventable.taxonomy.loader import Methodology, load_taxonomy

LEDGER = "ledger.jsonl"
COLUMNS = (
    "claim", "descriptive", "events_new", "events_old", "exposure_new", "exposure_old", "e_value",
    "e_value_robust", "low", "high", "verdict", "reason",
)  # fmt: skip
LOG_COLUMNS = (
    "seq", "kind", "claim", "data_date", "admitted_new", "admitted_old", "e_value", "low", "high", "verdict",
    "digest",
)  # fmt: skip
ledger_option = click.option(
    "--ledger", type=click.Path(path_type=Path), help=f"The ledger; {LEDGER} beside the case file by default."
)
case_option = click.option(
    "--case", type=click.Path(path_type=Path), help="The case file; ./preventable.toml by default."
)


@click.group()
def command() -> None:
    """Claims written down before the data, tested so that one may look every day.

    \b
    Example: preventable claims test --case examples/linux/preventable.toml vulns/ linux-releases.json
    """


@command.command("new")
@study_options
@ledger_option
@click.option("--dry-run", is_flag=True, help="Print what would be opened; write nothing.")
@output.format_option()
@output.quiet_option()
def new(
    *, feeds: tuple[str, ...], advisories: tuple[str, ...], case: Path | None, releases: str | None,
    repository: Path | None, ledger: Path | None, dry_run: bool, fmt: str, quiet: bool,
) -> int:  # fmt: skip
    """Freeze the claims of the case file that the ledger does not have yet.

    With FEEDS it also prints the exposure that each claim would need with no event on the new side.

    \b
    Example: preventable claims new --case examples/linux/preventable.toml vulns/ linux-releases.json
    """
    read_case, base = case_at(case)
    taxonomy = load_taxonomy(base)
    claims = _claims(read_case)
    for claim in claims.values():
        claim.check(taxonomy.methodologies, read_case.file if read_case else "")
    path = ledger or base / LEDGER
    lines = book.read_ledger(path)
    _unchanged(claims, lines, path)
    known = book.opened_claims(lines)
    inputs = None
    if read_case is not None:
        inputs = read_inputs(
            setting_of(read_case), base, feeds_of(read_case, base, [*feeds, *advisories]), labeller=labeller(base),
            methodologies=taxonomy.methodologies, releases=releases, repository=repository, quiet=quiet,
        )  # fmt: skip
        warn_losses(inputs, quiet=quiet)
    rows: list[dict[str, object]] = []
    added: list[book.Line] = []
    for claim in claims.values():
        state = "already open" if claim.id in known else "opened"
        forecast: study.Forecast | str = "give feeds to see it"
        if inputs is not None:
            forecast = study.needed(
                claim, inputs.events.events, inputs.lines(), taxonomy.methodologies,
                start=inputs.start, end=min(inputs.end, claim.opened),
                family=1 if claim.primary else sum(not c.primary for c in claims.values()),
            )  # fmt: skip
        if claim.id not in known:
            body = {
                "claim": claim,
                "claim_digest": claim.digest(),
                "definition": study.definition_digest(claim, taxonomy.methodologies),
            }
            if not isinstance(forecast, str):
                body["needed_without_new_events"] = forecast
            added.append(book.next_line([*lines, *added], "opened", claim.id, body))
        rows.append(
            {
                "claim": claim.id,
                "state": state,
                "at_most": claim.at_most,
                "methodology": claim.methodology,
                "opened": claim.opened,
                "primary": claim.primary,
                "needs_exposure_new": None if isinstance(forecast, str) else forecast.exposure_new,
                "needs_events_old": None if isinstance(forecast, str) else forecast.events_old,
                "needs_years": None if isinstance(forecast, str) else forecast.years,
                "reason": forecast if isinstance(forecast, str) else "",
                "digest": claim.digest(),
            }
        )
    if added and not dry_run:
        book.append(path, added)
        click.echo(f"{len(added)} claims were opened in {path}; commit it now", err=True)
    output.write_rows(
        rows, fmt, kind="claims-new", columns=[c for c in rows[0] if c != "digest"],
        inputs=inputs.described() if inputs else (), unit="million line-years",
    )  # fmt: skip
    return 0


@command.command("test")
@study_options
@ledger_option
@click.option("--dry-run", is_flag=True, help="Look, but add no line to the ledger.")
@output.format_option()
@output.quiet_option()
def test(
    *, feeds: tuple[str, ...], advisories: tuple[str, ...], case: Path | None, releases: str | None,
    repository: Path | None, ledger: Path | None, dry_run: bool, fmt: str, quiet: bool,
) -> int:  # fmt: skip
    """Look at all claims once: admit what became known, write one line each, say where they stand.

    Rows with descriptive = yes speak of the time before the opening and have no verdict. Exit status 1 if a claim
    of the case is not opened yet.

    \b
    Example: preventable claims test --case examples/linux/preventable.toml vulns/ linux-releases.json
    """
    read_case, base = case_at(case)
    taxonomy = load_taxonomy(base)
    written = _claims(read_case)
    path = ledger or base / LEDGER
    lines = book.read_ledger(path)
    faults = book.verify(lines, every_look=False)
    if faults:
        raise InputError(
            f"the ledger does not hold: line {faults[0].line} {faults[0].what}", file=str(path),
            hint="Run `preventable claims verify` and restore the file from version control",
        )  # fmt: skip
    _unchanged(written, lines, path)
    _same_definitions(lines, taxonomy.methodologies, path)
    for claim in written.values():
        claim.check(taxonomy.methodologies, read_case.file if read_case else "")
    inputs = read_inputs(
        setting_of(read_case), base, feeds_of(read_case, base, [*feeds, *advisories]), labeller=labeller(base),
        methodologies=taxonomy.methodologies, releases=releases, repository=repository, quiet=quiet,
    )  # fmt: skip
    warn_losses(inputs, quiet=quiet)
    frozen = {i: c for i, (c, _) in book.opened_claims(lines).items()}
    unopened = [i for i in written if i not in frozen]
    if unopened:
        click.echo(
            f"not opened yet, so that nothing is recorded for: {', '.join(unopened)}. "
            "Run `preventable claims new` first",
            err=True,
        )
    result = look_at_all({**written, **frozen}, lines, inputs)
    added: list[book.Line] = []
    for name, body in result.looks.items():
        if name in frozen:
            added.append(book.next_line([*lines, *added], "test", name, msgspec.structs.asdict(body)))
    if added and not dry_run:
        book.append(path, added)
    if fmt in ("table", "markdown"):
        for sentence in result.sentences:
            click.echo(sentence)
        click.echo()
    output.write_rows(
        [msgspec.to_builtins(r) for r in result.rows], fmt, kind="claims", columns=COLUMNS,
        inputs=inputs.described(), sentences=result.sentences, history=result.history,
        statements={i: c.statement for i, c in {**written, **frozen}.items()}, unit="million line-years",
        undated=inputs.events.undated,
    )  # fmt: skip
    return 1 if partial(inputs) or unopened else 0


@command.command("log")
@case_option
@ledger_option
@output.format_option()
def log(*, case: Path | None, ledger: Path | None, fmt: str) -> int:
    """All lines of the ledger, oldest first.

    \b
    Example: preventable claims log --case examples/linux/preventable.toml
    """
    path = _existing(_ledger_path(case, ledger))
    rows: list[dict[str, object]] = []
    for line in book.read_ledger(path):
        look = msgspec.convert(line.body, book.Look) if line.kind == "test" else None
        rows.append(
            {
                "seq": line.seq,
                "kind": line.kind,
                "claim": line.claim,
                "data_date": look.data_date if look else None,
                "admitted_new": sum(s.side == "new" for s in look.admitted) if look else None,
                "admitted_old": sum(s.side == "old" for s in look.admitted) if look else None,
                "e_value": look.evidence.e_value if look else None,
                "low": look.evidence.low if look else None,
                "high": look.evidence.high if look else None,
                "verdict": look.verdict if look else "withdrawn" if line.kind == "withdrawn" else "open",
                "digest": line.digest,
            }
        )
    output.write_rows(rows, fmt, kind="claims-log", columns=LOG_COLUMNS)
    return 0


@command.command("verify")
@case_option
@ledger_option
@click.option("--head", metavar="DIGEST", help="A digest of a line that must be in the ledger.")
@click.option("--revision", metavar="REV", help="A commit or tag whose ledger must be its beginning.")
@click.option("--copy", type=click.Path(path_type=Path), help="A trusted copy that must be its beginning.")
@click.option("--signature", type=click.Path(path_type=Path), help="Detached signature of --copy (gpg or ssh).")
@click.option("--signers", type=click.Path(path_type=Path), help="Allowed signers, for an ssh signature.")
@click.option("--signer", metavar="NAME", default="preventable", help="Whose ssh signature it must be.")
@output.format_option()
def verify(
    *, case: Path | None, ledger: Path | None, head: str | None, revision: str | None, copy: Path | None,
    signature: Path | None, signers: Path | None, signer: str, fmt: str,
) -> int:  # fmt: skip
    """Recompute the whole ledger; compare it with the case's claims and with a trusted head.

    The case is that of --case, else the one beside the ledger or above it. Exit status 1 if anything does not hold.

    \b
    Example: preventable claims verify --ledger examples/linux/ledger.jsonl --revision v1.0
    """
    path = _existing(_ledger_path(case, ledger))
    if signature is not None and copy is None:
        raise UsageError("--signature signs a --copy", hint="Give the signed file with --copy")
    lines = book.read_ledger(path)
    copies = []
    if copy is not None:
        if signature is not None:
            _check_signature(copy, signature, signers, signer)
        copies.append([line.digest for line in book.read_ledger(copy)])
    if revision is not None:
        copies.append([line.digest for line in _at_revision(path, revision)])
    faults = book.verify(lines, heads=[head] if head else [], copies=copies)
    read_case, base = _case_of(case, path)
    written = _declared(read_case)
    faults += _case_faults(written, lines, load_taxonomy(base).methodologies)
    _say_unlike(written, lines)
    trusted = bool(head or any(copies))
    if not trusted:
        click.echo(
            "no trusted head was given: an edit that rewrote the whole chain could not be told. "
            "Give --revision, --head or --copy",
            err=True,
        )
    output.write_rows(
        [msgspec.to_builtins(f) for f in faults], fmt, kind="claims-verify", columns=("line", "what"),
        lines=len(lines), head=lines[-1].digest if lines else None, trusted=trusted,
        case=read_case.file if read_case and written else None, holds=not faults,
    )  # fmt: skip
    click.echo(
        f"{len(lines)} lines; " + (f"{len(faults)} faults" if faults else "all of it was recomputed and holds"),
        err=True,
    )
    return 1 if faults else 0


@command.command("withdraw")
@click.argument("claim")
@click.option("--reason", required=True, help="Why; it is kept in the ledger.")
@case_option
@ledger_option
def withdraw(*, claim: str, reason: str, case: Path | None, ledger: Path | None) -> int:
    """Take a claim back. It stays in the ledger, with the reason, and is tested no more.

    \b
    Example: preventable claims withdraw half-strict --reason "the labeller changed"
    """
    path = _ledger_path(case, ledger)
    lines = book.read_ledger(path)
    if claim not in book.opened_claims(lines):
        raise UsageError(f"the ledger has no open claim {claim!r}", hint="See `preventable claims log`")
    if claim in book.withdrawn_claims(lines):
        raise UsageError(f"{claim!r} was withdrawn before")
    book.append(path, [book.next_line(lines, "withdrawn", claim, {"reason": reason})])
    click.echo(f"{claim} is withdrawn", err=True)
    return 0


def _claims(case: CaseFile | None) -> dict[str, study.Claim]:
    claims = _declared(case)
    if not claims:
        raise CaseError(
            "the case names no claims", file=case.file if case else None, field="claims",
            hint="Write [[claims]]; see docs/claims.md",
        )  # fmt: skip
    return claims


def _declared(case: CaseFile | None) -> dict[str, study.Claim]:
    claims = (case.decode("claims", list[study.Claim]) if case else None) or []
    ids = [c.id for c in claims]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise CaseError("two claims have one id", file=case.file if case else None, record=twice[0], field="id")
    if sum(c.primary for c in claims) > 1:
        raise CaseError("at most one claim is primary", file=case.file if case else None, field="primary")
    return {c.id: c for c in claims}


def _unchanged(claims: Mapping[str, study.Claim], lines: Sequence[book.Line], path: Path) -> None:
    for name in _changed(claims, lines):
        raise CaseError(
            "a claim was changed after it was opened", file=str(path), record=name,
            hint="Restore it in the case file; or withdraw it and open another under a new id",
        )  # fmt: skip


def _changed(claims: Mapping[str, study.Claim], lines: Sequence[book.Line]) -> list[str]:
    """Claims of the case that are not as the ledger froze them."""
    opened = book.opened_claims(lines)
    return [name for name, (_, digest) in opened.items() if name in claims and claims[name].digest() != digest]


def _same_definitions(lines: Sequence[book.Line], methodologies: Mapping[str, Methodology], path: Path) -> None:
    for claim in _redefined(lines, methodologies):
        raise CaseError(
            f"the methodology {claim.methodology!r} was changed after the claim was opened",
            file=str(path), record=claim.id,
            hint="Restore it; or withdraw the claim and open another under a new id",
        )  # fmt: skip


def _redefined(lines: Sequence[book.Line], methodologies: Mapping[str, Methodology]) -> list[study.Claim]:
    """Frozen claims whose methodology is not defined as it was at their opening."""
    gone = book.withdrawn_claims(lines)
    found = []
    for line in lines:
        if line.kind == "opened" and line.claim not in gone:
            claim = msgspec.convert(line.body["claim"], study.Claim)
            known = claim.methodology == "all" or claim.methodology in methodologies
            now = study.definition_digest(claim, methodologies) if known else "not defined"
            if line.body.get("definition") not in (None, now):
                found.append(claim)
    return found


def _case_faults(
    claims: Mapping[str, study.Claim], lines: Sequence[book.Line], methodologies: Mapping[str, Methodology]
) -> list[book.Fault]:
    """What of the case file is not as the ledger has it."""
    if not claims:
        return []  # of another matter: without the case its definitions are not at hand either
    if not lines:
        return [book.Fault(0, f"the ledger is empty, though the case names {len(claims)} claims")]
    try:
        changed, redefined = _changed(claims, lines), _redefined(lines, methodologies)
    except (msgspec.ValidationError, KeyError):
        return []  # a line without the shape of an opening is a fault of its own
    at = {line.claim: number for number, line in enumerate(lines, 1) if line.kind == "opened"}
    return [
        *(book.Fault(at[name], f"{name} was changed in the case file after it was opened") for name in changed),
        *(
            book.Fault(number, f"{name} is no longer in the case file and was not withdrawn")
            for name, number in at.items()
            if name not in claims and name not in book.withdrawn_claims(lines)
        ),
        *(
            book.Fault(at[c.id], f"the methodology {c.methodology} of {c.id} was changed after it was opened")
            for c in redefined
        ),
    ]


def _say_unlike(claims: Mapping[str, study.Claim], lines: Sequence[book.Line]) -> None:
    opened = [line.claim for line in lines if line.kind == "opened"]
    if not claims:
        click.echo("no case file with claims is at hand: what the ledger froze was compared with none", err=True)
        return
    unopened = [name for name in claims if name not in opened]
    if unopened and lines:
        click.echo(f"not in the ledger, and so not opened: {', '.join(unopened)}", err=True)


def _case_of(case: Path | None, ledger: Path) -> tuple[CaseFile | None, Path]:
    """The case that a ledger is compared with: the one given, else that beside the ledger or above it."""
    if case is not None:
        return case_at(case)
    found = find_case_file(ledger.resolve().parent)
    return (read_case_file(found), found.parent) if found is not None else (None, ledger.parent)


def _existing(ledger: Path) -> Path:
    if not ledger.is_file():
        raise InputError("there is no ledger", file=str(ledger), hint="Run `preventable claims new` first")
    return ledger


def _ledger_path(case: Path | None, ledger: Path | None) -> Path:
    if ledger is not None:
        return ledger
    _, base = case_at(case)
    return base / LEDGER


def _at_revision(path: Path, revision: str) -> list[book.Line]:
    if revision.startswith("-"):
        raise UsageError(f"not a revision: {revision!r}")
    shown = subprocess.run(
        ["git", "-C", str(path.resolve().parent), "show", f"{revision}:./{path.name}"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    if shown.returncode:
        raise InputError(
            f"git cannot show the ledger at {revision}", file=str(path),
            hint=shown.stderr.decode("utf-8", "replace").strip()[:200],
        )  # fmt: skip
    return book.parse_ledger(shown.stdout, f"{path} at {revision}")


def _check_signature(copy: Path, signature: Path, signers: Path | None, signer: str) -> None:
    """Raise InputError unless the detached signature of the copy holds, as gpg or ssh-keygen checks it."""
    head = signature.read_bytes()[:64]
    if b"SSH SIGNATURE" in head:
        if signers is None:
            raise UsageError("an ssh signature needs --signers", hint="The file of allowed signers")
        call = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", signer, "-n", "preventable"]
        call += ["-s", str(signature)]
    else:
        call = ["gpg", "--batch", "--verify", str(signature), str(copy)]
    try:
        done = subprocess.run(call, input=copy.read_bytes(), capture_output=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise InputError(f"{call[0]} is not installed, so that the signature cannot be checked") from error
    if done.returncode:
        raise InputError(
            "the signature does not hold", file=str(signature),
            hint=(done.stderr or done.stdout).decode("utf-8", "replace").strip()[:200],
        )  # fmt: skip
