"""``Release`` and ``InRelease``: what a suite is, which digest each index has, and who signed that.

The signature is checked by ``gpgv`` with the keyring that the machine's APT uses for the archive, if both
are there. A signature that is wrong is an error; one that cannot be checked is said in the result. Only what
the signature covers is read: a file with anything beside its one signed message is refused.
"""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from preventable.errors import ArchiveError, FormatError, InputError

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/etc/apt/trusted.gpg"),
)
_ARMOUR = b"-----BEGIN PGP SIGNED MESSAGE-----"
_AGAIN = "Do not use it; fetch it again"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"


class Release(msgspec.Struct, frozen=True):
    """The facts of a Release file."""

    file: str
    suite: str
    codename: str
    date: datetime.date | None
    valid_until: datetime.date | None
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    by_hash: bool
    digests: dict[str, tuple[str, int]]
    """Path of an index below the suite to its SHA-256 and size."""
    signature: str
    """How the signature was checked, in words."""


def read_release(data: bytes, file: str, *, keyring: Path | None = None, signature: bytes | None = None) -> Release:
    """Read a Release file; check its signature when a keyring is at hand.

    Args:
        data: the bytes of ``InRelease``, or of ``Release``.
        keyring: the keyring that must hold the signing key; by default the first of ``KEYRINGS`` that exists.
        signature: the bytes of ``Release.gpg`` when ``data`` is a plain Release.
    Raises:
        InputError: the signature is wrong, or does not cover all of the file.
        FormatError: not a Release file, or one without SHA-256 digests.
    """
    signed = _signed_text(data, file)
    said, verified = _check_signature(data, file, keyring, signature, inline=signed is not None)
    text = next(t for t in (verified, signed, data) if t is not None)
    fields: dict[str, str] = {}
    name = ""
    for line in text.decode("utf-8", "replace").splitlines():
        if line[:1] in (" ", "\t"):
            fields[name] = fields.get(name, "") + "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if not fields.get("SHA256"):
        raise FormatError("not a Release file, or one without SHA256 digests", file=file, field="SHA256")
    digests = {}
    for line in fields["SHA256"].split("\n"):
        parts = line.split()
        if len(parts) == 3 and re.fullmatch(r"[0-9a-f]{64}", parts[0]) and parts[1].isdigit():
            digests[parts[2]] = (parts[0], int(parts[1]))
    return Release(
        file=file,
        suite=fields.get("Suite", ""),
        codename=fields.get("Codename", ""),
        date=_day(fields.get("Date")),
        valid_until=_day(fields.get("Valid-Until")),
        architectures=tuple(a for a in fields.get("Architectures", "").split() if a != "all"),
        components=tuple(fields.get("Components", "").split()),
        by_hash=fields.get("Acquire-By-Hash", "no") == "yes",
        digests=digests,
        signature=said,
    )


def _signed_text(data: bytes, file: str) -> bytes | None:
    """What the signature of a clear-signed file covers; ``None`` for a file that is not clear-signed.

    Raises:
        InputError: something stands outside the one signed message.
    """
    lines = [line.rstrip(b" \t\r") for line in data.strip().split(b"\n")]
    if lines[0] != _ARMOUR:
        if _ARMOUR in data:
            raise InputError("text that is not signed stands before the signed message", file=file, hint=_AGAIN)
        return None
    # Of each mark there is one, in this order; a line of the text that begins with "-" is escaped as "- -".
    marks = [i for i, line in enumerate(lines) if line.startswith(b"-----")]
    if [lines[i] for i in marks] != [_ARMOUR, _SIGNATURE, _END] or marks[-1] != len(lines) - 1:
        raise InputError("it is not one signed message and nothing else", file=file, hint=_AGAIN)
    head = lines[: marks[1]]
    if b"" not in head:
        raise InputError("the signed message has no text", file=file, hint=_AGAIN)
    return b"\n".join(line.removeprefix(b"- ") for line in head[head.index(b"") + 1 :]) + b"\n"


def _day(value: str | None) -> datetime.date | None:
    if not value:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  (slow: only with a Release file)

    try:
        return parsedate_to_datetime(value.replace("UTC", "+0000")).date()
    except (TypeError, ValueError):
        return None


def check_digest(size: int, digest: str, file: str, path: str, release: Release) -> str:
    """Compare an index with its Release file; the words that go into the result.

    Args:
        size: bytes of the index as published.
        digest: its SHA-256 in hexadecimal.
        file: what to call it in messages.
        path: where the Release file lists it.
    Raises:
        ArchiveError: the size or the digest differs.
    """
    known = release.digests.get(path)
    if known is None:
        return f"{path} is not listed in {release.file}"
    if size != known[1]:
        raise ArchiveError(
            f"{size:,} bytes where the Release file says {known[1]:,}: truncated, or of another snapshot",
            file=file,
            hint="Fetch the index and its Release file again, together",
        )
    if digest != known[0]:
        raise ArchiveError(
            f"the SHA-256 is {digest[:16]}… where the Release file says {known[0][:16]}…",
            file=file,
            hint="Fetch the index and its Release file again, together",
        )
    return f"matches the SHA-256 in {release.file}"


def _check_signature(
    data: bytes, file: str, keyring: Path | None, signature: bytes | None, *, inline: bool
) -> tuple[str, bytes | None]:
    """How the signature was checked, in words, and the text that gpgv found signed, if it did."""
    if not inline and signature is None:
        return "not signed: no InRelease and no Release.gpg", None
    gpgv = shutil.which("gpgv")
    ring = keyring or next((k for k in KEYRINGS if k.is_file()), None)
    if gpgv is None or ring is None:
        return f"not checked: no {'gpgv' if gpgv is None else 'keyring'} on this machine", None
    with tempfile.TemporaryDirectory() as folder:
        signed = Path(folder) / "signed"
        signed.write_bytes(data)
        text = Path(folder) / "text"
        files = ["--output", str(text), str(signed)]
        if not inline and signature is not None:
            detached = Path(folder) / "signature"
            detached.write_bytes(signature)
            files = [str(detached), str(signed)]
        try:
            done = subprocess.run(
                [gpgv, "--homedir", folder, "--keyring", str(ring.resolve()), "--status-fd", "1", *files],
                capture_output=True,
                check=False,
                timeout=60,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"not checked: gpgv failed ({error})", None
        verified = text.read_bytes() if text.is_file() else None
    status = done.stdout.decode("utf-8", "replace")
    if "[GNUPG:] BADSIG" in status:
        raise InputError(
            "the signature does not fit: the Release file was altered",
            file=file,
            hint=_AGAIN,
        )
    good = re.findall(r"\[GNUPG:\] VALIDSIG ([0-9A-F]{40})", status)
    if good:
        return f"signed by {', '.join(sorted(set(good)))} (keyring {ring.name})", verified
    if "NO_PUBKEY" in status:
        return f"not checked: the signing key is not in {ring.name}", None
    if "NODATA" in status or "UNEXPECTED" in status:
        raise InputError("the signature cannot be read", file=file, hint="Fetch the Release file again")
    return "not checked: gpgv gave no verdict", None
