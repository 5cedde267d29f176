"""The difference of two revisions is that of their two censuses, also where unchanged files are placed anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preventable.code.census import take_census
from preventable.code.trees import open_source
from preventable.studies.census_diff import diff_census, diff_rows

CARGO = '[census]\ncomponents_from = "cargo"\n'
BASE = {
    "lib/x.c": "int x;\n",
    "lib/y.h": "#define Y 1\n",
    "g/v.c": "int v;\n",
    "cr/Cargo.toml": '[package]\nname = "one"\n',
    "cr/src/lib.rs": "pub fn f() {}\n",
}


def git(repo: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=repo, check=True, capture_output=True)


def commit(repo: Path, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "change")


@pytest.mark.parametrize(
    ("before", "change", "full"),
    [
        ({}, {".gitattributes": "g/** linguist-vendored\n"}, True),
        ({".gitattributes": "g/** linguist-vendored\n"}, {".gitattributes": None}, True),
        ({}, {"preventable.toml": "# Nothing that counts.\n"}, False),
        ({}, {"preventable.toml": '[census]\nexclude = ["g"]\n'}, True),
        ({}, {"preventable.toml": '[components]\nother = "lib/x.c"\n'}, True),
        (
            {"preventable.toml": '[components]\none = "lib/*"\ntwo = "lib"\n'},
            {"preventable.toml": '[components]\ntwo = "lib"\none = "lib/*"\n'},
            True,
        ),
        ({"preventable.toml": CARGO}, {"cr/Cargo.toml": '[package]\nname = "two"\n'}, True),
        ({}, {"lib/w.cpp": "int w;\n", "lib/z.cpp": "int z;\n"}, True),
        ({"lib/w.cpp": "int w;\n", "lib/z.cpp": "int z;\n"}, {"lib/w.cpp": None, "lib/z.cpp": None}, True),
        ({}, {"lib/x.c": "int x;\nint more;\n", "lib/w.c": "int w;\n"}, False),
        ({}, {"cr/Cargo.toml": '[package]\nname = "two"\n'}, False),
        ({"preventable.toml": CARGO}, {"cr/Cargo.toml": '[package]\nname = "one"\nversion = "2"\n'}, False),
    ],
)
def test_a_difference_is_that_of_the_two_censuses(
    tmp_path: Path, before: dict[str, str | None], change: dict[str, str | None], full: bool
) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, {**BASE, **before})
    commit(tmp_path, change)
    names = [f"{tmp_path}@HEAD~1", f"{tmp_path}@HEAD"]
    result = diff_census(*names)
    assert result.rows == diff_rows(*(take_census(open_source(name), workers=1).rows for name in names))
    assert [source.note is not None for source in result.inputs] == [full, full]
    assert result.files is not None
    assert {delta.path for delta in result.files} == set(change)


def test_a_tree_without_source_counts_as_empty_where_both_are_counted_in_full(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, {"LICENSE": "Words.\n"})
    commit(tmp_path, {".gitattributes": "LICENSE linguist-vendored\n", "x.c": "int x;\n"})
    names = [f"{tmp_path}@HEAD~1", f"{tmp_path}@HEAD"]
    result = diff_census(*names)
    assert result.rows == diff_rows([], take_census(open_source(names[1]), workers=1).rows)
    assert all(source.note for source in result.inputs)
