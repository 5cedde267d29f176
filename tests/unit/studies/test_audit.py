from __future__ import annotations

import csv
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from preventable.errors import FormatError, InputError, OutputError, UsageError
from preventable.records import Advisory, NotAvailable
from preventable.studies import audit
from preventable.taxonomy.loader import builtin


def records(count: int) -> list[Advisory]:
    return [
        Advisory(
            id=f"A-{i:03}", feed="f", file="f", title=f"t{i}", published=date(2020 + i % 3, 1, 1),
            severity="high" if i % 10 == 0 else "low",
        )
        for i in range(count)
    ]  # fmt: skip


def test_the_draw_repeats_itself_whatever_the_order() -> None:
    first = audit.draw(records(100), 20, 7)
    second = audit.draw(records(100)[::-1], 20, 7)
    assert [d.advisory.id for d in first] == [d.advisory.id for d in second]
    assert len({d.advisory.id for d in first}) == 20
    assert [d.advisory.id for d in audit.draw(records(100), 20, 8)] != [d.advisory.id for d in first]


def test_strata_get_their_share() -> None:
    drawn = audit.draw(records(100), 20, 7, "severity")
    assert sum(d.stratum == "high" for d in drawn) == 2
    assert {d.stratum for d in audit.draw(records(99), 9, 1, "year")} == {"2020", "2021", "2022"}
    assert len(audit.draw(records(100), 3, 1, "severity")) == 3


def test_a_record_of_a_stratum_carries_its_weight() -> None:
    drawn = audit.draw(records(100), 5, 7, "severity")
    weights = {d.stratum: d.weight for d in drawn}
    assert weights == {"high": 10.0, "low": 90 / 4}
    assert sum(d.weight or 0 for d in drawn) == pytest.approx(100)
    assert {(d.stratum, d.weight) for d in audit.draw(records(100), 5, 7)} == {("", None)}


def test_a_package_of_control_characters_is_a_plain_stratum() -> None:
    drawn = audit.draw([Advisory(id="A", feed="f", file="f", package="\x1b[2Jx")], 1, 1, "package")
    assert drawn[0].stratum == "[2Jx"


def test_withdrawn_records_are_not_in_the_frame() -> None:
    gone = Advisory(id="W", feed="f", file="f", withdrawn=date(2024, 1, 1))
    with pytest.raises(UsageError, match="cannot draw 2 of 1"):
        audit.draw([gone, *records(1)], 2, 1)


def test_too_many_strata_are_refused() -> None:
    with pytest.raises(UsageError, match="strata"):
        audit.draw(records(100), 2, 1, "year")


def start(tmp_path: Path) -> Path:
    directory = tmp_path / "audit"
    audit.write_audit(directory, audit.draw(records(30), 6, 3), {"seed": 3}, 3)
    return directory


def fill(path: Path, classes: dict[str, str]) -> None:
    lines = ["id,class,ambiguous,note"] + [f"{i},{c},no,own words" for i, c in classes.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_from_draw_to_merged_table(tmp_path: Path) -> None:
    directory = start(tmp_path)
    taxonomy = builtin()
    sample = audit.read_sample(directory)
    ids = [one.id for one in sample]
    assert b"class" not in (directory / "records.jsonl").read_bytes()
    assert (directory / "reading-a.csv").read_text() != (directory / "reading-b.csv").read_text()
    a = dict.fromkeys(ids, "null") | {ids[0]: "temporal"}
    fill(directory / "reading-a.csv", a)
    fill(directory / "reading-b.csv", a | {ids[1]: "leak"})
    first = audit.read_reading(directory / "reading-a.csv", taxonomy)
    second = audit.read_reading(directory / "reading-b.csv", taxonomy)
    table, open_ids = audit.merge(sample, first, second, {}, "human")
    assert open_ids == [ids[1]]
    assert table[1].final == ""
    assert table[1].ambiguous
    path = audit.write_disagreements(directory, first, second, open_ids)
    settled = {ids[1]: audit.Reading(ids[1], "leak", False, "count too high")}
    table, open_ids = audit.merge(sample, first, second, settled, "human")
    assert open_ids == []
    audit.write_merged(table, tmp_path / "out.csv")
    assert audit.read_merged(tmp_path / "out.csv", taxonomy) == table
    found = audit.status(table, taxonomy, len(ids), len(first), len(second))
    assert (found.agreeing, found.settled, found.read_twice) == (5, 1, 6)
    assert found.confusion == (("null", "leak", 1),)
    assert path.exists()


def test_strata_travel_to_the_merged_table_and_never_to_the_readers(tmp_path: Path) -> None:
    directory, taxonomy = tmp_path / "audit", builtin()
    audit.write_audit(directory, audit.draw(records(40), 5, 3, "severity"), {}, 3)
    sample = audit.read_sample(directory)
    assert {one.stratum: one.weight for one in sample} == {"high": 4.0, "low": 9.0}
    for name in ("reading-a.csv", "reading-b.csv", "records.jsonl"):
        assert "high" not in (directory / name).read_text(encoding="utf-8")
    read = {one.id: audit.Reading(one.id, "null", False, "") for one in sample}
    table, _ = audit.merge(sample, read, read, {}, "human")
    audit.write_merged(table, tmp_path / "out.csv")
    again = audit.read_merged(tmp_path / "out.csv", taxonomy)
    assert again == table
    assert [(r.stratum, r.weight) for r in again] == [(one.stratum, one.weight) for one in sample]


HEAD = "id,reading_a,reading_b,final,ambiguous,note,reader_kind"


def test_a_merged_table_without_strata_still_reads(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"{HEAD}\n A ,null,null,null,no,,human+model\n", encoding="utf-8")
    (row,) = audit.read_merged(path, builtin())
    assert (row.id, row.stratum, row.weight, row.reader_kind) == ("A", "", None, "human, model")


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "1e999", "many"])
def test_a_weight_is_a_positive_number(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(
        f"{HEAD},stratum,weight\nA,null,null,null,no,,human,s,2\nB,null,null,null,no,,human,s,{weight}\n",
        encoding="utf-8",
    )
    with pytest.raises(FormatError, match=r"m\.csv, record line 3, field weight"):
        audit.read_merged(path, builtin())


def test_an_id_stands_once_in_a_merged_table(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    row = "null,null,null,no,,human"
    path.write_text(f"{HEAD}\nA,{row}\nB,{row}\nA,{row}\n", encoding="utf-8")
    with pytest.raises(FormatError, match="line 2 and on line 4"):
        audit.read_merged(path, builtin())


@pytest.mark.parametrize("kind", ["", "\x1b[31mhuman", "robot", "human,", "model+robot"])
def test_a_reader_is_human_model_or_mixed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f'{HEAD}\nA,null,null,null,no,,"{kind}"\n', encoding="utf-8")
    with pytest.raises(FormatError, match="field reader_kind") as caught:
        audit.read_merged(path, builtin())
    assert "\x1b" not in str(caught.value)


def test_ids_of_a_reading_are_stripped_and_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("id,class\n A ,null\n,\n", encoding="utf-8")
    assert set(audit.read_reading(path, builtin(), ["A", "B"])) == {"A"}
    path.write_text("id,class\nA,null\nC,null\nD,\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"line 3 \(C\): the id is not in sample\.csv; line 4 \(D\).*r\.csv"):
        audit.read_reading(path, builtin(), ["A", "B"])


def test_a_cell_too_long_for_csv_is_a_fault_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"id,class,note\nA,null,\nB,null,{'x' * 200_000}\n", encoding="utf-8")
    limit = csv.field_size_limit(131_072)  # of the process; the reader of tables raises it
    try:
        with pytest.raises(FormatError, match=r"larger than field limit.*record line 3"):
            audit.read_reading(path, builtin())
    finally:
        csv.field_size_limit(limit)


def test_an_audit_is_not_overwritten(tmp_path: Path) -> None:
    directory = start(tmp_path)
    with pytest.raises(OutputError, match="already holds"):
        audit.write_audit(directory, audit.draw(records(30), 6, 3), {}, 3)


def test_all_faults_of_a_reading_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        "id,class,ambiguous,note\nA,nul,no,\nB,null,maybe,\nC,null,no,a b c d e f g h i j k\nD,null,no,\nD,null,no,\n",
        encoding="utf-8",
    )
    with pytest.raises(FormatError) as caught:
        audit.read_reading(path, builtin())
    for words in ("no class 'nul'", "'maybe'", "more than 10 words", "stands twice"):
        assert words in str(caught.value)


def test_unreadable_files_say_what_next(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        audit.read_sample(tmp_path)
    (tmp_path / "sample.csv").write_text("x\n1\n", encoding="utf-8")
    with pytest.raises(FormatError, match="'id' is missing"):
        audit.read_sample(tmp_path)
    (tmp_path / "sample.csv").write_bytes(b"id\n\xff\n")
    with pytest.raises(FormatError, match="UTF-8"):
        audit.read_sample(tmp_path)


def test_an_unread_audit_has_no_kappa() -> None:
    found = audit.status([], builtin(), 6, 0, 0)
    assert isinstance(found.agreement, NotAvailable)


def test_the_built_in_audit_is_whole() -> None:
    root = Path(str(files("preventable.data"))) / "audit"
    table = audit.read_merged(root / "linux.csv", builtin())
    drawn = [line for line in (root / "linux-sample.csv").read_text().splitlines()[1:] if line]
    assert [a.id for a in table] == drawn
    assert all(a.final for a in table)
    assert {a.reader_kind for a in table} == {"model"}
    for name, column in (("a", "reading_a"), ("b", "reading_b")):
        handed_in = audit.read_reading(root / f"linux-reading-{name}.csv", builtin())
        assert {a.id: getattr(a, column) for a in table} == {i: r.weakness for i, r in handed_in.items()}


@pytest.mark.parametrize("name", ["records.jsonl", "reading-a.csv", "disagreements.csv"])
def test_a_draw_overwrites_no_file_of_anyone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    drawn = audit.draw([Advisory("A", "f", "f"), Advisory("B", "f", "f")], 2, 1)
    with pytest.raises(OutputError, match=f"has a {name} that"):
        audit.write_audit(tmp_path, drawn, {}, 1)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_those_read_of_a_stratum_stand_for_all_of_it() -> None:
    sample = [audit.Sampled(f"A{i}", "a", 10.0) for i in range(4)] + [audit.Sampled("B", "b", 3.0)]
    read = {i: audit.Reading(i, "leak", False, "") for i in ("A0", "B")}
    table, open_ids = audit.merge(sample, read, read, {}, "human")
    assert open_ids == []
    assert {r.id: r.weight for r in table} == {"A0": 40.0, "B": 3.0}


def test_a_settlement_holds_for_the_two_readings_that_it_settled(tmp_path: Path) -> None:
    def reading(weakness: str) -> dict[str, audit.Reading]:
        return {"A": audit.Reading("A", weakness, False, "")}

    sample = [audit.Sampled("A")]
    audit.write_disagreements(tmp_path, reading("crypto"), reading("race"), ["A"])
    path = tmp_path / "disagreements.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("race,,", "race,race,because"), encoding="utf-8")
    settled = audit.read_reading(path, builtin())
    of = audit.settled_readings(tmp_path)
    assert of == {"A": ("crypto", "race")}
    table, open_ids = audit.merge(sample, reading("crypto"), reading("race"), settled, "human", settled_of=of)
    assert (table[0].final, open_ids) == ("race", [])
    table, open_ids = audit.merge(sample, reading("spatial"), reading("race"), settled, "human", settled_of=of)
    assert (table[0].final, open_ids) == ("", ["A"])
    audit.write_disagreements(tmp_path, reading("spatial"), reading("race"), open_ids)
    assert "spatial,race,," in path.read_text(encoding="utf-8")


def test_no_file_of_an_audit_runs_in_a_spreadsheet_or_a_terminal(tmp_path: Path) -> None:
    hostile = [
        Advisory(id='=HYPERLINK("x")', feed="f", file="f", title="\x1b[2J=1", text="a\x9bb\n\tc", package="@x/y"),
        Advisory(id="B\x1b[1m", feed="f", file="f", files=("\x07",), package="=z"),
    ]
    audit.write_audit(tmp_path, audit.draw(hostile, 2, 1, "package"), {}, 1)
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
        if path.suffix == ".csv":
            cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
            assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    records = (tmp_path / "records.jsonl").read_text(encoding="utf-8")
    assert "\\u001b" not in records
    assert '"a b\\n\\tc"' in records
    sample = audit.read_sample(tmp_path)
    assert {(one.id, one.stratum) for one in sample} == {('=HYPERLINK("x")', "@x/y"), ("B [1m", "=z")}
    for name in ("a", "b"):
        path = tmp_path / f"reading-{name}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(",,,", ",Null,,-why"), encoding="utf-8")
    read = audit.read_reading(tmp_path / "reading-a.csv", builtin(), [one.id for one in sample])
    table, open_ids = audit.merge(sample, read, read, {}, "human")
    assert (len(table), open_ids) == (2, [])
    audit.write_merged(table, tmp_path / "out.csv")
    assert ",'-why," in (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert audit.read_merged(tmp_path / "out.csv", builtin()) == table


def test_ids_that_look_alike_in_a_table_are_refused(tmp_path: Path) -> None:
    drawn = audit.draw([Advisory("A b", "f", "f"), Advisory("A\x1bb", "f", "f")], 2, 1)
    with pytest.raises(InputError, match="control characters or blanks alone: A b"):
        audit.write_audit(tmp_path / "a", drawn, {}, 1)
    assert not (tmp_path / "a").exists()


def test_a_settlement_with_capitals_settles(tmp_path: Path) -> None:
    path = tmp_path / "disagreements.csv"
    path.write_text("id;reading_a;reading_b;class;note\nA;Crypto;race; RACE ;\n", encoding="utf-8")
    assert audit.settled_readings(tmp_path) == {"A": ("crypto", "race")}
    assert audit.read_reading(path, builtin())["A"].weakness == "race"
