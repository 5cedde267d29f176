"""Architectures without an index of packages: what the index of sources tells, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.studies.debian_archive_fixture import binary, source, write

from preventable.readers.debian_archive import Snapshot, from_files
from preventable.studies.ports.model import Policy
from preventable.studies.ports.survey import survey
from preventable.studies.ports.terms import Answer, Question

SOURCES = [
    "Package: rustc\nBinary: rustc, cargo,\n libstd-rust-dev\nVersion: 1\nArchitecture: any",
    "Package: rust-web\nBinary: rustc-web\nVersion: 1\nArchitecture: any",
    source("sqv", "cargo", Maintainer="Rust <rust@example.org>"),
    source("std", "libstd-rust-dev", Maintainer="Std <std@example.org>"),
    source("web", "rustc-web"),
    "Package: apt\nBinary: apt, libapt-pkg7.0\nVersion: 1\nArchitecture: any\nBuild-Depends: sqv",
    source("pc", "cargo", arch="amd64"),
]
PACKAGES = [binary("rustc"), binary("rustc-web", src="rustc"), binary("apt"), binary("libapt-pkg7.0", src="apt")]


def _snapshot(folder: Path, suite: str = "test") -> Snapshot:
    folder.mkdir(exist_ok=True)
    return from_files(write(folder, SOURCES, {"amd64": PACKAGES}), suite)


def _ask(folder: Path, question: Question, arches: tuple[str, ...] = ("hppa",)) -> Answer:
    answers = survey([_snapshot(folder)], arches, Policy(), None, question).answers
    return next(a for a in answers if a.architecture == "hppa")


def _counts(answer: Answer) -> list[int | None]:
    return [r["sources_unbuildable"] for r in answer.rows]


def test_names_are_those_of_the_binary_fields(tmp_path: Path) -> None:
    question = Question(packages=("libapt-pkg7.0", "libapt-pkg7"), remove=("rustcc", "cargo"))
    answer = _ask(tmp_path, question)
    assert sorted(answer.known) == ["cargo", "libapt-pkg7.0"]
    assert sorted(answer.unknown) == ["libapt-pkg7", "rustcc"]
    assert {"rustc", "libapt-pkg7.0"} <= set(answer.near)


def test_the_number_is_the_same_alone_and_beside_others(tmp_path: Path) -> None:
    """amd64 of this archive, or of another suite, has a binary of the tool that the Binary field does not name."""
    question = Question(remove=("rustc",))
    alone = _ask(tmp_path, question)
    assert _counts(alone) == [2, None, None]
    assert alone.tools[0]["binary_names"] == ["cargo", "libstd-rust-dev", "rustc"]
    assert _ask(tmp_path, question, ("amd64", "hppa")) == alone
    lacking = from_files(write(tmp_path, SOURCES, {})[:1], "other")
    both = survey([_snapshot(tmp_path / "a"), lacking], ("amd64", "hppa"), Policy(), None, question).answers
    other = next(a for a in both if (a.suite, a.architecture) == ("other", "hppa"))
    assert _counts(other) == _counts(alone)


def test_the_note_says_what_the_column_counts(tmp_path: Path) -> None:
    naming = "sources_{} counts the sources that name the tool in a build dependency that holds there, not a difference"
    assert naming.format("unbuildable") in _ask(tmp_path, Question(remove=("rustc",))).limits[0]
    assert naming.format("direct") in _ask(tmp_path, Question(remove=("rustc",), today=True)).limits[0]
    gains = Question(packages=("apt",), requires=("rustc",), without=("hppa",))
    assert "counts apt alone" in _ask(tmp_path, gains).limits[0]


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({"only": ("sqv",)}, 1),
        ({"only": ("libapt-pkg7.0",)}, 0),
        ({"packages": ("std",)}, 1),
        ({"maintainers": ("STD@",)}, 1),
        ({"keep": ("sqv",)}, 1),
    ],
)
def test_rows_are_limited_as_elsewhere(tmp_path: Path, more: dict[str, tuple[str, ...]], count: int) -> None:
    assert _counts(_ask(tmp_path, Question(remove=("rustc",), **more)))[0] == count  # type: ignore[arg-type]


def test_whether_a_tool_is_there_is_unknown_unless_said(tmp_path: Path) -> None:
    assert _counts(_ask(tmp_path, Question(packages=("apt",), requires=("rustc",)))) == [None] * 3
    question = Question(packages=("libapt-pkg7.0", "pc"), requires=("rustc",), without=("hppa",))
    assert _counts(_ask(tmp_path, question))[0] == 1, "pc is not built on hppa"
    run = Question(packages=("apt",), requires=("rustc",), without=("hppa",), dependency="run")
    assert _counts(_ask(tmp_path, run)) == [None] * 3
    gone = Question(packages=("apt",), requires=("rustc",), remove=("rustc",))
    assert _counts(_ask(tmp_path, gone))[0] == 3


def test_today_takes_each_tool_by_itself_and_names_as_they_may_be_given(tmp_path: Path) -> None:
    question = Question(packages=("src:sqv", "libapt-pkg7.0"), requires=("rustc", "rustc-web"), today=True)
    answer = _ask(tmp_path, question)
    assert {t["tool"]: t["sources_direct"] for t in answer.today} == {"rustc": 2, "rustc-web": 1}
    told = {
        (n["package"], n["tool"]): (n["build_direct"], n["build_needs_package_built_with_it"]) for n in answer.needs
    }
    assert told["src:sqv", "rustc"] == (True, False)
    assert told["src:sqv", "rustc-web"] == (False, False)
    assert told["libapt-pkg7.0", "rustc"] == (False, True), "apt build-depends on sqv, which cargo builds"
    assert _ask(tmp_path, question, ("amd64", "hppa")) == answer


def test_reasons_and_why(tmp_path: Path) -> None:
    answer = _ask(tmp_path, Question(remove=("rustc",), reasons=True))
    assert [r["package"] for r in answer.rows[0]["reasons"]] == ["src:sqv", "src:std"]
    why = _ask(tmp_path, Question(remove=("rustc",), why=("std",)))
    assert [(r["package"], r["chain"][0]["why"]) for r in why.reasons] == [
        ("src:std", "build-depends on libstd-rust-dev")
    ]
