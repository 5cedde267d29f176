"""Git's diffs become edit scripts, whatever is in them."""

from __future__ import annotations

from preventable.code.history.diffparse import (
    FILE,
    SUBMODULE,
    SYMLINK,
    pair_ignored,
    parse_change,
    parse_edits,
    parse_weave,
)

BLOBS = b"index " + b"1" * 40 + b".." + b"2" * 40


def test_edits_come_last_first_and_count_from_zero() -> None:
    section = b"git a/x.c b/x.c\n" + BLOBS + b" 100644\n--- a/x.c\n+++ b/x.c\n"
    section += b"@@ -2 +2 @@\n-a\n+b\n@@ -5,0 +6,2 @@ f()\n+c\n+d\n@@ -9,3 +11,0 @@\n-e\n-f\n-g"
    assert parse_change(section) == (b"x.c", b"x.c", [8, 11, 0, 5, 5, 2, 1, 2, 1], None, None, FILE)


def test_content_that_looks_like_a_diff_is_content() -> None:
    section = b"git a/x b/x\n" + BLOBS + b" 100644\n--- a/x\n+++ b/x\n"
    section += b"@@ -1 +1,2 @@\n-@@ -1 +1 @@\n+diff --git a/y b/y\n+@@ -7 +7 @@"
    assert parse_edits(section) == [0, 1, 2]


def test_new_deleted_and_renamed_files() -> None:
    new = b"git a/n b/n\nnew file mode 100644\n" + BLOBS + b"\n--- /dev/null\n+++ b/n\n@@ -0,0 +1,3 @@\n+1\n+2\n+3"
    assert parse_change(new) == (b"n", None, [0, 0, 3], None, None, FILE)
    gone = b"git a/n b/n\ndeleted file mode 100644\n" + BLOBS + b"\n--- a/n\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-1\n-2\n-3"
    assert parse_change(gone) == (None, b"n", [0, 3, 0], None, None, FILE)
    moved = b"git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b"
    assert parse_change(moved) == (b"b", b"a", [], None, None, FILE)


def test_paths_with_newlines_quotes_blanks_and_bytes() -> None:
    quoted = rb'git "a/n\nl\"q\\" "b/n\nl\"q\\"' + b"\n" + BLOBS + b" 100644\n"
    quoted += rb'--- "a/n\nl\"q\\"' + b"\n" + rb'+++ "b/n\nl\"q\\"' + b"\n@@ -1 +1 @@\n-a\n+b"
    change = parse_change(quoted)
    assert change is not None
    assert change[0] == b'n\nl"q\\'
    blank = b"git a/a b b/a b\n" + BLOBS + b" 100644\n--- a/a b\t\n+++ b/a b\t\n@@ -1 +1 @@\n-a\n+b"
    change = parse_change(blank)
    assert change is not None
    assert change[0] == b"a b"
    empty = b"git a/x b/y b/x b/y\nnew file mode 100644\n" + BLOBS
    change = parse_change(empty)
    assert change is not None
    assert change[:3] == (b"x b/y", None, [])
    octal = rb'git "a/\001" "b/\001"' + b"\ndeleted file mode 100644\n" + BLOBS
    change = parse_change(octal)
    assert change is not None
    assert change[:2] == (None, b"\x01")


def test_kinds_of_paths_and_binaries() -> None:
    submodule = b"git a/s b/s\nnew file mode 160000\n" + BLOBS + b"\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject"
    link = b"git a/l b/l\nnew file mode 120000\n" + BLOBS + b"\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+to"
    binary = b"git a/i b/i\n" + BLOBS + b" 100644\nBinary files a/i and b/i differ"
    mode = b"git a/m b/m\nold mode 100644\nnew mode 100755"
    found = [parse_change(section) for section in (submodule, link, binary, mode)]
    assert [change and change[5] for change in found] == [SUBMODULE, SYMLINK, FILE, None]
    assert found[2] is not None
    assert found[2][4] == (b"1" * 40, b"2" * 40)


def test_a_weave_says_where_each_line_comes_from() -> None:
    section = b"combined f\nindex 1,2..3\n--- a/f\n--- a/f\n+++ b/f\n"
    section += b"@@@ -1,4 -1,3 +1,5 @@@\n  a\n- Y\n++Z\n+ X\n  c\n +d"
    assert parse_weave(section, 2) == (
        b"f",
        (b"f", b"f"),
        [0, 0, 1, -1, 0, 1, 1, 1, 1, 0, 2, 2, 0, 4, -1],
    )


def test_a_weave_of_a_deleted_file_is_none_and_of_a_binary_has_no_runs() -> None:
    assert (
        parse_weave(b"combined f\nindex 1,2..0\ndeleted file mode 100644,100644\n--- a/f\n--- a/f\n+++ /dev/null", 2)
        is None
    )
    assert parse_weave(b"combined f\nindex 1,2..3\nBinary files differ", 2) == (b"f", (b"f", b"f"), None)


def test_lines_of_an_ignored_commit_stand_for_the_lines_in_their_place() -> None:
    section = b"git a/x b/x\n@@ -1,2 +1,3 @@\n-foo(a);\n-bar(b);\n+foo( a );\n+baz;\n+bar(b) ;"
    assert pair_ignored(section) == [(0, [0, 0, 1, 2, 1, 1])]
    renamed = b"git a/x b/x\n@@ -1,2 +1,2 @@\n-one();\n-two();\n+uno();\n+due();\n\\ No newline at end of file"
    assert pair_ignored(renamed) == [(0, [0, 0, 1, 1, 1, 1])]
