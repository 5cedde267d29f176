"""Preventable: how much of a code base's vulnerabilities was structurally preventable. Public names only."""

from preventable.version import __version__

__all__ = ["__version__"]
