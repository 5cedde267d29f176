"""RustSec advisories: Markdown files whose first block is TOML front matter."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from preventable.errors import RecordError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem, parse_date
from preventable.readers.cve_record import severity_from_score
from preventable.readers.osv import score_of_vector
from preventable.readers.sources import Member
from preventable.records import Advisory, CodeRange

_NAME = re.compile(r"(?:^|/)RUSTSEC-\d{4}-\d{4}\.md$")
_FRONT = re.compile(r"\A\s*```toml\s*\n(.*?)\n```[ \t]*(?:\n|\Z)", re.DOTALL)


class RustsecReader:
    """See ``readers.base.Reader``."""

    name = "rustsec"
    title = "RustSec advisory database"
    licence = "CC0-1.0; records taken over from GitHub CC-BY 4.0"
    kind: FeedKind = "advisories"
    experimental = False
    where = "git clone of rustsec/advisory-db on GitHub"

    def wanted(self, name: str) -> bool:
        return _NAME.search(name) is not None

    def recognises(self, name: str, head: bytes) -> bool:
        return name.endswith(".md") and head.lstrip().startswith(b"```toml") and b"[advisory]" in head

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        for member in members:
            if not member.name.endswith(".md"):
                continue
            try:
                self._one(member.read().decode("utf-8"), member.name, sink, options)
            except (
                RecordError,
                ValueError,
                RecursionError,
            ) as error:  # ValueError: not UTF-8, not TOML, or too long a number
                sink.fail(member.name, None, None, decode_problem(error))

    def _one(self, text: str, file: str, sink: Sink, options: Options) -> None:
        front = _FRONT.match(text)
        if front is None:
            sink.fail(file, None, None, "no TOML front matter between ```toml and ```")
            return
        document = tomllib.loads(front.group(1))
        advisory = document.get("advisory")
        if not isinstance(advisory, dict) or not isinstance(advisory.get("id"), str):
            sink.fail(file, None, "advisory.id", "missing or not text")
            return
        record = advisory["id"]
        body = text[front.end() :].strip()
        title, _, rest = body.partition("\n")
        vector = advisory.get("cvss")
        score = score_of_vector(vector) if isinstance(vector, str) else None
        if vector and score is None:
            sink.warn(file, record, "advisory.cvss", f"not a CVSS vector: {str(vector)[:60]!r}")
        sink.add(
            Advisory(
                id=record,
                feed=self.name,
                file=file,
                title=title.lstrip("# ").strip(),
                text=rest.strip(),
                published=parse_date(
                    advisory.get("date"),
                    sink,
                    file=file,
                    record=record,
                    field="advisory.date",
                    today=options.today,
                ),
                withdrawn=parse_date(
                    advisory.get("withdrawn"),
                    sink,
                    file=file,
                    record=record,
                    field="advisory.withdrawn",
                    today=options.today,
                ),
                aliases=_texts(advisory, "aliases", file, record, sink),
                severity=severity_from_score(score) if score is not None else None,
                cvss_score=score,
                cvss_vector=vector if score is not None else None,
                package=advisory.get("package") if isinstance(advisory.get("package"), str) else None,
                ranges=_ranges(document),
                categories=_texts(advisory, "categories", file, record, sink),
                informational=advisory.get("informational") if isinstance(advisory.get("informational"), str) else None,
            )
        )


def _texts(table: dict[str, Any], field: str, file: str, record: str, sink: Sink) -> tuple[str, ...]:
    value = table.get(field, [])
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    sink.warn(file, record, f"advisory.{field}", "not a list of texts")
    return ()


def _ranges(document: dict[str, Any]) -> tuple[CodeRange, ...]:
    """One range per lower bound of a patched requirement; unaffected versions are no start."""
    versions = document.get("versions")
    patched = versions.get("patched") if isinstance(versions, dict) else None
    found = [
        CodeRange(fixed_version=part.strip().removeprefix(">=").strip())
        for requirement in (patched if isinstance(patched, list) else [])
        if isinstance(requirement, str)
        for part in requirement.split(",")
        if part.strip().startswith(">=")
    ]
    return tuple(found)
