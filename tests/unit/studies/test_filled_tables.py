"""Tables that people fill in: what LibreOffice and Excel make of a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from preventable.errors import FormatError
from preventable.studies import audit
from preventable.studies.filled_tables import flag, read_filled, write_table
from preventable.taxonomy.loader import builtin

PLAIN = "id,class,ambiguous,note\nA,null,yes,first check\nB,leak,no,\n"


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "r.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
        PLAIN.replace("\n", "\r").encode(),
        (PLAIN + ",,,\n").encode(),
        b'"ID";"Class ";" Ambiguous";"Note"\nA;NULL;TRUE;first check\nB; Leak ;0;\n;;;\n',
    ],
    ids=["plain", "semicolons", "tabs", "mark", "excel", "cr", "blank-row", "capitals"],
)
def test_a_reading_is_the_same_however_it_was_saved(tmp_path: Path, data: bytes) -> None:
    found = audit.read_reading(saved(tmp_path, data), builtin(), ["A", "B"])
    assert found == {
        "A": audit.Reading("A", "null", True, "first check"),
        "B": audit.Reading("B", "leak", False, ""),
    }


def test_a_comma_in_a_note_of_a_file_with_semicolons_stays(tmp_path: Path) -> None:
    path = saved(tmp_path, b"id;class;ambiguous;note\nA;null;no;race, then null\n")
    assert audit.read_reading(path, builtin())["A"].note == "race, then null"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PLAIN.encode("utf-16"), "UTF-16"),
        (PLAIN.encode("utf-16-le"), "UTF-16"),
        ("id,class,note\nA,null,\nB,null,für\n".encode("cp1252"), r"not UTF-8 text \(file .*r\.csv, record line 3\)"),
    ],
)
def test_other_encodings_are_refused_with_the_way_out(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=f"{words}.*comma-separated UTF-8"):
        audit.read_reading(saved(tmp_path, data), builtin())


def test_a_column_that_stands_twice_or_not_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="'class' is there twice"):
        read_filled(saved(tmp_path, b"id,class,Class \nA,null,leak\n"), ("id", "class"))
    with pytest.raises(FormatError, match="'class' is missing"):
        read_filled(saved(tmp_path, b"id;klass\nA;null\n"), ("id", "class"))
    with pytest.raises(FormatError, match=r"'id' is missing.*with commas between"):
        read_filled(saved(tmp_path, b"id|class\nA|null\n"), ("id", "class"))


def test_cells_right_of_the_header_are_not_dropped(tmp_path: Path) -> None:
    path = saved(tmp_path, b"id,class,ambiguous,note\nA,null,no,fine,,\nB,null,no,race, then null\n")
    with pytest.raises(FormatError, match=r"' then null' stands right of the last column .*line 3"):
        audit.read_reading(path, builtin())


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("yes", True), (" Yes ", True), ("TRUE", True), ("1", True), ("No", False), ("False", False), ("0", False),
        ("", False), ("WAHR", None), ("x", None), ("2", None),
    ],
)  # fmt: skip
def test_flags_as_people_write_them(cell: str, meant: bool | None) -> None:
    assert flag(cell) is meant


def test_a_wrong_class_names_line_column_and_what_was_meant(tmp_path: Path) -> None:
    path = saved(tmp_path, b"id,class\nA,null\nB,Error handling\nC,zzz\n")
    with pytest.raises(FormatError) as caught:
        audit.read_reading(path, builtin())
    assert "line 3 (B): column class: no class 'Error handling', did you mean error-handling?" in str(caught.value)
    assert "line 4 (C): column class: no class 'zzz' (file" in str(caught.value)
    assert "preventable list classes" in str(caught.value)


HEAD = "id;Reading A;reading_b;Final;AMBIGUOUS;note;reader_kind"


def test_a_merged_table_reads_as_people_save_it(tmp_path: Path) -> None:
    path = saved(tmp_path, f"{HEAD}\r\nA;Null; LEAK ;leak;TRUE;'=a;Human\r\n".encode("utf-8-sig"))
    assert audit.read_merged(path, builtin()) == [audit.Audited("A", "null", "leak", "leak", True, "=a", "human")]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(("cell", "weight"), [("1,868421052631579", 1.868421052631579), ("12.5", 12.5), ("3", 3.0)])
def test_weights_with_a_decimal_comma_where_no_comma_separates(
    tmp_path: Path, separator: str, cell: str, weight: float
) -> None:
    text = f"{HEAD};stratum;weight\nA;null;null;null;no;1,5;human;2024;{cell}\n".replace(";", separator)
    (row,) = audit.read_merged(saved(tmp_path, text.encode()), builtin())
    assert (row.weight, row.note) == (weight, "1,5")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"{HEAD};stratum;weight\nA;null;null;null;no;;human;2024;1.868,42\n", "1.868,42"),
        (f"{HEAD};stratum;weight\nA;null;null;null;no;;human;2024;'1,5'\n".replace(";", ",").replace("'", '"'), "1,5"),
    ],
)
def test_other_commas_in_a_weight_are_refused(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(FormatError, match=f"'{wrong}' is no positive number"):
        audit.read_merged(saved(tmp_path, text.encode()), builtin())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("A;nul;null;null;no;;human", r"no class 'nul', did you mean null\? .*line 2, field reading_a"),
        ("A;null;null;null;maybe;;human", r"'maybe' .*line 2, field ambiguous.*yes or no"),
    ],
)
def test_a_merged_table_that_is_wrong_says_where(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        audit.read_merged(saved(tmp_path, f"{HEAD}\n{row}\n".encode()), builtin())


@pytest.mark.parametrize("text", ["=1+1", "+a", "-2", "@scope/name", "a=b", "'tis", "", "1", "two, three", "a;b"])
def test_what_was_written_is_read_again(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    write_table(path, ("id", "note"), [("A", text)])
    (cells,) = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
    assert cells[1][:1] not in ("=", "+", "-", "@")
    assert read_filled(path, ("id",)) == [(2, {"id": "A", "note": text})]
    write_table(path, ("id", "note"), [("A", read_filled(path, ("id",))[0][1]["note"])])
    assert read_filled(path, ("id",)) == [(2, {"id": "A", "note": text})]
