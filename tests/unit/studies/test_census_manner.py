"""Every setting that counts is compared, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from preventable.code.census_case import CensusSection
from preventable.errors import InputError, UsageError
from preventable.studies.census_manner import Manner, differences, load_census, require_alike

BASE = Manner(
    file="a",
    method_version="1",
    max_file_bytes=1,
    components_from="directories",
    headers="auto",
    census_rules=CensusSection(code=("x", "y")),
    component_rules={"one": "x", "two": ("y", "z")},
    case="sha256:1",
)
OTHER: dict[str, Any] = {"headers": "c", "components_from": "other"}


@pytest.mark.parametrize("name", CensusSection.__struct_fields__)
def test_every_setting_of_the_section_is_compared(name: str) -> None:
    changed = msgspec.structs.replace(BASE.census_rules, **{name: OTHER.get(name, ("other",))})  # type: ignore[type-var]
    with pytest.raises(UsageError, match=f"alike: {name} is .* in a and other in b|headers is auto in a and c in b"):
        require_alike(BASE, msgspec.structs.replace(BASE, file="b", census_rules=changed))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method_version": "2"}, "method_version is 1 in a and 2 in b"),
        ({"max_file_bytes": 2}, "max_file_bytes is 1 in a and 2 in b"),
        ({"component_rules": {"one": "x"}}, "components.two is y, z in a and nothing in b"),
        ({"component_rules": {"two": ("y", "z"), "one": "x"}}, "the order of components is one, two in a and two, one"),
        ({"component_rules": None, "case": "sha256:2"}, "case is sha256:1 in a and sha256:2 in b"),
        ({"component_rules": None, "case": ""}, "case is sha256:1 in a and each tree's own in b"),
    ],
)
def test_what_else_counts_is_compared(changes: dict[str, Any], said: str) -> None:
    other = msgspec.structs.replace(BASE, file="b", **changes)
    with pytest.raises(UsageError, match=said):
        require_alike(BASE, other)
    with pytest.raises(UsageError, match="not counted alike"):
        require_alike(other, BASE)


@pytest.mark.parametrize(
    "changes",
    [
        {"case": "sha256:2"},
        {"census_rules": CensusSection(code=("y", "x", "x"))},
        {"component_rules": {"one": ("x",), "two": ("z", "y"), "none": ()}},
        {"component_rules": None},
        dict.fromkeys(("method_version", "max_file_bytes", "components_from", "headers", "census_rules", "case")),
    ],
)
def test_what_does_not_count_or_nobody_wrote_down_is_let_pass(changes: dict[str, Any]) -> None:
    other = msgspec.structs.replace(BASE, file="b", **changes)
    assert [*differences(BASE, other), *differences(other, BASE)] == []


def test_what_an_older_file_does_not_say_is_told_from_its_digest_alone() -> None:
    older = msgspec.structs.replace(BASE, component_rules=None, max_file_bytes=None)
    assert older.unknown() == ["max_file_bytes"]
    assert msgspec.structs.replace(older, case="").unknown() == ["max_file_bytes", "component_rules"]
    assert BASE.unknown() == []


SAVED: dict[str, Any] = {
    "kind": "census",
    "method_version": "1",
    "inputs": [{"kind": "directory", "location": "here"}],
    "results": [{"component": "a", "language": "C", "bucket": "code", "files": 1, "code": 1, "comment": 0, "blank": 0}],
    "headers": "auto",
    "components_from": "directories",
    "not_counted": [{"path": "x", "reason": "binary"}],
    "census_rules": {"exclude": ["x"]},
    "component_rules": {"a": "x"},
    "max_file_bytes": 1,
    "case": "",
}


def test_a_saved_census_holds_what_it_did_not_count(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for not_counted, paths in ((SAVED["not_counted"], ["x"]), ([], [])):
        file.write_text(json.dumps(SAVED | {"not_counted": not_counted}), encoding="utf-8")
        found = load_census(str(file))
        assert found is not None
        assert [n.path for n in found.not_counted] == paths


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_file_bytes": 0}, "max_file_bytes"),
        ({"max_file_bytes": -5}, "max_file_bytes"),
        ({"max_file_bytes": "a"}, "max_file_bytes"),
        ({"census_rules": {"new": ["x"]}}, "census_rules.new"),
        ({"census_rules": {"headers": "x"}}, "census_rules.headers"),
        ({"census_rules": {"exclude": ["x", 5]}}, "census_rules.exclude[1]"),
        ({"component_rules": ["a"]}, "component_rules"),
        ({"component_rules": {"a": 5}}, "component_rules.*"),
        ({"headers": "x"}, "headers"),
        ({"headers": "c"}, "headers"),
        ({"components_from": "cargo"}, "components_from"),
        ({"not_counted": [{"path": "x"}]}, "not_counted[0]"),
        ({"not_counted": 1}, "not_counted"),
        ({"results": [{}]}, "results[0]"),
        ({"results": None}, "results"),
    ],
)
def test_a_damaged_member_of_a_saved_census_is_named(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(SAVED | changes), encoding="utf-8")
    with pytest.raises(InputError, match="The census is damaged") as raised:
        load_census(str(file))
    assert (raised.value.file, raised.value.field) == (str(file), field)
