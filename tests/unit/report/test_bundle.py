"""A report of hostile records: every text stays text, and the same inputs give the same bytes."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import msgspec
import polars as pl
import pytest

from preventable.errors import OutputError
from preventable.records import Estimate, FailedRow
from preventable.report.bundle import FILES, results_document, write_report
from preventable.report.schema import ResultsDocument, schema_documents
from preventable.stats.ppi import AUDIT_ALONE
from preventable.studies.assessment import Assessment, assess
from preventable.studies.audit import Audited
from preventable.studies.audit_columns import BESIDE
from preventable.studies.corrected import CorrectedRow
from preventable.studies.population import Filters
from preventable.taxonomy.loader import builtin
from support.evidence import evidence, record, report

EVIL = "</script><img src=x onerror=alert(1)>"
FORMULA = "=HYPERLINK(0)"
ESCAPES = "\x1b[31m\x07\u202e"
MARKUP = "[x](javascript:alert(1)) `|` *b*"


def hostile(**changes: object) -> Assessment:
    """An assessment whose every free text is hostile: ids, titles, paths, reasons, the case's name."""
    rows = [
        record(f"{EVIL}", "spatial", cwe=787, by_cwe="spatial", fixed=date(2024, 5, 1), title=EVIL, text=EVIL,
               files=(f"{EVIL}/a.c",), severity="high", known_exploited=date(2024, 6, 1)),
        record(f"{FORMULA}", "temporal", fixed=date(2025, 5, 1), title=MARKUP, text="words here",
               files=(f"{FORMULA}/x.c", f"{ESCAPES}{MARKUP}/y.c")),
        record(f"-1+1{ESCAPES}", "null", fixed=date(2025, 5, 2), title=ESCAPES, text=ESCAPES, files=("@SUM(1)/z.c",)),
        record("D", fixed=None),
    ]  # fmt: skip
    failed = (FailedRow(EVIL, MARKUP, ESCAPES, EVIL),)
    reports = [report(read=4, failed=1, rows=failed, warnings=failed, location=f"{EVIL}{ESCAPES}", licence=EVIL)]
    return assess(evidence(rows, reports), builtin(), name=f"{EVIL}{MARKUP}{ESCAPES}", **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    write_report(hostile(), builtin(), directory)
    return directory


class Tags(HTMLParser):
    """Collects the elements and attributes that a browser would make."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_files_are_all_there(written: Path) -> None:
    names = {p.name for p in written.iterdir()}
    assert set(FILES) <= names
    for table in ("shares", "prevented", "trend", "hotspots", "records"):
        assert {f"{table}.csv", f"{table}.parquet"} <= names


def test_the_table_of_shares_ends_in_the_columns_of_the_audit(written: Path, tmp_path: Path) -> None:
    """Empty where there was none, by type also in the Parquet file; filled in where there was one."""
    with (written / "shares.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:3] == ["methodology", "period", "component"]
    assert tuple(rows[0])[-len(BESIDE) :] == tuple(BESIDE)
    assert {r[n] for r in rows for n in BESIDE} == {""}
    schema = pl.read_parquet(written / "shares.parquet").schema
    assert {n: schema[n] for n in BESIDE} == BESIDE
    read = [Audited(i, w, w, w, False, "", "human") for i, w in ((FORMULA, "temporal"), ("D", "leak"))]
    write_report(hostile(audit=read), builtin(), tmp_path)
    with (tmp_path / "shares.csv").open(encoding="utf-8", newline="") as stream:
        pooled, *others = csv.DictReader(stream)
    assert (pooled["audited"], pooled["reader_kind"], float(pooled["audit_only"])) == ("2", "human", 0.5)
    assert {r["audited"] for r in others if r["component"] != "all"} == {""}


def test_the_audit_leaves_its_trace(written: Path, tmp_path: Path) -> None:
    assert json.loads((written / "results.json").read_text(encoding="utf-8"))["audit"] is None
    assert "stands beside the labels" not in (written / "report.md").read_text(encoding="utf-8")
    file = tmp_path / f"au{ESCAPES}dit.csv"
    file.write_bytes(b"the table")
    read = [Audited(FORMULA, "temporal", "temporal", "temporal", False, "", "human", "2024", 1.5),
            Audited("D", "leak", "leak", "leak", False, "", "model", "2024", 1.5),
            Audited("E", "leak", "null", "", False, "", "model", "2024", 1.5)]  # fmt: skip
    write_report(hostile(audit=read, audit_file=file), builtin(), tmp_path / "report")
    digest = f"sha256:{hashlib.sha256(b'the table').hexdigest()}"
    document = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert document["audit"] == {
        "name": str(file), "digest": digest, "rows": 3, "settled": 2, "design": "by strata",
        "reader_kind": "human, model",
    }  # fmt: skip
    jsonschema.validate(document, json.loads(schema_documents()["results.json"]))
    for name in ("report.md", "index.html", "summary.txt"):
        text = (tmp_path / "report" / name).read_text(encoding="utf-8")
        assert digest in text, name
        assert name == "index.html" or ESCAPES not in text
    write_report(hostile(audit=read), builtin(), tmp_path / "report")
    nameless = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))["audit"]
    assert (nameless["name"], nameless["digest"]) == ("given without a file", None)


def test_the_summary_has_the_corrected_share_beside_each_definition(written: Path, tmp_path: Path) -> None:
    def shares(directory: Path) -> list[str]:
        text = (directory / "summary.txt").read_text(encoding="utf-8")
        return text.partition("Share by definition (95% interval):\n\n")[2].partition("\n\nRead:")[0].splitlines()

    plain = shares(written)
    assert plain[0].startswith("  strict         2 of      4  50.0% (15.0%-85.0%)")
    assert len(plain) == len(builtin().methodologies)
    a = hostile()
    half = Estimate(0.25, 0.2, 0.35, 50, 100, "ppi++")
    alone = msgspec.structs.replace(half, method=AUDIT_ALONE)
    rows = [CorrectedRow("strict", "all", half, half, half, 100, 1.0, "model"),
            CorrectedRow("broad", "all", half, alone, half, 10, 1.0, "model"),
            CorrectedRow("cisa", "2024", half, half, half, 10, 1.0, "model")]  # fmt: skip
    write_report(msgspec.structs.replace(a, corrected=rows), builtin(), tmp_path)
    head, strict, broad, *others, note = shares(tmp_path)
    assert head.split() == ["by", "the", "labels", "corrected"]
    assert head.index("corrected") < strict.index("25.0%")
    assert strict.endswith(" (15.0%-85.0%)  25.0% (20.0%-35.0%)")
    assert broad.endswith(" 25.0% (20.0%-35.0%) *")
    assert note == "  * by the audited records alone, too few to correct the labels"
    assert not [line for line in others if "25.0%" in line]
    assert max(map(len, [head, strict, broad, note])) <= 72


@pytest.mark.parametrize("title", ["### From", "### Share per year"])
def test_tables_of_shares_say_who_read(title: str, tmp_path: Path) -> None:
    read = [Audited(i, w, w, w, False, "", "human") for i, w in ((FORMULA, "temporal"), ("D", "leak"))]
    write_report(hostile(audit=read), builtin(), tmp_path)
    table = (tmp_path / "report.md").read_text(encoding="utf-8").partition(title)[2].partition("|\n\n")[0]
    head, _, *rows = [line.split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert "human" in {row[head.index("read by")] for row in rows}


def test_html_of_hostile_records_makes_no_element_and_no_handler(written: Path) -> None:
    page = (written / "index.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert "img" not in tags.tags
    assert "iframe" not in tags.tags
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert EVIL not in page.replace("&lt;", "\0")
    assert page.count("</script>") == tags.tags.count("script")
    assert "&lt;/script&gt;" in page


def test_the_page_names_nothing_to_load(written: Path) -> None:
    tags = Tags()
    tags.feed((written / "index.html").read_text(encoding="utf-8"))
    assert "link" not in tags.tags
    loads = [(n, v) for n, v in tags.attributes if n in ("src", "srcset", "data", "poster", "action")]
    assert loads == []
    assert all(v and v.startswith("#") for n, v in tags.attributes if n == "href")


def test_every_chart_has_words_and_every_figure_says_how(written: Path) -> None:
    page = (written / "index.html").read_text(encoding="utf-8")
    charts = re.findall(r'<div class="chart" role="img" aria-label="([^"]*)"', page)
    assert charts
    assert all(charts)
    assert page.count("<figure") == page.count("How this was computed</summary>")


def test_markdown_of_hostile_records_is_inert(written: Path) -> None:
    text = (written / "report.md").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "<script" not in text
    assert "[x](javascript:" not in text
    assert not [ch for ch in text if ch != "\n" and not ch.isprintable()]


@pytest.mark.parametrize("name", ["summary.txt", "citation.txt"])
def test_plain_text_carries_no_control_characters(name: str, written: Path) -> None:
    """It is printed to terminals and mailed."""
    text = (written / name).read_text(encoding="utf-8")
    assert text.strip()
    assert not [ch for ch in text if ch != "\n" and not ch.isprintable()]


def test_csv_cells_are_no_formulas(written: Path) -> None:
    for path in sorted(written.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        assert len(rows) > 1
        for row in rows[1:]:
            for cell in row:
                number = re.fullmatch(r"-?[0-9.eE+-]+", cell) is not None
                assert number or cell[:1] not in ("=", "+", "-", "@", "\t", "\r"), f"{path.name}: {cell!r}"
                assert all(ch.isprintable() or ch in "\n\t" for ch in cell), f"{path.name}: {cell!r}"


def test_results_follow_the_published_schema(written: Path) -> None:
    document = json.loads((written / "results.json").read_text(encoding="utf-8"))
    schema = json.loads(schema_documents()["results.json"])
    jsonschema.validate(document, schema)
    typed = msgspec.json.decode((written / "results.json").read_bytes(), type=ResultsDocument)
    assert typed.results.labels["D"] == "unknown"
    assert typed.results.total == 4


def test_the_published_schema_is_current() -> None:
    directory = Path(__file__).parents[3] / "docs" / "schema"
    for name, data in schema_documents().items():
        assert (directory / name).read_bytes() == data, f"docs/schema/{name}: make it again with `make docs`"


def test_the_same_inputs_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_report(hostile(), builtin(), tmp_path)
    first = {p.name: p.read_bytes() for p in written.iterdir()}
    second = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert first == second


def test_a_report_of_no_records_says_so(tmp_path: Path) -> None:
    rows = [record("A", "spatial", fixed=date(2024, 1, 1)), record("B", "null", fixed=date(2024, 1, 1))]
    empty = assess(evidence(rows), builtin(), name="None", filters=Filters(since=date(2030, 1, 1)))
    write_report(empty, builtin(), tmp_path)
    assert "No record is left" in (tmp_path / "summary.txt").read_text(encoding="utf-8")
    jsonschema.validate(
        json.loads((tmp_path / "results.json").read_text(encoding="utf-8")),
        json.loads(schema_documents()["results.json"]),
    )


def test_a_comparison_with_an_earlier_run_is_in_the_report(written: Path, tmp_path: Path) -> None:
    now = hostile(earlier=(written / "results.json").read_bytes())
    write_report(now, builtin(), tmp_path)
    assert now.comparison is not None
    assert now.comparison.relabelled == ()
    assert "What changed" in (tmp_path / "report.md").read_text(encoding="utf-8")
    jsonschema.validate(
        json.loads(msgspec.json.encode(results_document(now))), json.loads(schema_documents()["results.json"])
    )


def test_a_place_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(hostile(), builtin(), tmp_path / "file" / "report")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_a_full_disk_leaves_the_old_report_whole(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(hostile(), builtin(), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(hostile(), builtin(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
