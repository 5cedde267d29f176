"""Untrusted text on its way to a terminal or a table."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """The text with a space for every character that a terminal would obey, but for those of ``keep``.

    Example:
        >>> printable("a\\x1b[2Jb")
        'a [2Jb'
        >>> printable("a\\tb\\x07", keep="\\n\\t")
        'a\\tb '
    """
    return text if text.isprintable() else "".join(ch if ch.isprintable() or ch in keep else " " for ch in text)
