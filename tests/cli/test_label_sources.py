"""``label`` and ``explain`` show what every source says, and what has no line or is withdrawn."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preventable.records import Advisory, Label, LabelReason
from support.evidence import BothLabels, evidence
from support.feeds import FEEDS

Cli = Callable[..., Any]


def claims(*cwes: str) -> list[dict[str, object]]:
    return [{"descriptions": [{"lang": "en", "cweId": c, "type": "CWE", "description": c}]} for c in cwes]


@pytest.fixture
def cve5(tmp_path: Path) -> Path:
    """One record: the CNA says CWE-20 and CWE-476, CISA says CWE-787, the text says null."""
    record = {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": "CVE-2024-90009", "state": "PUBLISHED", "datePublished": "2024-01-02T00:00:00Z"},
        "containers": {
            "cna": {
                "providerMetadata": {"shortName": "maker", "orgId": "1"},
                "title": "parser: x: crash",
                "descriptions": [{"lang": "en", "value": "A NULL pointer dereference in the parser crashes it."}],
                "problemTypes": claims("CWE-20", "CWE-476"),
            },
            "adp": [
                {"providerMetadata": {"shortName": "CISA-ADP", "orgId": "2"}, "problemTypes": claims("CWE-787")},
            ],
        },
    }
    directory = tmp_path / "cve5"
    directory.mkdir()
    (directory / "CVE-2024-90009.json").write_text(json.dumps(record), encoding="utf-8")
    return directory


def by_cwe(row: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(r["detail"], r["said_by"], r["decides"], r["why_not"]) for r in row["reasons"] if r["kind"] == "cwe"]


SAID = [
    ("CWE-787", "adp:CISA-ADP", True, None),
    ("CWE-20", "cna:maker", False, "vague"),
    ("CWE-476", "cna:maker", False, "spatial goes before null"),
]


@pytest.mark.parametrize("fmt", ["json", "jsonl"])
def test_label_has_every_claim_of_every_source(cli: Cli, cve5: Path, fmt: str) -> None:
    found = json.loads(cli("label", cve5, "--format", fmt, "--quiet").out)
    row = found["results"][0] if fmt == "json" else found
    assert (row["class"], row["source"], row["reason"]) == ("spatial", "cwe", "CWE-787")
    assert row["sources"] == {"cwe": "spatial", "text": "null"}
    assert by_cwe(row) == SAID
    assert [r["class"] for r in row["reasons"]][:3] == ["spatial", None, "null"]
    text = [r for r in row["reasons"] if r["kind"] == "model"]
    assert {(r["class"], r["decides"], r["why_not"]) for r in text} == {("null", False, "a specific CWE decides")}


def test_explain_has_every_claim_of_every_source(cli: Cli, cve5: Path) -> None:
    words = ("explain", "CVE-2024-90009", "-a", cve5, "--quiet")
    assert by_cwe(json.loads(cli(*words, "--format", "json").out)["results"]) == SAID
    lines = cli(*words).out.splitlines()
    assert "  CWE says spatial; the text says null; the CWE decides" in lines
    assert "  spatial: cwe “CWE-787” (adp:CISA-ADP)" in lines
    assert "  null: cwe “CWE-476” (cna:maker); does not decide: spatial goes before null" in lines
    assert "  no class: cwe “CWE-20” (cna:maker); does not decide: vague" in lines


def test_a_text_decides_where_the_cwe_is_vague(cli: Cli, tmp_path: Path) -> None:
    feed = tmp_path / "bugs.jsonl"
    rows = [
        {"id": "A", "title": "use after free", "text": "", "cwe": ["CWE-20"]},
        {"id": "B", "title": "", "text": "", "cwe": ["CWE-20"]},
        {"id": "C", "title": "use after free", "text": "", "cwe": ["CWE-476", "CWE-787"]},
    ]
    feed.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    first, second, third = map(json.loads, cli("label", feed, "--quiet").out.splitlines())
    assert by_cwe(first) == by_cwe(second) == [("CWE-20", "file", False, "vague")]
    assert first["reason"].startswith("temporal "), "the first reason that decides"
    assert {r["decides"] for r in first["reasons"] if r["kind"] == "model"} == {True}
    assert (second["class"], second["reason"], second["probabilities"]) == ("unknown", "it has no text", None)
    assert [r[0] for r in by_cwe(third)] == ["CWE-787", "CWE-476"]


@pytest.mark.parametrize("fmt", ["csv", "table", "markdown"])
def test_flat_formats_show_what_each_source_says(cli: Cli, cve5: Path, tmp_path: Path, fmt: str) -> None:
    columns = ["id", "class", "source", "reason", "cwe_class", "text_class"]
    out = cli("label", cve5, "--format", fmt, "--quiet").out
    assert out.splitlines()[0].replace("|", " ").replace(",", " ").split() == columns
    feed = tmp_path / "bugs.jsonl"
    feed.write_text('{"id": "A", "title": "use after free"}\n{"id": "B", "cwe": "CWE-416"}\n', encoding="utf-8")
    if fmt == "csv":
        both = next(csv.DictReader(io.StringIO(out)))
        assert (both["class"], both["cwe_class"], both["text_class"]) == ("spatial", "spatial", "null")
        rows = csv.DictReader(io.StringIO(cli("label", feed, "--format", "csv", "--quiet").out))
        assert [(r["cwe_class"], r["text_class"]) for r in rows] == [("", "temporal"), ("temporal", "")]


def test_rejected_and_withdrawn_records_are_counted_and_marked(cli: Cli, tmp_path: Path) -> None:
    rejected = cli("label", FEEDS["kernel_cna"].directory)
    assert rejected.status == 0
    assert "kernel_cna: 1 record rejected or withdrawn by their publisher, without a line" in rejected.err
    assert "without a line" not in rejected.out
    feed = tmp_path / "osv"
    feed.mkdir()
    for number, more in ((1, {}), (2, {"withdrawn": "2024-05-06T07:08:09Z"})):
        row = {"id": f"OSV-2024-{number}", "schema_version": "1.4.0", "modified": "2024-06-01T00:00:00Z",
               "summary": "use after free", **more}  # fmt: skip
        (feed / f"OSV-2024-{number}.json").write_text(json.dumps(row), encoding="utf-8")
    found = cli("label", feed, "--from", "osv")
    assert [json.loads(line)["withdrawn"] for line in found.out.splitlines()] == [None, "2024-05-06"]
    assert "osv: 1 record withdrawn, but labelled; JSON has the date" in found.err
    for where in (FEEDS["kernel_cna"].directory, feed):
        assert cli("label", where, "--quiet").err == ""


def test_explain_says_where_words_stand_and_names_no_lone_letters(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    details = ("temporal 97%", "y (+0.13, body)", "x y (+0.12, chain)", "i2c (+0.50, title)", "free x (+0.30, head)")
    label = Label("A", "temporal", "model", 416, tuple(LabelReason("model", d, "model") for d in details))
    nothing = Label("A", "unknown", "none")
    made = evidence([(Advisory("A", "jsonl", "a", "i2c: x: free"), BothLabels(label, nothing, label))])
    monkeypatch.setattr("preventable.cli.explain.evidence_of", lambda *_args, **_more: made)
    named = json.loads(cli("explain", "A", "--format", "json").out)["results"]["reasons"]
    assert [r["detail"] for r in named] == list(details), "JSON has all"
    assert {r["decides"] for r in named} == {True}
    text = cli("explain", "A").out
    assert [d for d in details if f"“{d}”" in text] == [details[0], *details[3:]]
    assert text.count("in the head (first 48 words of the text)") == 1
    silent = evidence([(Advisory("A", "jsonl", "a", "x"), BothLabels(nothing, nothing, nothing))])
    monkeypatch.setattr("preventable.cli.explain.evidence_of", lambda *_args, **_more: silent)
    assert "in the head" not in cli("explain", "A").out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("** REJECT ** DO NOT USE", "the text says that its number was rejected"),
        ("qwzx", "its words tell nothing that the model knows"),
        ("", "it has no text"),
    ],
)
def test_an_unknown_class_says_why(cli: Cli, tmp_path: Path, text: str, why: str) -> None:
    feed = tmp_path / "f.jsonl"
    feed.write_text(json.dumps({"id": "A", "title": "", "text": text}) + "\n", encoding="utf-8")
    (line,) = cli("label", feed, "--format", "jsonl").out.splitlines()
    assert (json.loads(line)["class"], json.loads(line)["reason"]) == ("unknown", why)
    assert f"no reasons at hand: {why}\n" in cli("explain", "A", "-a", feed).out


def test_embedded_facts_are_said_to_hold_no_texts(cli: Cli) -> None:
    assert "no reasons at hand: it has no text (embedded facts hold none)\n" in cli("explain", "CVE-2024-26921").out
