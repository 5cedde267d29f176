"""The Linux 7.2 tree, as read by hand and by a comment-stripping count. Needs the tree: PREVENTABLE_LINUX_TREE."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from preventable.code.census import Census, take_census
from preventable.code.trees import open_source
from preventable.readers.case_file import parse_case

TREE = os.environ.get("PREVENTABLE_LINUX_TREE", "")
DRIVERS = json.loads((Path(__file__).parent / "coupling_drivers.json").read_text())

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (Path(TREE) / "MAINTAINERS").is_file() or not TREE,
        reason="PREVENTABLE_LINUX_TREE does not name a Linux 7.2 source tree",
    ),
]


@pytest.fixture(scope="module")
def linux() -> Census:
    components = "".join(f'{name} = "{path}"\n' for name, path in DRIVERS["components"].items())
    return take_census(open_source(TREE), parse_case(f"[components]\n{components}".encode()), coupling=True)


@pytest.mark.parametrize("driver", sorted(DRIVERS["rows"]))
def test_coupling_of_three_drivers_is_as_read_by_hand(linux: Census, driver: str) -> None:
    assert linux.coupling is not None
    row = next(row for row in linux.coupling if row.component == driver)
    assert msgspec.structs.asdict(row) == {"component": driver, **DRIVERS["rows"][driver]}


def test_c_code_is_what_three_counters_agree_on(linux: Census) -> None:
    code = sum(row.code or 0 for row in linux.rows if row.language == "C")
    assert abs(code / 19.64e6 - 1) < 0.005


def test_unsafe_rust_is_the_witness_with_macro_bodies_and_one_unknown_file(linux: Census) -> None:
    rust = [row for row in linux.rows if row.language == "Rust" and row.bucket != "vendored"]
    assert sum(row.files for row in rust) == 297
    assert abs(sum(row.code or 0 for row in rust) / 50_700 - 1) < 0.01
    assert sum(row.indeterminate_files for row in rust) == 1
    blocks = sum((row.unsafe_blocks or 0) + (row.macro_unsafe_blocks or 0) for row in rust)
    functions = sum((row.unsafe_functions or 0) + (row.macro_unsafe_functions or 0) for row in rust)
    impls = sum((row.unsafe_impls or 0) + (row.macro_unsafe_impls or 0) for row in rust)
    # Less the unknown file (35, 14, 10) and the words that are no code: see docs/census.md.
    assert (blocks, functions, impls) == (1955 - 35 - 8, 498 - 14 - 15, 437 - 10)
