"""``Release`` and ``InRelease``: what a suite is, which digest each index has, and who signed that.

The signature is checked by ``gpgv`` with the keyring that the machine's APT uses for the archive, if both
are there. A signature that is wrong is an error; one that cannot be checked is said in the result.
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
        InputError: the signature is wrong.
        FormatError: not a Release file, or one without SHA-256 digests.
    """
    said = _check_signature(data, file, keyring, signature)
    text = data
    if _ARMOUR in data[:200]:
        text = data.split(b"\n\n", 1)[-1].split(b"-----BEGIN PGP SIGNATURE-----")[0]
        text = text.replace(b"\n- ", b"\n")
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


def _check_signature(data: bytes, file: str, keyring: Path | None, signature: bytes | None) -> str:
    inline = _ARMOUR in data[:200]
    if not inline and signature is None:
        return "not signed: no InRelease and no Release.gpg"
    gpgv = shutil.which("gpgv")
    ring = keyring or next((k for k in KEYRINGS if k.is_file()), None)
    if gpgv is None or ring is None:
        return f"not checked: no {'gpgv' if gpgv is None else 'keyring'} on this machine"
    with tempfile.TemporaryDirectory() as folder:
        signed = Path(folder) / "signed"
        signed.write_bytes(data)
        files = [str(signed)]
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
            return f"not checked: gpgv failed ({error})"
    status = done.stdout.decode("utf-8", "replace")
    if "[GNUPG:] BADSIG" in status:
        raise InputError(
            "the signature does not fit: the Release file was altered",
            file=file,
            hint="Do not use it; fetch it again",
        )
    good = re.findall(r"\[GNUPG:\] VALIDSIG ([0-9A-F]{40})", status)
    if good:
        return f"signed by {', '.join(sorted(set(good)))} (keyring {ring.name})"
    if "NO_PUBKEY" in status:
        return f"not checked: the signing key is not in {ring.name}"
    if "NODATA" in status or "UNEXPECTED" in status:
        raise InputError("the signature cannot be read", file=file, hint="Fetch the Release file again")
    return "not checked: gpgv gave no verdict"
