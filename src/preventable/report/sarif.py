"""Findings of the gate as SARIF 2.1.0 (OASIS), for code scanning services and editors.

Paths are relative to ``%SRCROOT%``, the root of the repository, whose place is left to the reader. Every result
has a ``baselineState``, as the standard asks once one has; suppressions live in the case file, not in the source:
their kind is ``external``. There is no clock and no host name in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from preventable.studies.gate import Finding, Rule
from preventable.version import __version__

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "preventable/v1"
_ROOT = "%SRCROOT%"


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
                "version": __version__,
                "semanticVersion": __version__,
                "language": "en",
                "rules": [_descriptor(rule) for rule in rules],
            }
        },
        "automationDetails": {"id": "preventable-gate/"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
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


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": _pascal(rule.name),
        "shortDescription": {"text": rule.about},
        "fullDescription": {"text": rule.details},
        "help": {
            "text": f"{rule.details} {rule.help}",
            "markdown": f"**{rule.id} {rule.name}**: {rule.details}\n\n{rule.help}",
        },
        "defaultConfiguration": {"enabled": True, "level": "error"},
        "properties": {"tags": ["memory-safety"], "precision": "very-high", "problem.severity": "error"},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": "error",
        "message": {"text": _text(finding.message)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _location(finding.path),
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


def _location(path: str) -> dict[str, str]:
    """A reference relative to the root; a case file elsewhere is absolute. Bytes that are no Unicode stay as they are.

    Example:
        >>> _location("a/b c#1.c")
        {'uri': 'a/b%20c%231.c', 'uriBaseId': '%SRCROOT%'}
    """
    if PurePath(path).is_absolute():
        return {"uri": PurePath(path).as_uri()}
    return {"uri": quote(path.encode("utf-8", "surrogateescape"), safe="/"), "uriBaseId": _ROOT}


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
