"""The public names and where each lives; imported on first use, so that ``import preventable`` stays fast."""

from __future__ import annotations

import importlib

PUBLIC: dict[str, str] = {
    "Advisory": "preventable.records",
    "Assessment": "preventable.studies.assessment",
    "CodeRange": "preventable.records",
    "CweClaim": "preventable.records",
    "Estimate": "preventable.records",
    "Evidence": "preventable.evidence.tables",
    "Filters": "preventable.studies.population",
    "Label": "preventable.records",
    "Load": "preventable.readers.registry",
    "NotApplicable": "preventable.records",
    "NotAvailable": "preventable.records",
    "Options": "preventable.readers.base",
    "PreventableError": "preventable.errors",
    "ReadReport": "preventable.records",
    "Request": "preventable.studies.gather",
    "Taxonomy": "preventable.taxonomy.loader",
    "assess": "preventable.studies.assessment",
    "gather": "preventable.studies.gather",
    "hotspots": "preventable.studies.hotspots",
    "label_by_cwe": "preventable.classify.labeller",
    "label_by_rules": "preventable.classify.text_rules",
    "label_by_text": "preventable.classify.labeller",
    "label_records": "preventable.classify.labeller",
    "load": "preventable.readers.registry",
    "load_facts": "preventable.studies.embedded",
    "load_taxonomy": "preventable.taxonomy.loader",
    "map_components": "preventable.code.components",
    "prevented": "preventable.studies.prevented",
    "record_table": "preventable.studies.record_table",
    "select": "preventable.studies.population",
    "share": "preventable.studies.share",
    "trend": "preventable.studies.trend",
    "wilson": "preventable.stats.prevalence",
    "write_report": "preventable.report.bundle",
}


def load_public(name: str) -> object:
    """The object behind a public name.

    Raises:
        AttributeError: it is not public.
    """
    if name not in PUBLIC:
        raise AttributeError(f"module 'preventable' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC[name]), name)
