"""The taxonomy files are consistent, and a user's wrong file is told with its name and place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from preventable.classify.labeller import PRECEDENCE
from preventable.errors import TaxonomyError
from preventable.taxonomy import loader
from preventable.taxonomy.loader import STATES, builtin, load_taxonomy
from support.feeds import SHARED

METHODOLOGY = 'id = "ours"\ntitle = "Ours"\ntext = "t"\nsource = "policy 7"\nclasses = ["temporal"]\n'
INTERVENTION = 'id = "ours"\ntitle = "Ours"\nkind = "process"\ntext = "t"\n'
CELL = '[[cell]]\nclass = "temporal"\nsource = "a measurement"\n'


def beside(directory: Path, kind: str, text: str) -> Path:
    (directory / kind).mkdir()
    (directory / kind / "ours.toml").write_text(text, encoding="utf-8")
    return directory


def test_every_entry_has_a_source() -> None:
    taxonomy = builtin()
    assert {"strict", "broad", "cwe-1399", "openssf"} <= taxonomy.methodologies.keys()
    assert {"rust", "bounds-safety", "mte", "cheri", "fil-c", "gc-language", "formal-verification"} <= (
        taxonomy.interventions.keys()
    )
    assert all(c.source for c in taxonomy.classes.values())
    assert all(m.source for m in taxonomy.methodologies.values())
    assert all(r.source and 0 < r.share <= 1 for r in taxonomy.references)
    for intervention in taxonomy.interventions.values():
        for cell in intervention.cells.values():
            assert bool(cell.states) != bool(cell.unavailable)
            if cell.states:
                assert cell.source
                assert sum(cell.states.values()) == pytest.approx(1)
                assert set(cell.states) <= set(STATES)


def test_classes_and_their_order() -> None:
    taxonomy = builtin()
    assert set(PRECEDENCE) == taxonomy.classes.keys()
    assert set(taxonomy.cwe_class.values()) <= taxonomy.classes.keys()
    for weakness in taxonomy.classes.values():
        assert weakness.default_cwe == 0 or taxonomy.knows_cwe(weakness.default_cwe)
    for vague in (20, 200, 400):
        assert taxonomy.knows_cwe(vague)
        assert taxonomy.class_of_cwe(vague) is None
    assert taxonomy.class_of_cwe(99_999) is None


def test_cwe_1399_is_mitres_list() -> None:
    """Members of category 1399, https://cwe.mitre.org/data/definitions/1399.html, and what is not in it."""
    method = builtin().methodologies["cwe-1399"]
    members = {*range(119, 128), 129, 131, 134, 188, 198, 244, 401, 415, 416, 466, 562, 587, 590, 680, 690, 761, 762,
               763, 786, 787, 788, 789, 805, 806, 822, 823, 824, 825}  # fmt: skip
    assert set(method.cwes_in) == members
    assert not members & {476, 190, 191, 908, 170, 197, 681}
    assert 908 in builtin().methodologies["cisa"].cwes_in


def test_a_users_files_are_added(tmp_path: Path) -> None:
    beside(tmp_path, "methodologies", METHODOLOGY)
    beside(tmp_path, "interventions", INTERVENTION + CELL + "counts = { by_construction = 3, not = 1 }\n")
    taxonomy = load_taxonomy(tmp_path)
    assert taxonomy.methodologies["ours"].counts("temporal", None)
    assert not taxonomy.methodologies["ours"].counts("spatial", 787)
    assert taxonomy.interventions["ours"].cell("temporal").states == {"by_construction": 0.75, "not": 0.25}
    assert taxonomy.interventions["ours"].cell("spatial").unavailable
    assert "ours" not in builtin().methodologies


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("methodologies", "id = ", "not valid TOML"),
        ("methodologies", METHODOLOGY.replace("temporal", "tempral"), "unknown classes"),
        ("methodologies", METHODOLOGY.replace("policy 7", " "), "needs a source"),
        ("methodologies", METHODOLOGY.replace('source = "policy 7"\n', ""), "source"),
        ("methodologies", METHODOLOGY + "more = 1\n", "more"),
        ("methodologies", METHODOLOGY.replace('["temporal"]', '"temporal"'), "classes"),
        ("methodologies", "x = " + "1" * 5000, "not valid TOML"),
        ("interventions", INTERVENTION + CELL.replace("temporal", "tempral"), "unknown class"),
        ("interventions", INTERVENTION + (CELL + "states = { not = 1.0 }\n") * 2, "two cells"),
        ("interventions", INTERVENTION + CELL + "states = { not = 0.6, contained = 0.6 }\n", "add up"),
        ("interventions", INTERVENTION + CELL + "states = { not = 1.5, contained = -0.5 }\n", "add up"),
        ("interventions", INTERVENTION + CELL + "states = { nearly = 1.0 }\n", "unknown states"),
        ("interventions", INTERVENTION + CELL + "counts = { not = 0 }\n", "counts"),
        ("interventions", INTERVENTION + CELL + "counts = { not = -1, contained = 2 }\n", "counts"),
        ("interventions", INTERVENTION + CELL + "states = { detected = 1.0 }\n", "detection_probability"),
        ("interventions", INTERVENTION + CELL + "states = { not = 1.0 }\ndetection_probability = 0.5\n", "detected"),
        (
            "interventions",
            INTERVENTION + CELL + "states = { detected = 1.0 }\ndetection_probability = 1.5\n",
            "detection_probability",
        ),
        ("interventions", INTERVENTION + '[[cell]]\nclass = "temporal"\nstudy = "acsac2024"\nrow = "nope"\n', "row"),
        ("interventions", INTERVENTION, "cell"),
    ],
)
def test_a_users_wrong_file(kind: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match=said) as error:
        load_taxonomy(beside(tmp_path, kind, text))
    assert error.value.file is not None
    assert error.value.file.endswith("ours.toml")


def test_a_cell_without_a_source_is_not_available(tmp_path: Path) -> None:
    cell = CELL.replace("a measurement", "") + "states = { not = 1.0 }\n"
    taxonomy = load_taxonomy(beside(tmp_path, "interventions", INTERVENTION + cell))
    found = taxonomy.interventions["ours"].cell("temporal")
    assert (found.states, found.unavailable) == ({}, "the cell names no source")


def test_a_study_whose_sums_do_not_add_up(tmp_path: Path) -> None:
    """Printed tables contain slips: groups must give the total, rows must not exceed it."""
    text = (
        'id = "s"\ntitle = "S"\nsource = "x"\nstates = ["by_construction", "not"]\nmapping = "m"\ntotal = [3, 2]\n'
        '[[row]]\nname = "a"\ncounts = [{a}]\n[[group]]\nname = "g"\ncounts = [{g}]\n'
    )
    path = tmp_path / "study.toml"
    for a, g, said in (("1, 1", "3, 1", "add up"), ("4, 0", "3, 2", "over the total"), ("1", "3, 2", "one count")):
        path.write_text(text.format(a=a, g=g), encoding="utf-8")
        with pytest.raises(TaxonomyError, match=said):
            loader._load_study(path)
    path.write_text(text.format(a="3, 2", g="3, 2"), encoding="utf-8")
    assert loader._load_study(path).total == (3, 2)


def test_a_cwe_map_with_a_slip(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    classes = builtin().classes
    for groups, said in (
        ('[[group]]\nclass = "spatial"\ncwes = [1]\n[[group]]\nclass = "null"\ncwes = [1]\n', "listed twice"),
        ('[[group]]\nclass = "spacial"\ncwes = [1]\n', "unknown class"),
        ('[[group]]\nclass = "spatial"\ncwes = [2]\n', "vague"),
    ):
        path.write_text(f"[vague]\ncwes = [1]\n{groups}", encoding="utf-8")
        with pytest.raises(TaxonomyError, match=said):
            loader._load_cwe_map(path, classes)


def test_the_study_of_linux_drivers_is_as_printed() -> None:
    """ACSAC 2024: 240 CVEs, all 82/113/45; use after free 15/7/0 gives the cell of Rust."""
    cell = builtin().interventions["rust"].cell("temporal")
    assert cell.counts is not None
    assert sorted(cell.counts.values()) == [0, 7, 15]
    assert cell.states["by_construction"] == pytest.approx(15 / 22)


def _cwes() -> Iterator[int]:
    with zstandard.open(SHARED / "advisories-dev.jsonl.zst", "rt", encoding="utf-8") as stream:
        for line in stream:
            for found in re.findall(r"CWE-(\d+)|^(\d+)$", " ".join(map(str, json.loads(line).get("cwe") or []))):
                yield int(found[0] or found[1])


@pytest.mark.shared
def test_every_cwe_of_the_shared_data_is_in_the_map() -> None:
    if not SHARED.exists():
        pytest.skip(f"SKIPPED: the shared data is not at {SHARED}")
    seen = set(_cwes())
    assert len(seen) > 100
    assert sorted(cwe for cwe in seen if not builtin().knows_cwe(cwe)) == []
