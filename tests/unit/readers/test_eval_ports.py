"""benchmarks/eval_ports.py counts what only dose lists, so that a source the model lacks shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[3] / "benchmarks" / "eval_ports.py"
_spec = importlib.util.spec_from_file_location("eval_ports", _path)
assert _spec is not None
assert _spec.loader is not None
eval_ports = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(eval_ports)

STANZA = "Package: {}\nBinary: a\nVersion: {}\nArchitecture: {}\n{}\n"
SOURCES = "".join(
    STANZA.format(*row)
    for row in (
        ("kept", "1", "any", ""),
        ("kept", "2", "any", ""),
        ("left-out", "1", "nobody-knows", ""),
        ("partly", "1", "any", ""),
        ("partly", "2", "nobody-knows", ""),
        ("elsewhere", "1", "any", ""),
        ("elsewhere", "2", "hurd-amd64", ""),
        ("extra", "2", "any", "Extra-Source-Only: yes\n"),
        ("extra", "1", "any", ""),
    )
)
MODELLED = [("kept", "2"), ("partly", "1"), ("elsewhere", "1"), ("extra", "1")]


def test_what_the_model_leaves_out_is_not_dropped_from_the_side_of_dose() -> None:
    rank = eval_ports.ranks(SOURCES.encode())
    lost = [*MODELLED, ("kept", "1"), ("left-out", "1"), ("partly", "2"), ("extra", "2")]
    found = eval_ports.countable(lost, dict.fromkeys(MODELLED), rank)
    assert found - set(MODELLED) == {("left-out", "1"), ("partly", "2")}
    assert found >= set(MODELLED)


def test_a_source_that_our_reader_lacks_counts() -> None:
    assert eval_ports.countable([("unread", "1")], MODELLED, {}) == {("unread", "1")}
