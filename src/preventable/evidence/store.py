"""The evidence on disk: a directory of Parquet tables and a manifest that says what they came from.

Tables live in a directory named by the key of their inputs; ``manifest.json`` names that directory and is replaced
atomically, last. A run killed at any moment leaves the old manifest with its tables, or the new one with its own.
Anything that reads Parquet can read the tables (Polars, DuckDB, pandas, R).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import polars as pl

from preventable.errors import OutputError
from preventable.evidence.tables import SCHEMA, Evidence
from preventable.records import ReadReport
from preventable.termination import termination_waits

STORE_VERSION = 1
_ABANDONED_SECONDS = 3600


class Manifest(msgspec.Struct, frozen=True):
    """What the tables came from. ``key`` is the digest of all inputs, options and of the methods' versions."""

    store_version: int
    key: str
    directory: str
    tables: dict[str, int]
    """Rows per table."""
    reports: tuple[ReadReport, ...]
    licences: tuple[str, ...]


def save_evidence(evidence: Evidence, store: Path, key: str) -> None:
    """Write the tables, then switch to them, then drop the ones before.

    Raises:
        OutputError: the directory cannot be written or the disk is full; what was there stays usable.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        fresh: Path | None = None
        try:
            with termination_waits():
                fresh = Path(tempfile.mkdtemp(prefix="writing-", dir=store))
            for name in SCHEMA:
                evidence.table(name).write_parquet(fresh / f"{name}.parquet", compression="zstd")
            final = store / f"evidence-{key[:16]}"
            fresh_since = fresh.stat().st_mtime
            _put(fresh, final)
        except BaseException:
            if fresh is not None:
                shutil.rmtree(fresh, ignore_errors=True)
            raise
        manifest = Manifest(
            STORE_VERSION,
            key,
            final.name,
            {name: evidence.table(name).height for name in SCHEMA},
            evidence.reports,
            tuple(sorted({r.licence for r in evidence.reports})),
        )
        replace_file(store / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        # Another run may be writing here right now: only what a run killed long ago left behind is dropped.
        for old in store.iterdir():
            if old.name.startswith("evidence-") and old.name != final.name:
                shutil.rmtree(old, ignore_errors=True)
            elif old.name.startswith("writing-"):
                with contextlib.suppress(FileNotFoundError):
                    if fresh_since - old.stat().st_mtime > _ABANDONED_SECONDS:
                        shutil.rmtree(old, ignore_errors=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise OutputError(
            f"the evidence cannot be written: {error}",
            file=str(store),
            hint="Free space or name another --store",
        ) from error


def _put(fresh: Path, final: Path) -> None:
    """Give the tables their name. The same key means the same bytes: those of a faster run do as well as ours."""
    if final.exists():
        old = fresh.with_name(f"{fresh.name}-old")
        with contextlib.suppress(FileNotFoundError):  # another run took it away
            final.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        fresh.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(fresh)


def load_evidence(store: Path, key: str) -> Evidence | None:
    """The evidence with exactly this key, or ``None``: absent, of other inputs, of another version, or damaged.

    A damaged store is no error, for it can be made again from the feeds.
    """
    try:
        manifest = msgspec.json.decode((store / "manifest.json").read_bytes(), type=Manifest)
        if manifest.store_version != STORE_VERSION or manifest.key != key:
            return None
        frames: dict[str, pl.DataFrame] = {}
        for name, schema in SCHEMA.items():
            frame = pl.read_parquet(store / manifest.directory / f"{name}.parquet")
            if dict(frame.schema) != schema or frame.height != manifest.tables[name]:
                return None
            frames[name] = frame
        return Evidence(**frames, reports=manifest.reports)
    except (OSError, msgspec.MsgspecError, pl.exceptions.PolarsError, KeyError):
        return None


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old bytes or the new ones, never a part."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
