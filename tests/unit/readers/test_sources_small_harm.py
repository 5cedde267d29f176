"""A byte order mark and one damaged member cost nothing else."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path

from preventable.evidence.store import load_evidence, save_evidence
from preventable.readers.registry import load
from support.evidence import evidence, record


def osv(identity: str) -> bytes:
    return json.dumps({"id": identity, "modified": "2024-01-01T00:00:00Z", "summary": "use after free"}).encode()


def test_a_byte_order_mark_is_no_part_of_a_document(tmp_path: Path) -> None:
    one = tmp_path / "one.json"
    one.write_bytes(b"\xef\xbb\xbf" + osv("A-1"))
    assert [a.id for a in load(str(one)).advisories] == ["A-1"]
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(b'\xef\xbb\xbf{"id": "B-1", "title": "x"}\n{"id": "B-2", "title": "y"}\n')
    assert [a.id for a in load(str(lines)).advisories] == ["B-1", "B-2"]


def test_a_member_whose_checksum_differs_is_a_row(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in ("a", "b", "c"):
            archive.writestr(f"{name}.json", osv(name.upper()))
    data = buffer.getvalue().replace(b'"id": "A"', b'"id": "X"')
    path = tmp_path / "feed.zip"
    path.write_bytes(data)
    loaded = load(str(path))
    assert [a.id for a in loaded.advisories] == ["B", "C"]
    assert [(r.file, r.reason) for r in loaded.report.rows] == [
        ("a.json", "the member is damaged: its checksum differs")
    ]


def test_a_run_that_writes_at_the_same_time_is_left_alone(tmp_path: Path) -> None:
    other, left = tmp_path / "writing-other", tmp_path / "writing-left"
    other.mkdir()
    left.mkdir()
    old = time.time() - 86_400
    os.utime(left, (old, old))
    save_evidence(evidence([record("A", "spatial")]), tmp_path, "k" * 64)
    assert load_evidence(tmp_path, "k" * 64) is not None
    assert (other.exists(), left.exists()) == (True, False)
