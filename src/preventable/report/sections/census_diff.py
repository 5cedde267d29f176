"""The section of a saved difference of two censuses: what grew and what shrank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

_SHOWN_LANGUAGES = 12
_SHOWN_COMPONENTS = 25
_BUCKETS = ("code", "test", "generated", "vendored")


def section(envelope: Mapping[str, Any]) -> Section:
    """Render the JSON of ``preventable census diff``."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    before, after = (_name(i) for i in envelope["inputs"])
    span = f"from {before} to {after}"
    if not rows:
        return Section("census-diff", "What changed", (f"Nothing that is counted changed {span}.",), short="Change")
    languages = _by_language(rows)
    own = [row for row in languages if row["code"] is not None]
    named = [row for row in own if row["code"]][:3]
    parts = "; ".join(f"{r['language']} {r['code']:+,}" for r in named)
    sentences = [f"Lines of code {span}, the largest changes: {parts}." if parts else f"No line of code more {span}."]
    rust = [r for r in rows if r["language"] == "Rust" and r["bucket"] == "code"]
    if rust:
        sentences.append(_unsafe_sentence(rust))
    files = envelope.get("files")
    if files is not None:
        sentences.append(f"{len(files):,} file{'s differ' if len(files) != 1 else ' differs'}.")
    unread = len(envelope.get("not_counted", ()))
    if unread:
        sentences.append(f"{unread:,} of the paths that differ were not counted (links, submodules, unreadable files).")
    figures = [_language_figure(languages, span, envelope), _component_figure(rows, span)]
    return Section("census-diff", "What changed", tuple(sentences), tuple(f for f in figures if f), short="Change")


def _unsafe_sentence(rust: Sequence[Mapping[str, Any]]) -> str:
    blocks, lines = (_sum(rust, f"unsafe_{name}_delta") for name in ("blocks", "lines"))
    if blocks is None or lines is None:
        unknown = sum(r["unsafe_blocks_delta"] is None for r in rust)
        return (
            f"The change of unsafe Rust is unknown in {unknown:,} of {len(rust):,} components: a file does not parse."
        )
    return f"Unsafe Rust, tests and macro bodies apart: {blocks:+,} blocks, {lines:+,} lines inside unsafe."


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """The sum, unknown as soon as one part is."""
    values = [row[name] for row in rows]
    return None if None in values else sum(values)


def _by_language(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = []
    for language in sorted({row["language"] for row in rows}):
        group = [row for row in rows if row["language"] == language]
        entry: dict[str, Any] = {"language": language, "files": _sum(group, "files_delta")}
        entry |= {b: _sum([r for r in group if r["bucket"] == b], "code_delta") for b in _BUCKETS}
        table.append(entry)
    return sorted(table, key=lambda row: (-abs(row["code"] or 0), row["language"]))


def _language_figure(languages: Sequence[Mapping[str, Any]], span: str, envelope: Mapping[str, Any]) -> Figure:
    shown = [row for row in languages if any(row[b] for b in _BUCKETS)][:_SHOWN_LANGUAGES]
    data = [{"language": r["language"], "bucket": b, "lines": r[b]} for r in shown for b in _BUCKETS if r[b]]
    total = _sum(languages, "code")
    chart = (
        alt.Chart(alt.Data(values=data))  # type: ignore[no-untyped-call]  # the schema classes have no types
        .mark_bar()
        .encode(
            x=alt.X("lines:Q", title="lines of code, after minus before", axis=alt.Axis(format="+,d", tickMinStep=1)),
            y=alt.Y("language:N", sort=[r["language"] for r in shown], title=None),
            color=alt.Color("bucket:N", sort=list(_BUCKETS), title="bucket"),
            tooltip=["language:N", "bucket:N", alt.Tooltip("lines:Q", format="+,")],
        )
        .properties(width="container", height=alt.Step(20))
    )
    return Figure(
        id="census-diff-languages",
        title="The change in lines of code is unknown"
        if total is None
        else f"{total:+,} lines of code outside vendored, generated and test code",
        how=(
            f"Lines of code after minus before, {span}, counted by {envelope.get('counter', 'the counter')}; comments "
            "and blank lines left out. A file that moves between buckets or components takes its lines with it."
        ),
        chart=chart.to_dict() if data else None,
        alt="Bars of the change in lines of code per language, split by bucket: "
        + "; ".join(f"{r['language']} {r['code']:+,}" for r in shown[:5] if r["code"] is not None)
        + ".",
        table=Table(
            (
                Column("language", "Language"),
                Column("files", "Files, change", "count"),
                Column("code", "Code, change", "count"),
                Column("test", "Test code, change", "count"),
                Column("generated", "Generated, change", "count"),
                Column("vendored", "Vendored, change", "count"),
            ),
            languages,
        ),
    )


def _component_figure(rows: Sequence[Mapping[str, Any]], span: str) -> Figure | None:
    own = [row for row in rows if row["bucket"] == "code"]
    table = []
    for component in sorted({row["component"] for row in own}):
        group = [row for row in own if row["component"] == component]
        rust = [row for row in group if row["language"] == "Rust"]
        table.append(
            {
                "component": component,
                "code": _sum(group, "code_delta"),
                "rust": _sum(rust, "code_delta"),
                "unsafe_blocks": _sum(rust, "unsafe_blocks_delta"),
                "unsafe_lines": _sum(rust, "unsafe_lines_delta"),
            }
        )
    table.sort(key=lambda row: (-abs(row["code"] or 0), row["component"]))
    if not table:
        return None
    shown = table[:_SHOWN_COMPONENTS]
    columns = [Column("component", "Component"), Column("code", "Code, change", "count")]
    if any(row["language"] == "Rust" for row in own):
        columns += [
            Column("rust", "Rust, change", "count"),
            Column("unsafe_blocks", "Unsafe blocks, change", "count"),
            Column("unsafe_lines", "Lines inside unsafe, change", "count"),
        ]
    more = f" The table shows the {_SHOWN_COMPONENTS} that changed most." if len(table) > len(shown) else ""
    first = shown[0]
    change = f"{first['code']:+,} lines of code" if first["code"] is not None else "an unknown number of lines"
    return Figure(
        id="census-diff-components",
        title=f"{first['component']} changed most: {change}",
        how=(
            f"Bucket code, {span}, over all languages. Unsafe counts are null where a file that changed does not "
            f"parse: unknown, not zero.{more}"
        ),
        table=Table(tuple(columns), shown),
    )


def _name(source: Mapping[str, Any]) -> str:
    """A revision by the name it was given, another tree by its last part."""
    location = str(source["location"]).rstrip("/")
    if source["kind"] == "revision":
        return location.rpartition("@")[2]
    return location.rpartition("/")[2].removesuffix(".json") or location
