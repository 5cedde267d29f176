"""Debian ``Sources`` and ``Packages`` indices: only the fields that decide what can be built and installed.

An index is hundreds of megabytes of RFC 822 stanzas of which one tenth matters here. NumPy finds the
lines; Python touches only the wanted fields' values, and each distinct relation once (``RelationPool``).
python-debian's ``Deb822`` reads the same files at about one fiftieth of the speed; the tests compare.

A little over 500 lines, since finding lines and reading fields share the buffers that make it fast.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Literal

import msgspec
import numpy as np
import zstandard

from preventable.errors import ArchiveError, FormatError
from preventable.readers.debian_architecture import field_matches
from preventable.readers.debian_relations import RelationPool
from preventable.readers.debian_version import policy_fault
from preventable.records import FailedRow

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Kind = Literal["Sources", "Packages"]

_SOURCE_FIELDS = [
    "Package",
    "Version",
    "Architecture",
    "Maintainer",
    "Uploaders",
    "Extra-Source-Only",
    "Build-Depends",
    "Build-Depends-Arch",
    "Build-Depends-Indep",
    "Build-Conflicts",
    "Build-Conflicts-Arch",
    "Build-Conflicts-Indep",
]
_BINARY_FIELDS = [
    "Package",
    "Version",
    "Architecture",
    "Source",
    "Essential",
    "Priority",
    "Multi-Arch",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Conflicts",
    "Breaks",
]
_WITNESSES = ("Filename", "SHA256", "Size", "Directory", "Checksums-Sha256", "Format", "Maintainer")
"""Fields which a real index has in every stanza; a last stanza without them was cut off."""


class SourcePackage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One stanza of ``Sources``; relation fields are ids into the pool."""

    name: str
    version: str
    architecture: str
    maintainers: str
    extra_only: bool
    depends: int
    depends_arch: int
    depends_indep: int
    conflicts: int
    conflicts_arch: int
    conflicts_indep: int


class BinaryPackage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One stanza of ``Packages``; relation fields are ids into the pool."""

    name: str
    version: str
    source: str
    source_version: str
    arch_all: bool
    essential: bool
    priority: str
    multi_arch: str
    provides: int
    depends: int
    pre_depends: int
    conflicts: int
    breaks: int


class Index(msgspec.Struct, frozen=True):
    """What one index holds, and what of it could not be read."""

    file: str
    kind: Kind
    architecture: str | None
    """Of a ``Packages`` index: the one architecture that its stanzas name beside ``all``, if any."""
    sources: list[SourcePackage]
    binaries: list[BinaryPackage]
    failed: tuple[FailedRow, ...]
    warnings: tuple[FailedRow, ...]
    duplicate: int


def _eight_bytes(data: bytes, starts: Ints) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The eight bytes at each position as one little-endian number; zeros beyond the end."""
    keys = np.zeros(len(starts), dtype="<u8")
    inside = int(np.searchsorted(starts, len(data) - 8, side="right")) if len(data) >= 8 else 0
    if inside:
        # A view at every byte, so that nothing is copied.
        view = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
        keys[:inside] = view[starts[:inside]]
    for i in range(inside, len(starts)):
        begin = int(starts[i])
        keys[i] = int.from_bytes(data[begin : begin + 8].ljust(8, b"\0"), "little")
    return keys


class _Fields:
    """The wanted fields' values by stanza, found with array operations over the bytes of an index."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data = data
        buffer = np.frombuffer(data, dtype=np.uint8)
        ends: Ints = np.flatnonzero(buffer == 10).astype(np.int64)
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts: Ints = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
        first = buffer[starts]
        keep = (first != 32) & (first != 9)
        line = np.flatnonzero(keep)
        self.starts = starts[line]
        after = np.append(line[1:], len(starts))
        self.ends = ends[after - 1]
        blank = self.starts == ends[line]
        self.stanza: Ints = np.cumsum(blank).astype(np.int64)
        self.keys = _eight_bytes(data, self.starts)
        self.keys[blank] = 0
        names = self._lines("Package")
        self.count = len(names)
        if not self.count:
            raise FormatError(
                "no stanza with a Package field: not a Debian index",
                file=file,
                hint="Give a Packages or Sources file, plain or .xz, .gz, .bz2 or .zst",
            )
        owners = self.stanza[names]
        self.positions = self.starts[names]
        # Stanza numbers become 0..count-1; a second Package field in a stanza would not keep them distinct.
        self.slot = np.full(int(self.stanza[-1]) + 1, -1, np.int64)
        self.slot[owners] = np.arange(self.count)
        if len(np.unique(owners)) != self.count:
            twice = int(np.flatnonzero(np.diff(owners) == 0)[0])
            raise FormatError(
                "two Package fields in one stanza: the index is damaged or two files were joined mid-stanza",
                file=file,
                record=self._text(int(names[twice])),
                field="Package",
            )
        self.columns: dict[str, dict[int, bytes]] = {}

    def read(self, names: list[str]) -> None:
        """Take the values of these fields."""
        for name in names:
            if name not in self.columns:
                self.columns[name] = self._column(name)

    def ids(self, names: list[str], pool: RelationPool) -> list[list[int]]:
        """The pool's ids of relation fields, one list per field over all stanzas."""
        out = []
        for name in names:
            column = [0] * self.count
            for slot, value in self.columns[name].items():
                column[slot] = pool.field(value)
            out.append(column)
        return out

    def _lines(self, name: str) -> Ints:
        prefix = f"{name}:".encode()
        code = int.from_bytes(prefix[:8].ljust(8, b"\0"), "little")
        mask = (1 << (8 * min(len(prefix), 8))) - 1
        hits: Ints = np.flatnonzero((self.keys & np.uint64(mask)) == np.uint64(code)).astype(np.int64)
        if len(prefix) > 8 and len(hits):
            data, size = self.data, len(prefix)
            begin = self.starts[hits].tolist()
            hits = hits[[data[b : b + size] == prefix for b in begin]]
        return hits

    def _text(self, line: int) -> str:
        raw = self.data[int(self.starts[line]) : int(self.ends[line])]
        return raw.partition(b":")[2].strip().decode("utf-8", "replace")

    def _column(self, name: str) -> dict[int, bytes]:
        hits = self._lines(name)
        skip = len(name) + 1
        data = self.data
        slots = self.slot[self.stanza[hits]].tolist()
        begin = (self.starts[hits] + skip).tolist()
        end = self.ends[hits].tolist()
        return {s: data[b:e].strip() for s, b, e in zip(slots, begin, end, strict=True)}

    def line_number(self, slot: int, name: str) -> int:
        """The line on which a field of a stanza begins; for messages only (it counts newlines)."""
        hits = self._lines(name)
        own = hits[self.slot[self.stanza[hits]] == slot]
        position = int(self.starts[own[0]]) if len(own) else int(self.positions[slot])
        return self.data.count(b"\n", 0, position) + 1

    def cut_off(self) -> str | None:
        """Why the last stanza cannot be whole, or ``None``."""
        last = int(self.stanza[self._lines("Package")[-1]])
        # A file that ends in a newline and has few records may be written by hand, with fields as it likes.
        enough = 1 if not self.data.endswith(b"\n") else 20
        for name in _WITNESSES:
            hits = self._lines(name)
            if self.count > enough and len(hits) >= self.count - 1 and not (self.stanza[hits] == last).any():
                return f"its last record lacks {name}, which every other record has"
        final = int(np.flatnonzero(self.keys)[-1]) if self.keys.any() else 0
        text = self.data[int(self.starts[final]) : int(self.ends[final])]
        if not self.data.endswith(b"\n") and b":" not in text.split(b"\n")[0]:
            return "its last line is incomplete"
        return None


def decompress(data: bytes, file: str) -> bytes:
    """The plain bytes of a file in any of the forms in which archives publish indices.

    Raises:
        ArchiveError: the compressed stream is damaged or ends early.
    """
    formats: list[tuple[bytes, Callable[[bytes], bytes]]] = [
        (b"\xfd7zXZ\x00", lzma.decompress),
        (b"\x1f\x8b", gzip.decompress),
        (b"\x28\xb5\x2f\xfd", _unzstd),
        (b"BZh", bz2.decompress),
    ]
    for magic, read in formats:
        if data.startswith(magic):
            try:
                return read(data)
            except (lzma.LZMAError, EOFError, OSError, zlib.error, zstandard.ZstdError, ValueError) as error:
                raise ArchiveError(
                    f"the compressed index is damaged or truncated ({error})",
                    file=file,
                    hint="Fetch it again",
                ) from error
    return data


def _unzstd(data: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    out = reader.read()
    probe = zstandard.ZstdDecompressor().decompressobj()
    probe.decompress(data)
    if not probe.eof:
        raise EOFError("the stream ends early")
    return out


class Common:
    """Records that were read before: architectures' indices repeat them, or all of them that matters here.

    Records of arch:all packages are known by their bytes; the others by their bytes without size, architecture,
    file and digests, since most packages need and offer the same everywhere. One belongs to one pool. Only
    records without a fault are kept.
    """

    def __init__(self) -> None:
        # By the bytes' hash: keeping the bytes takes as much memory as an index, and among the some 10^5
        # records of a suite two of one 64-bit hash are a matter of 1 in 10^9.
        self._known: dict[int, BinaryPackage] = {}

    def read(self, data: bytes, file: str, pool: RelationPool, architecture: str | None) -> Index | None:
        """The index, with known records taken over; ``None`` if it has to be read in the usual way.

        That is so when something is to be said about a record, since the line numbers are those of the
        whole index, or when there is nothing to gain.
        """
        known = self._known
        own = b"" if architecture is None else architecture.encode()
        found: list[BinaryPackage | None] = []
        rest: list[tuple[int, bytes, bytes]] = []
        for some in _stanzas(data):
            for piece in some:
                package, key = known.get(hash(piece)), b""
                if package is None:
                    key = _without_particulars(piece, own)
                    package = known.get(hash(key)) if key else None
                    if package is None:
                        rest.append((len(found), piece, key))
                found.append(package)
            last = piece
        if len(rest) < _FEW or not data.endswith(b"\n"):
            return None
        if found[-1] is not None:
            # The last record is always read: whether the index was cut off shows there.
            rest.append((len(found) - 1, last, b""))
        text = b"\n\n".join(piece for _, piece, _ in rest) + b"\n"
        index = read_index(text, file, pool, architecture=architecture)
        if index.failed or index.warnings or index.duplicate or len(index.binaries) != len(rest):
            return None
        for (place, piece, key), fresh in zip(rest, index.binaries, strict=True):
            found[place] = fresh
            if fresh.arch_all:
                known[hash(piece)] = fresh
            elif key:
                known[hash(key)] = fresh
        binaries = [package for package in found if package is not None]
        if len(set(map(_IDENTITY, binaries))) != len(found):
            return None
        return Index(file, "Packages", index.architecture, [], binaries, (), (), 0)


_CHUNK = 1 << 22


def _stanzas(data: bytes) -> Iterator[list[bytes]]:
    """The stanzas of an index, a few megabytes at a time, so that the copies stay in one small place."""
    begin, end = 0, len(data)
    while begin < end and data[begin] == _NEWLINE:
        begin += 1
    while end > begin and data[end - 1] == _NEWLINE:
        end -= 1
    while begin < end:
        cut = data.find(b"\n\n", begin + _CHUNK, end)
        cut = end if cut < 0 else cut
        yield data[begin:cut].split(b"\n\n")
        begin = cut + 2


_NEWLINE = 10
_IDENTITY = attrgetter("name", "version", "arch_all")
_PARTICULARS = re.compile(rb"\nFilename: [^\n]*(?:\n(?:Size|MD5sum|SHA1|SHA256|SHA512): [^\n]*)*")


def _without_particulars(piece: bytes, architecture: bytes) -> bytes:
    """A record without what every architecture has of its own; empty if it is not laid out as usual."""
    size = piece.find(b"\nInstalled-Size: ")
    after_size = piece.find(b"\n", size + 1)
    arch = piece.find(b"\nArchitecture: ", after_size)
    after_arch = piece.find(b"\n", arch + 1)
    last = piece.find(b"\nFilename: ", after_arch)
    if not 0 < size < after_size < arch < after_arch < last or piece[arch + 15 : after_arch] != architecture:
        return b""
    if _PARTICULARS.fullmatch(piece, last) is None:
        return b""
    return piece[:size] + piece[after_size:arch] + piece[after_arch:last]


_FEW = 100


def read_index(data: bytes, file: str, pool: RelationPool, *, architecture: str | None = None) -> Index:
    """Read one plain index; the kind is told by its fields, not by its name.

    Args:
        data: the decompressed bytes.
        file: what to call it in messages.
        pool: where names, versions and relations are kept; shared by all indices of a question.
        architecture: what a ``Packages`` index is said to be for; checked.
    Raises:
        FormatError: not an index, an index of both kinds, or of several architectures.
        ArchiveError: the file ends in the middle of a record.
    Example:
        >>> pool = RelationPool()
        >>> text = b"Package: a\\nVersion: 1\\nArchitecture: amd64\\nDepends: b | c\\n"
        >>> [p.name for p in read_index(text, "Packages", pool).binaries]
        ['a']
    """
    if b"\r\n" in data[:4096]:
        data = data.replace(b"\r\n", b"\n")
    if b"\0" in data[:4096]:
        raise FormatError("binary data where a Debian index was expected", file=file)
    fields = _Fields(data, file)
    fields.read(["Package", "Binary", "Build-Depends", "Depends", "Filename", "Source"])
    columns = fields.columns
    of_source = len(columns["Binary"]) + len(columns["Build-Depends"])
    of_binary = len(columns["Depends"]) + len(columns["Filename"]) + len(columns["Source"])
    if of_source and of_binary and min(of_source, of_binary) > 0:
        wrong = "Binary" if of_source < of_binary else "Filename"
        slot = min(columns[wrong] or columns["Depends"] or columns["Source"] or columns["Build-Depends"])
        raise FormatError(
            "Sources and Packages records are mixed in one index",
            file=file,
            record=columns["Package"][slot].decode("utf-8", "replace"),
            hint="Give each index as its own file",
        )
    reason = fields.cut_off()
    if reason:
        raise ArchiveError(
            f"the index is truncated: {reason}", file=file, record=_last_name(fields), hint="Fetch it again"
        )
    if of_source or (not of_binary and "sources" in file.lower()):
        fields.read(_SOURCE_FIELDS)
        return _sources(fields, file, pool)
    fields.read(_BINARY_FIELDS)
    return _binaries(fields, file, pool, architecture)


def _last_name(fields: _Fields) -> str:
    return fields.columns["Package"][fields.count - 1].decode("utf-8", "replace")


class _Faults:
    """Rows for what could not be read, with line numbers."""

    def __init__(self, fields: _Fields, file: str, pool: RelationPool) -> None:
        self.fields, self.file, self.pool = fields, file, pool
        self.failed: list[FailedRow] = []
        self.warnings: list[FailedRow] = []
        self.versions: dict[str, str | None] = {}

    def missing(self, slot: int, name: str, record: str | None) -> None:
        line = self.fields.line_number(slot, "Package")
        self.failed.append(FailedRow(self.file, record, name, f"line {line}: the record has no {name}"))

    def version(self, slot: int, record: str, version: str, field: str = "Version") -> None:
        fault = self.versions.get(version, "")
        if fault == "":
            fault = self.versions[version] = policy_fault(version)
        if fault:
            line = self.fields.line_number(slot, field)
            self.warnings.append(FailedRow(self.file, record, field, f"line {line}: {version!r}: {fault}"))

    def relation(self, slot: int, record: str, name: str, field: int) -> None:
        line = self.fields.line_number(slot, name)
        self.failed.append(FailedRow(self.file, record, name, f"line {line}: {self.pool.faults[field]}"))


def _sources(fields: _Fields, file: str, pool: RelationPool) -> Index:
    get = {name: fields.columns[name].get for name in _SOURCE_FIELDS}
    faults = _Faults(fields, file, pool)
    relation_names = [n for n in _SOURCE_FIELDS if n.startswith("Build-")]
    relations = list(zip(*fields.ids(relation_names, pool), strict=True))
    out: list[SourcePackage] = []
    seen: set[tuple[str, str]] = set()
    text: dict[bytes, str] = {b"": ""}
    bad = pool.faults
    duplicate = 0
    for slot in range(fields.count):
        name = get["Package"](slot, b"").decode("utf-8", "replace")
        raw_version = get["Version"](slot)
        if raw_version is None or not name:
            faults.missing(slot, "Version" if name else "Package", name or None)
            continue
        version = raw_version.decode("utf-8", "replace")
        if (name, version) in seen:
            duplicate += 1
            continue
        seen.add((name, version))
        faults.version(slot, name, version)
        ids = relations[slot]
        if bad:
            for i, field in enumerate(ids):
                if field in bad:
                    faults.relation(slot, name, relation_names[i], field)
        arch = get["Architecture"](slot, b"any")
        if arch not in text:
            text[arch] = arch.decode("utf-8", "replace")
        people = get["Maintainer"](slot, b"") + b", " + get["Uploaders"](slot, b"")
        if people not in text:
            text[people] = people.decode("utf-8", "replace")
        out.append(
            SourcePackage(name, version, text[arch], text[people], get["Extra-Source-Only"](slot, b"") == b"yes", *ids)
        )
    return Index(file, "Sources", None, out, [], tuple(faults.failed), tuple(faults.warnings), duplicate)


def _binaries(fields: _Fields, file: str, pool: RelationPool, expected: str | None) -> Index:
    get = {name: fields.columns[name].get for name in _BINARY_FIELDS}
    faults = _Faults(fields, file, pool)
    relation_names = ["Provides", "Depends", "Pre-Depends", "Conflicts", "Breaks"]
    relations = list(zip(*fields.ids(relation_names, pool), strict=True))
    out: list[BinaryPackage] = []
    seen: set[tuple[str, str, bool]] = set()
    arch = expected
    bad = pool.faults
    duplicate = 0
    common: dict[bytes, str] = {}
    for slot in range(fields.count):
        name = get["Package"](slot, b"").decode("utf-8", "replace")
        raw_version, raw_arch = get["Version"](slot), get["Architecture"](slot)
        if raw_version is None or raw_arch is None or not name:
            missing = "Package" if not name else "Version" if raw_version is None else "Architecture"
            faults.missing(slot, missing, name or None)
            continue
        version = raw_version.decode("utf-8", "replace")
        is_all = raw_arch == b"all"
        if not is_all:
            own = common.setdefault(raw_arch, raw_arch.decode("utf-8", "replace"))
            if arch is None:
                arch = own
            elif own != arch:
                raise FormatError(
                    f"an index for {arch} has a record for {own}",
                    file=file,
                    record=name,
                    field="Architecture",
                    hint="Give the index of each architecture as its own file",
                )
        if (name, version, is_all) in seen:
            duplicate += 1
            continue
        seen.add((name, version, is_all))
        faults.version(slot, name, version)
        ids = relations[slot]
        if bad:
            for i, field in enumerate(ids):
                if field in bad:
                    faults.relation(slot, name, relation_names[i], field)
        source, source_version = get["Source"](slot), version
        if source is None:
            source_name = name
        else:
            source_name = source.decode("utf-8", "replace")
            if " " in source_name:
                source_name, _, rest = source_name.partition(" ")
                source_version = rest.strip("() ")
        priority = get["Priority"](slot, b"optional")
        multi = get["Multi-Arch"](slot, b"no")
        out.append(
            BinaryPackage(
                name,
                version,
                source_name,
                source_version,
                is_all,
                get["Essential"](slot) == b"yes",
                common.setdefault(priority, priority.decode("utf-8", "replace")),
                common.setdefault(multi, multi.decode("utf-8", "replace")),
                *ids,
            )
        )
    return Index(file, "Packages", arch, [], out, tuple(faults.failed), tuple(faults.warnings), duplicate)


def builds_for(field: str, architecture: str, *, arch_only: bool = False) -> bool:
    """Does a source with this Architecture field make anything there (without ``arch_only``: also arch:all)?

    Example:
        >>> builds_for("all", "amd64"), builds_for("all", "amd64", arch_only=True)
        (True, False)
    """
    if arch_only:
        field = " ".join(term for term in field.split() if term != "all")
    return field_matches(architecture, field)
