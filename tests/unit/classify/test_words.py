from __future__ import annotations

import pytest

from preventable.classify.words import BODY_WORDS, without_trace, words_of


def test_boilerplate_and_repeated_title_are_left_out() -> None:
    text = "In the Linux kernel, the following vulnerability has been resolved:\n\nfoo: fix bar\n\nThe bar is wrong."
    words = words_of("foo: fix bar", text)
    assert words.kernel
    assert words.title == [b"foo", b"fix", b"bar"]
    assert words.body == [b"the", b"bar", b"is", b"wrong"]


def test_a_missing_title_is_taken_from_the_commit_message() -> None:
    text = "In the Linux kernel, the following vulnerability has been resolved:\n\nfoo: fix bar\n\nThe bar."
    assert words_of("", text).title == [b"foo", b"fix", b"bar"]


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
