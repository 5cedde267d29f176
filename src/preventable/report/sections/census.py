"""The section of a saved census: how much of what, and how much of the Rust is unsafe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

_SHOWN_LANGUAGES = 12
_SHOWN_COMPONENTS = 25
_BUCKETS = ("code", "test", "generated", "vendored")


def section(envelope: Mapping[str, Any]) -> Section:
    """Render the JSON of ``preventable census``."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    languages = _languages(rows)
    unsafe = _unsafe(rows)
    own = sum(row["code"] or 0 for row in languages)
    c_family = sum(row["code"] or 0 for row in languages if row["language"] in ("C", "C Header", "C++", "C++ Header"))
    rust = sum(row["code"] or 0 for row in languages if row["language"] == "Rust")
    sentences = [
        f"The tree has {own:,} lines of code outside vendored, generated and test code; {c_family:,} of them are "
        f"C or C++ ({_percent(c_family, own)}) and {rust:,} are Rust ({_percent(rust, own)})."
    ]
    if unsafe:
        inside = sum(row["unsafe_lines"] or 0 for row in unsafe)
        sites = sum(row["sites"] or 0 for row in unsafe)
        documented = sum(row["safety_comments"] or 0 for row in unsafe)
        sentences.append(
            f"{inside:,} of {rust:,} lines of Rust are inside unsafe ({_percent(inside, rust)}); {documented:,} of "
            f"{sites:,} unsafe blocks and impls outside macros or in them say why they are sound."
        )
    unknown = sum(row["indeterminate_files"] for row in rows)
    if unknown:
        sentences.append(f"{unknown:,} Rust files could not be parsed; their unsafe code is unknown, not zero.")
    not_counted = len(envelope.get("not_counted", ()))
    if not_counted:
        sentences.append(f"{not_counted:,} paths were not counted (links, submodules, binary or too large files).")
    figures = [_language_figure(languages, own, envelope)]
    if unsafe:
        figures.append(_unsafe_figure(unsafe))
    return Section("census", "What is there", tuple(sentences), tuple(figures))


def _languages(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("files", *_BUCKETS), 0))
    for row in rows:
        total = sums[row["language"]]
        total["files"] += row["files"]
        total[row["bucket"]] += row["code"] or 0
    table: list[dict[str, Any]] = [{"language": name, **counts} for name, counts in sums.items()]
    return sorted(table, key=lambda row: (-row["code"], row["language"]))


def _unsafe(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    table = []
    for row in rows:
        if row["language"] != "Rust" or row["bucket"] != "code":
            continue
        known = row["unsafe_lines"] is not None
        names = ("unsafe_blocks", "unsafe_impls", "macro_unsafe_blocks", "macro_unsafe_impls")
        table.append(
            {
                "component": row["component"],
                "code": row["code"],
                "unsafe_lines": row["unsafe_lines"],
                "share": row["unsafe_lines"] / row["code"] if known and row["code"] else None,
                "sites": sum(row.get(n) or 0 for n in names) if known else None,
                "safety_comments": row["safety_comments"] + (row.get("macro_safety_comments") or 0) if known else None,
                "indeterminate_files": row["indeterminate_files"],
            }
        )
    return sorted(table, key=lambda row: (-(row["share"] or 0), row["component"]))


def _language_figure(languages: Sequence[Mapping[str, Any]], own: int, envelope: Mapping[str, Any]) -> Figure:
    shown = languages[:_SHOWN_LANGUAGES]
    data = [{"language": r["language"], "bucket": b, "lines": r[b]} for r in shown for b in _BUCKETS if r[b]]
    chart = (
        alt.Chart(alt.Data(values=data))  # type: ignore[no-untyped-call]  # the schema classes have no types
        .mark_bar()
        .encode(
            x=alt.X("lines:Q", title="lines of code", stack=True),
            y=alt.Y("language:N", sort=[r["language"] for r in shown], title=None),
            color=alt.Color("bucket:N", sort=list(_BUCKETS), title="bucket"),
            tooltip=["language:N", "bucket:N", alt.Tooltip("lines:Q", format=",")],
        )
        .properties(width="container", height=alt.Step(20))
    )
    top = shown[0]
    return Figure(
        id="census-languages",
        title=f"{top['language']} is {_percent(top['code'], own)} of {own:,} lines of code",
        how=(
            f"Lines of code as counted by {envelope.get('counter', 'the counter')}, comments and blank lines left out. "
            "Vendored, generated and test code are buckets of their own, decided by the case file, linguist "
            f"attributes, known directories, names and markers. Header rule: {envelope.get('headers', 'auto')}."
        ),
        chart=chart.to_dict(),
        alt="Bars of lines of code per language, split by bucket: "
        + "; ".join(f"{r['language']} {r['code']:,}" for r in shown[:5])
        + ".",
        table=Table(
            (
                Column("language", "Language"),
                Column("files", "Files", "count"),
                Column("code", "Code", "count"),
                Column("test", "Test code", "count"),
                Column("generated", "Generated", "count"),
                Column("vendored", "Vendored", "count"),
            ),
            languages,
        ),
    )


def _unsafe_figure(unsafe: Sequence[Mapping[str, Any]]) -> Figure:
    shown = [row for row in unsafe if row["share"] is not None][:_SHOWN_COMPONENTS]
    code = sum(row["code"] or 0 for row in unsafe)
    inside = sum(row["unsafe_lines"] or 0 for row in unsafe)
    chart = (
        alt.Chart(alt.Data(values=[dict(row) for row in shown]))  # type: ignore[no-untyped-call]  # as above
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of Rust lines inside unsafe", axis=alt.Axis(format=".0%")),
            y=alt.Y("component:N", sort=[row["component"] for row in shown], title=None),
            tooltip=["component:N", alt.Tooltip("share:Q", format=".2%"), alt.Tooltip("code:Q", format=",")],
        )
        .properties(width="container", height=alt.Step(20))
    )
    return Figure(
        id="census-unsafe",
        title=f"{_percent(inside, code)} of {code:,} lines of Rust are inside unsafe",
        how=(
            "Lines of code inside unsafe blocks and bodies of unsafe functions, from the syntax tree, over all lines "
            "of Rust code of the component; macro bodies are not among them. Sites are unsafe blocks and impls, also "
            "in macro bodies. Files that do not parse are left out of the numerator: then the share is a lower bound."
        ),
        chart=chart.to_dict(),
        alt="Bars of the share of Rust lines inside unsafe per component: "
        + "; ".join(f"{row['component']} {row['share']:.1%}" for row in shown[:5])
        + ".",
        table=Table(
            (
                Column("component", "Component"),
                Column("code", "Rust lines", "count"),
                Column("unsafe_lines", "Inside unsafe", "count"),
                Column("share", "Share", "share"),
                Column("sites", "Unsafe sites", "count"),
                Column("safety_comments", "With SAFETY comment", "count"),
                Column("indeterminate_files", "Files unknown", "count"),
            ),
            unsafe,
        ),
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "no share"
