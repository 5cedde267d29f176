"""Includes are resolved without a preprocessor, by stated rules."""

from __future__ import annotations

import pytest

from preventable.code.components import map_components
from preventable.code.coupling import HeaderIndex, Links, c_links, couple, rust_links

PATHS = [
    "a/x.c", "a/x.h", "b/include/b/api.h", "b/y.c", "include/linux/list.h", "arch/arm/include/asm/io.h",
    "arch/x86/include/asm/io.h", "c/only.h", "d/twice.h", "e/twice.h",
]  # fmt: skip


@pytest.mark.parametrize(
    ("include", "path", "found"),
    [
        ('"x.h"', "a/x.c", ("a/x.h", False)),
        ('"../a/x.h"', "b/y.c", ("a/x.h", False)),
        ("<b/api.h>", "a/x.c", ("b/include/b/api.h", False)),
        ("<linux/list.h>", "a/x.c", ("include/linux/list.h", False)),
        ("<asm/io.h>", "arch/arm/kernel/z.c", ("arch/arm/include/asm/io.h", False)),
        ("<only.h>", "a/x.c", ("c/only.h", False)),
        ("<twice.h>", "a/x.c", (None, True)),
        ("<stdio.h>", "a/x.c", (None, False)),
    ],
)
def test_includes_resolve(include: str, path: str, found: tuple[str | None, bool]) -> None:
    assert HeaderIndex(PATHS, map_components({})).resolve(include, path) == found


def test_a_tie_inside_one_component_is_no_ambiguity() -> None:
    header, ambiguous = HeaderIndex(PATHS, map_components({})).resolve("<asm/io.h>", "a/x.c")
    assert (header, ambiguous) == ("arch/arm/include/asm/io.h", False)


def test_c_links_read_directives_and_exports() -> None:
    source = (
        b'#include <a.h>\n  #  include "b.h" // why\nchar *s = "#include <no.h>";\n#include MACRO\n'
        b"EXPORT_SYMBOL(f);\nEXPORT_SYMBOL_GPL(\n\tg);\nEXPORT_SYMBOL_NS_GPL(h, N);\n#define EXPORT_SYMBOL(x) y\n"
        b'__attribute__((visibility("default"))) int v;\n'
    )
    assert c_links(source) == Links(("<a.h>", '"b.h"'), ("f", "g", "h"), 1)


def test_rust_links_skip_comments() -> None:
    source = b"use crate::bindings::{self, a, b};\n// bindings::no\nfn f() { unsafe { bindings::c() } }\n"
    assert rust_links(source).bindings == ("a", "b", "c")


def test_rows_count_both_directions() -> None:
    links = [
        ("a/x.c", Links(('"x.h"', "<b/api.h>", "<stdio.h>", "<twice.h>"), ("f",))),
        ("b/y.c", Links(('"../a/x.h"',))),
    ]
    rows = {row.component: row for row in couple(links, PATHS, map_components({}))}
    a = rows["a"]
    assert (a.includes_within, a.includes_out, a.includes_in, a.includes_external, a.includes_ambiguous) == (
        1,
        1,
        1,
        1,
        1,
    )
    assert (a.components_out, a.components_in, a.exported_symbols) == (1, 1, 1)
    assert rows["b"].includes_in == 1
