"""Pairs: the same calendar time on both sides, and no ratio without overlap and deployment."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from preventable.errors import CaseError
from preventable.readers.exposure import ExposureFile, ExposureRow
from preventable.records import Advisory, CodeRange
from preventable.studies.counterparts import Pair, PairSide, compare_pairs, read_facts
from preventable.studies.events import Dates, date_events
from preventable.studies.setting import EMBEDDED, Inputs, Setting
from preventable.taxonomy.loader import builtin

PAIR = Pair(
    id="p", title="P", overlap="full",
    new=PairSide("new", ("new/**",), "pair/new", since=date(2025, 1, 1), deployment="some"),
    old=PairSide("old", ("old/**",), "pair/old", since=date(2010, 1, 1), deployment="many"),
)  # fmt: skip


def inputs(*fixes: tuple[str, str, date]) -> Inputs:
    advisories = tuple(
        Advisory(id=name, feed="t", file="t", files=(path,), ranges=(CodeRange(fixed_date=when, mainline=True),))
        for name, path, when in fixes
    )
    rows = tuple(
        ExposureRow(date(2024, 1, 1), f"pair/{s}", "C" if s == "old" else "Rust", "shipped", 10_000, 100)
        for s in ("new", "old")
    )
    return Inputs(
        setting=Setting(), advisories=advisories, labels={}, labelled=False,
        events=date_events(advisories, {}, Dates({}), lambda _: None), exposure=ExposureFile("x", "sha256:0", rows),
        readings={}, methodologies=builtin().methodologies, start=date(2024, 1, 1), end=date(2026, 1, 1),
        data_date=date(2026, 3, 1), reports=(), releases={},
    )  # fmt: skip


def test_only_the_common_calendar_time_counts() -> None:
    (row,) = compare_pairs(
        [PAIR], inputs(("A", "new/a.rs", date(2025, 6, 1)), ("B", "old/b.c", date(2025, 6, 1)),
                       ("E", "old/c.c", date(2024, 6, 1))), Path(),
    )  # fmt: skip
    assert (row.events_new, row.events_old, row.ratio, row.start) == (1, 1, pytest.approx(1.0), date(2025, 1, 1))
    assert row.too_young


def test_a_vulnerability_that_the_case_names_by_an_alias_counts() -> None:
    read = inputs(("CVE-1", "elsewhere.c", date(2025, 6, 1)))
    named = tuple(msgspec.structs.replace(a, aliases=("GHSA-1",)) for a in read.advisories)
    pair = msgspec.structs.replace(PAIR, old=msgspec.structs.replace(PAIR.old, events=("GHSA-1",)))
    (row,) = compare_pairs([pair], msgspec.structs.replace(read, advisories=named), Path())
    assert [(e["id"], e["side"], e["counts"]) for e in row.events] == [("CVE-1", "old", True)]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"overlap": "none"}, "overlap"), ({"new": PairSide("new", ("new/**",), "pair/new")}, "deployment"),
     ({"old": PairSide("old", ("old/**",), "pair/old", until=date(2020, 1, 1), deployment="x")}, "same time")],
)  # fmt: skip
def test_no_ratio_without_what_makes_it_fair(change: dict[str, object], word: str) -> None:
    pair = msgspec.structs.replace(PAIR, **change)
    (row,) = compare_pairs([pair], inputs(("A", "new/a.rs", date(2025, 6, 1))), Path())
    assert row.ratio is None
    assert word in row.reason


def test_the_unsafe_share_is_that_of_the_new_side() -> None:
    (row,) = compare_pairs([PAIR], inputs(), Path())
    assert row.unsafe_share == pytest.approx(0.01)


def test_a_tree_is_measured_with_its_ioctls(tmp_path: Path) -> None:
    for path, text in {
        "new/a.rs": "fn f() {\n    match c { THING_SET => {} _ => {} }\n    unsafe { g() }\n}\n",
        "old/b.c": "int f(int c)\n{\n\tswitch (c) {\n\tcase THING_SET:\n\tcase THING_GET:\n\t\treturn 0;\n\t}\n}\n",
        "uapi.h": "#define THING_SET _IO('t', 1)\n#define THING_GET _IOR('t', 2, int)\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    pair = msgspec.structs.replace(PAIR, uapi=("uapi.h",))
    (row,) = compare_pairs([pair], inputs(), Path(), tree=tmp_path)
    assert (row.lines_new, row.lines_old, row.unsafe_lines) == (4, 8, 1)
    assert (row.ioctls_both, row.ioctls_old_only) == (("THING_SET",), ("THING_GET",))


def test_the_embedded_ashmem_facts_name_source_and_date() -> None:
    pair = read_facts(f"{EMBEDDED}linux/ashmem.toml", Path())
    assert pair.source
    assert pair.dated
    assert "CVE-2017-13216" in pair.old.events


def test_facts_without_a_source_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(
        '[pair]\nid = "x"\ntitle = "x"\nnew = {name = "n"}\nold = {name = "o"}\n', encoding="utf-8"
    )
    with pytest.raises(CaseError, match="source"):
        read_facts("f.toml", tmp_path)
