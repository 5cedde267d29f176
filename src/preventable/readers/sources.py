"""Opens what a user points at: a file, a directory or an archive, streamed and never unpacked to disk.

Compression and container are told by their first bytes, not by the file name. Members with absolute paths or
``..``, links and special files are never followed: they become rows. Sizes are bounded, so that a bomb is an
error and not a full memory.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

import zstandard

from preventable.errors import ArchiveError, InputError, RecordError
from preventable.records import FailedRow

MAX_RECORD_BYTES = 16 * 2**20
"""Largest single record; real ones are under 1 MiB."""
MAX_DOCUMENT_BYTES = 2**30
"""Largest single document that holds many records (a JSON list)."""
MAX_EXPANDED_BYTES = 64 * 2**30
"""Most bytes an archive may expand to; all CVE records ever published are about 3 GiB."""
MAX_MEMBERS = 5_000_000
_MIN_BOMB_BYTES = 256 * 2**20
_MAX_RATIO = 1_000
"""zstd reaches about 100 on JSON records that repeat their scaffolding; a bomb reaches tens of thousands."""

_FOREIGN = (
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    zstandard.ZstdError,
)
_CHUNK = 2**20


class Member:
    """One file inside a source: its name with ``/`` and its bytes, readable once."""

    def __init__(self, name: str, stream: IO[bytes], size: int | None) -> None:
        self.name = name
        self.size = size
        self._stream = stream

    def _take(self, size: int) -> bytes:
        with _translated(self.name):
            return self._stream.read(size)

    def read(self, limit: int = MAX_RECORD_BYTES) -> bytes:
        """All bytes.

        Raises:
            RecordError: there are more than ``limit``.
        """
        if self.size is not None and self.size > limit:
            raise RecordError(f"{self.size:,} bytes, more than the limit of {limit:,}", file=self.name)
        data = self._take(limit + 1)
        if len(data) > limit:
            raise RecordError(f"more than the limit of {limit:,} bytes", file=self.name)
        return data.removeprefix(codecs.BOM_UTF8)

    def head(self, size: int) -> bytes:
        """The first bytes; the member cannot be read whole afterwards."""
        return self._take(size).removeprefix(codecs.BOM_UTF8)

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Line numbers from 1 and lines without their end; ``None`` for a line over ``MAX_RECORD_BYTES``."""
        number = 0
        while line := self._line():
            number += 1
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if len(line) >= MAX_RECORD_BYTES and not line.endswith(b"\n"):
                while (rest := self._line()) and not rest.endswith(b"\n"):
                    pass
                yield number, None
            else:
                yield number, line.rstrip(b"\r\n")

    def _line(self) -> bytes:
        """A line with its end, or its first ``MAX_RECORD_BYTES``; some streams give a line in parts."""
        line = b""
        with _translated(self.name):
            while not line.endswith(b"\n") and len(line) < MAX_RECORD_BYTES:
                part = self._stream.readline(MAX_RECORD_BYTES - len(line))
                if not part:
                    break
                line += part
        return line


class _Counted(io.RawIOBase):
    """A reader that hashes what passes, so that the digest costs no second pass."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.sha256 = hashlib.sha256()
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self._raw.read(len(view))
        view[: len(data)] = data
        self.sha256.update(data)
        self.bytes_read += len(data)
        return len(data)


class Source:
    """A file, directory or archive. Iterate ``members`` once; then ``digest`` is known.

    Args:
        location: the path.
        wanted: tells by name which members are read at all; the others cost nothing in a directory.
        strip_root: drop a first path component that all tools add (``vulns-main/``).
    """

    def __init__(self, location: str | Path, wanted: Callable[[str], bool] | None = None) -> None:
        self.path = Path(location)
        self.location = str(location)
        self.problems: list[FailedRow] = []
        self.digest = ""
        self._wanted = wanted or (lambda _name: True)
        if not self.path.exists():
            raise InputError(
                "no such file or directory",
                file=self.location,
                hint="Check the path, or see `preventable list readers`",
            )

    @property
    def is_directory(self) -> bool:
        return self.path.is_dir()

    def members(self) -> Iterator[Member]:
        """The members, one after the other; each is readable until the next is asked for.

        Raises:
            ArchiveError: truncated, encrypted, expanding without bounds, or of an unknown compression.
            InputError: the file cannot be read.
        """
        try:
            with _translated(self.location):
                yield from self._directory() if self.is_directory else self._file()
        except PermissionError as error:
            raise InputError("no permission to read", file=error.filename or self.location) from error

    def _directory(self) -> Iterator[Member]:
        sha256 = hashlib.sha256()
        names = []
        for path in self.path.rglob("*"):
            relative = path.relative_to(self.path).as_posix()
            if relative.startswith(".git/") or "/.git/" in relative:
                continue
            if path.is_symlink():
                if self._wanted(relative):
                    self._problem(relative, "a symbolic link is not followed")
            elif path.is_file() and self._wanted(relative):
                names.append(relative)
        for name in sorted(names):
            file = self.path / name
            size = file.stat().st_size
            with file.open("rb") as raw:
                counted = _Counted(raw)
                yield Member(name, io.BufferedReader(counted, _CHUNK), size)
                while counted.read(_CHUNK):
                    pass
            sha256.update(f"{name}\0{counted.sha256.hexdigest()}\n".encode())
        self.digest = f"sha256:{sha256.hexdigest()}"

    def _file(self) -> Iterator[Member]:
        with self.path.open("rb") as raw:
            counted = _Counted(raw)
            outer = io.BufferedReader(counted, _CHUNK)
            head = outer.peek(8)[:8]
            if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
                yield from self._zip(raw)
                return
            inner = self._decompressed(outer, head)
            packed = inner is not outer
            bounded = _Bounded(inner, counted, self.location, compressed=packed)
            plain = io.BufferedReader(bounded, _CHUNK)
            if _looks_like_tar(plain.peek(512)):
                yield from self._tar(plain)
                while plain.read(_CHUNK):
                    pass
                if bounded.tail.strip(b"\0"):
                    self._problem(self.path.name, "the archive lacks its end mark; it may have been cut short")
            else:
                size = None if packed else self.path.stat().st_size
                yield Member(_inner_name(self.path), plain, size)
            while outer.read(_CHUNK):
                pass
            self.digest = f"sha256:{counted.sha256.hexdigest()}"

    def _decompressed(self, outer: IO[bytes], head: bytes) -> IO[bytes]:
        if head.startswith(b"\x28\xb5\x2f\xfd"):
            return cast("IO[bytes]", io.BufferedReader(ZstdFrames(outer), _CHUNK))
        if head.startswith(b"\x1f\x8b"):
            return cast("IO[bytes]", gzip.GzipFile(fileobj=outer))
        if head.startswith(b"\xfd7zXZ\x00"):
            return cast("IO[bytes]", lzma.LZMAFile(outer))
        return outer

    def _tar(self, stream: IO[bytes]) -> Iterator[Member]:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            count = 0
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory
                count += 1
                if count > MAX_MEMBERS:
                    raise ArchiveError(f"more than {MAX_MEMBERS:,} members", file=self.location)
                if info.isdir() or not self._safe(info.name, special=not info.isfile()):
                    continue
                name = info.name.removeprefix("./")
                if not self._wanted(name):
                    continue
                content = tar.extractfile(info)
                if content is not None:
                    yield Member(name, content, info.size)

    def _zip(self, raw: BinaryIO) -> Iterator[Member]:
        with zipfile.ZipFile(raw) as archive:
            infos = sorted(archive.infolist(), key=lambda i: i.filename)
            if len(infos) > MAX_MEMBERS:
                raise ArchiveError(f"more than {MAX_MEMBERS:,} members", file=self.location)
            expanded = sum(i.file_size for i in infos)
            packed = max(sum(i.compress_size for i in infos), 1)
            if expanded > MAX_EXPANDED_BYTES or (expanded > _MIN_BOMB_BYTES and expanded / packed > _MAX_RATIO):
                raise ArchiveError(f"expands {packed:,} bytes to {expanded:,}, as a bomb does", file=self.location)
            for info in infos:
                link = (info.external_attr >> 16) & 0o170000 == 0o120000
                if info.is_dir() or not self._safe(info.filename, special=link) or not self._wanted(info.filename):
                    continue
                if info.flag_bits & 0x1:
                    raise ArchiveError(
                        "the archive is encrypted",
                        file=f"{self.location}:{info.filename}",
                        hint="Decrypt it first",
                    )
                try:
                    with archive.open(info) as content:
                        yield Member(info.filename, content, info.file_size)
                except NotImplementedError as error:
                    raise ArchiveError(
                        f"compression method not supported: {error}", file=f"{self.location}:{info.filename}"
                    ) from error
        raw.seek(0)
        counted = _Counted(raw)
        whole = io.BufferedReader(counted, _CHUNK)
        while whole.read(_CHUNK):
            pass
        self.digest = f"sha256:{counted.sha256.hexdigest()}"

    def _safe(self, name: str, *, special: bool) -> bool:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
            self._problem(name, "the path leaves the archive; the member was not read")
            return False
        if special:
            self._problem(name, "a link or special file is not followed")
            return False
        return True

    def _problem(self, name: str, reason: str) -> None:
        self.problems.append(FailedRow(file=name, record=None, field=None, reason=reason))


class ZstdFrames(io.RawIOBase):
    """Zstandard frames one after the other; unlike the library's own stream, a cut frame is an error."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        pending = b""
        while not self._ready:
            if self._frame.eof:
                pending = self._frame.unused_data
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._begun = False
            data = pending or self._packed.read(2**16)
            pending = b""
            if not data:
                if self._begun:
                    raise EOFError("a compressed frame ends too early")
                return 0
            self._begun = True
            self._ready = self._frame.decompress(data)
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


class _Bounded(io.RawIOBase):
    """Stops an expansion that no real archive has."""

    def __init__(self, inner: IO[bytes], packed: _Counted, location: str, *, compressed: bool) -> None:
        self._inner = inner
        self._packed = packed
        self._location = location
        self._compressed = compressed
        self._expanded = 0
        self.tail = b""
        """The last bytes that were read; a complete tar ends in 1,024 zero bytes."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self._inner.read(len(view))
        count = len(data)
        view[:count] = data
        self.tail = (self.tail + data[-1024:])[-1024:]
        self._expanded += count
        if self._compressed and (
            self._expanded > MAX_EXPANDED_BYTES
            or (self._expanded > _MIN_BOMB_BYTES and self._expanded > _MAX_RATIO * max(self._packed.bytes_read, 1))
        ):
            raise ArchiveError(
                f"expands {self._packed.bytes_read:,} bytes to over {self._expanded:,}, as a bomb does",
                file=self._location,
            )
        return count


@contextmanager
def _translated(file: str) -> Iterator[None]:
    """Errors of the decompressing libraries, as ours."""
    try:
        yield
    except _FOREIGN as error:
        if isinstance(error, zipfile.BadZipFile) and "CRC-32" in str(error):
            # One member of a zip is damaged: the others are still whole.
            raise RecordError("the member is damaged: its checksum differs", file=file) from error
        raise ArchiveError(
            f"truncated or damaged: {str(error) or type(error).__name__}",
            file=file,
            hint="Fetch it again and compare its size or checksum",
        ) from error


def _looks_like_tar(block: bytes) -> bool:
    return len(block) >= 262 and block[257:262] == b"ustar"


def _inner_name(path: Path) -> str:
    name = path.name
    for suffix in (".zst", ".gz", ".xz"):
        name = name.removesuffix(suffix)
    return name
