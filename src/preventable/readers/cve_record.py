"""The CVE JSON 5 record, as far as we read it; shared by ``cve5`` and ``kernel_cna``.

Unknown members are ignored, as the CVE schema asks of consumers; wrong types of known ones are errors that
name the field. Members keep the schema's own spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from preventable.readers.base import Options, Sink, parse_date
from preventable.records import Advisory, CodeRange, CweClaim

Severity = Literal["none", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("none", "low", "medium", "high", "critical")
CVE_NAME = re.compile(r"(?:^|/)CVE-\d{4}-\d{4,}\.json$")
_CWE = re.compile(r"CWE-(\d{1,5})")


class Description(msgspec.Struct, frozen=True):
    value: str = ""
    lang: str = "en"


class ProblemDescription(msgspec.Struct, frozen=True):
    description: str = ""
    cweId: str | None = None


class ProblemType(msgspec.Struct, frozen=True):
    descriptions: list[ProblemDescription] = []


class Version(msgspec.Struct, frozen=True):
    version: str = ""
    status: str = ""
    lessThan: str | None = None
    lessThanOrEqual: str | None = None
    versionType: str | None = None


class Affected(msgspec.Struct, frozen=True):
    vendor: str = ""
    product: str = ""
    programFiles: list[str] = []
    versions: list[Version] = []


class Scenario(msgspec.Struct, frozen=True):
    value: str = ""


class Metric(msgspec.Struct, frozen=True):
    cvssV4_0: dict[str, object] | None = None
    cvssV3_1: dict[str, object] | None = None
    cvssV3_0: dict[str, object] | None = None
    cvssV2_0: dict[str, object] | None = None
    scenarios: list[Scenario] = []


class Provider(msgspec.Struct, frozen=True):
    orgId: str = ""
    shortName: str | None = None


class Container(msgspec.Struct, frozen=True):
    providerMetadata: Provider = Provider()
    title: str = ""
    descriptions: list[Description] = []
    affected: list[Affected] = []
    problemTypes: list[ProblemType] = []
    metrics: list[Metric] = []
    datePublic: str | None = None


class Containers(msgspec.Struct, frozen=True):
    cna: Container
    adp: list[Container] = []


class Metadata(msgspec.Struct, frozen=True):
    cveId: str | None = None
    cveID: str | None = None
    state: str = "PUBLISHED"
    datePublished: str | None = None
    dateUpdated: str | None = None


class CveRecord(msgspec.Struct, frozen=True):
    dataType: str
    cveMetadata: Metadata
    containers: Containers
    dataVersion: str = ""

    @property
    def id(self) -> str:
        """The CVE id, however the record spells the member."""
        return self.cveMetadata.cveId or self.cveMetadata.cveID or ""


decoder = msgspec.json.Decoder(CveRecord)


def english(container: Container) -> str:
    """The English description, else the first one."""
    for description in container.descriptions:
        if description.lang.lower().startswith("en"):
            return description.value
    return container.descriptions[0].value if container.descriptions else ""


def cwe_claims(record: CveRecord, file: str, sink: Sink) -> tuple[CweClaim, ...]:
    """CWE ids of all containers, each with who said so, in the order given and without repeats."""
    claims: dict[CweClaim, None] = {}
    pairs = [("cna", record.containers.cna)] + [("adp", adp) for adp in record.containers.adp]
    for role, container in pairs:
        who = f"{role}:{container.providerMetadata.shortName or container.providerMetadata.orgId or 'unnamed'}"
        for problem in container.problemTypes:
            for description in problem.descriptions:
                found = _CWE.search(description.cweId or "") or _CWE.match(description.description.strip())
                if found:
                    claims[CweClaim(int(found.group(1)), who)] = None
                elif description.cweId:
                    sink.warn(file, record.id, "problemTypes", f"not a CWE id: {description.cweId[:40]!r}")
    return tuple(claims)


def severity_of(
    containers: Iterable[Container], file: str, record: str, sink: Sink
) -> tuple[Severity | None, float | None, str | None, str]:
    """Severity, score, vector and scenario text of the first container that has a CVSS metric."""
    scenarios: list[str] = []
    best: tuple[Severity | None, float | None, str | None] = (None, None, None)
    for container in containers:
        for metric in container.metrics:
            scenarios += [s.value for s in metric.scenarios]
            cvss = metric.cvssV4_0 or metric.cvssV3_1 or metric.cvssV3_0 or metric.cvssV2_0
            if cvss is None or best != (None, None, None):
                continue
            score = cvss.get("baseScore")
            word = str(cvss.get("baseSeverity", "")).lower()
            if not isinstance(score, int | float) or not 0 <= score <= 10:
                sink.warn(file, record, "metrics.baseScore", f"not a CVSS score: {score!r}")
                score = None
            severity = (
                SEVERITIES[SEVERITIES.index(word)]
                if word in SEVERITIES
                else severity_from_score(float(score))
                if score is not None
                else None
            )
            vector = cvss.get("vectorString")
            best = (
                severity,
                float(score) if score is not None else None,
                vector if isinstance(vector, str) else None,
            )
    return (*best, "\n".join(scenarios))


def severity_from_score(score: float) -> Severity:
    """Qualitative rating of a CVSS v3 score (specification 3.1, section 5)."""
    if score == 0:
        return "none"
    if score < 4:
        return "low"
    if score < 7:
        return "medium"
    return "high" if score < 9 else "critical"


def to_advisory(record: CveRecord, feed: str, file: str, sink: Sink, options: Options) -> Advisory:
    """The advisory that a published record describes."""
    cna = record.containers.cna
    text = english(cna)
    if not text:
        sink.warn(file, record.id, "containers.cna.descriptions", "no description")
    severity, score, vector, impact = severity_of([cna, *record.containers.adp], file, record.id, sink)
    files: dict[str, None] = {}
    ranges: list[CodeRange] = []
    for affected in cna.affected:
        files.update(dict.fromkeys(affected.programFiles))
        ranges += [_range(v) for v in affected.versions if v.status == "affected"]
    first = cna.affected[0] if cna.affected else Affected()
    dates = {
        name: parse_date(value, sink, file=file, record=record.id, field=field, today=options.today)
        for name, value, field in (
            ("published", record.cveMetadata.datePublished or cna.datePublic, "cveMetadata.datePublished"),
            ("modified", record.cveMetadata.dateUpdated, "cveMetadata.dateUpdated"),
        )
    }
    return Advisory(
        id=record.id,
        feed=feed,
        file=file,
        title=cna.title,
        text=text,
        impact=impact,
        published=dates["published"],
        modified=dates["modified"],
        cwes=cwe_claims(record, file, sink),
        severity=severity,
        cvss_score=score,
        cvss_vector=vector,
        package=" ".join(p for p in (first.vendor, first.product) if p and p.lower() != "n/a") or None,
        files=tuple(files),
        ranges=tuple(ranges),
    )


def _range(version: Version) -> CodeRange:
    start = None if version.version in ("", "0", "n/a", "unspecified", "*") else version.version
    end = version.lessThan
    if version.versionType == "git":
        return CodeRange(introduced_commit=start, fixed_commit=None if end in ("*", None) else end)
    return CodeRange(introduced_version=start, fixed_version=None if end in ("*", None) else end)
