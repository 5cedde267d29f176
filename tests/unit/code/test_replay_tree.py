"""States of branches share what they can and nothing that they change."""

from __future__ import annotations

from array import array

from preventable.code.history.replay import edited, woven
from preventable.code.history.tree import FileLines, Paths, Tree


def lines(*commits: int) -> FileLines:
    values = array("I", commits)
    return FileLines(values, values)


def test_a_fork_and_its_origin_change_apart() -> None:
    paths = Paths()
    names = [f"f{i}".encode() for i in range(300)]
    tree = Tree(paths)
    for name in names:
        tree.set(paths.number(name), lines(0))
    fork = tree.fork()
    fork.set(paths.number(b"f7"), lines(1))
    tree.drop(paths.number(b"f299"))
    tree.set(paths.number(b"f8"), lines(2))
    found = {name: fork.lines(name) for name in names}
    assert found[b"f7"] == lines(1)
    assert found[b"f8"] == lines(0)
    assert found[b"f299"] == lines(0)
    assert tree.lines(b"f7") == lines(0)
    assert tree.lines(b"f299") is None
    assert tree.lines(b"never") is None
    assert len(dict(tree.files())) == 299


def test_edits_leave_the_old_lines_alone() -> None:
    before = lines(0, 1, 2, 3)
    after = edited(before, array("I", (9,)), [3, 4, 0, 1, 2, 2], None)
    assert after.touched.tolist() == [0, 9, 9, 2]
    assert after.substantive is after.touched
    assert before.touched.tolist() == [0, 1, 2, 3]


def test_the_substantive_age_has_edits_of_its_own() -> None:
    before = lines(0, 1, 2)
    after = edited(before, array("I", (9,)), [0, 3, 3], ([2, 3, 1], None))
    assert after.touched.tolist() == [9, 9, 9]
    assert after.substantive.tolist() == [0, 1, 9]
    ignored = edited(before, array("I", (9,)), [0, 3, 3], ([0, 3, 3], [(0, [0, 1, 2])]))
    assert ignored.substantive.tolist() == [1, 2, 9]


def test_a_weave_takes_lines_from_parents() -> None:
    runs = [0, 0, 1, -1, 0, 2, 1, 1, 1, 0, 1, -1]
    assert woven(runs, [array("I", (1, 2)), array("I", (5, 6))], 9).tolist() == [1, 9, 9, 6, 2]
    assert woven([-1, 0, 1, 0, 0, -1], [None, array("I", (5,))], 9).tolist() == [9]
