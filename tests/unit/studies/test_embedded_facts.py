"""The embedded Linux facts: small, without prose, and the same when made again. And: warm equals cold."""

from __future__ import annotations

from pathlib import Path

import pytest

from preventable.evidence.tables import SCHEMA
from preventable.studies.embedded import embedded_directory, embedded_releases, load_facts, save_facts
from preventable.studies.gather import Request, gather
from support.feeds import FEEDS, SHARED


def top(path: str) -> str:
    return path.split("/", maxsplit=1)[0]


def test_they_are_small_and_hold_no_prose() -> None:
    size = sum(p.stat().st_size for p in embedded_directory().iterdir())
    assert size <= 1.5e6
    facts = load_facts()
    assert facts.advisories.height == 10_607
    for column in ("title", "text", "impact"):
        assert facts.advisories[column].unique().to_list() == [""]
    assert facts.reasons.is_empty()
    assert "1970" not in {str(d)[:4] for d in embedded_releases().values()}
    assert sum(r.rejected for r in facts.reports) == 312


def test_unchanged_inputs_are_taken_from_the_store(tmp_path: Path) -> None:
    request = Request((str(FEEDS["kernel_cna"].directory), str(FEEDS["kev"].directory)))
    said: list[str] = []
    cold = gather(request, top, store=tmp_path, say=said.append)
    assert said == []
    warm = gather(request, top, store=tmp_path, say=said.append)
    assert len(said) == 1
    for name in SCHEMA:
        assert warm.table(name).equals(cold.table(name))
    assert warm.reports == cold.reports
    gather(Request(request.locations[:1]), top, store=tmp_path, say=said.append)
    assert len(said) == 1


def test_the_same_evidence_gives_the_same_facts(tmp_path: Path) -> None:
    found = gather(Request((str(FEEDS["kernel_cna"].directory),)), top)
    for name in ("a", "b"):
        save_facts(found, {}, tmp_path / name, "c")
    assert [p.read_bytes() for p in sorted((tmp_path / "a").iterdir())] == [
        p.read_bytes() for p in sorted((tmp_path / "b").iterdir())
    ]


@pytest.mark.shared
@pytest.mark.slow
def test_made_again_from_the_feed_they_are_the_same(tmp_path: Path) -> None:
    names = ("kernel-cna.tar.zst", "linux-releases.json", "known_exploited_vulnerabilities.json")
    if not all((SHARED / n).exists() for n in names):
        pytest.skip(f"SKIPPED: the shared data is not at {SHARED}")
    facts = load_facts()
    found = gather(Request(tuple(str(SHARED / n) for n in names)), top)
    columns = ["id", "published", "fixed", "introduced", "severity", "weakness", "label_source", "cwe",
               "known_exploited"]  # fmt: skip
    assert found.advisories.select(columns).equals(facts.advisories.select(columns))
