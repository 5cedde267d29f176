"""Badges in the JSON that shields-style servers read (``/endpoint``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def gate_badge(findings: int) -> dict[str, Any]:
    """Clean or not.

    Example:
        >>> gate_badge(0)["message"], gate_badge(2)["message"]
        ('holds', '2 findings')
    """
    message = "holds" if findings == 0 else f"{findings} finding{'s' if findings > 1 else ''}"
    return _badge("memory-safety gate", message, "brightgreen" if findings == 0 else "red")


def unsafe_badge(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Share of Rust code lines (bucket ``code``) inside unsafe; ``unknown`` when a file is indeterminate.

    Example:
        >>> unsafe_badge([])["message"]
        'no Rust'
    """
    rust = [r for r in rows if r["language"] == "Rust" and r["bucket"] == "code"]
    if not rust:
        return _badge("unsafe Rust", "no Rust", "lightgrey")
    unknown = sum(r["indeterminate_files"] for r in rust)
    known = [r for r in rust if r["unsafe_lines"] is not None]
    code = sum(r["code"] or 0 for r in rust)
    if not known or not code:
        return _badge("unsafe Rust", "unknown", "lightgrey")
    inside = sum(r["unsafe_lines"] for r in known)
    share = f"{100 * inside / code:.1f}% of {code:,} lines"
    if unknown:
        return _badge("unsafe Rust", f"at least {share}, {unknown} files unknown", "yellow")
    return _badge("unsafe Rust", share, "blue")


def _badge(label: str, message: str, color: str) -> dict[str, Any]:
    return {"schemaVersion": 1, "label": label, "message": message, "color": color}
