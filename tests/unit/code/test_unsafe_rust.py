"""Unsafe Rust is counted from the syntax tree; what cannot be known is not zero."""

from __future__ import annotations

import time

import pytest

from preventable.code.unsafe_rust import COUNT_NAMES, UnsafeCounts, measure_rust


def counts(source: str) -> UnsafeCounts:
    facts = measure_rust(source.encode())
    assert facts.counts is not None, facts.indeterminate
    return facts.counts


def test_every_kind_of_unsafe_item_is_counted_once() -> None:
    found = counts(
        """
        unsafe extern "C" { fn a(); unsafe fn b(); static X: i32; }
        extern "C" { fn c(); }
        #[unsafe(no_mangle)]
        pub extern "C" fn d() {}
        #[no_mangle]
        pub unsafe extern "C" fn e(f: unsafe extern "C" fn(i32)) { unsafe { g() } }
        unsafe impl Send for A {}
        pub unsafe trait T { unsafe fn m(&self); }
        """
    )
    assert found == UnsafeCounts(
        unsafe_blocks=1,
        unsafe_functions=3,
        unsafe_impls=1,
        unsafe_traits=1,
        unsafe_lines=1,
        unsafe_externs=1,
        unsafe_attributes=1,
        unsafe_function_types=1,
        extern_blocks=2,
        foreign_functions=3,
        exported_functions=2,
    )


def test_macro_bodies_are_counted_apart() -> None:
    found = counts(
        """
        macro_rules! q { ($x:expr) => {
            unsafe { $x }
            unsafe impl S for T {}
            $( unsafe fn z() {} )*
            unsafe extern "C" fn y() {}
        }; }
        fn h() { foo!(unsafe { 1 }, x as unsafe extern "C" fn(i32)); }
        """
    )
    assert (found.unsafe_blocks, found.unsafe_functions, found.unsafe_impls) == (0, 0, 0)
    assert (found.macro_unsafe_blocks, found.macro_unsafe_functions, found.macro_unsafe_impls) == (2, 2, 1)
    assert found.unsafe_lines == 0


def test_only_what_says_fn_with_a_name_is_a_function_in_a_macro_body() -> None:
    bodies = """
        macro_rules! m {
            ($abi:literal) => { n!({unsafe extern $abi}); static F: unsafe extern "C" fn() -> i32 = f; };
            ($name:ident) => { unsafe extern "C" fn $name() {} unsafe fn #name() {} };
        }
        """
    assert counts(bodies).macro_unsafe_functions == 2


def test_words_in_comments_strings_and_names_are_not_unsafe_code() -> None:
    found = counts('// unsafe { }\n/* unsafe fn f() */\nconst S: &str = "unsafe { x }";\nfn unsafe_looking() {}\n')
    assert found == UnsafeCounts()


@pytest.mark.parametrize(
    ("source", "documented"),
    [
        ("fn f() {\n    // SAFETY: fine\n    unsafe { g() };\n}", 1),
        ("fn f() {\n    // Safety: any case\n    unsafe { g() };\n}", 1),
        ("fn f() {\n    // SAFETY: over\n    // two lines\n    let x = unsafe { g() };\n}", 1),
        (
            "fn f() {\n    // SAFETY: above all\n    let x = h(\n        1,\n        unsafe { g() },\n    );\n}",
            1,
        ),
        ("fn f() {\n    /* SAFETY: beside */ unsafe { g() };\n}", 1),
        ("fn f() {\n    unsafe {\n        // SAFETY: inside\n        g()\n    };\n}", 1),
        ("fn f() {\n    // SAFETY: with an attribute\n    #[allow(x)]\n    unsafe { g() };\n}", 1),
        ("/* SAFETY: block\n * comment\n */\nunsafe impl Send for A {}", 1),
        ("fn f() {\n    // SAFETY: too far\n    let y = 1;\n    unsafe { g() };\n}", 0),
        ("fn f() {\n    // careful\n    unsafe { g() };\n}", 0),
        ("// SAFETY: only the first\nunsafe impl Send for A {}\nunsafe impl Sync for A {}", 1),
        ("// Thread-safety: none needed\nunsafe impl Send for A {}", 0),
        ("// memory safety: to do\nunsafe impl Send for A {}", 0),
        ("// UNSAFETY: no\nunsafe impl Send for A {}", 0),
        ("/// Safety: in documentation\nunsafe impl Send for A {}", 1),
        ('fn f() {\n    let s = "\n// SAFETY: text";\n    unsafe { g() };\n}', 0),
        ('fn f() {\n    let d = "/* */ SAFETY: no"; unsafe { g() };\n}', 0),
        ("// SAFETY: over lines\n#[cfg(any(\n    a,\n    b,\n))]\nunsafe impl Send for A {}", 1),
        ("unsafe impl Send for A {} // SAFETY: behind", 0),
        ("fn f() {\n    unsafe { /* SAFETY: first */ g() };\n}", 1),
        ("fn f() {\n    unsafe { g(/* SAFETY: later */) };\n}", 0),
    ],
)
def test_a_safety_comment_must_stand_at_the_site(source: str, documented: int) -> None:
    assert counts(source).safety_comments == documented


def test_attributes_in_macro_bodies_may_stand_between_a_comment_and_its_site() -> None:
    found = counts(
        "macro_rules! m { () => {\n    // SAFETY: fine\n    #[cfg(MODULE)]\n    unsafe impl Send for A {}\n} }\n"
        "fn f() { quote! {\n    // SAFETY: fine\n    #[allow(x)]\n    let y = unsafe { g() };\n} }\n"
    )
    assert (found.macro_unsafe_impls, found.macro_unsafe_blocks, found.macro_safety_comments) == (1, 1, 2)


def test_lines_inside_unsafe_are_lines_of_code_counted_once() -> None:
    found = counts(
        "unsafe fn f() {\n"  # counts: the body begins here
        "    // a comment\n"
        "\n"
        "    /* another\n"
        "       comment */\n"
        "    unsafe { g() };\n"
        "    h();\n"
        "}\n"
        "fn i() { let a = 1; }\n"
    )
    assert found.unsafe_lines == 4


@pytest.mark.parametrize(
    ("source", "reason"), [(b"fn f( {", "does not parse (line 1)"), (b"fn f() { \xff }", "is not UTF-8 (byte 9)")]
)
def test_what_cannot_be_read_is_indeterminate_never_zero(source: bytes, reason: str) -> None:
    facts = measure_rust(source)
    assert facts.counts is None
    assert facts.indeterminate == reason


def test_contextual_keywords_of_new_editions_parse() -> None:
    assert counts('unsafe extern "C" { pub safe fn a(); safe static X: i32; }').unsafe_externs == 1


def test_an_empty_file_holds_nothing() -> None:
    assert counts("") == UnsafeCounts()


def test_sites_say_where_and_how() -> None:
    facts = measure_rust(
        b"fn f() {\n    // SAFETY: x\n    unsafe { g() }\n}\nmacro_rules! m { () => { unsafe { h() } } }\n"
    )
    assert [(s.kind, s.line, s.in_macro, s.documented) for s in facts.sites] == [
        ("block", 3, False, True),
        ("block", 5, True, False),
    ]
    assert facts.sites[0].text == "unsafe { g() }"


def test_counts_add_up() -> None:
    one = UnsafeCounts(*range(len(COUNT_NAMES)))
    assert one + one == UnsafeCounts(*(2 * n for n in range(len(COUNT_NAMES))))


TESTED = """\
//! Doc.
pub fn f(p: *const u8) -> u8 { unsafe { *p } }

/// Tests.
#[allow(dead_code)]
#[ATTRIBUTE]
mod tests {
    // Why.
    unsafe impl Send for T {}

    #[test]
    fn t() { unsafe { g() } }
}
fn after() { unsafe { g() } }
"""


@pytest.mark.parametrize(
    "attribute",
    ["cfg(test)", "cfg( all(unix, test) )", "kunit_tests(rust_x)", "::kernel::macros::kunit_tests(rust_x)"],
)
def test_test_items_are_told_apart_with_their_attributes_and_documentation(attribute: str) -> None:
    found = counts(TESTED.replace("ATTRIBUTE", attribute))
    assert (found.unsafe_blocks, found.unsafe_impls, found.unsafe_lines) == (3, 1, 3)
    assert found.tests is not None
    assert (found.tests.code, found.tests.comment, found.tests.blank) == (7, 2, 1)
    inside = found.tests.counts
    assert (inside.unsafe_blocks, inside.unsafe_impls, inside.unsafe_lines) == (1, 1, 1)
    assert not found.tests.whole_file
    rest = found - inside
    assert (rest.unsafe_blocks, rest.unsafe_impls, rest.unsafe_lines) == (2, 0, 2)


@pytest.mark.parametrize(
    "attribute", ["cfg(not(test))", "cfg(any(test, unix))", "cfg_attr(test, path = 'x')", "allow(test)"]
)
def test_what_is_built_without_tests_is_no_test_item(attribute: str) -> None:
    found = counts(TESTED.replace("ATTRIBUTE", attribute).replace("#[test]", "#[inline]"))
    assert found.tests is None


def test_a_test_function_alone_and_a_whole_file() -> None:
    alone = counts("fn a() {}\n#[tokio::test]\n// note\nasync fn t() { unsafe { g() } }\n").tests
    assert alone is not None
    assert (alone.code, alone.comment, alone.counts.unsafe_blocks) == (2, 1, 1)
    whole = counts("#![cfg(test)]\n\nfn t() { unsafe { g() } }\n").tests
    assert whole is not None
    assert (whole.whole_file, whole.code, whole.blank, whole.counts.unsafe_blocks) == (True, 2, 1, 1)
    module = counts("mod m {\n    #![cfg(test)]\n    fn t() { unsafe { g() } }\n}\nfn a() {}\n").tests
    assert module is not None
    assert (module.whole_file, module.code) == (False, 4)
    attributes_in_macros = counts("m! { #[cfg(test)] mod tests { fn t() { unsafe { g() } } } }\n")
    assert attributes_in_macros.tests is None


@pytest.mark.parametrize(
    "source",
    [
        "fn f() { " + "(" * 100_000 + "@" + ")" * 100_000 + " }",
        "fn f() { " + "{" * 100_000,
        "fn f() { x" + "[0]" * 100_000 + " @ }",
    ],
)
def test_deep_trees_with_errors_are_indeterminate(source: str) -> None:
    assert measure_rust(source.encode()).indeterminate == "does not parse (line 1)"


def test_many_attributes_take_linear_time() -> None:
    begun = time.process_time()
    found = counts("#[test]\n#[no_mangle]\n" * 10_000 + "fn t() {}\n").tests
    assert found is not None
    assert (found.code, found.counts.exported_functions) == (20_001, 1)
    assert counts("#[cfg(" + "all(" * 1_000 + "test" + ")" * 1_000 + ")]\nmod t {}\n").tests is None
    assert time.process_time() - begun < 5
