"""Shards of the replay as one stream: starts the processes, gives each the next chunk of commits as soon as it is
done with one, and hands out their edit scripts in order."""

from __future__ import annotations

import marshal
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import IO

from preventable.code.history.commits import Commits
from preventable.code.history.gitcall import Repository, widen
from preventable.code.history.shard import HEAD, Chunk, Frame
from preventable.errors import RepositoryError
from preventable.termination import termination_waits

CHUNK_COMMITS = 1600
"""Commits per chunk: a call of git begins with cold caches, but keeps ever more memory, and at the end of each chunk
git is asked about all its files at once."""
SMALLEST_CHUNK = 200
"""Chunks shrink to this at the end of the history, so that no core waits long for the other."""
WAITING_FRAMES = 3
"""Frames held per chunk, as they came, before its shard has to wait: bounds memory."""
CHUNKS_AHEAD = 2
"""Chunks that may be done before their turn, beside one per shard."""
PATIENCE_SECONDS = 5.0
"""For a shard to take away what it wrote for a time."""


def frames(
    repository: Repository,
    commits: Commits,
    *,
    start: int = 0,
    whitespace: bool = True,
    exact: bool = True,
    ignored: Collection[str] = (),
    processes: int | None = None,
    text: str | None = None,
) -> Iterator[Frame]:
    """The frames of all commits from ``start`` on, in the order of the commits.

    Args:
        start: index of the first commit to read.
        whitespace: look for changes of whitespace only.
        exact: in every file, not only where they are likely.
        ignored: full ids of commits whose edits are to be paired line by line.
        processes: number of shards; by default one per core.
        text: a directory; for every chunk a file is written there with the words of the code that was added,
            before its last frame. It is named after the first commit of the chunk.
    Raises:
        RepositoryError: git failed in a shard.
    """
    if start >= len(commits):
        return
    wanted = processes or cores()
    spans = list(_spans(start, len(commits), wanted))
    plan = {
        "git_dir": repository.git_dir,
        "whitespace": whitespace,
        "exact": exact,
        "ignored": [i.encode("ascii") for i in ignored],
        "text": text,
    }
    work = _Work(commits, spans, min(wanted, len(spans)))
    complete = False
    try:
        work.start(plan)
        for number in range(len(spans)):
            yield from work.frames_of(number)
        complete = True
    finally:
        work.stop(at_once=not complete)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spans(start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Start and end of every chunk."""
    while start < end:
        share = -(-(end - start) // (2 * width))
        last = min(start + max(min(share, CHUNK_COMMITS), SMALLEST_CHUNK), end)
        yield start, last
        start = last


class _Work:
    """Chunks, and the shards that take one after the other."""

    def __init__(self, commits: Commits, spans: list[tuple[int, int]], width: int) -> None:
        self._commits = commits
        self._spans = spans
        self._frames: list[queue.Queue[tuple[bytes, bool] | None]] = [queue.Queue(WAITING_FRAMES) for _ in spans]
        self._ahead = threading.Semaphore(width + CHUNKS_AHEAD)
        self._lock = threading.Lock()
        self._next = 0
        self._stopped = False
        self._shards = [_Shard(self) for _ in range(width)]

    def start(self, plan: Mapping[str, object]) -> None:
        for shard in self._shards:
            shard.start(plan)

    def take(self) -> int | None:
        """The number of the next chunk for a shard, as soon as it may be done; None: there is no more."""
        while not self._ahead.acquire(timeout=0.5):
            if self._stopped:
                return None
        with self._lock:
            number = self._next
            self._next += 1
        return number if number < len(self._spans) and not self._stopped else None

    def chunk(self, number: int) -> Chunk:
        first, last = self._spans[number]
        commits = self._commits
        parents = {
            commits.id_bytes(i): [commits.id_bytes(p) for p in commits.parents(i)]
            for i in range(first, last)
            if commits.is_merge(i)
        }
        return (last, first, [commits.id_bytes(i) for i in range(first, last)], parents)

    def put(self, number: int, frame: tuple[bytes, bool] | None) -> None:
        """A frame of a chunk has come, and whether it is the last; None: it never will, for the shard died."""
        while not self._stopped:
            try:
                self._frames[number].put(frame, timeout=0.5)
                return
            except queue.Full:
                continue

    def frames_of(self, number: int) -> Iterator[Frame]:
        """The frames of one chunk as they come; chunks are asked for in order."""
        done = False
        while not done:
            found = self._frames[number].get()
            if found is None:
                raise RepositoryError(
                    "a process that reads the history died",
                    hint="Was it killed for want of memory? Run again: it goes on from its checkpoint",
                )
            data, done = found
            end, entries = marshal.loads(data)
            if end < 0:
                raise RepositoryError(str(entries))
            if done:
                self._ahead.release()
            yield end, done, entries

    def stop(self, *, at_once: bool) -> None:
        """End the shards: ``at_once``, or when they have done what little is left after their last chunk."""
        self._stopped = at_once
        for shard in self._shards:
            shard.stop(at_once=at_once)


class _Shard:
    """One process and the thread that feeds it and empties its pipe."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, plan: Mapping[str, object]) -> None:
        path = os.pathsep.join(p for p in sys.path if p)
        with termination_waits():
            self._process = subprocess.Popen(
                [sys.executable, "-X", "utf8", "-m", "preventable.code.history.shard"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                process_group=0,  # a key pressed at the terminal is for this process, which ends its shards
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        widen(self._process.stdout)
        order = marshal.dumps(dict(plan))
        threading.Thread(target=self._run, args=(self._process.stdin, self._process.stdout, order), daemon=True).start()

    def _run(self, write: IO[bytes], read: IO[bytes], order: bytes) -> None:
        while (number := self._work.take()) is not None:
            try:
                write.write(order + marshal.dumps(self._work.chunk(number)))
                write.flush()
                done = False
                while not done:
                    size, done = HEAD.unpack(_exactly(read, HEAD.size))
                    self._work.put(number, (_exactly(read, size), done))
            except BaseException:  # it died, its pipes were closed, there is no memory: nobody must wait for it
                self._work.put(number, None)
                return
            order = b""
        with suppress(OSError, ValueError):
            write.write(marshal.dumps(None))
            write.close()

    def stop(self, *, at_once: bool) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.wait(0 if at_once else PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
