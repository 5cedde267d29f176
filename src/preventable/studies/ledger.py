"""The ledger of claims: JSON Lines, each line chained to the one before by its digest.

    {"seq": 0, "kind": "opened", "claim": "…", "body": {…}, "previous": "", "digest": "sha256:…"}

Kinds: ``opened`` (the frozen claim), ``test`` (one look), ``withdrawn``. Who can rewrite the whole file can
rewrite the whole chain, so that ``verify`` compares with a head kept elsewhere: a digest, a git revision, a
signed copy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from preventable.errors import FormatError, OutputError
from preventable.studies.claims import Batch, Claim, Evidence, Sighting, evaluate

Kind = Literal["opened", "test", "withdrawn"]
MAX_BYTES = 512 * 1024 * 1024


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a ledger as it stands in the file."""

    seq: int
    kind: Kind
    claim: str
    body: Mapping[str, Any]
    previous: str
    digest: str


class Look(msgspec.Struct, frozen=True):
    """Body of a ``test`` line: what was admitted at this look and what followed."""

    claim_digest: str
    data: Mapping[str, str]
    """Location's name, as much of it as tells locations apart -> digest of the bytes read."""
    data_date: str
    cut_off: str
    admitted: tuple[Sighting, ...]
    batches: tuple[Batch, ...]
    rejected: tuple[str, ...]
    """Ids admitted earlier that the feed no longer has, all so far."""
    evidence: Evidence
    cleaned: Evidence | None
    """Without the rejected ones; None where none was."""
    verdict: str


class Fault(msgspec.Struct, frozen=True):
    """One thing that ``verify`` found."""

    line: int
    what: str


def line_digest(seq: int, kind: str, claim: str, body: Mapping[str, Any], previous: str) -> str:
    """Digest of a line's content together with the digest of the line before.

    Example:
        >>> line_digest(0, "opened", "c", {}, "")[:19]
        'sha256:998fb4d8908c'
    """
    content = msgspec.json.encode([seq, kind, claim, body, previous], order="deterministic")
    return "sha256:" + hashlib.sha256(content).hexdigest()


def read_ledger(path: Path) -> list[Line]:
    """All lines of a ledger; a missing file is an empty ledger.

    Raises:
        FormatError: a line is not a ledger line; the message names it.
    """
    if not path.exists():
        return []
    if path.stat().st_size > MAX_BYTES:
        raise FormatError("the ledger is over 512 MiB", file=str(path))
    return parse_ledger(path.read_bytes(), str(path))


def parse_ledger(data: bytes, file: str) -> list[Line]:
    """The bytes of a ledger, line by line.

    Raises:
        FormatError: see ``read_ledger``.
    """
    decoder = msgspec.json.Decoder(Line)
    lines = []
    for number, raw in enumerate(data.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            lines.append(decoder.decode(raw))
        except msgspec.MsgspecError as error:
            raise FormatError(
                f"not a line of a ledger: {error}", file=f"{file}:{number}",
                hint="Restore the file from version control",
            ) from error  # fmt: skip
    return lines


def next_line(lines: Sequence[Line], kind: Kind, claim: str, body: Mapping[str, Any]) -> Line:
    """The line that would follow."""
    previous = lines[-1].digest if lines else ""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    seq = len(lines)
    return Line(seq, kind, claim, plain, previous, line_digest(seq, kind, claim, plain, previous))


def append(path: Path, lines: Sequence[Line]) -> None:
    """Add lines at the end of the file, all or none.

    Raises:
        OutputError: the file cannot be written.
    """
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    try:
        before = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise OutputError(f"the ledger cannot be written: {error.strerror}", file=str(path)) from error


def opened_claims(lines: Sequence[Line]) -> dict[str, tuple[Claim, str]]:
    """Claims by id as frozen at their opening, with their digests."""
    return {
        line.claim: (msgspec.convert(line.body["claim"], Claim), str(line.body["claim_digest"]))
        for line in lines
        if line.kind == "opened"
    }


def looks_of(lines: Sequence[Line], claim: str) -> list[Look]:
    """All looks at one claim, oldest first."""
    return [msgspec.convert(x.body, Look) for x in lines if x.kind == "test" and x.claim == claim]


def withdrawn_claims(lines: Sequence[Line]) -> dict[str, str]:
    """Withdrawn claims by id, with the reason given."""
    return {x.claim: str(x.body.get("reason", "")) for x in lines if x.kind == "withdrawn"}


def verify(
    lines: Sequence[Line], *, heads: Sequence[str] = (), copies: Sequence[Sequence[str]] = (), every_look: bool = True
) -> list[Fault]:
    """Recompute the whole ledger: chain, frozen claims, every e-value, every interval.

    Args:
        lines: the ledger.
        heads: trusted digests, each of which must be the digest of some line.
        copies: per trusted copy the digests of its lines, oldest first: each must be the beginning of the ledger.
        every_look: recompute the e-values of every look; else of each claim's last one only.
    Returns:
        What does not hold; empty if all does.
    """
    faults: list[Fault] = []
    previous = ""
    for at, line in enumerate(lines):
        number = at + 1
        if line.seq != at:
            faults.append(Fault(number, f"is numbered {line.seq}, not {at}: a line was removed, added or moved"))
        if line.previous != previous:
            faults.append(Fault(number, "does not follow the line before it"))
        if line_digest(line.seq, line.kind, line.claim, line.body, line.previous) != line.digest:
            faults.append(Fault(number, "was edited: its content does not have its digest"))
        previous = line.digest
    faults += _content_faults(lines, every_look)
    own = [line.digest for line in lines]
    for head in heads:
        if head not in own:
            faults.append(Fault(len(lines), "the trusted head is not in this ledger: it was rewritten or cut"))
    for copy in copies:
        for at, digest in enumerate(copy):
            if at >= len(own):
                faults.append(Fault(at, f"{len(copy) - at} lines of the trusted copy are missing"))
                break
            if own[at] != digest:
                faults.append(Fault(at + 1, "differs from the trusted copy"))
                break
    return faults


class _Told:
    """What the looks at one claim add up to so far."""

    def __init__(self, claim: Claim, digest: str) -> None:
        self.claim = claim
        self.digest = digest
        self.ids: set[str] = set()
        self.sums: dict[tuple[float, float], tuple[int, int]] = {}
        self.last: tuple[int, Look] | None = None

    def add(self, number: int, look: Look) -> list[str]:
        """Take in one look; what does not hold about its events."""
        found = []
        if look.claim_digest != self.digest:
            found.append("tests another claim than the one that was opened")
        early = [s.id for s in look.admitted if s.fixed <= self.claim.opened]
        if early:
            found.append(f"admits {early[0]}, which was fixed before the opening")
        names = [i for s in look.admitted for i in s.records]
        if len(names) != len(set(names)) or not self.ids.isdisjoint(names):
            found.append("admits an event a second time")
        self.ids.update(names)
        counted = (sum(b.new for b in look.batches), sum(b.old for b in look.batches))
        named = (sum(s.side == "new" for s in look.admitted), sum(s.side == "old" for s in look.admitted))
        if counted != named:
            found.append("counts other events than it names")
        for b in look.batches:
            new, old = self.sums.get((b.ratio, b.ratio_refuted), (0, 0))
            self.sums[b.ratio, b.ratio_refuted] = (new + b.new, old + b.old)
        self.last = (number, look)
        return found

    def recomputed(self, look: Look) -> bool:
        """Whether the look's numbers follow from all events so far."""
        day = self.claim.opened
        batches = [Batch(day, new, old, low, high) for (low, high), (new, old) in self.sums.items()]
        again = evaluate(self.claim, [batches], look.evidence.exposure_new, look.evidence.exposure_old)
        return _same(again, look.evidence)


def _content_faults(lines: Sequence[Line], every_look: bool) -> list[Fault]:
    faults: list[Fault] = []
    told: dict[str, _Told] = {}
    wrong = "its e-values or its interval do not follow from its events"
    for number, line in enumerate(lines, 1):
        try:
            if line.kind == "opened":
                claim = msgspec.convert(line.body["claim"], Claim)
                if line.claim in told:
                    faults.append(Fault(number, f"opens {line.claim} a second time"))
                if claim.digest() != line.body["claim_digest"] or claim.id != line.claim:
                    faults.append(Fault(number, "the frozen claim does not have its digest"))
                told[line.claim] = _Told(claim, str(line.body["claim_digest"]))
            elif line.claim not in told:
                faults.append(Fault(number, f"speaks of {line.claim}, which was never opened"))
            elif line.kind == "test":
                look = msgspec.convert(line.body, Look)
                faults += [Fault(number, what) for what in told[line.claim].add(number, look)]
                if every_look and not told[line.claim].recomputed(look):
                    faults.append(Fault(number, wrong))
        except (msgspec.ValidationError, KeyError) as error:
            faults.append(Fault(number, f"has not the shape of a {line.kind} line: {error}"))
    if not every_look:
        for one in told.values():
            if one.last is not None and not one.recomputed(one.last[1]):
                faults.append(Fault(one.last[0], wrong))
    return faults


def _same(a: Evidence, b: Evidence) -> bool:
    """Equal up to what another processor's last digits may differ by."""
    for field in Evidence.__struct_fields__:
        x, y = getattr(a, field), getattr(b, field)
        if (x is None) != (y is None):
            return False
        if x is not None and abs(x - y) > 1e-6 * max(1e-9, abs(x), abs(y)):
            return False
    return True
