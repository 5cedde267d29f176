"""The published JSON schema of ``results.json``, from the types that the results are made of."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import msgspec

from preventable.records import SCHEMA_VERSION, ReadReport
from preventable.stats.agreement import Agreement
from preventable.studies.assessment import LabelSourceRow
from preventable.studies.hotspots import HotspotRow
from preventable.studies.population import Dating, Filters, Period
from preventable.studies.prevented import PreventedRow
from preventable.studies.record_table import Comparison
from preventable.studies.share import ShareRow
from preventable.studies.trend import TrendRow


class Results(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``results`` of an assessment; ``docs/results.md`` says what each member means."""

    name: str
    primary: str
    data_digest: str
    data_date: date | None
    by: Dating
    period: Period
    filters: Filters
    total: int
    withdrawn: int
    undated: int
    left_out: int
    without_severity: int
    shares: list[ShareRow]
    component_shares: list[ShareRow]
    prevented: list[PreventedRow]
    hotspots: list[HotspotRow]
    trend: list[TrendRow]
    label_sources: list[LabelSourceRow]
    agreement: Agreement | None
    comparison: Comparison | None
    labels: dict[str, str]
    """Record id -> class, for a later comparison."""


class ResultsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``results.json``."""

    kind: Literal["assessment"]
    schema_version: str
    method_version: str
    inputs: list[ReadReport]
    results: Results
    citation: str


def schema_documents() -> dict[str, bytes]:
    """File name inside ``docs/schema`` -> JSON schema (draft 2020-12), the same bytes each time.

    Example:
        >>> sorted(schema_documents())
        ['results.json']
    """
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Preventable: results.json, schema version {SCHEMA_VERSION}",
        **msgspec.json.schema(ResultsDocument),
    }
    return {"results.json": msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"}
