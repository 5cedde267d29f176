"""SIGTERM as an exception, which waits while something is made that must not be left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_blocks = 0
_waits = False


class Terminated(BaseException):
    """SIGTERM arrived: whoever holds workers or temporary files lets go of them on the way out."""


def arrived() -> None:
    """What the handler of the main thread does: raise, or wait for the end of the block."""
    global _waits  # noqa: PLW0603  (a signal is one per process, and so is this)
    if _blocks:
        _waits = True
    else:
        raise Terminated


@contextmanager
def termination_waits() -> Iterator[None]:
    """Between making a temporary directory and noting its name no signal may fall; for the main thread, and short.

    Raises:
        Terminated: at the end, if the signal arrived inside.
    """
    global _blocks, _waits  # noqa: PLW0603  (see above)
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1
        if _waits and not _blocks:
            _waits = False
            raise Terminated
