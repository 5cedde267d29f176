"""Members of tar and zip archives, one after the other, without writing any of them to disk.

Encrypted, truncated and damaged archives are refused; so is one that expands more than 1,000 times beyond 1
GiB.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

from preventable.errors import ArchiveError

MAX_RATIO = 1000
FREE_BYTES = 1 << 30
MAX_MEMBERS = 5_000_000

Member = tuple[str, bytes | None, str | None]
"""Path, bytes (None if not read), and the reason why not."""


def is_archive(path: Path) -> bool:
    """Is it a tar (plain, gzip, bzip2, xz, zstd) or zip archive, by its first bytes?"""
    with path.open("rb") as stream:
        head = stream.read(265)
    magic = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PK\x05\x06")
    return head.startswith(magic) or head[257:262] == b"ustar"


def archive_members(path: Path, max_file_bytes: int) -> Iterator[Member]:
    """Every member that is not a directory; of several with one path, each but the first is announced as such.

    Args:
        path: the archive.
        max_file_bytes: a larger member is named but not read.
    Raises:
        ArchiveError: encrypted, truncated, damaged, or expanding without measure.
    """
    with path.open("rb") as stream:
        head = stream.read(4)
    budget = _Budget(path)
    try:
        if head.startswith(b"PK"):
            yield from _naming_doubles(_zip(path, max_file_bytes, budget))
        else:
            with path.open("rb") as raw, _plain(raw, head) as plain:
                watched = _Tail(plain)
                yield from _naming_doubles(_tar(cast(IO[bytes], watched), max_file_bytes, budget))
                watched.check_end()
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        zstandard.ZstdError,
    ) as error:
        raise ArchiveError(f"The archive cannot be read: {error}", file=str(path), hint="Fetch it again") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile: a method it does not know, or a password
        raise ArchiveError(
            f"The archive cannot be read: {error}", file=str(path), hint="Unpack it and give the directory"
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ArchiveError(f"The archive cannot be read: {error}", file=str(path), hint="Fetch it again") from error


def _naming_doubles(members: Iterator[Member]) -> Iterator[Member]:
    seen: set[str] = set()
    for member in members:
        if member[0] in seen:
            yield member[0], None, "several members of the archive have this path; the last one counts"
        seen.add(member[0])
        yield member


class _Budget:
    """Stops an archive that expands without measure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._limit = max(FREE_BYTES, path.stat().st_size * MAX_RATIO)
        self._bytes = self._members = 0

    def take(self, size: int) -> None:
        self._bytes += size
        self._members += 1
        if self._bytes > self._limit or self._members > MAX_MEMBERS:
            raise ArchiveError(
                f"The archive expands to more than {self._limit:,} bytes or {MAX_MEMBERS:,} members",
                file=str(self._path),
                hint="Unpack it yourself if you trust it",
            )


class _Tail:
    """Passes a stream on and remembers its last block: a tar ends in zeros, so that a cut one can be told."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data[-tarfile.BLOCKSIZE :])[-tarfile.BLOCKSIZE :]
        return data

    def check_end(self) -> None:
        """Read to the end; raises if the end mark is missing."""
        while self.read(1 << 20):
            pass
        if self._last.strip(b"\0") or len(self._last) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("its end is missing")


def _plain(raw: IO[bytes], head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if head.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(raw))
    if head.startswith(b"\xfd7zX"):
        return cast(IO[bytes], lzma.LZMAFile(raw))
    if head == b"\x28\xb5\x2f\xfd":
        return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw


def _tar(stream: IO[bytes], limit: int, budget: _Budget) -> Iterator[Member]:
    seen = 0
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            seen += 1
            name = _clean(member.name)
            if member.isdir() or not name:
                continue
            budget.take(member.size)
            if not member.isreg():
                kind = "symbolic link" if member.issym() else "hard link" if member.islnk() else "special file"
                yield name, None, kind
            elif member.size > limit:
                yield name, None, f"larger than {limit:,} bytes"
            else:
                content = archive.extractfile(member)
                data = content.read() if content else b""
                if len(data) != member.size:
                    raise tarfile.ReadError("unexpected end of data")
                yield name, data, None
    if not seen:
        raise tarfile.ReadError("no member in it")


def _zip(path: Path, limit: int, budget: _Budget) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = _clean(member.filename)
            if member.is_dir() or not name:
                continue
            budget.take(member.file_size)
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                yield name, None, "symbolic link"
            elif member.file_size > limit:
                yield name, None, f"larger than {limit:,} bytes"
            else:
                with archive.open(member) as content:
                    yield name, content.read(member.file_size + 1)[: member.file_size], None


def _clean(name: str) -> str:
    """A member's name as a path relative to the root; ``..`` and drive letters mean nothing here."""
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..")]
    return "/".join(parts)
