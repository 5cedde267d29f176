"""``preventable list``: readers, methodologies and interventions."""

from __future__ import annotations

import click

from preventable.cli import output
from preventable.cli.feeds import open_case
from preventable.readers.registry import READERS
from preventable.taxonomy.loader import STATES, Taxonomy


@click.command("list")
@click.argument("what", type=click.Choice(["readers", "methodologies", "interventions", "classes"]))
@output.format_option()
def command(what: str, fmt: str) -> None:
    """List what there is, with sources. Methodologies and interventions beside a case file here are included.

    \b
    Example: preventable list interventions
    """
    taxonomy = open_case(None, None).taxonomy
    rows = {
        "readers": _readers,
        "methodologies": _methodologies,
        "interventions": _interventions,
        "classes": _classes,
    }[what](taxonomy)
    output.write_rows(rows, fmt, kind=what, columns=list(rows[0]))


def _readers(_taxonomy: Taxonomy) -> list[dict[str, object]]:
    return [
        {
            "reader": r.name,
            "title": r.title,
            "gives": r.kind,
            "experimental": r.experimental,
            "licence": r.licence,
            "where": r.where,
        }
        for r in READERS.values()
    ]


def _methodologies(taxonomy: Taxonomy) -> list[dict[str, object]]:
    return [
        {
            "methodology": m.id,
            "title": m.title,
            "decides": f"{len(m.cwes_in)} CWEs" if m.cwes_only else " ".join(m.classes),
            "source": m.source,
        }
        for m in taxonomy.methodologies.values()
    ]


def _interventions(taxonomy: Taxonomy) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for i in taxonomy.interventions.values():
        for weakness in taxonomy.classes:
            cell = i.cell(weakness)
            if not cell.states and weakness not in i.cells:
                continue
            rows.append(
                {
                    "intervention": i.id,
                    "class": weakness,
                    **{s: cell.states.get(s) if cell.states else None for s in STATES},
                    "counts": " ".join(f"{k}={v}" for k, v in cell.counts.items()) if cell.counts else None,
                    "probability": cell.detection_probability,
                    "source": cell.source or f"not available: {cell.unavailable}",
                }
            )
    return rows


def _classes(taxonomy: Taxonomy) -> list[dict[str, object]]:
    return [
        {
            "class": c.id,
            "title": c.title,
            "cwes": sum(1 for w in taxonomy.cwe_class.values() if w == c.id),
            "text": c.text,
            "source": c.source,
        }
        for c in taxonomy.classes.values()
    ]
