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


KERNEL = [
    "arch/arm/include/asm/io.h", "arch/x86/include/asm/io.h", "tools/include/asm/io.h",
    "arch/x86/include/uapi/asm/e.h",
    "include/asm-generic/div64.h", "arch/s390/include/asm/div64.h", "include/linux/list.h",
    "tools/include/linux/list.h",
    "tools/include/nolibc/stdio.h", "tools/perf/util/evsel.h", "lib/util/evsel.h", "drivers/p/mac.h", "drivers/q/mac.h",
    "fs/p/mac.h", "drivers/r/core/eswitch.h", "drivers/s/eswitch.h", "samples/uapi.h",
]  # fmt: skip


@pytest.mark.parametrize(
    ("include", "path", "found"),
    [
        ("<asm/io.h>", "arch/x86/kernel/a.c", "arch/x86/include/asm/io.h"),
        ("<asm/e.h>", "arch/x86/kernel/a.c", "arch/x86/include/uapi/asm/e.h"),
        ("<asm/div64.h>", "arch/x86/kernel/a.c", "include/asm-generic/div64.h"),
        ("<asm/e.h>", "arch/arm/kernel/a.c", None),
        ("<asm/io.h>", "drivers/a.c", "arch/arm/include/asm/io.h"),
        ("<asm/io.h>", "tools/a.c", "tools/include/asm/io.h"),
        ("<linux/list.h>", "drivers/a.c", "include/linux/list.h"),
        ("<linux/list.h>", "tools/perf/a.c", "tools/include/linux/list.h"),
        ("<stdio.h>", "tools/perf/a.c", None),
        ('"stdio.h"', "samples/a.c", "tools/include/nolibc/stdio.h"),
        ('"util/evsel.h"', "tools/perf/tests/a.c", "tools/perf/util/evsel.h"),
        ('"eswitch.h"', "drivers/r/core/lib/a.c", "drivers/r/core/eswitch.h"),
        ('"eswitch.h"', "net/a.c", "drivers/r/core/eswitch.h"),
        ("<samples/uapi.h>", "net/a.c", "samples/uapi.h"),
    ],
)
def test_includes_of_a_tree_like_linux(include: str, path: str, found: str | None) -> None:
    index = HeaderIndex(KERNEL, lambda path: path.split("/")[0])
    assert index.resolve(include, path) == (found, False)


def test_what_makefiles_alone_decide_is_ambiguous() -> None:
    assert HeaderIndex(KERNEL, lambda path: path.split("/")[0]).resolve('"mac.h"', "net/a.c") == (None, True)
    by_directory = HeaderIndex(KERNEL, lambda path: path.rpartition("/")[0])
    assert by_directory.resolve("<asm/io.h>", "drivers/a.c") == (None, True)


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
