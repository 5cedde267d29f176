"""Debian architecture names and wildcards.

A name stands for a tuple abi-libc-os-cpu (dpkg-architecture(1)); a wildcard has ``any`` in some of the
places and is read from the right: ``linux-any`` is any-any-linux-any, ``any-linux-armeb`` is
any-any-linux-armeb, ``any-i386`` is any-any-any-i386. A restriction or field may also spell a Linux name out:
``linux-amd64`` is amd64.
"""

from __future__ import annotations

import difflib
import functools

_CPUS = frozenset(
    {
        "alpha",
        "amd64",
        "arc",
        "arm",
        "armeb",
        "arm64",
        "avr32",
        "hppa",
        "loong64",
        "i386",
        "ia64",
        "m32r",
        "m68k",
        "mips",
        "mipsel",
        "mipsr6",
        "mipsr6el",
        "mips64",
        "mips64el",
        "mips64r6",
        "mips64r6el",
        "nios2",
        "or1k",
        "powerpc",
        "powerpcel",
        "ppc64",
        "ppc64el",
        "riscv64",
        "s390",
        "s390x",
        "sh3",
        "sh3eb",
        "sh4",
        "sh4eb",
        "sparc",
        "sparc64",
        "tilegx",
    }
)
_SYSTEMS = {
    # prefix of the name: (libc, os)
    "": ("gnu", "linux"),
    "musl-linux-": ("musl", "linux"),
    "uclibc-linux-": ("uclibc", "linux"),
    "dietlibc-linux-": ("dietlibc", "linux"),
    "hurd-": ("gnu", "hurd"),
    "kfreebsd-": ("gnu", "kfreebsd"),
    "kopensolaris-": ("gnu", "kopensolaris"),
    "knetbsd-": ("gnu", "knetbsd"),
    "freebsd-": ("bsd", "freebsd"),
    "netbsd-": ("bsd", "netbsd"),
    "openbsd-": ("bsd", "openbsd"),
    "dragonflybsd-": ("bsd", "dragonflybsd"),
    "darwin-": ("bsd", "darwin"),
    "aix-": ("sysv", "aix"),
    "solaris-": ("sysv", "solaris"),
    "uclinux-": ("uclibc", "uclinux"),
    "mint-": ("tos", "mint"),
}
_ABIS = {
    "x32": ("x32", "amd64"),
    "arm64ilp32": ("ilp32", "arm64"),
    "armhf": ("eabihf", "arm"),
    "armel": ("eabi", "arm"),
    "mips64": ("abi64", "mips64"),
    "mips64el": ("abi64", "mips64el"),
    "mips64r6": ("abi64", "mips64r6"),
    "mips64r6el": ("abi64", "mips64r6el"),
    "mipsn32": ("abin32", "mips64"),
    "mipsn32el": ("abin32", "mips64el"),
    "mipsn32r6": ("abin32", "mips64r6"),
    "mipsn32r6el": ("abin32", "mips64r6el"),
    "powerpcspe": ("spe", "powerpc"),
}


@functools.cache
def tuple_of(architecture: str) -> tuple[str, str, str, str] | None:
    """(abi, libc, os, cpu) of an architecture name, or ``None`` for a name that dpkg does not know.

    Example:
        >>> tuple_of("armhf")
        ('eabihf', 'gnu', 'linux', 'arm')
        >>> tuple_of("hurd-amd64")
        ('base', 'gnu', 'hurd', 'amd64')
    """
    for prefix, (libc, system) in _SYSTEMS.items():
        short = architecture.removeprefix(prefix)
        if prefix and short == architecture:
            continue
        if short in _ABIS:
            abi, cpu = _ABIS[short]
            return abi, libc, system, cpu
        if short in _CPUS:
            return "base", libc, system, short
    return None


@functools.cache
def matches(architecture: str, term: str) -> bool:
    """Does an architecture match a name or wildcard of a restriction (``[linux-any]``) or field?

    Example:
        >>> matches("amd64", "linux-any"), matches("hurd-amd64", "linux-any"), matches("armhf", "any-arm")
        (True, False, True)
        >>> matches("armhf", "linux-armhf"), matches("hurd-amd64", "linux-amd64")
        (True, False)
    """
    if term in (architecture, "any"):
        return True
    parts = term.split("-")
    if "any" not in parts:
        # dpkg reads "linux-" and the part after it as the name that this part is (Dpkg::Arch).
        return parts[0] == "linux" and parts[1:2] == [architecture] and tuple_of(architecture) is not None
    if len(parts) > 4:
        return False
    own = tuple_of(architecture)
    if own is None:
        return False
    pattern = ["any"] * (4 - len(parts)) + parts
    return all(p in ("any", o) for p, o in zip(pattern, own, strict=True))


def field_matches(architecture: str, field: str) -> bool:
    """Does a source with this ``Architecture`` field build anything for ``architecture`` (or for ``all``)?"""
    return any(term == "all" or matches(architecture, term) for term in field.split())


def known_architectures() -> list[str]:
    """Every Linux/glibc and Hurd name, for messages.

    Example:
        >>> "hppa" in known_architectures()
        True
    """
    linux = {*_CPUS, *_ABIS} - {"arm"}
    return sorted(linux | {"hurd-i386", "hurd-amd64", "kfreebsd-amd64", "kfreebsd-i386"})


def nearest(name: str, known: list[str], count: int = 3) -> list[str]:
    """The names most like a mistyped one, best first; empty when nothing is near."""
    return difflib.get_close_matches(name, known, n=count, cutoff=0.6)
