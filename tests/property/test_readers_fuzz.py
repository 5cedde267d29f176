"""Whatever bytes a reader is given: a report or an error of ours, and everything read can be labelled and stored."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preventable.classify.labeller import label_records
from preventable.errors import PreventableError
from preventable.evidence.merge import merge_advisories
from preventable.evidence.tables import build_evidence
from preventable.readers.base import Options
from preventable.readers.registry import load
from preventable.taxonomy.loader import builtin
from support.feeds import CONTAINERS, FEEDS, Feed, packed

TODAY = Options(today=date(2026, 1, 1))
each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS.keys())
ARCHIVES = [c for c in CONTAINERS if c != "directory"]


def assert_survives(data: bytes, name: str, format_name: str | None, then: Callable[[Any], None] | None = None) -> None:
    """Only a ``PreventableError`` may come out; what is read must go through labels, tables and JSON."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(data)
        try:
            loaded = load(str(path), format_name=format_name, options=TODAY)
        except PreventableError:
            return
    report = loaded.report
    assert report.read >= 1
    assert report.failed == len(report.rows)
    assert msgspec.json.encode(loaded.report)
    merged = merge_advisories([loaded.advisories]).records
    evidence = build_evidence(merged, label_records(merged, builtin()), [report], lambda path: path.split("/")[0])
    assert evidence.advisories.height == len(loaded.advisories)
    assert msgspec.json.encode(evidence.advisories.to_dicts())
    if then is not None:
        then(loaded)


pieces = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [
            b"", b"\0", b"\xff", b"\xef\xbb\xbf", b'"', b"{", b"[", b"}", b"]", b"\n", b"\r", b",", b":", b"\\ud800",
            b"null", b"1e999", b"9" * 400, b"-", b"CWE-", b"CWE-99999", b"CVE-2024-1", b"0001-01-01", b"9999-12-31",
            b"2024-02-30", b"T25:00:00", b"+99:99", b"```", b"=", b"'''", b"\xed\xa0\x80",
            "İ".encode(), b"\xe2\x80\xae",
        ]
    ),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """A few cuts, insertions, repetitions and replacements."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        middle = draw(st.one_of(pieces, st.just(data[start:end] * 2)))
        data = data[:start] + middle + data[end:]
    return data


@each_feed
@settings(max_examples=80)
@given(data=st.data())
def test_a_damaged_feed(feed: Feed, data: st.DataObject) -> None:
    content = data.draw(mutated(feed.members()[feed.single]))
    assert_survives(content, Path(feed.single).name, feed.name)


@each_feed
@settings(max_examples=40)
@given(content=st.binary(max_size=300))
def test_arbitrary_bytes(feed: Feed, content: bytes) -> None:
    assert_survives(content, Path(feed.single).name, feed.name)
    assert_survives(content, Path(feed.single).name, None)


HUGE = "an integer of 5,001 digits"
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12),
        st.sampled_from(["\ud800", "CWE-416", "CWE-²", "2024-13-01", "9999-12-31T23:59:59-23:59", "", "\x1b[31m"]),
        st.sampled_from([10**30, -1, HUGE]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


def paths(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    if isinstance(value, dict):
        for key, member in value.items():
            found += paths(member, (*at, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            found += paths(member, (*at, index))
    return found


def big_json(value: object) -> bytes:
    """As ``json.dumps``, but a feed's author may write integers that Python would not."""
    if isinstance(value, dict):
        return b"{" + b",".join(big_json(k) + b":" + big_json(v) for k, v in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(big_json(v) for v in value) + b"]"
    if value == HUGE:
        return b"1" + b"0" * 5000
    return json.dumps(value).encode()


JSON_FEEDS = [f for f in FEEDS.values() if f.single.endswith((".json", ".jsonl"))]


@pytest.mark.parametrize("feed", JSON_FEEDS, ids=lambda f: f.name)
@settings(max_examples=80)
@given(data=st.data())
def test_wrong_schema(feed: Feed, data: st.DataObject) -> None:
    """Any value in any place of a record."""
    text = feed.members()[feed.single]
    rows = [json.loads(line) for line in text.splitlines()] if feed.name == "jsonl" else json.loads(text)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.sampled_from([p for p in paths(rows) if p] or [()]))
        value = data.draw(json_values)
        inside = rows
        for step in at[:-1]:
            inside = inside[step]
        if at:
            inside[at[-1]] = value
    content = b"\n".join(big_json(r) for r in rows) if feed.name == "jsonl" else big_json(rows)
    assert_survives(content, Path(feed.single).name, feed.name)


toml_values = st.sampled_from(
    ["1", "-0", "nan", "1e400", "true", "[]", "[1]", "{}", '""', '"x"', "1979-05-27", "1979-05-27T07:32:00-08:00",
     "07:32:00", "0001-01-01", "9999-12-31T23:59:59.999999-23:59", "1" * 5000, '"\\uD7FF"', '"CVSS:3.1/AV:N"',
     '"CVSS:4.0/AV:N/AC:L"', '"AV:N/AC:L/Au:N/C:P/I:P/A:P"', "[[[[]]]]", "0x" + "f" * 5000]
)  # fmt: skip


@settings(max_examples=80)
@given(data=st.data())
def test_wrong_front_matter(data: st.DataObject) -> None:
    feed = FEEDS["rustsec"]
    lines = feed.members()[feed.single].decode().split("\n")
    at = data.draw(st.sampled_from([i for i, line in enumerate(lines) if " = " in line]))
    key = lines[at].split(" = ", 1)[0]
    lines[at] = f"{key} = {data.draw(toml_values)}"
    assert_survives("\n".join(lines).encode(), Path(feed.single).name, feed.name)


@pytest.mark.parametrize("container", ARCHIVES)
@settings(max_examples=80)
@given(data=st.data())
def test_a_damaged_archive(container: str, data: st.DataObject) -> None:
    """Bytes flipped anywhere in an archive, headers and directories included."""
    content = bytearray(packed(FEEDS["osv"].members(), container))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert_survives(bytes(content), f"feed.{container}", "osv")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00"])
@settings(max_examples=60)
@given(rest=st.binary(max_size=200))
def test_what_only_begins_like_an_archive(start: bytes, rest: bytes) -> None:
    assert_survives(start + rest, "feed.bin", "osv")
    assert_survives(start + rest, "feed.bin", None)
