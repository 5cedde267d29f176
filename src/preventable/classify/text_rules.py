"""A class from words: sanitizers' signatures first, then phrases, by the codebook's order of precedence."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from preventable.records import Advisory, Label, LabelReason, Span
from preventable.taxonomy.loader import UNKNOWN

# Strength of a match by class: (signature in the text, phrase in the title, phrase in the text). A
# consequence beats a trigger, a tool's line beats a person's word, a title beats the body.
_STRENGTH: dict[str, tuple[int, int, int]] = {
    "temporal": (100, 95, 80),
    "spatial": (100, 95, 80),
    "initialization": (100, 95, 80),
    "type": (100, 95, 80),
    "null": (85, 94, 78),
    "divide": (84, 93, 70),
    "integer": (72, 76, 66),
    "leak": (79, 88, 50),
    "deadlock": (77, 87, 52),
    "side-channel": (62, 91, 46),
    "injection": (62, 86, 60),
    "path": (62, 86, 59),
    "crypto": (62, 74, 56),
    "access-control": (62, 73, 55),
    "exposure": (62, 72, 54),
    "exhaustion": (60, 71, 48),
    "race": (65, 58, 40),
    "hardware": (30, 34, 29),
    "configuration": (30, 34, 27),
    "assertion": (26, 32, 24),
    "error-handling": (20, 28, 18),
}
_NEGATION = re.compile(r"(?:\bno|\bnot|\bnever|\bwithout|\bnor|isn't|doesn't|cannot)\s+(?:an?\s+|any\s+|the\s+)?$")


class Match(msgspec.Struct, frozen=True):
    """One rule that matched: where, what it stands for, and how strong it is."""

    weakness: str
    cwe: int
    kind: Literal["signature", "phrase"]
    words: str
    field: Literal["title", "text"]
    start: int
    end: int
    strength: int


class _Rule(msgspec.Struct, frozen=True):
    weakness: str
    cwe: int
    kind: Literal["signature", "phrase"]
    keys: tuple[str, ...]
    """One of these is in everything that the pattern matches."""
    pattern: re.Pattern[str]


@cache
def rules() -> tuple[_Rule, ...]:
    """The rules of ``rules.toml``, compiled."""
    document = tomllib.loads(files("preventable.classify").joinpath("rules.toml").read_text(encoding="utf-8"))
    return tuple(
        _Rule(entry["class"], entry["cwe"], entry["kind"], tuple(keys.split("|")), re.compile(pattern))
        for entry in document["rule"]
        for keys, pattern in entry["patterns"]
    )


@cache
def _rules_by_strength() -> tuple[tuple[int, tuple[tuple[str, tuple[_Rule, ...]], ...]], ...]:
    """Rules by the strength of a match in the text, strongest first; in each, by the literals that must occur."""
    tiers: dict[int, dict[str, list[_Rule]]] = {}
    for rule in rules():
        signature, _, in_text = _STRENGTH[rule.weakness]
        tier = tiers.setdefault(signature if rule.kind == "signature" else in_text, {})
        for key in rule.keys:
            tier.setdefault(key, []).append(rule)
    return tuple(
        (strength, tuple((key, tuple(group)) for key, group in tiers[strength].items()))
        for strength in sorted(tiers, reverse=True)
    )


def matches(advisory: Advisory, *, decisive: bool = False) -> list[Match]:
    """Rules that match, each at its first unnegated place in the title and in the text, strongest first.

    Args:
        advisory: the record.
        decisive: leave out matches in the text that are weaker than the strongest one; a third of the time.
    """
    title, text = _lower(advisory.title), _lower(advisory.text)
    found: list[Match] = []
    if title:
        for _, tier in _rules_by_strength():
            for rule in _tried(tier, title):
                signature, in_title, _ = _STRENGTH[rule.weakness]
                strength = signature if rule.kind == "signature" else in_title
                found += _found(rule, "title", advisory.title, title, strength)
    best = max((m.strength for m in found), default=0)
    if text:
        for strength, tier in _rules_by_strength():
            if decisive and strength < best:
                break
            for rule in _tried(tier, text):
                more = _found(rule, "text", advisory.text, text, strength)
                if more:
                    best = max(best, strength)
                    found += more
    found.sort(key=lambda m: (-m.strength, m.field != "title", m.start))
    return found


def _tried(tier: tuple[tuple[str, tuple[_Rule, ...]], ...], lower: str) -> list[_Rule]:
    """The rules one of whose keys occurs, each once."""
    rules_ = [rule for key, group in tier if key in lower for rule in group]
    return rules_ if len(rules_) < 2 else list({id(rule): rule for rule in rules_}.values())


def _found(rule: _Rule, field: Literal["title", "text"], original: str, lower: str, strength: int) -> list[Match]:
    hit = rule.pattern.search(lower)
    while hit is not None and rule.kind == "phrase" and _negated(lower, hit.start()):
        hit = rule.pattern.search(lower, hit.end())
    if hit is None:
        return []
    start, end = hit.span()
    return [Match(rule.weakness, rule.cwe, rule.kind, original[start:end], field, start, end, strength)]


def label_by_rules(advisory: Advisory) -> Label:
    """The class of the strongest match, with the matched words and their places; ``unknown`` without one.

    Example:
        >>> label_by_rules(Advisory(id="X", feed="f", file="f", title="fix use-after-free")).weakness
        'temporal'
    """
    found = matches(advisory, decisive=True)
    if not found:
        return Label(advisory.id, UNKNOWN, "none")
    best = found[0]
    reasons = tuple(
        LabelReason(m.kind, m.words, "rules", Span(m.field, m.start, m.end))
        for m in found
        if m.weakness == best.weakness
    )
    return Label(advisory.id, best.weakness, "rules", best.cwe, reasons)


def _lower(text: str) -> str:
    """Lower case of the same length, so that positions stay those of the original."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _negated(text: str, start: int) -> bool:
    return _NEGATION.search(text[max(0, start - 24) : start]) is not None
