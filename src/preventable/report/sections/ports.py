"""The section for a saved result of ``preventable ports``: matrix, hubs, and the tree of reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

_LEVELS = ["one", "two", "full"]
_REASONS_SHOWN = 300


def section(envelope: Mapping[str, Any]) -> Section:
    """Turn a saved result into sentences, a matrix of architectures and levels, hubs and reasons."""
    rows: Sequence[Mapping[str, Any]] = envelope.get("results", ())
    question: Mapping[str, Any] = envelope.get("question", {})
    figures: list[Figure] = []
    if question.get("today"):
        figures.extend(_today(rows, envelope))
    else:
        if rows:
            figures.append(_matrix(rows, "matrix", envelope))
        if envelope.get("with_base_kept"):
            figures.append(_matrix(envelope["with_base_kept"], "base-kept", envelope))
        if envelope.get("hubs"):
            figures.append(_hubs(envelope["hubs"]))
        if envelope.get("reasons"):
            figures.append(_reasons(envelope["reasons"]))
    if envelope.get("bootstrap"):
        figures.append(_bootstrap(envelope["bootstrap"]))
    return Section("ports", "Which platforms lose?", tuple(_sentences(rows, envelope)), tuple(figures))


def _sentences(rows: Sequence[Mapping[str, Any]], envelope: Mapping[str, Any]) -> list[str]:
    question: Mapping[str, Any] = envelope.get("question", {})
    tools = ", ".join([*question.get("remove", ()), *question.get("requires", ())])
    dates = sorted({str(i["data_date"]) for i in envelope.get("inputs", ()) if i.get("data_date")})
    when = f" (archive of {', '.join(dates)})" if dates else ""
    out: list[str] = []
    if question.get("today"):
        for need in envelope.get("needs", ()):
            out.append(_need_sentence(need) + when + ".")
    for row in rows:
        where = f"{row['suite']}:{row['arch']}"
        if question.get("today"):
            out.append(
                f"{where}: {_count(row['sources_need'])} of {_count(row['sources'])} sources need "
                f"{row['tool']} to be built, {_count(row['sources_direct'])} of them by a build dependency "
                f"of their own{when}."
            )
        elif row["level"] == "full":
            subject = (
                f"if {', '.join(question.get('packages', ()))} needed {tools}"
                if question.get("requires") and question.get("packages")
                else f"without {tools}"
            )
            out.append(
                f"{where}: {subject}, {_count(row['sources_unbuildable'])} sources could no longer be "
                f"built and {_count(row['binaries_uninstallable'])} binary packages no longer be "
                f"installed{when}."
            )
    for row in envelope.get("with_base_kept", ()):
        if row["level"] == "full":
            out.append(
                f"{row['suite']}:{row['arch']}, with the base kept (what Essential and build-essential need): "
                f"{_count(row['sources_unbuildable'])} sources and {_count(row['binaries_uninstallable'])} binary "
                "packages in the end."
            )
    out.extend(str(limit) + "." for limit in envelope.get("limits", ()))
    return out


def _need_sentence(need: Mapping[str, Any]) -> str:
    words = {True: "yes", False: "no", None: "unknown"}
    return (
        f"{need['package']} {need['version'] or ''} and {need['tool']} on {need['suite']}:{need['arch']}: "
        f"build dependency of its own {words[need['build_direct']]}, needed to run "
        f"{words[need['run_needs']]}, needs a package at run time that is built with it "
        f"{words[need['run_needs_package_built_with_it']]}"
    )


def _inline(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as data inside the chart (altair's constructor carries no types)."""
    make: Any = alt.Data
    return make(values=[dict(r) for r in rows])


def _count(value: int | None) -> str:
    return "an unknown number of" if value is None else f"{value:,}"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _places(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many architectures, and of which suites."""
    suites = list(dict.fromkeys(str(r["suite"]) for r in rows))
    arches = {r["arch"] for r in rows}
    return f"{len(arches)} {'architecture' if len(arches) == 1 else 'architectures'} of {', '.join(suites)}"


def _matrix(rows: Sequence[Mapping[str, Any]], name: str, envelope: Mapping[str, Any]) -> Figure:
    data = [
        {
            "place": f"{r['suite']}:{r['arch']}",
            "level": r["level"],
            "sources": r["sources_unbuildable"],
            "binaries": r["binaries_uninstallable"],
            "essential": None if r["essential"] is None else len(r["essential"]),
            "required": None if r["required"] is None else len(r["required"]),
            "important": None if r["important"] is None else len(r["important"]),
        }
        for r in rows
    ]
    known = [d for d in data if d["sources"] is not None]
    base = alt.Chart(_inline(known)).encode(
        x=alt.X("level:N", sort=_LEVELS, title="level"), y=alt.Y("place:N", title=None)
    )
    chart = base.mark_rect().encode(
        color=alt.Color("sources:Q", title="sources lost", scale=alt.Scale(scheme="oranges", type="symlog"))
    ) + base.mark_text().encode(text=alt.Text("sources:Q", format=","))
    worst = max(known, key=lambda d: (d["sources"], d["binaries"] or 0), default=None)
    kept = ", with the base kept" if name == "base-kept" else ""
    title = (
        f"At most {worst['sources']:,} sources and {worst['binaries'] or 0:,} binaries lost, on {worst['place']}{kept}"
        if worst
        else "What is lost is unknown"
    )
    policy: Mapping[str, Any] = envelope.get("policy", {})
    how = (
        "Newest sources that could be built before and cannot after, and binary packages that could be "
        "installed before and cannot after; one: who loses the toolchain; two: one round on; full: the end. "
        f"Build profiles: {' '.join(policy.get('profiles', ())) or 'none'}; alternatives: "
        f"{'first' if policy.get('first_alternative') else 'any'}. Architecture-independent binaries survive."
    )
    if name == "base-kept":
        how += " Here the sources of what Essential and build-essential need are supposed to stay buildable."
    return Figure(
        id=f"ports-{name}",
        title=title,
        how=how,
        chart=chart.properties(width=240).to_dict(),
        alt=f"Matrix of architectures and levels; the colour is the number of sources lost. {title}.",
        table=Table(
            (
                Column("place", "suite and architecture"),
                Column("level", "level"),
                Column("sources", "sources unbuildable", "count"),
                Column("binaries", "binaries uninstallable", "count"),
                Column("essential", "essential", "count"),
                Column("required", "required", "count"),
                Column("important", "important", "count"),
            ),
            data,
        ),
    )


def _hubs(hubs: Sequence[Mapping[str, Any]]) -> Figure:
    data = [
        {**h, "place": f"{h['suite']}:{h['arch']}", "rung": f"{i + 1}. {h['source']}"}
        for place in dict.fromkeys((h["suite"], h["arch"]) for h in hubs)
        for i, h in enumerate(h for h in hubs if (h["suite"], h["arch"]) == place)
    ]
    chart = (
        alt.Chart(_inline(data))
        .mark_bar()
        .encode(
            x=alt.X("sources_left:Q", title="sources still lost if this and all above stayed"),
            y=alt.Y("rung:N", sort=None, title=None),
            row=alt.Row("place:N", title=None),
        )
        .properties(width=360)
    )
    firsts = [d for d in data if d["rung"].startswith("1. ")]
    source, times = Counter(d["source"] for d in firsts).most_common(1)[0]
    through = [d["sources_through"] for d in firsts if d["source"] == source]
    where = f"on {firsts[0]['place']}" if len(firsts) == 1 else f"on {times} of {len(firsts)} architectures"
    base = ", the base kept" if any(d.get("base_kept") for d in data) else ""
    title = f"{source} is the first hub {where}{base}: {_range(through)} sources fall through it"
    return Figure(
        id="ports-hubs",
        title=title,
        how=(
            "A ladder. Each lost source has a chain of reasons; the hub is the source through which most "
            "chains pass. It is then supposed to stay, the loss is played again, and the next hub is found. Where the "
            "loss takes part of the base, the ladder starts with the base kept."
        ),
        chart=chart.to_dict(),
        alt=f"Bars, one per hub, with the sources still lost when it stays. {title}.",
        table=Table(
            (
                Column("place", "suite and architecture"),
                Column("source", "source"),
                Column("sources_through", "sources through it", "count"),
                *((Column("saved", "saved", "count"),) if all("saved" in d for d in data) else ()),
                Column("sources_left", "sources still lost", "count"),
            ),
            data,
        ),
    )


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> Figure:
    """The tree of reasons as an indented table: each node once, below what it is put down to."""
    shown = [r for r in reasons if r.get("chain")][:_REASONS_SHOWN]
    children: dict[str, dict[str, str]] = {}
    roots: dict[str, str] = {}
    for reason in shown:
        chain = [*reason["chain"]]
        place = f"{reason.get('suite', '')}:{reason.get('arch', '')}"
        keys = [f"{place} {s['package']}" for s in chain]
        roots.setdefault(keys[-1], chain[-1]["why"])
        for child, parent, step in zip(keys, keys[1:], chain, strict=False):
            children.setdefault(parent, {}).setdefault(child, step["why"])
    rows: list[dict[str, object]] = []
    seen: set[str] = set()

    def walk(key: str, why: str, depth: int) -> None:
        if key in seen:
            return
        seen.add(key)
        place, _, package = key.partition(" ")
        rows.append({"tree": "\u2003" * depth + package, "place": place, "why": why, "depth": depth})
        for child, said in sorted(children.get(key, {}).items()):
            walk(child, said, depth + 1)

    for key, why in roots.items():
        walk(key, why, 0)
    more = f" (the first {_REASONS_SHOWN} of {len(reasons):,})" if len(reasons) > _REASONS_SHOWN else ""
    return Figure(
        id="ports-reasons",
        title=f"Why {len(shown):,} packages fall{more}",
        how="Every package stands below the one whose loss decided; the roots are what was taken away.",
        table=Table((Column("tree", "package"), Column("place", "suite and architecture"), Column("why", "why")), rows),
    )


def _bootstrap(told: Sequence[Mapping[str, Any]]) -> Figure:
    rows = [
        {
            "place": f"{b['suite']}:{b['arch']}",
            "tool": f"{b['via']}, on which {b['tool']} depends" if b.get("via") else b["tool"],
            "verdict": b["verdict"],
            "why": b["why"],
            "blocked": "; ".join(x["clause"] for x in b["blocked_by"]),
            "builds_with": " ".join(b["builds_with"]),
        }
        for b in told
    ]
    verdicts: dict[str, Counter[str]] = {}
    for b in told:
        if not b.get("via"):
            verdicts.setdefault(b["tool"], Counter())[b["verdict"]] += 1
    said = []
    for tool, counts in verdicts.items():
        total = counts.total()
        places = f" on {rows[0]['place']}" if len(told) == 1 else f" on all {total} architectures" if total > 1 else ""
        if len(counts) == 1:
            said.append(f"{tool}{places}: {next(iter(counts))}")
        else:
            said.append(f"{tool}: {', '.join(f'{v} on {n} of {total} architectures' for v, n in counts.items())}")
    return Figure(
        id="ports-bootstrap",
        title=f"Bootstrap of {'; '.join(said)}",
        how=(
            "The toolchain's binaries are taken away, nothing else. What a tool depends on has a row of its own: what "
            "if that were missing, too."
        ),
        table=Table(
            (
                Column("place", "suite and architecture"),
                Column("tool", "toolchain"),
                Column("verdict", "can it be built"),
                Column("why", "why"),
                Column("blocked", "what fails"),
                Column("builds_with", "sources it builds with"),
            ),
            rows,
        ),
    )


def _today(rows: Sequence[Mapping[str, Any]], envelope: Mapping[str, Any]) -> list[Figure]:
    data = [{**r, "place": f"{r['suite']}:{r['arch']}"} for r in rows]
    known = [d for d in data if d["sources_direct"] is not None]
    chart = (
        alt.Chart(_inline(known))
        .mark_bar()
        .encode(
            x=alt.X("sources_direct:Q", title="sources that build-depend on the tool"),
            y=alt.Y("place:N", sort=None, title=None),
            color=alt.Color("tool:N", title=None),
        )
        .properties(width=360)
    )
    said = []
    for tool in dict.fromkeys(d["tool"] for d in known):
        own = [d for d in known if d["tool"] == tool]
        where = f"on {own[0]['place']}" if len(own) == 1 else f"over {_places(own)}"
        said.append(f"{_range([d['sources_direct'] for d in own])} sources build-depend on {tool} {where}")
    title = "; ".join(said) or "Who needs the tool is unknown"
    figures = [
        Figure(
            id="ports-today",
            title=title,
            how=(
                "direct: a build dependency that only the tool's own binaries meet. need: unbuildable if "
                "these were missing. two, full: with what falls in turn."
            ),
            chart=chart.to_dict(),
            alt=f"Bars, one per suite and architecture. {title}.",
            table=Table(
                (
                    Column("place", "suite and architecture"),
                    Column("tool", "tool"),
                    Column("has_tool", "has it"),
                    Column("sources", "sources", "count"),
                    Column("sources_direct", "direct", "count"),
                    Column("sources_need", "need it", "count"),
                    Column("sources_two", "two", "count"),
                    Column("sources_full", "full", "count"),
                ),
                data,
            ),
        )
    ]
    needs: Sequence[Mapping[str, Any]] = envelope.get("needs", ())
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for n in needs:
        for p in n["paths"]:
            key = n["package"], p["kind"], " → ".join(s["package"] for s in p["chain"])
            found.setdefault(key, {})[f"{n['suite']}:{n['arch']}"] = None
    paths = [
        {"place": " ".join(places), "package": package, "kind": kind, "path": path}
        for (package, kind, path), places in found.items()
    ]
    if paths:
        figures.append(
            Figure(
                id="ports-paths",
                title=(
                    f"{len(paths)} distinct {'path' if len(paths) == 1 else 'paths'} by which packages need the tool "
                    f"today, over {_places(needs)}"
                ),
                how="Clauses that only the tool, or what is built with it, can meet; and so on from there.",
                table=Table(
                    (
                        Column("place", "suites and architectures"),
                        Column("package", "package"),
                        Column("kind", "to build or to run"),
                        Column("path", "path"),
                    ),
                    paths,
                ),
            )
        )
    return figures
