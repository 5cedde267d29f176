"""What only a process of its own can show: imports at start, broken pipes, signals, full devices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.feeds import FEEDS

SRC = Path(__file__).parents[2] / "src"
HEAVY = ("polars", "numpy", "scipy", "altair", "vl_convert", "jinja2", "pysat", "tree_sitter", "tabulate", "sklearn")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SRC)}


def start(*words: str, **how: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "preventable", *words], env=environment(), **how  # type: ignore[call-overload]
    )  # fmt: skip


def heed_interrupts() -> None:
    """Workers of a parallel test run ignore the signal, and their children would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "sys.argv = ['preventable', '--help']\n"
        "from preventable.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n"
        "    print('\\n' + json.dumps([stop.code, sorted({m.split('.')[0] for m in sys.modules})]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status in (0, None)
    assert not set(HEAVY) & set(modules)


def test_the_module_runs_as_the_script_does() -> None:
    with start("--version", stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith(b"preventable")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As in ``preventable list interventions | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    with start("list", "interventions", stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="SKIPPED: this system has no /dev/full")
def test_standard_output_on_a_full_device_is_status_3() -> None:
    with (
        Path("/dev/full").open("wb") as full,
        start("list", "interventions", "--format", "json", stdout=full, stderr=subprocess.PIPE) as process,
    ):
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert b"No space left" in err
    assert b"Traceback" not in err


def test_ctrl_c_from_outside(tmp_path: Path) -> None:
    """The feed is a pipe that never ends; the signal comes while it is read."""
    pipe = tmp_path / "endless.jsonl"
    os.mkfifo(pipe)
    with (
        start(
            "label", str(pipe), "--from", "jsonl",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_interrupts,
        ) as process,
        pipe.open("wb") as stream,
    ):  # fmt: skip
        stream.write(FEEDS["jsonl"].members()["bugs.jsonl"])
        stream.flush()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == b""
    assert b"interrupted" in err
    assert b"Traceback" not in err
