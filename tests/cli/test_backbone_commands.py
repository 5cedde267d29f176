"""Exit statuses and streams of assess, demo, share, explain, label, list and facts."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from preventable import progress
from preventable.cli.main import COMMANDS, preventable
from preventable.readers.registry import READERS
from preventable.report.bundle import FILES
from preventable.report.schema import schema_documents
from preventable.taxonomy.loader import builtin
from support.feeds import FEEDS, place

Cli = Callable[..., Any]
KERNEL = FEEDS["kernel_cna"].directory
SHARE_MEMBERS = (
    "methodology", "period", "component", "count", "total", "unknown", "share", "low", "high", "estimator",
)  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, cli: Cli) -> None:
    found = cli(name, "--help")
    assert found.status == 0
    assert found.err == ""
    assert f"Example: preventable {name}" in found.out
    assert len(COMMANDS[name][1]) > 10


def test_the_help_lists_every_command(cli: Cli) -> None:
    found = cli("--help")
    assert found.status == 0
    assert all(f"  {name} " in found.out for name in COMMANDS)
    assert "Example:" in found.out
    assert cli("--version").out.startswith("preventable")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",), ("demo", "--nonsense"), ("share", "--period", "week"), ("list", "nonsense"), ("label",),
        ("explain",), ("facts",), ("assess", "--from", "nope"), ("assess", "no/such/code"),
        ("share", "-m", "nope"), ("share", "--component", "no such component"), ("explain", "CVE-0000-0000"),
        ("share", "-a", KERNEL, "--column", "nonsense"), ("assess", "--include", "absent.json"),
        ("facts", "-o", "facts"), ("share", "--case", "absent.toml"), ("share", "--since", "yesterday"),
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2_with_a_message_and_no_output(words: tuple[object, ...], cli: Cli) -> None:
    found = cli(*words)
    assert found.status == 2
    assert found.out == ""
    assert found.err.strip()
    assert "Traceback" not in found.err


@pytest.mark.parametrize("command", ["assess", "share", "explain", "label", "facts"])
@pytest.mark.parametrize("kind", ["absent", "empty", "noise", "truncated"])
def test_nothing_usable_is_status_3(command: str, kind: str, cli: Cli, tmp_path: Path) -> None:
    feed = place(FEEDS["osv"].members(), "tar.zst", tmp_path)
    if kind == "truncated":
        feed.write_bytes(feed.read_bytes()[:-40])
    else:
        feed = tmp_path / f"{kind}.bin"
        if kind != "absent":
            feed.write_bytes(b"" if kind == "empty" else bytes(range(256)))
    out = tmp_path / "out"
    words = {
        "assess": ("assess", "-a", feed, "--out", out),
        "share": ("share", "-a", feed),
        "explain": ("explain", "X", "-a", feed),
        "label": ("label", feed),
        "facts": ("facts", "-a", feed, "-o", out),
    }[command]
    found = cli(*words)
    assert (found.status, found.out) == (3, "")
    assert str(feed) in found.err
    assert "Traceback" not in found.err
    assert not (out / "index.html").exists()


def partial_feed(tmp_path: Path) -> Path:
    members = {**FEEDS["osv"].members(), "zz.json": b'{"id": 7, "schema_version": "1.4.0"}'}
    return place(members, "zip", tmp_path)


@pytest.mark.parametrize("quiet", [True, False])
def test_a_partial_result_is_status_1_and_strict_makes_it_3(quiet: bool, cli: Cli, tmp_path: Path) -> None:
    feed = partial_feed(tmp_path)
    more = ("--quiet",) if quiet else ()
    for words in (("share", "-a", feed), ("assess", "-a", feed, "--out", tmp_path / "out"), ("label", feed)):
        found = cli(*words, *more)
        assert found.status == 1, words
        assert found.out
        assert ("could not be read" in found.err) != quiet
        strict = cli(*words, "--strict", *more)
        assert (strict.status, strict.out) == (3, "")
        assert "zz.json" in strict.err


def test_quiet_silences_progress_and_not_errors(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_WORTH_TELLING_SECONDS", -1.0)
    loud = cli("share", "-a", KERNEL, "--store", tmp_path / "a")
    assert (loud.status, "files of kernel_cna" in loud.err) == (0, True)
    silent = cli("share", "-a", KERNEL, "--store", tmp_path / "b", "--quiet")
    assert (silent.status, silent.err) == (0, "")
    assert silent.out == loud.out
    assert cli("share", "-a", tmp_path / "none", "--quiet").err


def test_share_rows(cli: Cli) -> None:
    found = cli("share", "-a", KERNEL, "--format", "json", "--quiet")
    document = json.loads(found.out)
    assert {"kind", "schema_version", "method_version", "inputs", "results"} <= document.keys()
    assert document["kind"] == "share"
    read, releases = document["inputs"]
    assert releases["location"] == "embedded: linux/releases.csv", "it dates the mainline fixes"
    assert (read["format"], read["read"], read["rejected"]) == ("kernel_cna", 3, 1)
    assert read["digest"].startswith("sha256:")
    assert all(set(SHARE_MEMBERS) <= row.keys() for row in document["results"])
    pooled = {r["methodology"]: r for r in document["results"] if r["period"] == r["component"] == "all"}
    assert pooled.keys() == builtin().methodologies.keys()
    strict = pooled["strict"]
    assert strict["total"] == 3
    assert strict["count"] >= 2, "two of the three say so in plain words"
    assert strict["count"] + strict["unknown"] <= 3
    assert strict["share"] == pytest.approx(strict["count"] / 3)
    by_year = [r for r in document["results"] if r["methodology"] == "strict" and r["period"] != "all"]
    assert sum(r["total"] for r in by_year) == 3


@pytest.mark.parametrize("fmt", ["table", "json", "jsonl", "csv", "markdown"])
def test_every_format_is_machine_output_alone(fmt: str, cli: Cli) -> None:
    found = cli("share", "-a", KERNEL, "--period", "all", "--format", fmt)
    assert found.status == 0
    if fmt == "json":
        rows = json.loads(found.out)["results"]
    elif fmt == "jsonl":
        rows = [json.loads(line) for line in found.out.splitlines()]
    elif fmt == "csv":
        rows = list(csv.DictReader(io.StringIO(found.out)))
        assert rows[0].keys() >= set(SHARE_MEMBERS)
    else:
        rows = found.out.splitlines()[2:]
    assert len(rows) == len(builtin().methodologies)


def test_filters(cli: Cli) -> None:
    def total(*words: object) -> int:
        rows = json.loads(cli("share", "-a", KERNEL, "--format", "json", "--quiet", *words).out)["results"]
        return next((r["total"] for r in rows if r["methodology"] == "strict" and r["period"] == "all"), 0)

    assert total("--severity", "high") == 1
    assert total("--component", "fs") == 1
    assert total("--by", "publication", "--since", "2025-01-01") == 1
    assert total("--by", "publication", "--until", "2024-02-27") == 1
    unmarked = cli("share", "-a", KERNEL, "--exploited")
    assert (unmarked.status, unmarked.out) == (2, "")
    assert "no feed says which records are exploited" in unmarked.err
    inverted = cli("share", "-a", KERNEL, "--since", "2025-01-01", "--until", "2024-01-01")
    assert (inverted.status, inverted.out) == (2, "")
    assert total("--exploited", "-a", FEEDS["kev"].directory) == 1


def test_assess_writes_the_report_and_prints_its_summary(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "report"
    found = cli("assess", "-a", KERNEL, "-a", FEEDS["kev"].directory, "--out", out, "--name", "Example")
    assert found.status == 0
    assert found.out == (out / "summary.txt").read_text(encoding="utf-8")
    assert "Example" in found.out
    assert str(out / "index.html") in found.err
    assert {p.name for p in out.iterdir()} >= set(FILES)
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(schema_documents()["results.json"]))
    again = cli("assess", "-a", KERNEL, "-a", FEEDS["kev"].directory, "--out", out, "--name", "Example")
    assert "unchanged inputs" in again.err
    assert again.out == found.out
    compared = cli(
        "assess", "-a", KERNEL, "--out", out, "--since-results", out / "results.json", "--format", "json", "--quiet"
    )
    assert json.loads(compared.out)["results"]["comparison"]["added"] == []


def test_assess_rejects_what_is_no_earlier_result(cli: Cli, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    for text in ("{}", "[", '{"method_version": 1}'):
        wrong.write_text(text, encoding="utf-8")
        found = cli("assess", "-a", KERNEL, "--out", tmp_path / "o", "--since-results", wrong)
        assert (found.status, found.out) == (3, "")
        assert "results.json" in found.err


def test_assess_reads_a_case_with_its_own_taxonomy(cli: Cli, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "methodologies").mkdir(parents=True)
    (code / "methodologies" / "ours.toml").write_text(
        'id = "ours"\ntitle = "Ours"\ntext = "Temporal only."\nsource = "our policy"\nclasses = ["temporal"]\n',
        encoding="utf-8",
    )
    (code / "preventable.toml").write_text(
        f'[case]\nname = "Our kernel"\n[advisories]\nlocations = ["{KERNEL}"]\n[methodology]\nprimary = "ours"\n',
        encoding="utf-8",
    )
    found = cli("assess", code, "--out", tmp_path / "o", "--format", "json", "--quiet")
    assert found.status == 0, found.err
    results = json.loads(found.out)["results"]
    assert (results["name"], results["primary"]) == ("Our kernel", "ours")
    ours = next(r for r in results["shares"] if r["methodology"] == "ours" and r["period"] == "all")
    temporal = sum(1 for weakness in results["labels"].values() if weakness == "temporal")
    assert (ours["count"], ours["total"]) == (temporal, 3)
    assert temporal >= 1
    (code / "methodologies" / "ours.toml").write_text('id = "ours"\n', encoding="utf-8")
    broken = cli("assess", code, "--out", tmp_path / "o2")
    assert broken.status == 3
    assert "ours.toml" in broken.err


def test_demo_needs_nothing(cli: Cli, tmp_path: Path) -> None:
    found = cli("demo", "--out", tmp_path / "r")
    assert found.status == 0
    assert "10,607 records" in " ".join(found.out.split())
    assert (tmp_path / "r" / "index.html").stat().st_size > 100_000


def test_explain(cli: Cli) -> None:
    found = cli("explain", "CVE-2024-90001", "-a", KERNEL, "--quiet")
    assert (found.status, found.err) == (0, "")
    assert "Class: temporal (by model)" in found.out
    assert "[KASAN: slab-use-after-free]" in found.out
    assert "drivers/example/core.c" in found.out
    document = json.loads(cli("explain", "CVE-2024-90001", "-a", KERNEL, "--format", "json", "--quiet").out)
    result = document["results"]
    assert result["methodologies"]["strict"] == {"admitted": True, "counts": True}
    assert result["interventions"].keys() == builtin().interventions.keys()
    for reason in result["reasons"]:
        if reason["field"]:
            words = reason["detail"].partition(" (+")[0]
            assert result[reason["field"]][reason["start"] : reason["end"]].lower() == words.lower()
    alias = cli("explain", "CVE-2023-90301", "-a", FEEDS["osv"].directory, "--quiet")
    assert "TRANSFER-CVE-2023-90301" in alias.out
    near = cli("explain", "CVE-2024-9001", "-a", KERNEL)
    assert "nearest is CVE-2024-90001" in near.err


def test_explain_shows_no_control_characters(cli: Cli, tmp_path: Path) -> None:
    feed = tmp_path / "a.jsonl"
    feed.write_text(json.dumps({"id": "X", "title": "\x1b[2J use after free \x07", "text": "\x9b"}), encoding="utf-8")
    for words in (("explain", "X", "-a", feed), ("label", feed, "--format", "table")):
        found = cli(*words, "--quiet")
        assert found.status == 0
        assert not [ch for ch in found.out if ch != "\n" and not ch.isprintable()]


def test_label_keeps_the_order_and_every_record(cli: Cli, tmp_path: Path) -> None:
    feed = tmp_path / "bugs.jsonl"
    rows = [
        {"id": "Z", "title": "use after free", "text": "", "cwe": ["CWE-20"]},
        {"id": "A", "title": "x", "text": "y", "cwe": None},
        {"id": "Z", "title": "crash", "text": "", "cwe": ["CWE-476"]},
    ]
    feed.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = cli("label", feed, "--format", "jsonl", "--quiet")
    labels = [json.loads(line) for line in found.out.splitlines()]
    assert [(r["id"], r["class"], r["source"]) for r in labels] == [
        ("Z", "temporal", "model"), ("A", "unknown", "none"), ("Z", "null", "cwe"),
    ]  # fmt: skip
    assert labels[0]["methodologies"]["strict"] > 0.5
    assert labels[2]["methodologies"]["strict"] == 0.0
    assert labels[1]["methodologies"]["strict"] is None
    table = cli("label", FEEDS["csv"].directory / "bugs.csv", "--format", "csv", "--quiet")
    first, _, last = [r["class"] for r in csv.DictReader(io.StringIO(table.out))]
    assert (first, last) == ("temporal", "spatial")


def test_csv_with_mapped_columns(cli: Cli, tmp_path: Path) -> None:
    feed = tmp_path / "tracker.csv"
    feed.write_text("Ref,What\n1,double free\n", encoding="utf-8")
    assert cli("label", feed).status == 3
    found = cli("label", feed, "--column", "id=Ref", "--column", "title=What", "--quiet")
    assert json.loads(found.out)["class"] == "temporal"


def test_list(cli: Cli) -> None:
    readers = json.loads(cli("list", "readers", "--format", "json").out)["results"]
    assert [r["reader"] for r in readers] == list(READERS)
    for what in ("methodologies", "interventions", "classes"):
        rows = json.loads(cli("list", what, "--format", "json").out)["results"]
        assert rows
        assert all(r["source"] for r in rows)


def test_facts_hold_no_prose(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "facts"
    found = cli("facts", "-a", KERNEL, "-a", FEEDS["releases"].directory, "-o", out)
    assert (found.status, found.out) == (0, ""), found.err
    written = b"".join(p.read_bytes() for p in out.iterdir())
    assert b"CVE-2024-90001" in written
    for words in (b"worker still holds", b"crafted image", b"use-after-free"):
        assert words not in written
    assert "version,date" in (out / "releases.csv").read_text(encoding="ascii")


def test_no_space_left(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for words in (("demo", "--out", tmp_path / "d"), ("assess", "-a", KERNEL, "--out", tmp_path / "a"),
                  ("facts", "-a", KERNEL, "-o", tmp_path / "f")):  # fmt: skip
        found = cli(*words)
        assert found.status == 3
        assert "No space left" in found.err
        assert "Traceback" not in found.err
        assert found.out == ""
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith((".", "writing-"))]


@pytest.mark.parametrize("command", ["demo", "assess", "facts"])
@pytest.mark.parametrize("place_", ["/proc/preventable-report", "in-the-way/report"])
def test_an_output_directory_that_cannot_be_written(command: str, place_: str, cli: Cli) -> None:
    Path("in-the-way").write_text("a file", encoding="utf-8")
    feed = () if command == "demo" else ("-a", KERNEL)
    found = cli(command, *feed, "--out", place_)
    assert found.status == 3, found.err
    assert "cannot be written" in found.err
    assert found.out == ""


def test_an_unwritable_store_does_not_spoil_the_answer_silently(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    found = cli("share", "-a", KERNEL, "--store", tmp_path / "file" / "store")
    assert found.status == 3
    assert "--store" in found.err


def interrupted(*_arguments: object, **_more: object) -> Iterator[None]:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "target",
    [
        "preventable.readers.kernel_cna.KernelCnaReader.read", "preventable.studies.gather.label_records",
        "preventable.evidence.store.replace_file", "preventable.report.bundle.render_html", "os.fsync",
    ],
)  # fmt: skip
def test_ctrl_c_is_130_and_leaves_nothing_half_written(
    target: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert cli("assess", "-a", FEEDS["osv"].directory, "--out", out, "--quiet").status == 0
    before = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(target, interrupted)
        found = cli("assess", "-a", KERNEL, "--out", out, "--quiet")
    assert found.status == 130
    assert "interrupted" in found.err
    after = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert {p: b for p, b in after.items() if p.parts[0] != "evidence"} == {
        p: b for p, b in before.items() if p.parts[0] != "evidence"
    }
    assert not [p for p in after if p.name.startswith(".")]
    assert cli("assess", "-a", KERNEL, "--out", out, "--quiet").status == 0


def test_a_bug_is_status_4_without_a_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("preventable.cli.share.share", broken)
    monkeypatch.delenv("PREVENTABLE_DEBUG", raising=False)
    import preventable.cli.share  # noqa: PLC0415, F401  (loaded lazily by the command)

    found = cli("share", "-a", KERNEL, "--quiet")
    assert (found.status, found.out) == (4, "")
    assert "bug: ZeroDivisionError" in found.err
    assert "Traceback" not in found.err


def test_the_group_knows_its_commands() -> None:
    assert preventable.name == "preventable"
    assert "preventable" in sys.modules


def test_the_same_records_twice_count_once(cli: Cli, tmp_path: Path) -> None:
    """Whatever they come in, and where one of them differs the first stands and a warning says so."""
    bugs = f"{FEEDS['jsonl'].directory}/bugs.jsonl"
    changed = tmp_path / "changed.jsonl"
    lines = [json.loads(line) for line in Path(bugs).read_text(encoding="utf-8").splitlines()]
    changed.write_text("\n".join(json.dumps(r | {"title": "Other words"}) for r in lines[:1]), encoding="utf-8")
    once = json.loads(cli("share", "-a", bugs, "--format", "json", "--quiet").out)
    for again in (bugs, changed):
        found = cli("share", "-a", bugs, "-a", again, "--format", "json")
        twice = json.loads(found.out)
        assert twice["results"] == once["results"]
        assert twice["inputs"][0] == once["inputs"][0]
        assert twice["inputs"][1]["read"] == 0
        assert twice["inputs"][1]["duplicate"] == (len(lines) if again == bugs else 1)
        assert "are there twice and count once" in found.err
        assert len(twice["inputs"][1]["warnings"]) - len(once["inputs"][0]["warnings"]) * (again == bugs) == (
            again != bugs
        )
    assert cli("share", "-a", bugs, "-a", changed, "--strict").status == 3


def test_two_feeds_of_one_format_are_merged_by_alias(cli: Cli, tmp_path: Path) -> None:
    for name, aliases in (("GHSA-1", ["CVE-2024-9"]), ("RUSTSEC-1", ["CVE-2024-9"]), ("RUSTSEC-2", ["CVE-2024-9"])):
        row = {"id": name, "title": "use after free", "aliases": aliases}
        with (tmp_path / f"{name[:4]}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def total(*feeds: str) -> int:
        words = [w for f in feeds for w in ("-a", tmp_path / f)]
        rows = json.loads(cli("share", *words, "--format", "json", "--period", "all", "--quiet").out)["results"]
        return int(rows[0]["total"])

    both = [w for f in ("GHSA.jsonl", "RUST.jsonl") for w in ("-a", tmp_path / f)]
    found = cli("share", *both, "--format", "json")
    assert [(i["read"], i["duplicate"], i["joined"]) for i in json.loads(found.out)["inputs"]] == [(1, 0, 0), (2, 0, 1)]
    assert "RUST.jsonl: 1 of its records are one with an earlier location's, by an alias" in found.err
    assert total("RUST.jsonl") == 2, "within one feed two records stay two"
    assert total("GHSA.jsonl", "RUST.jsonl") == total("RUST.jsonl", "GHSA.jsonl") == 2, "also where a third names both"


def test_what_the_embedded_facts_were_made_without_is_counted_and_alarms_nobody(cli: Cli, tmp_path: Path) -> None:
    """Five early releases have no date: news to who gave such a file, not to who gave none."""
    for command in ("share", "compare"):
        found = cli(command, "--format", "json")
        assert found.status == 0
        assert "unknown" not in found.err
        assert "could not be read" not in found.err
        assert {i["format"]: i["failed"] for i in json.loads(found.out)["inputs"] if "failed" in i}["releases"] == 5
    assert cli("assess", "--out", tmp_path / "report").status == 0
    assert "the date is unknown" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    given = cli("share", "-a", KERNEL, "-a", FEEDS["releases"].directory)
    assert "releases: 1 release dates are unknown; the first: the date is unknown" in given.err


def test_code_without_a_feed_is_not_answered_with_linux(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    found = cli("assess", tmp_path / "code", "--out", tmp_path / "report")
    assert (found.status, found.out) == (2, "")
    assert "no feed of vulnerability records is named" in found.err
    assert not (tmp_path / "report").exists()
    plain = cli("assess", "--out", tmp_path / "report", "--quiet")
    assert plain.status == 0
    assert plain.out.startswith("Linux:")


def test_label_wants_records(cli: Cli) -> None:
    found = cli("label", FEEDS["kev"].directory)
    assert (found.status, found.out) == (2, "")
    assert "no vulnerability records: Known Exploited Vulnerabilities" in found.err


def test_a_census_that_fits_no_component_is_told(cli: Cli, tmp_path: Path) -> None:
    rows = json.loads(cli("share", "-a", KERNEL, "--by-component", "--format", "json", "--quiet").out)["results"]
    components = sorted({r["component"] for r in rows} - {"all", "unknown"})

    def told(*names: str) -> str:
        code = tmp_path / names[0]
        for name in names:
            (code / name).mkdir(parents=True)
            (code / name / "a.c").write_text("int a;\n", encoding="utf-8")
        file = code / "census.json"
        file.write_text(cli("census", code, "--format", "json").out, encoding="utf-8")
        found = cli("assess", "-a", KERNEL, "--out", tmp_path / "report", "--include", file)
        assert found.status == 0
        return found.err

    assert "of the records; hotspots" not in told(*components)
    assert f"the census has 0 of the {len(components)} components of the records" in told("elsewhere")


def test_release_dates_that_nobody_gave_stand_among_the_inputs(cli: Cli, tmp_path: Path) -> None:
    case = tmp_path / "preventable.toml"
    case.write_text('[compare]\nname = "Mine"\nregime_start = 2020-01-01\nexposure = "e.csv"\n', encoding="utf-8")
    (tmp_path / "e.csv").write_text(
        "date,component,language,bucket,lines,unsafe_lines\n2020-01-01,fs,C,shipped,1000,0\n", encoding="utf-8"
    )
    found = cli("lifetimes", KERNEL, "--case", case, "--format", "json")
    assert "releases.csv" in [i["location"] for i in json.loads(found.out)["inputs"]]
    twice = cli("lifetimes", KERNEL, KERNEL, "--case", case, "--format", "json")
    assert "of its records are there twice and count once" in twice.err
    assert json.loads(twice.out)["results"] == json.loads(found.out)["results"]
