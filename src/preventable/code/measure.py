"""Measures files: lines, unsafe Rust, generated markers and links, in parallel over shards of files.

Whatever the source, the counter sees files on disk: those of a directory in place, those of an archive or a
git revision in a temporary directory that holds one shard at a time per worker and is removed at once.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from operator import itemgetter
from pathlib import Path
from typing import Self

import msgspec

from preventable.code.buckets import HEAD_BYTES, generated_marker
from preventable.code.counting import C_FAMILY, LineCounts, count_files
from preventable.code.coupling import Links, c_links, rust_links
from preventable.code.trees import FileItem, Source
from preventable.code.unsafe_rust import RustFacts, measure_rust
from preventable.termination import termination_waits

SHARD_BYTES = 12 * 1024 * 1024
SHARD_FILES = 800
POOL_FROM_BYTES = 24 * 1024 * 1024
_BINARY_BYTES = 8000
MEMORY_DIRECTORY = "/dev/shm"
MEMORY_BYTES = 1 << 30
_PLAIN_NAME = re.compile(r"\.?[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,99}")
_PLAIN_SUFFIX = re.compile(r"\.[A-Za-z0-9_+-]{1,30}")
_FLAT = frozenset((".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".rs", ".py", ".go", ".java", ".js", ".s"))
_SOURCE = _FLAT | {".S", ".C", ".H", ".asm"}
_NOT_TEXT = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".ico",
        ".pdf",
        ".gz",
        ".xz",
        ".bz2",
        ".zst",
        ".zip",
        ".bin",
        ".o",
        ".a",
        ".so",
    )
)

KEEP_NAMES = frozenset((".gitattributes", "Cargo.toml"))
KEEP_PATHS = frozenset(("MAINTAINERS", "preventable.toml", "pyproject.toml"))


class FileFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file as measured; ``counts`` is None with a ``reason`` when it could not be."""

    path: str
    counts: LineCounts | None
    marker: str | None = None
    rust: RustFacts | None = None
    links: Links | None = None
    reason: str | None = None


class Measure(msgspec.Struct, frozen=True):
    """What to measure besides lines and unsafe Rust."""

    coupling: bool = False
    sites: bool = False
    """Keep every unsafe site, not only the counts."""


class Measured(msgspec.Struct):
    """All files of a source."""

    facts: list[FileFacts]
    paths: list[str]
    """Every regular file, also those in no known language."""
    kept: dict[str, bytes]
    """Contents of the files that say how to count (attributes, manifests, MAINTAINERS, case files)."""


def measure_local(files: Sequence[tuple[str, str]], what: Measure) -> list[FileFacts]:
    """Measure files on disk.

    Args:
        files: path to report and path on disk.
        what: what to measure.
    Returns:
        list: one per file in a known language, or with a reason why it could not be counted.
    """
    counts = count_files([local for _, local in files])
    facts = []
    for path, local in files:
        lines = counts.get(local)
        if lines is None and os.path.splitext(path)[1] not in _SOURCE:  # noqa: PTH122  (a million calls)
            continue
        facts.append(_measure_file(path, local, lines, what))
    return facts


def measure_source(
    source: Source,
    what: Measure,
    *,
    workers: int | None = None,
    observe: Callable[[Measured, list[FileFacts]], None] | None = None,
) -> Measured:
    """Measure everything in a source, in parallel when it is large.

    Args:
        source: where the files come from.
        workers: processes; by default one more than there are cores, at most 8. 1 stays in this process.
        observe: called with the facts of shards that are done, while others are measured, once every path and kept
            file is known: for files in place, not for streams.
    """
    items = source.files()
    if workers is None:
        workers = min((os.cpu_count() or 1) + 1, 8)  # one more than cores: some always wait for a read
    done = Measured([], [], {})
    with contextlib.ExitStack() as stack:
        pooled = workers > 1
        if items is not None and pooled:
            items, pooled = _large(items)
        runner: _Inline | _Pool = stack.enter_context(_Pool(workers)) if pooled else _Inline()
        listing = _Listing(items, done)
        if source.in_place:
            work = _local_shards(listing, source)
        else:
            work = _written_shards(source, None if items is None else list(listing), done, stack)
            observe = None
        unseen: list[FileFacts] = []
        arrived: list[tuple[int, list[FileFacts]]] = []
        for number, facts in runner.map(work, what):
            arrived.append((number, facts))
            done.facts += facts
            unseen += facts
            if observe is not None and listing.complete:
                observe(done, unseen)
                unseen = []
        if observe is not None and unseen:
            observe(done, unseen)
    arrived.sort(key=itemgetter(0))  # of two members of an archive with one path, the last one counts
    last = {fact.path: fact for _, facts in arrived for fact in facts}
    done.facts = [last[path] for path in sorted(last)]
    done.paths = sorted(set(done.paths))
    return done


def measure_contents(contents: Iterable[tuple[str, bytes]], what: Measure) -> list[FileFacts]:
    """Measure a few files whose bytes are at hand, in this process.

    Args:
        contents: path and bytes.
    """
    writer = _ShardWriter()
    facts: list[FileFacts] = []
    try:
        for path, data in contents:
            writer.add(path, data)
            if writer.size >= SHARD_BYTES:
                facts += _measure_shard(writer.take(), what)
        if writer.files:
            facts += _measure_shard(writer.take(), what)
    finally:
        writer.discard()
    return facts


def _large(items: Iterable[FileItem]) -> tuple[Iterable[FileItem], bool]:
    """The items again, and whether they are enough for a pool of processes."""
    rest = iter(items)
    first: list[FileItem] = []
    size = 0
    for item in rest:
        first.append(item)
        size += item.size or 0
        if size > POOL_FROM_BYTES:
            return itertools.chain(first, rest), True
    return first, False


class _Listing:
    """Passes the items of a source on and keeps what is known of all of them, so that files are measured while
    others are still looked for."""

    def __init__(self, items: Iterable[FileItem] | None, done: Measured) -> None:
        self._items = items
        self._done = done
        self.complete = False

    def __iter__(self) -> Iterator[FileItem]:
        done = self._done
        for item in self._items or ():
            done.paths.append(item.path)
            if item.local is not None and _keep(item.path):
                with contextlib.suppress(OSError):
                    done.kept[item.path] = Path(item.local).read_bytes()
            yield item
        self.complete = True


Shard = tuple[list[tuple[str, str]], str | None]
"""Files (path, path on disk) and the directory to remove afterwards."""


def _local_shards(items: Iterable[FileItem], source: Source) -> Iterator[Shard]:
    shard: list[tuple[str, str]] = []
    odd: list[FileItem] = []
    size = 0
    for item in items:
        if not _is_unicode(item.path):
            odd.append(item)
            continue
        shard.append((item.path, item.local or ""))
        size += item.size or 0
        if size >= SHARD_BYTES or len(shard) >= SHARD_FILES:
            yield shard, None
            shard, size = [], 0
    if shard:
        yield shard, None
    if odd:
        # The counter takes Unicode names only: these go by a copy under a name of ours.
        writer = _ShardWriter()
        for item, data in source.contents(odd):
            writer.add(item.path, data)
        yield writer.take()


def _written_shards(
    source: Source, items: list[FileItem] | None, done: Measured, stack: contextlib.ExitStack
) -> Iterator[Shard]:
    writer = _ShardWriter()
    stack.callback(writer.discard)
    if items is not None:
        items = [i for i in items if os.path.splitext(i.path)[1] not in _NOT_TEXT]  # noqa: PTH122  (many)
    streamed = items is None
    for item, data in source.contents(items):
        if streamed:
            done.paths.append(item.path)
        # A stream tells its root only at its end: keep by name at any depth.
        if _keep(item.path) or (streamed and item.path.rpartition("/")[2] in KEEP_PATHS):
            done.kept[item.path] = data
        if os.path.splitext(item.path)[1] in _NOT_TEXT:  # noqa: PTH122  (many)
            continue
        writer.add(item.path, data)
        if writer.size >= SHARD_BYTES or len(writer.files) >= SHARD_FILES:
            yield writer.take()
    if writer.files:
        yield writer.take()


def _keep(path: str) -> bool:
    if not path.endswith((".gitattributes", ".toml", "MAINTAINERS")):
        return False  # nearly all paths
    return path in KEEP_PATHS or path.rpartition("/")[2] in KEEP_NAMES


def _is_unicode(path: str) -> bool:
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _scratch() -> str | None:
    """Memory, if there is plenty and nobody asked for another place: a shard is small and lives for a moment."""
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return None
    try:
        space = os.statvfs(MEMORY_DIRECTORY)
    except (OSError, AttributeError):
        return None
    free = space.f_bavail * space.f_frsize
    return MEMORY_DIRECTORY if free >= MEMORY_BYTES and os.access(MEMORY_DIRECTORY, os.W_OK | os.X_OK) else None


class _ShardWriter:
    """Writes contents to a temporary directory under names of ours that keep the extension."""

    def __init__(self) -> None:
        self.files: list[tuple[str, str]] = []
        self.size = 0
        self._directory: str | None = None
        self._made: list[str] = []

    def add(self, path: str, data: bytes) -> None:
        if self._directory is None:
            with termination_waits():
                self._directory = tempfile.mkdtemp(prefix="preventable-", dir=_scratch())
                self._made.append(self._directory)
        name = path.rpartition("/")[2]
        suffix = os.path.splitext(name)[1]  # noqa: PTH122  (many)
        number = f"{len(self.files):06d}"
        if suffix in _FLAT:
            local = os.path.join(self._directory, number + suffix)  # noqa: PTH118  (many)
        elif _PLAIN_NAME.fullmatch(name) and not name.endswith("."):
            folder = Path(self._directory) / number
            folder.mkdir()
            local = str(folder / name)
        elif _PLAIN_SUFFIX.fullmatch(suffix):  # the counter knows most languages by their ending alone
            local = os.path.join(self._directory, number + suffix)  # noqa: PTH118  (many)
        else:
            local = os.path.join(self._directory, number)  # noqa: PTH118  (many)
        with open(local, "xb") as stream:  # noqa: PTH123  (many)
            stream.write(data)
        self.files.append((path, local))
        self.size += len(data)

    def take(self) -> Shard:
        shard = (self.files, self._directory)
        self.files, self.size, self._directory = [], 0, None
        return shard

    def discard(self) -> None:
        """Take away whatever is left, also of shards that were taken and not measured."""
        for directory in self._made:
            shutil.rmtree(directory, ignore_errors=True)


class _Inline:
    def map(self, shards: Iterable[Shard], what: Measure) -> Iterator[tuple[int, list[FileFacts]]]:
        for number, shard in enumerate(shards):
            yield number, _measure_shard(shard, what)


class _Pool:
    """Worker processes; at most one shard more than there are workers is in flight."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context(_start_method()), initializer=_single_thread
        )
        self._open: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for directory in self._open:
            shutil.rmtree(directory, ignore_errors=True)

    def map(self, shards: Iterable[Shard], what: Measure) -> Iterator[tuple[int, list[FileFacts]]]:
        """The number of each shard and its facts, as they are done."""
        waiting: dict[Future[bytes | list[FileFacts]], int] = {}
        for number, shard in enumerate(shards):
            if shard[1] is not None:
                self._open.add(shard[1])
            waiting[self._pool.submit(_measure_packed, shard, what)] = number
            if len(waiting) > 2 * self._workers:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), _unpacked(future.result())
        for future, number in waiting.items():
            yield number, _unpacked(future.result())


def _start_method() -> str:
    """``fork`` saves half a second of imports, and is sound only while this process has a single thread."""
    try:
        threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        threads = 0
    return "fork" if sys.platform == "linux" and threads == 1 else "spawn"


def _single_thread() -> None:
    # The counter has its own threads; with one process per core they would only get in each other's way.
    os.environ["RAYON_NUM_THREADS"] = "1"
    gc.disable()  # a shard is bounded and makes no cycles


def _measure_shard(shard: Shard, what: Measure) -> list[FileFacts]:
    files, directory = shard
    try:
        return measure_local(files, what)
    finally:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(list[FileFacts])


def _measure_packed(shard: Shard, what: Measure) -> bytes | list[FileFacts]:
    """The facts of a shard in a form that takes a tenth of the time of pickling a hundred thousand objects."""
    facts = _measure_shard(shard, what)
    try:
        return _PACK.encode(facts)
    except UnicodeEncodeError:  # a name that is not Unicode
        return facts


def _unpacked(facts: bytes | list[FileFacts]) -> list[FileFacts]:
    return _UNPACK.decode(facts) if isinstance(facts, bytes) else facts


def _head(local: str) -> bytes:
    """The first bytes of a file, by the cheapest calls there are: it runs once per file of the tree."""
    handle = os.open(local, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return os.read(handle, _BINARY_BYTES)
    finally:
        os.close(handle)


def _measure_file(path: str, local: str, lines: LineCounts | None, what: Measure) -> FileFacts:
    language = lines.language if lines else None
    rust, c_family = language == "Rust", language in C_FAMILY
    whole = rust or (what.coupling and c_family)
    try:
        data = Path(local).read_bytes() if whole else _head(local)
    except OSError as error:
        return FileFacts(path, None, reason=f"unreadable: {error.strerror}")
    if b"\0" in data[:_BINARY_BYTES] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return FileFacts(path, None, reason="binary")
    if lines is None:
        return FileFacts(path, None, reason="the counter could not read it")
    facts = links = None
    if rust:
        facts = measure_rust(data)
        if not what.sites and facts.sites:
            facts = RustFacts(facts.counts, (), facts.indeterminate)
    if what.coupling:
        links = rust_links(data) if rust else c_links(data) if c_family else None
    return FileFacts(path, lines, generated_marker(data[:HEAD_BYTES]), facts, links)
