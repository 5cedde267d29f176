"""Test items inside a Rust file are in the row of bucket ``test``; both rows add up to the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from preventable.code.census import Census, CensusRow, take_census
from preventable.code.trees import open_source

OWN = "pub fn f(p: *const u8) -> u8 {\n    // SAFETY: p is valid\n    unsafe { *p }\n}\n"
TESTS = "\n#[cfg(test)]\nmod tests {\n    // one\n    fn t() { unsafe { g() } }\n}\n"


def census(root: Path, files: dict[str, str]) -> Census:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return take_census(open_source(str(root)), workers=1, keep_files=True)


def row(result: Census, bucket: str) -> CensusRow:
    return next(r for r in result.rows if r.bucket == bucket and r.language == "Rust")


def test_the_rows_of_code_and_test_add_up_to_the_file(tmp_path: Path) -> None:
    result = census(tmp_path, {"a/x.rs": OWN + TESTS, "a/y.rs": OWN})
    code, test = row(result, "code"), row(result, "test")
    assert (code.files, code.code, code.comment, code.blank, code.unsafe_blocks) == (2, 6, 2, 1, 2)
    assert (code.unsafe_sites, code.safety_comments, code.inline_test_files) == (2, 2, 0)
    assert (test.files, test.code, test.comment, test.blank, test.unsafe_blocks) == (0, 4, 1, 0, 1)
    assert (test.unsafe_sites, test.safety_comments, test.inline_test_files) == (1, 0, 1)
    assert result.files is not None
    files = {f["path"]: f for f in result.files}
    assert (files["a/x.rs"]["bucket"], files["a/x.rs"]["code"], files["a/x.rs"]["unsafe_blocks"]) == ("code", 7, 2)
    assert files["a/x.rs"]["test_items"]["code"] == 4
    assert "test_items" not in files["a/y.rs"]


@pytest.mark.parametrize(("path", "bucket"), [("a/tests/x.rs", "test"), ("vendor/x.rs", "vendored")])
def test_a_file_of_another_bucket_stays_whole(tmp_path: Path, path: str, bucket: str) -> None:
    result = census(tmp_path, {path: OWN + TESTS})
    assert [(r.bucket, r.files, r.code, r.unsafe_blocks, r.inline_test_files) for r in result.rows] == [
        (bucket, 1, 7, 2, 0)
    ]


def test_a_file_under_cfg_test_is_a_test(tmp_path: Path) -> None:
    result = census(tmp_path, {"a/x.rs": "#![cfg(test)]\n" + OWN})
    assert [(r.bucket, r.files, r.code) for r in result.rows] == [("test", 1, 4)]
    assert [(r.bucket, r.rule) for r in result.rules] == [("test", "attribute:cfg(test)")]


def test_a_file_that_does_not_parse_keeps_its_lines_where_its_name_puts_it(tmp_path: Path) -> None:
    result = census(tmp_path, {"a/x.rs": OWN + TESTS + "fn ( {\n"})
    assert [(r.bucket, r.files, r.code, r.unsafe_blocks, r.indeterminate_files) for r in result.rows] == [
        ("code", 1, 8, None, 1)
    ]
