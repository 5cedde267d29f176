"""Honest progress on standard error: what is done, how fast, and what is left when that is known."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_WORTH_TELLING_SECONDS = 2.0


class Progress:
    """Counts steps and reports them at most twice a second (every ten seconds when not on a terminal).

    The closing line comes only after work that took two seconds or more.

    Args:
        what: the unit in the plural, for example ``"records"``.
        total: number of steps if known beforehand.
        quiet: count, but say nothing.
        stream: where to write; standard error by default.

    Example:
        >>> with Progress("records", quiet=True) as progress:
        ...     progress.advance(3)
        >>> progress.done
        3
    """

    def __init__(
        self, what: str, total: int | None = None, *, quiet: bool = False, stream: TextIO | None = None
    ) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()
        self._every_seconds = 0.5 if self._live else 10.0
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._stream.write("\r\x1b[K")
        if not self._quiet and error is None and time.monotonic() - self._began > _WORTH_TELLING_SECONDS:
            self._stream.write(self._line(final=True) + "\n")
        self._stream.flush()

    def advance(self, steps: int = 1) -> None:
        """Count steps; writes a line when one is due."""
        self.done += steps
        if self._quiet:
            return
        now = time.monotonic()
        if now - self._said >= self._every_seconds:
            self._said = now
            self._stream.write(f"\r\x1b[K{self._line()}" if self._live else self._line() + "\n")
            self._stream.flush()

    def _line(self, *, final: bool = False) -> str:
        seconds = max(time.monotonic() - self._began, 1e-9)
        rate = self.done / seconds
        line = f"{self.done:,} {self.what}"
        if self.total and not final:
            line = f"{self.done:,} of {self.total:,} {self.what}, {rate:,.0f}/s"
            if rate > 0:
                line += f", {(self.total - self.done) / rate:,.0f} s left"
        elif final:
            line += f" in {seconds:.1f} s ({rate:,.0f}/s)"
        else:
            line += f", {rate:,.0f}/s"
        return line
