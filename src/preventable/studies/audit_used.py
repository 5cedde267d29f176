"""Which audit stands behind corrected shares: enough to find the table again and to check that it is the one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from preventable.studies.audit import Audited


class AuditUsed(msgspec.Struct, frozen=True):
    """The audit beside the labels: ``audit`` of results."""

    name: str
    """As it was given; ``built-in`` for the one that ships."""
    digest: str | None
    """``sha256:`` and the digest of its bytes; None where there is no file that could be read again."""
    rows: int
    settled: int
    """Rows with a final class, the only ones that count."""
    design: Literal["simple", "by strata"]
    """As the correction takes it: by strata where rows have weights."""
    reader_kind: str


def given_audit_used(audit: Sequence[Audited], file: Path | None) -> AuditUsed:
    """The trace of an audit that was given; ``file`` is the table that it was read from, if any."""
    if file is None:
        return _used(audit, "given without a file", None)
    # A name that is no UTF-8 has lone surrogates, which JSON cannot hold.
    name = str(file).encode("utf-8", "replace").decode()
    return _used(audit, name, _digest(file) if file.is_file() else None)


def built_in_audit_used(audit: Sequence[Audited]) -> AuditUsed | None:
    """The trace of what ``fitting_audit`` gave; None where it found that none fits."""
    if not audit:
        return None
    return _used(audit, "built-in", _digest(Path(str(files("preventable.data"))) / "audit" / "linux.csv"))


def _used(audit: Sequence[Audited], name: str, digest: str | None) -> AuditUsed:
    return AuditUsed(
        name,
        digest,
        len(audit),
        sum(bool(a.final) for a in audit),
        "by strata" if any(a.weight is not None for a in audit) else "simple",
        ", ".join(sorted({a.reader_kind for a in audit})),
    )


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
