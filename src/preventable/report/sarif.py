"""Findings of the gate as SARIF 2.1.0 (OASIS), for code scanning services and editors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from preventable.studies.gate import Finding, Rule
from preventable.version import __version__

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "preventable/v1"


def sarif_log(
    findings: Iterable[Finding],
    rules: Sequence[Rule],
    *,
    base: str,
    head: str | None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """One run with the findings; suppressed ones carry their suppression.

    Args:
        findings: in the order to show.
        rules: all rules, also those without findings.
        base: the commit compared with.
        head: the commit judged, or None for the work tree.
        warnings: become notifications of the tool.
    """
    index = {rule.id: number for number, rule in enumerate(rules)}
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "preventable",
                "semanticVersion": __version__,
                "rules": [
                    {
                        "id": rule.id,
                        "name": _pascal(rule.name),
                        "shortDescription": {"text": rule.about},
                        "help": {"text": rule.help},
                        "defaultConfiguration": {"level": "error"},
                    }
                    for rule in rules
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": _text(warning)}} for warning in warnings
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, index[finding.rule]) for finding in findings],
        "properties": {"base": base, "head": head},
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": "error",
        "message": {"text": _text(finding.message)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": {"startLine": max(finding.line, 1)},
                }
            }
        ],
        "partialFingerprints": {_FINGERPRINT: finding.fingerprint},
        "baselineState": finding.baseline_state,
    }
    if finding.suppressed:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": _text(finding.reason or "")}
        ]
    return result


def _uri(path: str) -> str:
    """A relative reference; bytes that are no Unicode are percent-encoded as they are."""
    return quote(PurePosixPath(path).as_posix().encode("utf-8", "surrogateescape"), safe="/")


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
