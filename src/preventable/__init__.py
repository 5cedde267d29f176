"""Preventable: how much of a code base's vulnerabilities was structurally preventable. Public names only.

Example:
    >>> import preventable
    >>> evidence = preventable.load_facts()
    >>> rows = preventable.share(preventable.select(evidence), preventable.load_taxonomy(), period="all")
    >>> {r.methodology for r in rows} >= {"strict", "broad", "cwe-1399", "openssf"}
    True
"""

from preventable.public import PUBLIC
from preventable.public import load_public as __getattr__
from preventable.version import __version__

__all__ = ["PUBLIC", "__getattr__", "__version__"]
