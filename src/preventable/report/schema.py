"""The published JSON schema of ``results.json``, from the types that the results are made of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from preventable.records import SCHEMA_VERSION, ReadReport
from preventable.studies.assessment import Results
from preventable.studies.audit_used import AuditUsed


class ResultsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``results.json``."""

    kind: Literal["assessment"]
    schema_version: str
    method_version: str
    inputs: list[ReadReport]
    audit: AuditUsed | None
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
