"""Which kinds of saved results can be added to a report."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from preventable.errors import FormatError
from preventable.readers.case_file import nearest
from preventable.records import SCHEMA_VERSION
from preventable.report.model import Section

KINDS: dict[str, str] = {
    "census": "preventable.report.sections.census",
    "census_diff": "preventable.report.sections.census_diff",
    "census_series": "preventable.report.sections.census_series",
    "gate": "preventable.report.sections.gate",
    "share": "preventable.report.sections.share",
    "lineage": "preventable.report.sections.lineage",
    "contributors": "preventable.report.sections.contributors",
    "origin": "preventable.report.sections.origin",
    "compare": "preventable.report.sections.compare",
    "pairs": "preventable.report.sections.pairs",
    "lifetimes": "preventable.report.sections.lifetimes",
    "claims": "preventable.report.sections.claims",
    "ports": "preventable.report.sections.ports",
}


def included_section(envelope: Mapping[str, Any]) -> Section:
    """The section for a saved result.

    Raises:
        FormatError: the kind is not one that reports show, the version differs, or a member is missing.
    """
    kind = str(envelope.get("kind"))
    if kind not in KINDS:
        raise FormatError(
            f"a saved result of kind {kind!r} cannot be included",
            field="kind",
            hint=f"Kinds: {', '.join(KINDS)}; nearest: {nearest(kind, KINDS)}",
        )
    if envelope.get("schema_version") != SCHEMA_VERSION:
        raise FormatError(
            f"schema version {envelope.get('schema_version')!r} is not {SCHEMA_VERSION!r}",
            field="schema_version",
            hint="Run the command again with this version",
        )
    module = importlib.import_module(KINDS[kind])
    try:
        section: Section = module.section(envelope)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise FormatError(
            f"the saved {kind} result lacks or misspells a member: {error}", hint="Run the command again"
        ) from error
    return section
