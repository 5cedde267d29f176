"""Where indices come from: files, directories, or ``suite:architecture`` on APT's mirror.

A *snapshot* is one suite: its indices of sources, and per architecture its indices of packages.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from preventable.errors import ArchiveError, FormatError, InputError, UsageError
from preventable.readers.debian import decompress
from preventable.readers.debian_architecture import known_architectures, nearest, tuple_of
from preventable.readers.debian_release import Release, check_digest, read_release
from preventable.records import FailedRow

if TYPE_CHECKING:  # the network's modules are slow to import, and most questions are about files
    from preventable.readers.debian_mirror import Mirror

_INDEX_NAME = re.compile(r"(?:^|[_.-])(Packages|Sources)(?:[_.-]([a-z0-9-]+?))?(?:\.(?:xz|gz|zst|bz2))?$")
_LZ4_NAME = re.compile(r"(?:^|[_.-])(?:Packages|Sources)(?:[_.-]([a-z0-9-]+?))?\.lz4$")
_TICK_NS = 2_000_000_000
_BINARY_FOLDER = re.compile(r"binary-([a-z0-9-]+)")


class IndexFile(msgspec.Struct, frozen=True):
    """One index, not yet read."""

    name: str
    """What to call it in messages and results."""
    kind: str
    """``Sources`` or ``Packages``."""
    architecture: str | None
    """Said by the name or the location; ``None`` if only the content tells."""
    digest: str
    """``sha256:`` of the bytes as published."""
    size: int
    """Bytes as published."""
    checked: str
    """How the bytes were checked against a Release file, in words."""
    data: bytes | None = None
    """As published; ``None`` for a file, which is read when it is needed."""
    stamp: tuple[int, int, int] | None = None
    """Size, time of change and inode under which the digest was taken; ``None``: take it again."""

    def plain(self) -> bytes:
        """The decompressed bytes.

        Raises:
            ArchiveError: damaged, or changed since its digest was taken.
        """
        data = self.data
        if data is None:
            path = Path(self.name)
            unchanged = self.stamp is not None and self.stamp == _stamp(path)
            data = _read(path)
            if not (unchanged and self.stamp == _stamp(path)) and _digest(data) != self.digest:
                raise ArchiveError("the file changed while it was read", file=self.name, hint="Run again")
        return decompress(data, self.name)


class DigestMemo:
    """Digests of files by path, size and time of change, as git keeps them for its index.

    A file that was touched less than two seconds before it was noted is never trusted: it may have changed
    again within the clock's tick.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: dict[str, tuple[int, int, int, str, str, str]] = {}
        self._dirty = False
        if file is not None:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                self._known = msgspec.msgpack.decode(
                    file.read_bytes(), type=dict[str, tuple[int, int, int, str, str, str]]
                )

    def get(self, path: Path) -> tuple[int, str, str, str] | None:
        """(size, digest, kind, architecture) of a file that has not changed since it was noted."""
        try:
            now = path.stat()
        except OSError:
            return None
        known = self._known.get(str(path.resolve()))
        if known is None or known[:3] != (now.st_size, now.st_mtime_ns, now.st_ino):
            return None
        return known[0], known[3], known[4], known[5]

    def note(self, path: Path, digest: str, kind: str, architecture: str) -> None:
        """Remember a file that was just read."""
        with contextlib.suppress(OSError):
            now = path.stat()
            if time.time_ns() - now.st_mtime_ns > _TICK_NS:
                entry = (now.st_size, now.st_mtime_ns, now.st_ino, digest, kind, architecture)
                self._known[str(path.resolve())] = entry
                self._dirty = True

    def save(self) -> None:
        """Write what was noted, in one step."""
        if self._file is None or not self._dirty:
            return
        import tempfile  # noqa: PLC0415  (slow: only to write)

        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent)
            with os.fdopen(handle, "wb") as out:
                out.write(msgspec.msgpack.encode(self._known))
            Path(name).replace(self._file)
        self._dirty = False


class Snapshot(msgspec.Struct):
    """The indices of one suite."""

    suite: str
    date: datetime.date | None = None
    valid_until: datetime.date | None = None
    signature: str = "no Release file"
    sources: list[IndexFile] = msgspec.field(default_factory=list)
    packages: dict[str, list[IndexFile]] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)
    """Architecture that was asked for but has no index of packages, with the reason."""

    def warnings(self, today: datetime.date | None = None) -> list[FailedRow]:
        """What the Release file leaves in doubt: that nobody vouches for it, or that it is out of date.

        Args:
            today: in UTC; now by default.
        Example:
            >>> late = Snapshot("sid", valid_until=datetime.date(2026, 11, 6), signature="signed by X")
            >>> [row.reason for row in late.warnings(datetime.date(2026, 11, 7))]
            ['valid until 2026-11-06 only: the indices may be out of date']
        """
        rows = []
        if self.signature.startswith("not "):
            rows.append(FailedRow(self.suite, "Release", "signature", self.signature))
        if self.valid_until and self.valid_until < (today or datetime.datetime.now(datetime.UTC).date()):
            reason = f"valid until {self.valid_until} only: the indices may be out of date"
            rows.append(FailedRow(self.suite, "Release", "Valid-Until", reason))
        return rows


def check_architecture(name: str) -> str:
    """The name, if dpkg knows it.

    Raises:
        UsageError: with the nearest names.
    """
    if tuple_of(name) is None:
        near = nearest(name, known_architectures())
        raise UsageError(
            f"no Debian architecture is called {name!r}",
            hint=f"Did you mean {', '.join(near)}?" if near else "Names are like amd64, armhf, ppc64el",
        )
    return name


def from_files(
    files: Iterable[Path], suite: str, *, kind: str | None = None, memo: DigestMemo | None = None
) -> Snapshot:
    """A snapshot of files that were named one by one.

    Args:
        kind: ``Sources`` or ``Packages`` when the option said it; else told by name or content.
    """
    snapshot = Snapshot(suite)
    for path in files:
        add_index(snapshot, path, kind, memo)
    return snapshot


def add_index(snapshot: Snapshot, path: Path, kind: str | None = None, memo: DigestMemo | None = None) -> None:
    """Put one file into a snapshot, checked against a Release file above it if there is one."""
    known = memo.get(path) if memo else None
    stamp = _stamp(path)
    if known:
        size, digest, content, arch = known
        if kind and content != kind:
            raise FormatError(f"an index of {content} where one of {kind} was expected", file=str(path))
        kind = content
    else:
        size, digest = _measure(path)
        kind, arch = _told(path, kind)
    found = _release_above(path)
    checked = "no Release file beside it"
    if found:
        release, below = found
        checked = check_digest(size, digest.removeprefix("sha256:"), str(path), below, release)
        snapshot.date = release.date
        snapshot.valid_until = release.valid_until
        snapshot.signature = release.signature
    if memo and not known:
        memo.note(path, digest, kind, arch)
    index = IndexFile(
        str(path), kind, arch if kind == "Packages" else None, digest, size, checked, stamp=_settled(stamp)
    )
    if kind == "Sources":
        snapshot.sources.append(index)
    else:
        snapshot.packages.setdefault(arch, []).append(index)


def _told(path: Path, kind: str | None) -> tuple[str, str]:
    """Kind and architecture of an index, by content where it is plain, else by name and location."""
    told = _INDEX_NAME.search(path.name)
    content = _kind_of_content(path)
    if kind and content and kind != content:
        raise FormatError(f"an index of {content} where one of {kind} was expected", file=str(path))
    kind = content or kind or (told[1] if told else None)
    if kind is None:
        raise FormatError("not a Debian index of packages or sources", file=str(path))
    if kind == "Sources":
        return kind, ""
    folder = _BINARY_FOLDER.search(path.parent.name) or _BINARY_FOLDER.search(path.name)
    if folder:
        return kind, folder[1]
    if told and told[2] and tuple_of(told[2]) is not None:
        return kind, told[2]
    return kind, _architecture_of_content(decompress(_read(path), str(path)))


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=str(path)) from error
    if not data:
        raise ArchiveError("the file is empty", file=str(path), hint="Fetch it again")
    return data


def _measure(path: Path) -> tuple[int, str]:
    """Size and digest of a file, without holding it."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=str(path)) from error
    if not size:
        raise ArchiveError("the file is empty", file=str(path), hint="Fetch it again")
    return size, f"sha256:{digest}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_size, now.st_mtime_ns, now.st_ino


def _settled(stamp: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    """The stamp if a later change is bound to show in it: the last one is longer ago than the clock's tick."""
    return stamp if stamp and time.time_ns() - stamp[1] > _TICK_NS else None


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


_MAGIC = (b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"BZh")
_LZ4_MAGIC = b"\x04\x22\x4d\x18"


def _kind_of_content(path: Path) -> str | None:
    """Told by the first stanzas; compressed files with a usual name are checked when they are read."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if head.startswith(_LZ4_MAGIC):
        raise FormatError("compressed with lz4, which is not read", file=str(path), hint="Decompress it first (unlz4)")
    if head.startswith(_MAGIC):
        if _INDEX_NAME.search(path.name):
            return None
        head = decompress(_read(path), str(path))[: 1 << 16]
    if re.search(rb"^(Binary|Build-Depends|Package-List|Checksums-Sha256|Directory):", head, re.M):
        return "Sources"
    if re.search(rb"^(Filename|Depends|Installed-Size|Priority|Architecture):", head, re.M):
        return "Packages"
    return None


def _architecture_of_content(data: bytes) -> str:
    for match in re.finditer(rb"^Architecture: *(\S+)", data, re.M):
        if match[1] != b"all":
            return match[1].decode("utf-8", "replace")
    return "all"


_RELEASES: dict[Path, Release] = {}


def _release_above(path: Path) -> tuple[Release, str] | None:
    path = path.resolve()
    for folder in list(path.parents)[:5]:
        for name in ("InRelease", "Release"):
            file = folder / name
            if name == "Release" and folder.name.startswith("binary-"):
                continue  # a Release file of one component carries no digests
            if not file.is_file():
                continue
            if file not in _RELEASES:
                detached = folder / "Release.gpg"
                _RELEASES[file] = read_release(
                    file.read_bytes(),
                    str(file),
                    signature=detached.read_bytes() if name == "Release" and detached.is_file() else None,
                )
            release = _RELEASES[file]
            below = path.relative_to(folder).as_posix()
            return release, below
    # Files in the form of /var/lib/apt/lists: HOST_PATH_dists_SUITE_COMPONENT_…
    if "_dists_" in path.name:
        prefix, _, rest = path.name.partition("_dists_")
        suite, _, below = rest.partition("_")
        file = path.with_name(f"{prefix}_dists_{suite}_InRelease")
        if file.is_file():
            if file not in _RELEASES:
                _RELEASES[file] = read_release(file.read_bytes(), str(file))
            return _RELEASES[file], below.replace("_", "/")
    return None


def from_directory(
    folder: Path, suite: str | None, architectures: Sequence[str], memo: DigestMemo | None = None
) -> list[Snapshot]:
    """All snapshots in a directory: a mirror's tree (``dists/SUITE/…``), APT's lists, or loose files.

    Args:
        suite: only this one; all by default. It also names loose files.
        architectures: only these; all by default.
    """
    by_suite: dict[str, dict[str, Path]] = {}
    unread: list[Path] = []
    for path in sorted(folder.rglob("*")):
        lz4 = _LZ4_NAME.search(path.name)
        if not path.is_file() or not (lz4 or _INDEX_NAME.search(path.name)):
            continue
        if ".diff" in path.parts or "by-hash" in path.parts:
            continue
        if "debian-installer" in path.relative_to(folder).parts or "_debian-installer_" in path.name:
            continue  # the installer's own packages (udebs), which no build uses
        own = _suite_of(path, folder) or suite or folder.resolve().name
        if lz4:
            if suite in (None, own) and not _of_another(path, architectures):
                unread.append(path)
            continue
        stem = re.sub(r"\.(xz|gz|zst|bz2)$", "", str(path))
        by_suite.setdefault(own, {}).setdefault(stem, path)
    _refuse_lz4(unread, {stem for paths in by_suite.values() for stem in paths}, folder)
    if suite is not None:
        if suite not in by_suite:
            raise UsageError(
                f"the directory has no suite {suite!r}: it has {', '.join(sorted(by_suite)) or 'no indices'}",
                hint="Name one of these with --suite, or leave --suite out",
            )
        by_suite = {suite: by_suite[suite]}
    if not by_suite:
        raise InputError("no Packages or Sources index in it", file=str(folder))
    out = []
    for own, paths in sorted(by_suite.items()):
        snapshot = Snapshot(own)
        for path in paths.values():
            if not _of_another(path, architectures):
                add_index(snapshot, path, None, memo)
        out.append(snapshot)
    return out


def _of_another(path: Path, architectures: Sequence[str]) -> bool:
    """Does the name or location say an architecture that was not asked for?"""
    told = _BINARY_FOLDER.search(str(path)) or _LZ4_NAME.search(path.name) or _INDEX_NAME.search(path.name)
    arch = told[told.re.groups] if told else None  # the architecture is the last group of each
    return bool(architectures) and arch is not None and tuple_of(arch) is not None and arch not in architectures


def _refuse_lz4(unread: Sequence[Path], read: Set[str], folder: Path) -> None:
    """Indices in APT's own compression are not left out in silence; one that is there in another form as well is."""
    names = [path.name for path in unread if str(path.with_suffix("")) not in read]
    if names:
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        raise InputError(
            f"compressed with lz4, which is not read: {', '.join(names[:3])}{more}",
            file=str(folder),
            hint="Have APT keep them plain (apt-get -o Acquire::GzipIndexes=false update), or name the suite with "
            "--suite instead of the directory",
        )


def _suite_of(path: Path, folder: Path) -> str | None:
    parts = path.relative_to(folder).parts
    if "dists" in parts[:-1]:
        return parts[parts.index("dists") + 1]
    if "_dists_" in path.name:
        return path.name.partition("_dists_")[2].partition("_")[0]
    if folder.parent.name == "dists":
        return folder.name
    if len(parts) > 1 and not parts[0].startswith("binary-") and parts[0] not in ("main", "source", "contrib"):
        return parts[0]
    return None


def from_mirror(
    suite: str,
    architectures: Sequence[str],
    components: Sequence[str],
    mirror: Callable[[], Mirror],
) -> Snapshot:
    """A suite from APT's mirror; an architecture that it lacks is named in ``missing``."""
    source = mirror()
    _, release = source.release(suite)
    if not architectures:
        architectures = release.architectures
    snapshot = Snapshot(suite, date=release.date, valid_until=release.valid_until, signature=release.signature)
    for component in components:
        got = source.index(suite, f"{component}/source/Sources")
        if got is None:
            raise UsageError(f"{suite} has no component {component!r}: it has {' '.join(release.components)}")
        snapshot.sources.append(_fetched(got, "Sources", None))
        for arch in architectures:
            if not source.has(suite, arch):
                snapshot.missing[arch] = f"no archive that APT is configured with has {arch} in {suite}"
                continue
            got = source.index(suite, f"{component}/binary-{arch}/Packages", arch)
            if got is None:
                snapshot.missing[arch] = f"{suite} lists no index of packages for {arch}"
                continue
            snapshot.packages.setdefault(arch, []).append(_fetched(got, "Packages", arch))
    return snapshot


def _fetched(got: tuple[bytes, str, str], kind: str, arch: str | None) -> IndexFile:
    data, name, checked = got
    return IndexFile(name, kind, arch, _digest(data), len(data), checked, data)
