"""The case file is read strictly, and every fault names the nearest thing that exists."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from preventable.errors import CaseError
from preventable.readers.case_file import CaseFile, find_case_file, nearest, parse_case, read_case_file


class Zone(msgspec.Struct):
    name: str
    paths: tuple[str, ...] = ()


class Gate(msgspec.Struct):
    zones: tuple[Zone, ...] = ()
    limits: dict[str, Zone] = {}
    level: int | None = None
    mode: Literal["lines", "blocks"] | None = None


def test_a_section_is_decoded_into_its_owners_struct() -> None:
    case = parse_case(b'[gate]\nlevel = 3\n[[gate.zones]]\nname = "core"\npaths = ["src/**"]\n')
    assert case.decode("gate", Gate) == Gate(zones=(Zone("core", ("src/**",)),), level=3)
    assert case.digest.startswith("sha256:")


def test_an_absent_section_is_none() -> None:
    assert parse_case(b"").decode("gate", Gate) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gaet]\n", "did you mean gate?"),
        ("[zzzzqq]\n", "known: advisories"),
        ("gate = 3\n", "gate must be a table"),
        ("[pairs]\n", "pairs must be a list of tables"),
        ("[gate\n", "not TOML"),
    ],
)
def test_a_wrong_document_is_refused_with_what_to_do(text: str, said: str) -> None:
    with pytest.raises(CaseError) as caught:
        parse_case(text.encode(), "x/preventable.toml")
    assert said in str(caught.value)
    assert "x/preventable.toml" in str(caught.value)


def test_a_word_that_is_no_choice_is_answered_with_the_choices() -> None:
    case = parse_case(b'[gate]\nmode = "bytes"\nlevle = 2\n')
    with pytest.raises(CaseError) as caught:
        case.decode("gate", Gate)
    assert "gate.mode is 'bytes', not one of blocks, lines" in str(caught.value)
    assert "gate.levle (did you mean level?)" in str(caught.value)


def test_all_unknown_keys_are_reported_at_once_with_the_nearest() -> None:
    case = parse_case(b'[gate]\nzone = 1\nlevle = 2\n[[gate.zones]]\nnmae = "a"\n[gate.limits.x]\npats = []\n')
    with pytest.raises(CaseError) as caught:
        case.decode("gate", Gate)
    message = str(caught.value)
    for part in (
        "gate.zone (did you mean zones?)",
        "gate.levle (did you mean level?)",
        "gate.zones[0].nmae (did you mean name?)",
        "gate.limits.x.pats (did you mean paths?)",
    ):
        assert part in message


def test_a_value_of_another_type_names_its_field() -> None:
    with pytest.raises(CaseError) as caught:
        parse_case(b"[[gate.zones]]\nname = 3\n").decode("gate", Gate)
    assert "gate.zones" in str(caught.value)
    assert caught.value.exit_status == 2


def test_not_utf8_is_said() -> None:
    with pytest.raises(CaseError, match="not UTF-8"):
        parse_case(b"\xff\xfe[")


def test_an_unregistered_section_is_a_bug_of_ours() -> None:
    with pytest.raises(ValueError, match="register"):
        parse_case(b"").decode("nonsense", Gate)


def test_the_own_file_wins_over_pyproject(tmp_path: Path) -> None:
    assert find_case_file(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert find_case_file(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text("[tool.preventable.gate]\nlevel = 1\n")
    found = find_case_file(tmp_path)
    assert found == tmp_path / "pyproject.toml"
    case: CaseFile = read_case_file(found)
    assert case.decode("gate", Gate) == Gate(level=1)
    (tmp_path / "preventable.toml").write_text("[gate]\nlevel = 2\n")
    assert find_case_file(tmp_path) == tmp_path / "preventable.toml"


def test_an_unknown_key_in_pyproject_names_its_full_place(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.preventable.gat]\nlevel = 1\n")
    with pytest.raises(CaseError, match=r"tool\.preventable\.gat \(did you mean gate"):
        read_case_file(tmp_path / "pyproject.toml")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="does not exist"):
        read_case_file(tmp_path / "preventable.toml")


def test_nearest_may_find_nothing() -> None:
    assert nearest("xyz", ["abc"]) is None
