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


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def in_spreadsheet(text: str) -> str:
    """The text as a cell that no spreadsheet runs: printable, with an apostrophe before what starts like a formula.

    Example:
        >>> in_spreadsheet("=1+1\\x1b[2J")
        "'=1+1 [2J"
        >>> in_spreadsheet("a = b")
        'a = b'
    """
    return ("'" if text[:1] in _FORMULA else "") + printable(text, keep="\n\t")


def from_spreadsheet(cell: str) -> str:
    """The text of a cell that ``in_spreadsheet`` made: without its apostrophe. Other cells stay as they are.

    Example:
        >>> from_spreadsheet("'@scope/name"), from_spreadsheet("'tis")
        ('@scope/name', "'tis")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def two_digits(value: float) -> str:
    """A figure in a sentence: two significant digits, never an exponent.

    Example:
        >>> two_digits(0.03149), two_digits(1.934), two_digits(19.7), two_digits(1287.4)
        ('0.031', '1.9', '20', '1,300')
    """
    return f"{value:.2g}" if abs(value) < 99.5 else f"{float(f'{value:.2g}'):,.0f}"
