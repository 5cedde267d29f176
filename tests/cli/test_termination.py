"""SIGTERM, as a job's time limit sends it, leaves no worker and no temporary file."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest


def nobody_is_left(group: int) -> bool:
    """Whether a group of processes ends; one that was told to may take a moment."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
def test_a_terminated_census_leaves_nothing(tmp_path: Path) -> None:
    text = b"int a_line_of_code;\n" * 50_000
    # Large enough that it is not yet counted when a busy machine gets round to the signal.
    with tarfile.open(tmp_path / "tree.tar.gz", "w:gz", compresslevel=1) as archive:
        for number in range(300):
            member = tarfile.TarInfo(f"tree/f{number}.c")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "preventable", "census", str(tmp_path / "tree.tar.gz"), "--workers", "2"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        limit = time.monotonic() + 60
        while not any(scratch.iterdir()) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "terminated" in said
    assert list(scratch.iterdir()) == []
    assert nobody_is_left(process.pid)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
@pytest.mark.parametrize("command", ["lineage", "origin"])
def test_a_listing_of_commits_ends_with_its_command(tmp_path: Path, command: str) -> None:
    """Git lists commits while modules load; on a long history that would go on for long."""
    repository = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", "-C", str(repository), *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "R-1", "title": "t", "text": "t"}\n', encoding="utf-8")
    listing, slow = tmp_path / "listing", tmp_path / "bin" / "git"
    slow.parent.mkdir()
    real = shutil.which("git")
    hang = f'case "$*" in *" rev-list --topo-order "*) : > {listing}; exec sleep 600;; esac'
    slow.write_text(f'#!/bin/sh\n{hang}\nexec {real} "$@"\n', encoding="utf-8")
    slow.chmod(0o755)
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "PATH": f"{slow.parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    options = ["--advisories", str(records)] if command == "origin" else []
    with subprocess.Popen(
        [sys.executable, "-m", "preventable", command, str(repository), *options],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        limit = time.monotonic() + 60
        while not listing.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert nobody_is_left(process.pid)
