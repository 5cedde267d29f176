"""The vocabulary: what every other module talks about. Frozen structs, no behaviour beyond checks.

Unknown is not zero: a missing value is ``None`` here, and a result that cannot be given is
``NotAvailable`` (the data could have told, but did not) or ``NotApplicable`` (the question makes no
sense there), each with its reason.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

SCHEMA_VERSION = "1.0"
"""Version of the shape of JSON results; grows with every incompatible change."""

METHOD_VERSION = "2026.11"
"""Version of the methods; grows whenever the same inputs may give other figures."""


class NotAvailable(msgspec.Struct, frozen=True, tag="not_available"):
    """The data at hand does not tell, with the reason."""

    reason: str


class NotApplicable(msgspec.Struct, frozen=True, tag="not_applicable"):
    """The question makes no sense here, with the reason."""

    reason: str


class Estimate(msgspec.Struct, frozen=True, tag="estimate"):
    """A figure with everything a sceptic asks for.

    ``value`` lies between ``low`` and ``high``, the interval of level ``level`` by ``method``.
    ``numerator`` and ``denominator`` are counts (or exposure, for a rate).
    """

    value: float
    low: float
    high: float
    numerator: float
    denominator: float
    method: str
    level: float = 0.95


class CweClaim(msgspec.Struct, frozen=True):
    """A CWE id together with who assigned it (``cna``, ``adp:CISA-ADP``, ``osv``, ``nvd`` ...)."""

    cwe: int
    said_by: str


class CodeRange(msgspec.Struct, frozen=True):
    """One branch's span from the commit or release that introduced a fault to the one that fixed it.

    ``introduced_*`` of ``None`` means unknown; a feed's ``introduced: "0"`` is unknown, not the first commit.
    """

    introduced_version: str | None = None
    introduced_commit: str | None = None
    introduced_date: date | None = None
    fixed_version: str | None = None
    fixed_commit: str | None = None
    fixed_date: date | None = None
    mainline: bool = False


class Advisory(msgspec.Struct, frozen=True):
    """One published vulnerability record, whatever feed it came from."""

    id: str
    feed: str
    """Name of the reader that produced it."""
    file: str
    """Archive member or path the record was read from, for messages."""
    title: str = ""
    text: str = ""
    impact: str = ""
    """Scenario or impact prose that some feeds carry beside the description."""
    published: date | None = None
    modified: date | None = None
    aliases: tuple[str, ...] = ()
    cwes: tuple[CweClaim, ...] = ()
    severity: Literal["none", "low", "medium", "high", "critical"] | None = None
    cvss_score: float | None = None
    cvss_vector: str | None = None
    package: str | None = None
    files: tuple[str, ...] = ()
    """Source files the fix touches, relative to the root of the code base."""
    ranges: tuple[CodeRange, ...] = ()
    known_exploited: date | None = None
    withdrawn: date | None = None
    categories: tuple[str, ...] = ()
    """A feed's own categories (RustSec's ``memory-corruption``, ...)."""
    informational: str | None = None
    """A feed's own word for a record that is not a vulnerability (``unmaintained``, ``unsound``, ...)."""


class Span(msgspec.Struct, frozen=True):
    """Where in a field words matched: ``text[start:end]``, in characters."""

    field: str
    start: int
    end: int


class LabelReason(msgspec.Struct, frozen=True):
    """Why a label was given: a CWE id or the matched words and where they stand."""

    kind: Literal["cwe", "signature", "phrase", "category", "model", "audit"]
    detail: str
    said_by: str
    span: Span | None = None


class Label(msgspec.Struct, frozen=True):
    """The weakness class of one record, who said so, and why. ``unknown`` is a label."""

    advisory: str
    weakness: str
    """Id of the weakness class, or ``unknown``."""
    source: str
    """``cwe``, ``rules``, ``model``, ``audit`` or ``none``."""
    cwe: int | None = None
    """The CWE the label stands for, where one was given or the words name one."""
    reasons: tuple[LabelReason, ...] = ()


class FailedRow(msgspec.Struct, frozen=True):
    """A record or field that could not be read; a row of the read report."""

    file: str
    record: str | None
    field: str | None
    reason: str


class ReadReport(msgspec.Struct, frozen=True):
    """What one load read and what it did not; travels into every result.

    read + duplicate + failed + rejected = records seen. ``data_date`` is the newest date inside the data,
    never the clock.
    """

    location: str
    format: str
    licence: str
    digest: str
    """``sha256:`` and the digest of all bytes read."""
    data_date: date | None
    read: int
    rejected: int
    duplicate: int
    failed: int
    rows: tuple[FailedRow, ...] = ()
    warnings: tuple[FailedRow, ...] = ()
    """Records that were read although a field was unusable: the field became unknown."""
    joined: int = 0
    """Of those read, how many are one vulnerability with a record of an earlier location, by an alias or in another
    format: they add what it lacks, and the two count once."""
