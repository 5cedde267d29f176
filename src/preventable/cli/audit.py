"""``preventable audit``: draw a sample, have it read twice, see the agreement, merge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from preventable.cli import output
from preventable.errors import UsageError
from preventable.plain_text import printable
from preventable.readers.registry import READERS, load
from preventable.records import Estimate, NotAvailable
from preventable.stats.agreement import Agreement
from preventable.studies import audit
from preventable.taxonomy.loader import builtin

_MODELS = "models may err alike: people would likely agree less often"


@click.group("audit")
def command() -> None:
    """Make labels that one can trust: two readings of a random sample, and how far they agree.

    \b
    Example: preventable audit draw advisories.jsonl --size 400 --seed 1 --out audit/
    """


@command.command("draw")
@click.argument("location", metavar="FEED")
@click.option("--from", "format_name", type=click.Choice(list(READERS)), help="The format, where not recognised.")
@click.option("--size", type=click.IntRange(min=1), default=400, show_default=True, help="How many records.")
@click.option("--seed", type=int, required=True, help="Seed of the draw; recorded, so that anyone can repeat it.")
@click.option(
    "--stratify", type=click.Choice(["none", "year", "severity", "package"]), default="none", show_default=True,
    help="Draw in proportion within each of these.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new directory.")
@output.quiet_option()
def draw(
    location: str, format_name: str | None, size: int, seed: int, stratify: audit.Stratum, out: Path, quiet: bool
) -> None:
    """Draw records and write the files that two readers fill in, with the codebook to read by.

    Each stratum gives at least one record, so small strata get more than their share: sample.csv and the merged
    table say how many records each drawn one stands for (weight). Exits with 1 where records could not be read.

    \b
    Example: preventable audit draw vulns/ --size 400 --seed 20260401 --out audit/
    """
    loaded = load(location, format_name=format_name, quiet=quiet)
    drawn = audit.draw(loaded.advisories, size, seed, stratify)
    description: dict[str, object] = {
        "frame": Path(loaded.report.location).name,
        "frame_digest": loaded.report.digest,
        "frame_size": sum(a.withdrawn is None for a in loaded.advisories),
        "design": "simple random sample without replacement" if stratify == "none" else f"stratified by {stratify}",
        "sample_size": size,
        "seed": seed,
        "algorithm": audit.ALGORITHMS[stratify != "none"],
        "unreadable": loaded.report.failed,
    }
    audit.write_audit(out, drawn, description, seed)
    output.say_failed(loaded.report, quiet=quiet)
    if not quiet:
        click.echo(
            f"preventable: {size} records in {out}: read records.jsonl, fill in reading-a.csv and reading-b.csv "
            "apart from each other, by the rules in codebook.md there; then preventable audit status",
            err=True,
        )
    if loaded.report.failed:
        raise click.exceptions.Exit(1)


@command.command("status")
@click.argument("path", metavar="AUDIT", type=click.Path(path_type=Path))
@output.format_option("table", ("table", "json"))
def status(path: Path, fmt: str) -> None:
    """How far an audit (directory or merged table) has come, and how far its readings agree.

    Exits with 1 while records are unread or disagreements open.

    \b
    Example: preventable audit status audit/
    """
    taxonomy = builtin()
    if path.is_dir():
        sample = audit.read_sample(path)
        first, second, settled = _readings(path, sample)
        table, _ = audit.merge(sample, first, second, settled, "unsaid")
        found = audit.status(table, taxonomy, len(sample), len(first), len(second))
    else:
        table = audit.read_merged(path, taxonomy)
        found = audit.status(table, taxonomy, len(table), len(table), len(table))
    note = _MODELS if "model" in found.reader_kinds else ""
    if fmt == "json":
        output.write_json(output.envelope("audit", msgspec.to_builtins(found), note=note))
    else:
        click.echo(_text(found, note))
    if found.read_twice < found.sample or found.agreeing + found.settled < found.read_twice:
        raise click.exceptions.Exit(1)


@command.command("merge")
@click.argument("directory", metavar="AUDIT", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--reader-kind", type=click.Choice(["human", "model", "mixed"]), required=True, help="Who read.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The table to write.")
@output.quiet_option()
def merge(directory: Path, reader_kind: str, out: Path, quiet: bool) -> None:
    """Merge two readings into one table; disagreements go to a file to be settled.

    Fill in `class` and `note` in disagreements.csv and merge again. Exits with 1 while anything is open.

    \b
    Example: preventable audit merge audit/ --reader-kind human --out audit.csv
    """
    if audit.is_own_file(directory, out):
        raise UsageError(
            "the merged table would overwrite a file of the audit", file=str(out), hint="Choose another --out"
        )
    sample = audit.read_sample(directory)
    first, second, settled = _readings(directory, sample)
    table, open_ids = audit.merge(
        sample, first, second, settled, reader_kind, settled_of=audit.settled_readings(directory)
    )
    audit.write_merged(table, out)
    if open_ids:
        path = audit.write_disagreements(directory, first, second, open_ids)
        click.echo(f"preventable: {len(open_ids)} disagreements to settle in {path}; then merge again", err=True)
    missing = len(sample) - len(table)
    if missing:
        click.echo(f"preventable: {missing} of {len(sample)} records are not yet read twice", err=True)
        if lost := sorted({one.stratum for one in sample} - {one.stratum for one in table} - {""}):
            click.echo(
                f"preventable: nothing was read of {len(lost)} strata, for which the others would stand: "
                f"{printable(', '.join(lost[:8]))}",
                err=True,
            )
    if not quiet:
        click.echo(f"preventable: {len(table)} records in {out}", err=True)
    if open_ids or missing:
        raise click.exceptions.Exit(1)


def _readings(
    directory: Path, sample: Sequence[audit.Sampled]
) -> tuple[dict[str, audit.Reading], dict[str, audit.Reading], dict[str, audit.Reading]]:
    taxonomy = builtin()
    ids = frozenset(one.id for one in sample)
    first = audit.read_reading(directory / "reading-a.csv", taxonomy, ids)
    second = audit.read_reading(directory / "reading-b.csv", taxonomy, ids)
    path = directory / "disagreements.csv"
    return first, second, audit.read_reading(path, taxonomy, ids) if path.exists() else {}


def _text(found: audit.Status, note: str) -> str:
    lines = [
        f"{found.sample} records drawn; read by the first {found.read_a}, by the second {found.read_b}, "
        f"by both {found.read_twice}",
        f"Same class: {found.agreeing}; settled since: {found.settled}",
        "",
    ]
    entries: list[tuple[str, Any]] = [("classes", found.agreement), *found.by_methodology.items()]
    for name, one in entries:
        lines.append(f"kappa, {name + ':':<11} {_kappa(one)}")
    if found.confusion:
        lines += ["", "Readings that differ (first, second):"]
        lines += [f"  {a} / {b}: {n}" for a, b, n in found.confusion]
    if found.reader_kinds not in ((), ("unsaid",)):
        lines += ["", f"Read by: {', '.join(found.reader_kinds)}" + (f" ({note})" if note else "")]
    return "\n".join(lines)


def _kappa(one: Agreement | NotAvailable) -> str:
    if isinstance(one, NotAvailable):
        return f"not available: {one.reason}"
    if isinstance(one.kappa, NotAvailable):
        return f"not available: {one.kappa.reason}"
    boot = one.kappa_bootstrap
    text = f"{one.kappa.value:.3f} (95% {one.kappa.low:.3f} to {one.kappa.high:.3f}"
    if isinstance(boot, Estimate):
        text += f"; bootstrap {boot.low:.3f} to {boot.high:.3f}"
    return f"{text}; same for {one.kappa.numerator:.0f} of {one.kappa.denominator:.0f})"
