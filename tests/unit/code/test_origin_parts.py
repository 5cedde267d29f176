"""The parts of ``preventable.code.origin``: fixes as evidence, versions, ancestry, weights, dates."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preventable.code.history.addedtext import function_name, is_code, line_key
from preventable.code.history.commits import Commits
from preventable.code.origin import fixes
from preventable.code.origin.evidence import COLUMNS
from preventable.code.origin.messages import identifiers, named_commits, prose_words
from preventable.code.origin.releases import UNRELEASED, Ancestry, Releases, tag_version, version
from preventable.code.origin.score import COEFFICIENTS, introduction, ranked, score


def history_of(parents: list[tuple[int, ...]]) -> Commits:
    return Commits(
        hex_length=40,
        ids=b"".join(b"%040x" % i for i in range(len(parents))),
        first_parent=array("i", [p[0] if p else -1 for p in parents]),
        other_parents={i: p[1:] for i, p in enumerate(parents) if len(p) > 1},
        author_seconds=[1_000_000_000 + i for i in range(len(parents))],
        commit_seconds=[1_000_000_000 + i for i in range(len(parents))],
    )


def ancestors(parents: list[tuple[int, ...]], commit: int) -> set[int]:
    found: set[int] = set()
    waiting = list(parents[commit])
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += parents[at]
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, ...]]:
    size = draw(st.integers(1, 14))
    parents: list[tuple[int, ...]] = [()]
    for i in range(1, size):
        chosen = draw(st.lists(st.integers(0, i - 1), min_size=1, max_size=2, unique=True))
        parents.append(tuple(chosen))
    return parents


@given(histories())
def test_ancestry_is_that_of_a_plain_walk(parents: list[tuple[int, ...]]) -> None:
    tip = len(parents) - 1
    reachable = ancestors(parents, tip) | {tip}
    ancestry = Ancestry(history_of(parents))
    for commit in sorted(reachable):
        assert set(np.flatnonzero(ancestry.behind(commit))) == ancestors(parents, commit)


def test_the_first_release_with_a_commit() -> None:
    #  0 - 1 - 3 (1.1)     0 - 2 (1.0.1)
    commits = history_of([(), (0,), (0,), (1,), (3,)])
    listing = f"{commits.id(3)}  v1.1\n{commits.id(2)}  v1.0.1\n{commits.id(4)}  v1.2-rc1\n"
    repository: Any = SimpleNamespace(run=lambda *a: listing.encode())
    releases = Releases(repository, commits)
    assert releases.versions == [(1, 0, 1), (1, 1)]
    assert releases.first.tolist() == [0, 1, 0, 1, UNRELEASED]
    assert [releases.window(v) for v in ("1.0", "1.0.1", "1.0.2", "1.1.0", "1.3", "?")] == [0, 0, 1, 1, None, None]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("curl-7_81_0", (7, 81)),
        ("v6.1", (6, 1)),
        ("openssl-3.0.11", (3, 0, 11)),
        ("2.41", (2, 41)),
        ("release/4.2", (4, 2)),
        ("v6.1-rc2", None),
        ("before_rename", None),
    ],
)
def test_tags_that_are_releases(tag: str, expected: tuple[int, ...] | None) -> None:
    assert tag_version(tag) == expected


def test_versions_compare_whatever_their_zeros() -> None:
    assert version("7.10") == version("7.10.0")
    assert version("none") is None


def test_only_code_that_ships_is_code() -> None:
    assert is_code(b"lib/vtls/openssl.c")
    assert not is_code(b"tests/libtest/lib500.c")
    assert not is_code(b"docs/examples/simple.c")
    assert not is_code(b"README")
    assert not is_code(b"pkg/parse_test.go")


def test_lines_are_the_same_whatever_their_whitespace() -> None:
    assert line_key(b"  if(a == b)\r") == line_key(b"\tif (a==b)")
    assert line_key(b"  }") is None


def test_names_of_functions() -> None:
    assert function_name(b" static int f(int a)") == b"f"
    assert function_name(b"") == b""


SECTION = b"""git a/lib/a.c b/lib/a.c
index 1111111..2222222 100644
--- a/lib/a.c
+++ b/lib/a.c
@@ -10,7 +10,7 @@ int g(void)
\x20
 int f(char *p)
 {
-  use(p->field);
-  /* a comment */
-  moved_line(p);
+  if(p)
+    use_it(p->field);
   return 1;
 }
@@ -40,2 +40,3 @@ int h(void)
   before();
+     moved_line( p );
   after();"""


def test_a_fix_without_comments_moves_and_blanks() -> None:
    fix = fixes._fix(7, [SECTION])
    (change,) = fix.changes
    assert change.function == b"f"
    assert [(line.number, line.text) for line in change.deleted] == [(12, b"  use(p->field);")]
    assert [text.strip() for text in change.added] == [b"if(p)", b"use_it(p->field);"]
    assert [line.number for line in change.neighbours] == [10, 15]
    assert fix.paths == (b"lib/a.c",)


def test_a_fix_of_documents_has_no_changes_but_counts_files() -> None:
    section = SECTION.replace(b"lib/a.c", b"docs/a.md")
    fix = fixes._fix(7, [section, section])
    assert (fix.changes, fix.paths, fix.other_files) == ((), (), 2)


def test_commits_a_message_blames() -> None:
    text = "x: fix\n\nFixes: 0123456789ab\nFollow-up to fedcba9876\nRegression since b46cfbc068 (7.59.0)"
    assert named_commits(text) == ["0123456789ab", "b46cfbc068"]


def test_words_of_advisories() -> None:
    assert identifiers("When curl_easy_reset() meets CURLOPT_URL, getenv or pwOpen") == {
        "curl_easy_reset", "CURLOPT_URL", "pwOpen",
    }  # fmt: skip
    assert prose_words("The HTTP/2 tree of the server") == {"http", "tree"}


def test_every_column_has_a_coefficient() -> None:
    assert set(COEFFICIENTS) == set(COLUMNS)


def test_weights_sum_to_one_and_rank_the_older_first_among_equals() -> None:
    scores = score(np.arange(5), np.zeros((5, len(COLUMNS)), np.float32))
    assert scores.weights.sum() == pytest.approx(1)
    assert ranked(scores, 3).tolist() == [0, 1, 2]


def test_the_window_is_strong_but_not_absolute() -> None:
    releases = np.array([0, 1, 2])
    table = np.zeros((3, len(COLUMNS)), np.float32)
    inside = score(np.arange(3), table, release_of=releases, window=1)
    assert ranked(inside, 1).tolist() == [1]
    assert inside.weights[0] > inside.weights[2] > 0
    table[2] = 1
    assert ranked(score(np.arange(3), table, release_of=releases, window=1), 1).tolist() == [2]


def test_the_date_is_the_mean_with_an_interval_around_it() -> None:
    weights = np.array([0.9, 0.06, 0.04])
    mean, low, high = introduction(weights, np.array([100.0, 200.0, np.nan]))
    assert mean == pytest.approx((0.9 * 100 + 0.06 * 200) / 0.96)
    assert (low, high) == (100.0, 200.0)
    assert np.isnan(introduction(np.array([1.0]), np.array([np.nan]))[0])
