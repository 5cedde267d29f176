"""Classes from words, where the words stand, and what does not count."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preventable.classify.text_rules import label_by_rules, matches, rules
from preventable.records import Advisory
from preventable.taxonomy.loader import builtin


def advisory(title: str = "", text: str = "") -> Advisory:
    return Advisory(id="X", feed="f", file="f", title=title, text=text)


@pytest.mark.parametrize(
    ("text", "weakness"),
    [
        ("BUG: KASAN: slab-use-after-free in f+0x1/0x2", "temporal"),
        ("BUG: KASAN: slab-out-of-bounds in f+0x1/0x2\nRead of size 8", "spatial"),
        ("BUG: KMSAN: uninit-value in f", "initialization"),
        ("UBSAN: array-index-out-of-bounds in a.c:1", "spatial"),
        ("BUG: kernel NULL pointer dereference, address: 0000000000000008", "null"),
        ("refcount_t: underflow; use-after-free.", "temporal"),
        ("BUG: KCSAN: data-race in f / g", "race"),
        ("a double free of the table", "temporal"),
        ("the entry is freed twice", "temporal"),
        ("heap-based buffer overflow in the parser", "spatial"),
        ("possible circular locking: ABBA deadlock", "deadlock"),
        ("a livelock of two workers", "deadlock"),
        ("memory leak in the error path", "leak"),
        ("divide by zero for an empty table", "divide"),
        ("The button is green.", "unknown"),
        ("", "unknown"),
    ],
)
def test_classes(text: str, weakness: str) -> None:
    assert label_by_rules(advisory(text=text)).weakness == weakness


def test_a_label_says_where_its_words_stand() -> None:
    for title, text in (
        ("İİİ Fix Use-After-Free in X", "İİ: KASAN: slab-use-after-free in f; a Double Free"),
        ("ſ ﬁ Größe", "ẞ İ HEAP-BASED BUFFER OVERFLOW İ"),
    ):
        record = advisory(title, text)
        label = label_by_rules(record)
        assert label.reasons
        for reason in label.reasons:
            assert reason.span is not None
            field = record.title if reason.span.field == "title" else record.text
            assert field[reason.span.start : reason.span.end] == reason.detail
            assert reason.detail.strip()


@pytest.mark.parametrize(
    "text", ["There is no use after free here.", "This is not a double free.", "without a buffer overflow"]
)
def test_a_negated_phrase_does_not_count(text: str) -> None:
    assert label_by_rules(advisory(text=text)).weakness == "unknown"
    assert label_by_rules(advisory(text=f"{text} But then: heap buffer overflow.")).weakness == "spatial"


def test_a_consequence_beats_a_trigger_and_a_title_beats_the_body() -> None:
    assert label_by_rules(advisory(text="A race condition leads to a use after free.")).weakness == "temporal"
    assert label_by_rules(advisory("fix a memory leak", "a possible null pointer dereference")).weakness == "leak"


def test_every_rule_names_a_class_and_a_cwe_of_it() -> None:
    taxonomy = builtin()
    for rule in rules():
        assert rule.weakness in taxonomy.classes
        assert taxonomy.knows_cwe(rule.cwe)


def expansions(nodes: object) -> set[str]:
    """The shortest texts that a pattern matches: every branch taken once, classes as a placeholder."""
    texts = {""}
    for kind, value in nodes:  # type: ignore[attr-defined]
        name = str(kind)
        if name == "LITERAL":
            more = {chr(value)}
        elif name == "BRANCH":
            more = set().union(*(expansions(branch) for branch in value[1]))
        elif name == "SUBPATTERN":
            more = expansions(value[3])
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            more = {text * value[0] for text in expansions(value[2])} if value[0] else {""}
        elif name in ("IN", "ANY", "NOT_LITERAL"):
            more = {"\0"}
        else:  # a position or an assertion
            more = {""}
        texts = {a + b for a in texts for b in more}
    return texts


def test_a_key_of_a_rule_is_in_all_that_it_matches() -> None:
    """The keys only save time: they must never hide a match."""
    parse = importlib.import_module("re._parser").parse
    hiding = [
        r.pattern.pattern
        for r in rules()
        if any(not any(key in text for key in r.keys) for text in expansions(parse(r.pattern.pattern)))
    ]
    assert hiding == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_gives_a_label_with_true_places(title: str, text: str) -> None:
    record = advisory(title, text + " use after free " + title)
    for match in matches(record):
        field = record.title if match.field == "title" else record.text
        assert field[match.start : match.end] == match.words
