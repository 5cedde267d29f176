"""The embedded case, Linux: facts computed from the kernel CNA's records by ``preventable facts``; no prose.

``*.parquet`` are the tables of the evidence store with the texts left empty and only mainline spans;
``releases.csv`` has the release dates of the versions; ``manifest.json`` says what they were computed from.
"""

from __future__ import annotations

import csv
import hashlib
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
import polars as pl

from preventable.errors import OutputError, StoreError
from preventable.evidence.store import replace_file
from preventable.evidence.tables import SCHEMA, Evidence
from preventable.records import METHOD_VERSION, ReadReport

_LEFT_OUT = ("reasons",)
"""Tables that quote words of the records; facts do without."""
_COMMIT_DIGITS = 12
"""Commits are kept abbreviated: enough to tell which records one commit brought."""
_PROSE = ("title", "text", "impact")


class FactsManifest(msgspec.Struct, frozen=True):
    """What embedded facts were computed from."""

    method_version: str
    command: str
    reports: tuple[ReadReport, ...]


def embedded_directory() -> Path:
    """Where the embedded Linux facts lie."""
    return Path(str(files("preventable.data"))) / "linux"


@cache
def embedded_releases() -> dict[str, date]:
    """Release dates of Linux versions, for dating the kernel's version pairs."""
    path = embedded_directory() / "releases.csv"
    if not path.exists():
        return {}
    with path.open(encoding="ascii", newline="") as stream:
        return {row["version"]: date.fromisoformat(row["date"]) for row in csv.DictReader(stream)}


def embedded_releases_report() -> ReadReport:
    """What a run that dates by ``embedded_releases`` read there."""
    path, releases = embedded_directory() / "releases.csv", embedded_releases()
    source = next(r for r in _manifest().reports if r.format == "releases")
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    newest = max(releases.values())
    return ReadReport(
        "embedded: linux/releases.csv", "releases", source.licence, digest, newest, len(releases), 0, 0, 0
    )


@cache
def _manifest() -> FactsManifest:
    return msgspec.json.decode((embedded_directory() / "manifest.json").read_bytes(), type=FactsManifest)


def is_embedded(report: ReadReport) -> bool:
    """Whether a report is one of ``load_facts``: it tells what the facts were made from, not what this run read."""
    return any(report is one for one in _manifest().reports)


def save_facts(evidence: Evidence, releases: dict[str, date], directory: Path, command: str) -> None:
    """Write facts without prose. Same evidence, same bytes.

    Raises:
        OutputError: the directory cannot be written, or the disk is full.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in SCHEMA:
            if name in _LEFT_OUT:
                continue
            frame = evidence.table(name)
            if name == "advisories":
                frame = frame.with_columns([pl.lit("").alias(c) for c in _PROSE])
            if name == "ranges":
                frame = frame.filter(pl.col("mainline")).with_columns(
                    pl.col("introduced_commit", "fixed_commit").str.slice(0, _COMMIT_DIGITS)
                )
            frame.write_parquet(directory / f"{name}.parquet", compression="zstd", compression_level=19)
        reports = tuple(msgspec.structs.replace(r, location=Path(r.location).name) for r in evidence.reports)
        manifest = FactsManifest(METHOD_VERSION, command, reports)
        replace_file(directory / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        if releases:
            lines = [f"{version},{day}" for version, day in sorted(releases.items())]
            replace_file(directory / "releases.csv", ("version,date\n" + "\n".join(lines) + "\n").encode("ascii"))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise OutputError(
            f"the facts cannot be written: {error}", file=str(directory), hint="Free space, or name another directory"
        ) from error


def load_facts(directory: Path | None = None) -> Evidence:
    """The embedded facts as evidence; texts are empty and no reasons are kept.

    Raises:
        StoreError: the files are missing or of another shape.
    """
    own = directory is None
    directory = directory or embedded_directory()
    try:
        path = directory / "manifest.json"
        manifest = _manifest() if own else msgspec.json.decode(path.read_bytes(), type=FactsManifest)
        frames = {
            name: pl.DataFrame(schema=schema) if name in _LEFT_OUT else pl.read_parquet(directory / f"{name}.parquet")
            for name, schema in SCHEMA.items()
        }
    except (OSError, msgspec.MsgspecError, pl.exceptions.PolarsError) as error:
        raise StoreError(
            f"the embedded facts cannot be read: {error}", file=str(directory), hint="Install Preventable again"
        ) from error
    for name, schema in SCHEMA.items():
        if dict(frames[name].schema) != schema:
            raise StoreError(
                f"table {name} has other columns than this version expects",
                file=str(directory),
                hint="Make the facts again with `preventable facts`",
            )
    return Evidence(**frames, reports=manifest.reports)
