from __future__ import annotations

import pytest

from preventable.classify.words import BODY_WORDS, COMMIT, OTHER, RUST, SENTENCE, without_trace, words_of


def test_boilerplate_and_repeated_title_are_left_out() -> None:
    text = "In the Linux kernel, the following vulnerability has been resolved:\n\nfoo: fix bar\n\nThe bar is wrong."
    words = words_of("foo: fix bar", text)
    assert words.genre == COMMIT
    assert words.title == [b"foo", b"fix", b"bar"]
    assert words.body == [b"the", b"bar", b"is", b"wrong"]


def test_a_missing_title_is_taken_from_the_commit_message() -> None:
    text = "In the Linux kernel, the following vulnerability has been resolved:\n\nfoo: fix bar\n\nThe bar."
    assert words_of("", text).title == [b"foo", b"fix", b"bar"]


@pytest.mark.parametrize(
    ("title", "text", "genre"),
    [
        ("net: fix bar", "net: fix bar\n\nThe bar is wrong.", COMMIT),
        ("Fix a bar", "Fix a bar\n\nThe bar is wrong.", COMMIT),
        ("net/foo: fix bar", "The bar is wrong,\nso mend it.", COMMIT),
        ("", "The bar function in drivers/foo.c in the Linux kernel allows local users to gain privileges.", SENTENCE),
        ("net: fix bar", "The bar function in the Linux kernel before 3.1 does not check a length.", SENTENCE),
        ("Double free in `bar`", "Affected versions of `bar`\nfree twice.", OTHER),
        ("foo: double free", "Affected versions of `foo`\nfree twice.", OTHER),
        ("Double free in `bar`", "Affected versions of this Crate\nfree twice.", RUST),
        ("Unsound `Sync` for `bar`", "It is\nshared.", RUST),
        ("Double free in bar", "`foo::bar` frees\ntwice.", RUST),
        ("Wrong address", "The address ::1 is\ntaken for another.", OTHER),
        ("net: fix bar", "net: fix bar\n\nThe unsafe bar is wrong.", COMMIT),
        ("cookie double free", "curl frees a cookie twice.\n\nIt happens when a host is empty.", OTHER),
    ],
)
def test_the_genre_is_told_by_the_text(title: str, text: str, genre: int) -> None:
    assert words_of(title, text).genre == genre


def test_a_number_that_was_rejected_has_no_words() -> None:
    for text in (
        "** REJECT ** DO NOT USE THIS CANDIDATE NUMBER.",
        "\n**REJECT** A use after free.",
        "Rejected reason: x",
    ):
        words = words_of("use after free", text)
        assert (words.title, words.body) == ([], [])
    assert words_of("", "Rejected packets are freed twice.").body


def test_a_commit_message_reads_the_same_with_and_without_boilerplate() -> None:
    text = "net: fix bar\n\nThe bar is wrong."
    boilerplate = "In the Linux kernel, the following vulnerability has been resolved:\n\n"
    assert words_of("net: fix bar", text) == words_of("net: fix bar", boilerplate + text)
    assert words_of("net: fix bar", text) == words_of("", boilerplate + text)


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("a Use-After-Free here", b"use-after-free"),
        ("an OOB read", b"out-of-bounds"),
        ("UBSAN: shift-out-of-bounds in x", b"shift-out-of-bounds"),
        ("a double\nfree", b"double-free"),
        ("NULL ptr deref", b"null-pointer"),
        ("division by zero", b"zero-division"),
    ],
)
def test_field_terms_are_joined(text: str, joined: bytes) -> None:
    assert joined in words_of("", text).body


def test_traces_go_and_headlines_stay() -> None:
    text = "Crash:\nBUG: KASAN: slab-use-after-free in foo+0x1/0x2\n foo+0x1/0x2\nRAX: 0000000000000000\nEnd."
    assert without_trace(text) == "Crash:\nBUG: KASAN: slab-use-after-free in foo+0x1/0x2\nEnd."


def test_poison_is_a_term_of_its_own() -> None:
    assert b"poison-pointer" in words_of("", "address 0xdead000000000122").body


@pytest.mark.parametrize("text", ["", "\x00\x1b[31m", "É" * 50, "free " * 100_000, "0x" * 30_000])
def test_any_text_is_taken(text: str) -> None:
    assert len(words_of(text, text).body) <= BODY_WORDS
