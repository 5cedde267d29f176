"""What ``preventable ports`` says below its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from preventable.cli import output
from preventable.studies.ports.survey import Findings
from preventable.studies.ports.terms import Question

COLUMNS = [
    "suite",
    "arch",
    "level",
    "sources_unbuildable",
    "binaries_uninstallable",
    "essential",
    "required",
    "important",
]


def counted(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the number of names in place of each list."""
    return [
        {**r, **{k: None if r[k] is None else len(r[k]) for k in ("essential", "required", "important")}} for r in rows
    ]


def tell_more(findings: Findings, question: Question) -> None:
    """Below the table: the base kept, hubs, bootstrap, and the chains that were asked for."""
    kept = [r for a in findings.answers for r in a.with_base_kept]
    if kept:
        click.echo("\nWith the base kept: what Essential and build-essential need stays buildable")
        output.write_rows(counted(kept), "table", kind="ports", columns=COLUMNS)
    _tell_hubs([h for a in findings.answers for h in a.hubs], limited=bool(question.maintainers or question.only))
    for b in (b for a in findings.answers for b in a.bootstrap):
        if "via" in b:
            click.echo(f"  it depends on {b['via']}; were that missing, too: {b['verdict']} ({b['why']})")
            continue
        click.echo(f"\nBootstrap of {b['tool']} on {b['suite']}:{b['arch']}: {b['verdict']} ({b['why']})")
        if b["builds_with"]:
            click.echo(f"  it builds with: {' '.join(b['builds_with'])}")
    for need in (n for a in findings.answers for n in a.needs):
        click.echo(f"\n{need['package']} and {need['tool']} on {need['suite']}:{need['arch']}")
        for member in ("build_direct", "build_needs", "run_needs", "run_needs_package_built_with_it"):
            click.echo(f"  {member.replace('_', ' ')}: {_word(need[member])}")
        for path in need["paths"]:
            click.echo("  " + "\n    → ".join(f"{s['package']} {s['why']}" for s in path["chain"]))
    for reason in (r for a in findings.answers for r in a.reasons) if question.why or question.reasons else ():
        click.echo(
            f"\n{reason['package']} on {reason['suite']}:{reason['arch']}: {reason['status']}"
            + (f" in round {reason['round']}" if reason["round"] else "")
        )
        for step in reason["chain"]:
            click.echo(f"  {step['package']} {step['why']}")


def _tell_hubs(hubs: Sequence[Mapping[str, Any]], *, limited: bool) -> None:
    """The ladder of each place; in one line where no rung saves more than itself."""
    telling: list[Mapping[str, Any]] = []
    for suite, arch in dict.fromkeys((h["suite"], h["arch"]) for h in hubs):
        own = [h for h in hubs if (h["suite"], h["arch"]) == (suite, arch)]
        if any(h["saved"] > 1 for h in own):
            telling.extend(own)
            continue
        beside = "beside the base " if own[0]["base_kept"] else ""
        click.echo(
            f"\nHubs on {suite}:{arch}: none. Keeping {', '.join(h['source'] for h in own)} {beside}saves no source "
            f"but these, since the loss has several causes at once ({own[-1]['sources_left']:,} sources "
            f"{'of those asked for ' if limited else ''}are left)"
        )
    if telling:
        base = "; the base kept" if any(h["base_kept"] for h in telling) else ""
        counts = "; only the sources asked for are counted" if limited else ""
        click.echo(f"\nHubs: the source through which most falls; with that kept, the next; and so on{base}{counts}")
        columns = ["suite", "arch", "source", "sources_through", "saved", "sources_left"]
        output.write_rows(telling, "table", kind="ports", columns=columns)


def _word(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"
