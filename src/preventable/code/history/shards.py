"""Shards of the replay as one stream: starts the processes and hands out their edit scripts in order."""

from __future__ import annotations

import marshal
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from typing import IO

from preventable.code.history.commits import Commits
from preventable.code.history.gitcall import Repository, widen
from preventable.code.history.shard import Frame
from preventable.errors import RepositoryError

CHUNK_COMMITS = 400
"""Commits per chunk; chunks go round the shards, so that all stay busy and frames arrive in order."""
WAITING_FRAMES = 3
"""Frames held per shard, as they came, before it has to wait: bounds memory."""


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
    count = len(commits) - start
    if count <= 0:
        return
    wanted = processes or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chunks = -(-count // CHUNK_COMMITS)
    width = max(1, min(wanted or 1, chunks))
    shards = [_Shard() for _ in range(width)]
    try:
        for number, shard in enumerate(shards):
            plan = _plan(commits, start, number, width)
            plan.update(
                git_dir=repository.git_dir,
                whitespace=whitespace,
                exact=exact,
                ignored=[i.encode("ascii") for i in ignored],
                text=text,
            )
            shard.start(plan)
        for chunk in range(chunks):
            while True:
                frame = shards[chunk % width].next()
                yield frame
                if frame[1]:
                    break
    finally:
        for shard in shards:
            shard.stop()


def _plan(commits: Commits, start: int, number: int, width: int) -> dict[str, object]:
    """The share of shard ``number`` of ``width``: every ``width``-th chunk and the parents of its merges."""
    chunks = []
    parents: dict[bytes, list[bytes]] = {}
    for chunk, first in enumerate(range(start, len(commits), CHUNK_COMMITS)):
        if chunk % width != number:
            continue
        last = min(first + CHUNK_COMMITS, len(commits))
        chunks.append((last, first, [commits.id_bytes(i) for i in range(first, last)]))
        for i in range(first, last):
            if commits.is_merge(i):
                parents[commits.id_bytes(i)] = [commits.id_bytes(p) for p in commits.parents(i)]
    return {"chunks": chunks, "parents": parents}


class _Shard:
    """One process and the thread that empties its pipe."""

    def __init__(self) -> None:
        self._frames: queue.Queue[bytes | None] = queue.Queue(WAITING_FRAMES)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def start(self, plan: dict[str, object]) -> None:
        path = os.pathsep.join(p for p in sys.path if p)
        self._process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "preventable.code.history.shard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(marshal.dumps(plan))
        self._process.stdin.close()
        widen(self._process.stdout)
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        try:
            while (head := stream.read(8)) and not self._stopped:
                size = int.from_bytes(head, "little")
                data = stream.read(size)
                if len(data) < size:
                    break
                self._put(data)
        finally:
            self._put(None)

    def _put(self, frame: bytes | None) -> None:
        while not self._stopped:
            try:
                self._frames.put(frame, timeout=0.5)
                return
            except queue.Full:
                continue

    def next(self) -> Frame:
        data = self._frames.get()
        if data is None:
            raise RepositoryError(
                "a process that reads the history died",
                hint="Was it killed for want of memory? Run again: it goes on from its checkpoint",
            )
        frame: Frame = marshal.loads(data)
        if frame[0] < 0:
            raise RepositoryError(str(frame[2]))
        return frame

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
