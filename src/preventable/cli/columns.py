"""``--column FIELD=COLUMN``; apart from the other feed options, so that ``label`` starts without tables."""

from __future__ import annotations

from collections.abc import Sequence

from preventable.errors import UsageError


def columns_of(columns: Sequence[str]) -> dict[str, str]:
    """``FIELD=COLUMN`` pairs as a mapping."""
    out = {}
    for pair in columns:
        field, equals, column = pair.partition("=")
        if not equals or not field or not column:
            raise UsageError(f"{pair!r} is not FIELD=COLUMN", field="--column", hint="For example --column id=Key")
        out[field] = column
    return out
