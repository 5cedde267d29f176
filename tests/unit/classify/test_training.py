from __future__ import annotations

import csv
from collections import Counter
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import zstandard
from scipy import sparse

from preventable.classify import training
from preventable.classify.examples import CLASSES, STRICT, Example, Reading, assemble, audit_ids, read_rows, readings
from preventable.classify.model import held_out_arrays, read_held_out
from preventable.classify.regression import fit_softmax
from preventable.classify.training import (
    ENOUGH,
    FOLDS,
    _calibrate,
    _folds,
    check_enough,
    held_out_rows,
    save,
    train,
)
from preventable.classify.words import OTHER
from preventable.errors import FormatError, InputError
from preventable.records import Advisory
from preventable.taxonomy.loader import Taxonomy, builtin

OTHERS = {"disagreed", "below 0.05", "0.05 to 0.2", "0.2 to 0.8", "0.8 to 0.95", "0.95 or more"}
KERNEL = "In the Linux kernel, the following vulnerability has been resolved:\n\n"


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_bytes(msgspec.json.Encoder().encode_lines(rows))
    return path


def row(number: int, source: str, text: str, cwe: list[int] | None = None) -> dict[str, object]:
    return {"id": f"CVE-1990-{number}", "source": source, "title": "", "text": text, "cwe": cwe}


def test_no_reading_is_an_audit_record() -> None:
    assert audit_ids().isdisjoint(readings())
    assert len(audit_ids()) == 420


def test_readings_are_facts_only() -> None:
    known = {*builtin().classes, "unknown"}
    for path in (files("preventable.data") / "training").iterdir():
        for entry in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            assert set(entry) - {"drawn", "second", "stands_for"} == {"id", "class", "reader_kind"}
            assert {entry["class"], entry.get("second", "unknown")} <= known
            assert entry.get("drawn", "random") in {"random", "mixed", "uncertain", "rest", *OTHERS}
            assert float(entry.get("stands_for", 1)) >= 1
            assert entry["reader_kind"] in {"human", "model"}


def test_readings_by_strata_stand_for_their_strata() -> None:
    others = [r for r in readings().values() if r.drawn in OTHERS]
    assert len(others) == 1450
    assert {r.stands_for for r in readings().values() if r.drawn not in OTHERS} == {1.0}
    for drawn in OTHERS:
        assert len({r.stands_for for r in others if r.drawn == drawn}) == 1
    assert round(sum(r.stands_for for r in others)) == 21859


def test_second_readings_are_of_records_read_before() -> None:
    second = {k: r for k, r in readings().items() if r.second is not None}
    assert len(second) == 4922 + 1450
    differing = [r for r in second.values() if r.second != r.weakness]
    assert 0 < len(differing) < len(second) / 10


def test_two_readings_that_differ_leave_the_class_open(tmp_path: Path) -> None:
    rows = [row(i, "kernel", "fix a bug") for i in range(4)]
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows))
    said = {
        "CVE-1990-0": Reading("temporal", "rest", "race"),
        "CVE-1990-1": Reading("temporal", "rest", "temporal"),
        "CVE-1990-2": Reading("temporal", "rest", "unknown"),
        "CVE-1990-3": Reading("unknown", "rest"),
    }
    found = {e.id[-1]: (e.weakness, e.among) for e in assemble(read, builtin(), said, frozenset())}
    assert found == {
        "0": (None, frozenset(("temporal", "race"))),
        "1": ("temporal", frozenset()),
        "2": ("temporal", frozenset()),
    }


def test_audit_records_train_nothing_by_any_name(tmp_path: Path) -> None:
    audited = sorted(audit_ids())[0]
    rows = [
        {"id": audited, "source": "kernel", "title": "fix use-after-free", "text": "x", "cwe": None},
        {"id": audited, "source": "nluedtke", "title": "", "text": "use after free", "cwe": [416]},
        {"id": "GHSA-x", "source": "vr", "title": "", "text": "use after free", "cwe": [416], "aliases": [audited]},
        row(1, "vr", "a use after free", [416]),
    ]
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows))
    examples = assemble(read, builtin(), {}, audit_ids())
    assert [e.id for e in examples] == ["CVE-1990-1"]


def test_a_text_that_is_an_audited_one_word_for_word_trains_nothing(tmp_path: Path) -> None:
    rows = [row(1, "kernel", "a use  after free"), row(2, "vr", "A use after FREE", [416]), row(3, "vr", "use", [416])]
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows))
    assert [e.id for e in assemble(read, builtin(), {}, {"CVE-1990-1"})] == ["CVE-1990-3"]


def test_vague_cwes_decide_nothing_and_triggers_yield_to_consequences(tmp_path: Path) -> None:
    rows = [
        row(1, "vr", "improper input", [20]),
        row(2, "vr", "An integer overflow leads to a heap buffer overflow.", [190]),
        row(3, "vr", "An integer overflow gives a wrong sum.", [190]),
        row(4, "vr", "Uncontrolled recursion leads to a stack overflow.", [121]),
    ]
    named = [{**r, "id": f"{r['id']}-titled", "title": "Fault in the parser"} for r in rows]
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows + named))
    found = {e.id: e.weakness for e in assemble(read, builtin(), {}, frozenset())}
    assert found["CVE-1990-2-titled"] == "spatial"
    assert found["CVE-1990-2"] == "integer"  # the one paragraph of a CVE is labelled as NVD does
    assert found["CVE-1990-3"] == found["CVE-1990-3-titled"] == "integer"
    assert not {"CVE-1990-1", "CVE-1990-4", "CVE-1990-4-titled"} & set(found)


def test_categories_name_sets_and_withheld_ones_are_left_alone(tmp_path: Path) -> None:
    def rust(number: int, cats: list[str] | None, informational: str | None = None) -> dict[str, object]:
        return {"id": f"RUSTSEC-1990-{number:04}", "source": "rustsec", "title": "t", "text": "x", "cwe": None,
                "cats": cats, "informational": informational, "package": "p", "aliases": []}  # fmt: skip

    rows = [
        rust(1, ["memory-corruption"]),
        rust(2, ["denial-of-service"]),
        rust(3, [], "unmaintained"),
        rust(4, None),
        rust(5, ["memory-corruption", "thread-safety"]),
        rust(6, []),
    ]
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows))
    drawn = {"RUSTSEC-1990-0005": Reading("race", "random"), "RUSTSEC-1990-0001": Reading("type", "random")}
    found = {e.id[-1]: e for e in assemble(read, builtin(), drawn, frozenset())}
    assert set(found) == {"1", "2", "3", "5", "6"}
    assert found["1"].weakness == "type"
    assert found["2"].among == set(CLASSES) - STRICT
    assert "null" not in found["3"].among
    assert (found["5"].weakness, found["5"].among) == (None, STRICT)
    assert found["6"].weight == 0


@pytest.mark.parametrize("content", [b"{", b'{"id": 3}', b"[]"])
def test_a_bad_line_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(content + b"\n")
    with pytest.raises(FormatError, match="line 1"):
        read_rows(path)


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path / "none.jsonl")
    damaged = tmp_path / "d.jsonl.zst"
    damaged.write_bytes(b"nothing")
    with pytest.raises(FormatError, match="zstd"):
        read_rows(damaged)


def test_a_truncated_zstd_file_is_told_and_several_frames_are_read(tmp_path: Path) -> None:
    lines = msgspec.json.Encoder().encode_lines([row(i, "vr", f"text {i * 7919}") for i in range(200)])
    packed = zstandard.ZstdCompressor().compress(lines)
    path = tmp_path / "d.jsonl.zst"
    for short in (packed[:100], packed[:-1], packed + packed[:50]):
        path.write_bytes(short)
        with pytest.raises(FormatError, match="truncated zstd"):
            read_rows(path)
    path.write_bytes(packed + packed)
    assert len(read_rows(path)[0]) == 400


def test_too_few_texts_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    for few in (
        [],
        [row(i, "vr", "a use after free", [416]) for i in range(49)],
        [row(i, "vr", "improper input", [20]) for i in range(300)],  # says nothing of the class
    ):
        read, _ = read_rows(write(path, few))
        with pytest.raises(InputError, match=rf"{len(few)} rows, of which \d+ have a label; at least 50"):
            check_enough(assemble(read, builtin(), {}, frozenset()), len(read), path)


@pytest.mark.parametrize("text", ["word", "a use after free"])
def test_just_enough_texts_train_and_wordless_ones_are_told(tmp_path: Path, text: str) -> None:
    read, digest = read_rows(write(tmp_path / "d.jsonl", [row(i, "vr", f"{text} {i}", [416]) for i in range(50)]))
    examples = assemble(read, builtin(), {}, frozenset())
    check_enough(examples, len(read), tmp_path)
    save(train(examples, digest, builtin(), iterations=2), tmp_path / "m.npz")
    wordless = [msgspec.structs.replace(e, text="") for e in examples]
    with pytest.raises(InputError, match="no word stands in 8 of the 50 texts"):
        train(wordless, digest, builtin(), iterations=2)


def test_partial_targets_split_their_mass() -> None:
    x = sparse.csr_matrix(np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 3] * 20])
    targets = np.zeros((120, 3), dtype=np.float32)
    targets[0::6, 0] = targets[1::6, 0] = 1
    targets[2::6, 1] = targets[3::6, 1] = 1
    targets[4::6, 2] = 1
    targets[5::6, :2] = 1  # "the first or the second"
    model = fit_softmax(x, targets, np.ones(120, dtype=np.float32), penalty=1e-3)
    p = model.probabilities(sparse.csr_matrix(np.eye(4, dtype=np.float32)))
    assert p[0].argmax() == 0
    assert p[1].argmax() == 1
    assert p[3, 2] < 0.1


TEXTS = {
    416: "a use after free in the parser when the object was freed before",
    787: "an out of bounds write because the index is not checked against the size",
    476: "the parser crashes by a null pointer dereference when allocation fails",
}


def small() -> list[dict[str, object]]:
    return [
        row(i, "vr", f"{text}, case {i}", [cwe]) for cwe, text in TEXTS.items() for i in range(cwe * 40, cwe * 40 + 40)
    ]


def test_a_small_training_learns_and_is_reproducible(tmp_path: Path) -> None:
    read, digest = read_rows(write(tmp_path / "d.jsonl", small()))
    examples = assemble(read, builtin(), {}, frozenset())
    first = save(train(examples, digest, builtin(), iterations=15), tmp_path / "a.npz")
    save(train(examples, digest, builtin(), iterations=15), tmp_path / "b.npz")
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
    label = first.label(Advisory("x", "", "", "", "a use after free when the object was freed"))
    assert label.weakness == "temporal"
    assert first.card.data_digest == digest
    assert set(first.classes) == set(CLASSES)


def test_records_that_share_a_name_are_held_out_together(tmp_path: Path) -> None:
    """Ten records of a class that no other has: a fit that saw one of them knows the others by their words."""

    def right(together: dict[str, object]) -> list[bool]:
        odd = [row(9000 + i, "vr", f"quaint quibble quorum {i}", [369]) | together for i in range(10)]
        read, digest = read_rows(write(tmp_path / "d.jsonl", small() + odd))
        trained = train(assemble(read, builtin(), {}, frozenset()), digest, builtin(), iterations=15)
        rows = held_out_rows(trained)
        assert len(rows) == len(small()) + 10
        assert sum(r["truth"] == r["predicted"] for r in rows[:120]) > 0.95 * 120
        return [r["predicted"] == "divide" for r in rows[120:]]

    assert all(right({}))
    assert not any(right({"aliases": ["GHSA-odd"]}))
    assert not any(right({"aliases": ["CVE-1990-9000"]}))
    assert not any(right({"text": "quaint  Quibble quorum"}))


def test_what_is_held_out_together() -> None:
    def fold(*records: tuple[str, str, set[str]]) -> list[int]:
        texts = [Example(i, "vr", "", text, "null", 1.0, "cwe", kin=frozenset(kin)) for i, text, kin in records]
        return [int(k) for k in _folds(texts)]

    many = [(f"CVE-{i}", f"text {i}", set[str]()) for i in range(400)]
    assert min(Counter(fold(*many)).values()) > 25
    # A chain: the first and the last share nothing, but each shares something with the one between.
    linked = [
        ("CVE-1", "a", {"GHSA-1"}),
        ("RUSTSEC-1", "b", {"GHSA-1", "package p"}),
        ("RUSTSEC-2", "c", {"package p"}),
    ]
    for i in range(50):
        chain = [(f"{name}-{i}", f"{text}{i}", {f"{k}-{i}" for k in kin}) for name, text, kin in linked]
        assert len(set(fold(*many, *chain)[-3:])) == 1


def test_rust_advisories_of_one_package_are_held_out_together(tmp_path: Path) -> None:
    rows = [
        {"id": f"RUSTSEC-1990-{i}", "source": "rustsec", "title": "t", "text": f"x {i}", "package": "p", "cats": [],
         "aliases": [f"CVE-1990-{i}"]}
        for i in range(2)
    ]  # fmt: skip
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows))
    a, b = (e.kin for e in assemble(read, builtin(), {}, frozenset()))
    assert a & b == {"package p"}
    assert "CVE-1990-0" in a


def test_texts_that_all_belong_together_are_refused(tmp_path: Path) -> None:
    rows = [row(i, "vr", f"a use after free {i}", [416]) | {"aliases": ["GHSA-1"]} for i in range(60)]
    read, digest = read_rows(write(tmp_path / "d.jsonl", rows))
    with pytest.raises(InputError, match="all 60 labelled texts belong together"):
        train(assemble(read, builtin(), {}, frozenset()), digest, builtin(), iterations=2)


@pytest.mark.parametrize("wrong", ["", "CVE 1 2", "CVE-1\n"])
def test_an_id_is_one_word(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(FormatError, match="line 2, field id"):
        read_rows(write(tmp_path / "d.jsonl", [row(1, "vr", "text"), row(2, "vr", "text") | {"id": wrong}]))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"id": "a", "source": "vr", "title": "caf\xe9", "text": ""}\n')
    with pytest.raises(FormatError, match="line 1"):
        read_rows(path)


def test_each_fold_is_calibrated_on_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def spied(held: training._Held, within: npt.NDArray[np.bool_], taxonomy: Taxonomy) -> object:
        used.append((held.fold, within))
        return _calibrate(held, within, taxonomy)

    monkeypatch.setattr(training, "_calibrate", spied)
    read, digest = read_rows(write(tmp_path / "d.jsonl", small()))
    train(assemble(read, builtin(), {}, frozenset()), digest, builtin(), iterations=5)
    assert len(used) == FOLDS + 1
    for k, (fold, within) in enumerate(used[:-1]):
        assert np.array_equal(within, fold != k)
    assert used[-1][1].all()


def test_a_calibration_speaks_for_the_texts_that_it_saw() -> None:
    """One half of the kernel's texts is over-confident, the other is not."""
    rng = np.random.default_rng(7)
    scores = np.zeros((1000, len(CLASSES)), dtype=np.float32)
    temporal, leak = CLASSES.index("temporal"), CLASSES.index("leak")
    scores[:, temporal] = rng.normal(0, 2, 1000)
    truth = rng.random(1000) < 1 / (1 + np.exp(-scores[:, temporal]))
    scores[:, [i for i in range(len(CLASSES)) if i not in (temporal, leak)]] = -20
    scores[:500] *= 4
    classes = ["temporal" if t else "leak" for t in truth]
    held = training._Held(
        tuple(Example(str(i), "kernel", "", "", c, 1.0, "reading") for i, c in enumerate(classes)),
        scores, np.zeros(1000, dtype=np.intp), np.arange(1000) % 2,
    )  # fmt: skip
    first, second = (_calibrate(held, (np.arange(1000) < 500) == half, builtin())[0][0] for half in (True, False))
    assert first == pytest.approx(0.25, rel=0.3)
    assert second == pytest.approx(1.0, rel=0.3)
    few = _calibrate(held, np.arange(1000) < ENOUGH - 1, builtin())
    assert few[0] == (1.0, 1.0, 1.0, 1.0)
    assert few[1]["strict"].commit == (1.0, 0.0, 0.0)


def test_other_projects_are_calibrated_on_readings_by_what_each_stands_for() -> None:
    """Readings are of two strata that err apart; CISA's own labels, which are always right here, do not count."""
    temporal, leak = CLASSES.index("temporal"), CLASSES.index("leak")
    scores = np.full((900, len(CLASSES)), -20, dtype=np.float32)
    scores[:, temporal], scores[:, leak] = 0.5, 0
    classes = ["temporal"] * 240 + ["leak"] * 60 + ["temporal"] * 60 + ["leak"] * 240 + ["temporal"] * 300

    def chance(first: float, second: float) -> float:
        held = training._Held(
            tuple(
                Example(
                    str(i), "vr", "", "", c, 1.0, "cwe" if i >= 600 else "reading", first if i < 300 else second
                )
                for i, c in enumerate(classes)
            ),
            scores, np.full(900, OTHER), np.arange(900) % 2,
        )  # fmt: skip
        temperature, calibrations = _calibrate(held, np.ones(900, dtype=bool), builtin())
        return float(training._labels(scores, held.genre, temperature, calibrations).strict[0])

    assert chance(1, 1) == pytest.approx(0.5, abs=0.03)
    assert chance(9, 1) == pytest.approx(0.74, abs=0.03)
    assert chance(1, 9) == pytest.approx(0.26, abs=0.03)


def test_a_rejected_record_teaches_nothing(tmp_path: Path) -> None:
    read, _ = read_rows(
        write(
            tmp_path / "d.jsonl", [row(1, "nluedtke", "** REJECT ** a duplicate", [476]), row(2, "vr", "null", [476])]
        )
    )
    assert [e.id for e in assemble(read, builtin(), {}, frozenset())] == ["CVE-1990-2"]


def test_a_text_that_only_repeats_its_title_teaches_nothing(tmp_path: Path) -> None:
    says = "Kernel Elevation of Privilege Vulnerability"
    rows = [
        row(1, "vr", f"{says}\n", [416]) | {"title": says.upper()},
        row(2, "vr", "", [416]) | {"title": says},
        row(3, "vr", f"{says}, by a use after free", [416]) | {"title": says},
        row(4, "vr", says, [416]),
        row(5, "vr", says, [416]) | {"title": says},
    ]
    read, _ = read_rows(write(tmp_path / "d.jsonl", rows))
    found = assemble(read, builtin(), {"CVE-1990-5": Reading("logic", "disagreed", "logic", 2.0)}, frozenset())
    assert [(e.id[-1], e.weakness, e.weight, e.stands_for) for e in found] == [
        ("3", "temporal", 0.7, 1.0),
        ("4", "temporal", 0.7, 1.0),
        ("5", "logic", 3.0, 2.0),
    ]


def test_texts_that_teach_nothing_are_asked_of_every_fit(tmp_path: Path) -> None:
    read, digest = read_rows(write(tmp_path / "d.jsonl", small()))
    asked = [read[0], read[-1]]
    taught = assemble(read, builtin(), {}, frozenset(r.id for r in asked))
    with_them = train(taught, digest, builtin(), ask=asked, iterations=15)
    assert with_them.asked == {
        asked[0].id: (CLASSES.index("temporal"),) * FOLDS,
        asked[1].id: (CLASSES.index("null"),) * FOLDS,
    }
    # What only one family of texts could teach is unknown to the fit that was to judge them, and to no other.
    odd = [row(9000 + i, "vr", f"quaint quibble quorum {i}", [369]) | {"aliases": ["GHSA-odd"]} for i in range(10)]
    more, _ = read_rows(write(tmp_path / "e.jsonl", small() + odd))
    one = [msgspec.structs.replace(more[-1], id="asked", text="quaint quibble quorum", aliases=())]
    said = train(assemble(more, builtin(), {}, frozenset()), digest, builtin(), ask=one, iterations=15).asked["asked"]
    assert sorted(CLASSES[c] == "divide" for c in said) == [False] + [True] * (FOLDS - 1)
    without = train(taught, digest, builtin(), iterations=15)
    assert np.array_equal(with_them.labeller.weights, without.labeller.weights)
    save(with_them, tmp_path / "m.npz")
    held = read_held_out(tmp_path / "m.npz")
    assert held[asked[0].id] == ("temporal",) * FOLDS
    assert len(held) == len(read)
    assert {len(v) for i, v in held.items() if i not in with_them.asked} == {1}


@pytest.mark.parametrize(
    "change",
    [
        {"held_out": np.array([0], dtype=np.uint8)},
        {"held_out": np.array([0, 200], dtype=np.uint8)},
        {"held_out_ids": np.array([0xFF], dtype=np.uint8)},
        {"card": np.array([], dtype=np.uint8)},
        None,
    ],
)
def test_damaged_labels_of_unseen_fits_are_refused(tmp_path: Path, change: dict[str, object] | None) -> None:
    read, digest = read_rows(write(tmp_path / "d.jsonl", small()))
    path = tmp_path / "m.npz"
    save(train(assemble(read, builtin(), {}, frozenset()), digest, builtin(), iterations=2), path)
    with np.load(path) as archive:
        arrays = dict(archive) | held_out_arrays({"A": (0,), "B": (1,)})
    np.savez(path, **arrays)
    assert read_held_out(path) == {"A": (CLASSES[0],), "B": (CLASSES[1],)}
    if change is None:
        path.write_bytes(path.read_bytes()[:200])
    else:
        np.savez(path, **(arrays | change))
    with pytest.raises(FormatError, match="not a model"):
        read_held_out(path)
