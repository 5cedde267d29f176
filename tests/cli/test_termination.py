"""SIGTERM, as a job's time limit sends it, leaves no worker and no temporary file."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
def test_a_terminated_census_leaves_nothing(tmp_path: Path) -> None:
    text = b"int a_line_of_code;\n" * 50_000
    with tarfile.open(tmp_path / "tree.tar", "w") as archive:
        for number in range(80):
            member = tarfile.TarInfo(f"tree/f{number}.c")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "preventable", "census", str(tmp_path / "tree.tar"), "--workers", "2"]
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
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of its group is left
