"""Paths are mapped to components by globs, MAINTAINERS, Cargo packages or directories."""

from __future__ import annotations

import pytest

from preventable.code.components import Maintainers, map_components
from preventable.code.path_globs import PathGlobs, unmatched
from preventable.errors import CaseError

MAINTAINERS = """List of maintainers
\tF: *Files* and directories wildcard patterns.

NETWORKING
M:\tA <a@x>
F:\tnet/
F:\tinclude/net/
X:\tnet/wireless/

ETHERNET PHY
F:\tdrivers/net/phy/
F:\tinclude/linux/*phy*.h

PHY OF ONE VENDOR
F:\tdrivers/net/phy/acme.c
F:\tdrivers/net/phy/acme*

ALL TOP NET
F:\t*/net/*

DEEP
F:\tfs/**/*foo*.c

THE REST
F:\t*
F:\t*/
"""


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("net/core/dev.c", "NETWORKING"),
        ("net/wireless/a.c", "THE REST"),
        ("drivers/net/phy/b.c", "ETHERNET PHY"),
        ("drivers/net/phy/acme.c", "PHY OF ONE VENDOR"),
        ("drivers/net/phy/acme_hw.c", "PHY OF ONE VENDOR"),
        ("include/linux/usb_phy.h", "ETHERNET PHY"),
        ("arch/net/x.c", "ALL TOP NET"),
        ("arch/net/deep/x.c", "THE REST"),
        ("fs/a/b/xfoox.c", "DEEP"),
        ("fs/foo.c", "DEEP"),
        ("README", "THE REST"),
    ],
)
def test_the_most_specific_entry_wins(path: str, entry: str) -> None:
    assert Maintainers.parse(MAINTAINERS).component(path) == entry


def test_a_path_of_no_entry_is_unmaintained() -> None:
    assert Maintainers.parse("A\nF:\tx/\n").component("y/a.c") == "unmaintained"


def test_globs_come_first_in_their_order() -> None:
    component = map_components({"fast": ["src/hot", "src/hot2/*.c"], "rest of src": "src"}, "other")
    assert [component(p) for p in ("src/hot/a.c", "src/hot2/b.c", "src/hot2/x/c.c", "lib/d.c")] == [
        "fast",
        "fast",
        "rest of src",
        "other",
    ]


def test_directories_are_two_levels_in_drivers() -> None:
    component = map_components({})
    assert [component(p) for p in ("drivers/net/phy/a.c", "drivers/base.c", "fs/ext4/b.c", "Makefile")] == [
        "drivers/net",
        "drivers",
        "fs",
        ".",
    ]


def test_cargo_packages_of_a_workspace_with_a_virtual_manifest() -> None:
    component = map_components(
        {},
        "cargo",
        cargo_manifests={
            "Cargo.toml": b'[workspace]\nmembers = ["a", "b"]\n',
            "a/Cargo.toml": b'[package]\nname = "alpha"\n',
            "a/inner/Cargo.toml": b'[package]\nname = "inner"\n',
            "b/Cargo.toml": b"[package\n",
            "c/Cargo.toml": b'[package]\nname = "alpha"\n',
        },
    )
    assert [component(p) for p in ("a/src/lib.rs", "a/inner/src/x.rs", "b/src/lib.rs", "c/x.rs")] == [
        "alpha",
        "inner",
        "b",
        "alpha (c)",
    ]


@pytest.mark.parametrize("glob", ["", "  ", "!x", "# x", "src\\x"])
def test_what_is_no_glob_is_refused(glob: str) -> None:
    with pytest.raises(CaseError):
        PathGlobs([glob])


def test_a_glob_without_match_is_named_with_the_nearest_path() -> None:
    paths = ["src/parse/a.c", "src/print/b.c", "lib/x.c"]
    assert unmatched(["src/prase/**", "libs", "src", "zzz", "src/parse/q.c"], paths) == [
        ("src/prase/**", "src/parse"),
        ("libs", "lib"),
        ("zzz", None),
        ("src/parse/q.c", "src/parse/a.c"),
    ]
