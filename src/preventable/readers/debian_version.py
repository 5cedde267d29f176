"""Order of Debian versions as byte strings, so that sorting them is a plain comparison.

deb-version(7): epoch numerically; then upstream version and revision, each as alternating runs of
non-digits (``~`` < end < letters < everything else) and digits (numerically). A missing revision is ``0``.

python-debian and python-apt compare two versions at a time, in Python or through a system library; an
archive has some 60,000 distinct versions and every versioned relation compares some of them. A key per
version turns all of that into integer ranks. The tests hold the keys against python-debian.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_RUNS = re.compile(rb"([^0-9]*)([0-9]*)")
_END = b"\x02"
_ORDER = bytearray(256)
_letters = sorted(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_ORDER[ord("~")] = 1
for _rank, _byte in enumerate(_letters + [b for b in range(33, 127) if b not in _letters and b != ord("~")], 3):
    _ORDER[_byte] = _rank
for _byte in [*range(33), *range(127, 256)]:
    _ORDER[_byte] = 255
_TABLE = bytes(_ORDER)
_POLICY = re.compile(r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~:-]*")


def version_key(version: str) -> bytes:
    """A key with ``version_key(a) < version_key(b)`` exactly when dpkg sorts a before b.

    Any text has a key, also one that violates policy (as in dpkg's own comparison); ``policy_fault``
    tells about those.

    Source: deb-version(7); checked against python-debian (tests/property/test_debian_version.py).
    Example:
        >>> version_key("1.0~rc1") < version_key("1.0") < version_key("1.0-1") < version_key("1:0.1")
        True
        >>> version_key("1.0") == version_key("1.0-0")
        True
    """
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    number = epoch.lstrip("0")
    return (
        bytes((len(number),))
        + number.encode()
        + _part(upstream.encode("utf-8"))
        + b"\x00"
        + _part(revision.encode("utf-8"))
    )


def _part(text: bytes) -> bytes:
    # Every run ends in its number (0 when there are no digits), so "1." and "1.0" get one key. After a
    # number only a character or the end can follow: _END there sorts after "~" and before all others.
    runs = _RUNS.findall(text)[:-1] or [(b"", b"")]
    out = []
    for word, digits in runs:
        number = digits.lstrip(b"0")
        out.append(word.translate(_TABLE) + _END + bytes((min(len(number) + 1, 255),)) + number)
    out.append(_END)
    return b"".join(out)


def version_ranks(versions: Iterable[str]) -> list[int]:
    """The rank of each version among the distinct ones given; equal versions have equal ranks.

    Example:
        >>> version_ranks(["1.0-0", "0.9", "1.0"])
        [1, 0, 1]
    """
    keys = [version_key(v) for v in versions]
    rank = {key: i for i, key in enumerate(sorted(set(keys)))}
    return [rank[key] for key in keys]


def policy_fault(version: str) -> str | None:
    """Why a version violates policy 5.6.12, or ``None``.

    Example:
        >>> policy_fault("1.0-1")
        >>> policy_fault("r12_3")
        'the version does not begin with a digit or has a character outside [A-Za-z0-9.+~:-]'
    """
    if _POLICY.fullmatch(version):
        return None
    return "the version does not begin with a digit or has a character outside [A-Za-z0-9.+~:-]"
