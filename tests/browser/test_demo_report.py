"""The demo report in a real browser, opened from a file: charts drawn, no errors, nothing asked of the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from preventable.report.bundle import write_report
from preventable.studies.assessment import assess
from preventable.studies.embedded import load_facts
from preventable.taxonomy.loader import builtin

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-features=NetworkTimeServiceQuerying",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--virtual-time-budget=30000",
    "--enable-logging=stderr", "--v=0", "--window-size=1200,2400",
)  # fmt: skip


THE_BROWSERS_OWN = tuple(
    f"{scheme}://{host}/"
    for scheme in ("http", "https")
    for host in ("clients2.google.com", "update.googleapis.com", "accounts.google.com")
)
"""Time, updates and sign-in, asked by some versions at a start whatever the page; the page names none of them."""


def opened(page: Path, tmp_path: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """The page as the browser leaves it, and the addresses that it asked the network for."""
    assert CHROMIUM is not None
    log = tmp_path / "net.json"
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    asked = re.findall(r'"url":"((?:https?|wss?)://[^"]*)"', log.read_text(encoding="utf-8", errors="replace"))
    return done, {url for url in asked if not url.startswith(THE_BROWSERS_OWN)}


@pytest.mark.browser
def test_the_demo_report_draws_its_charts_and_loads_nothing(tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("SKIPPED: no Chromium on this machine; install it to test the report in a browser")
    write_report(assess(load_facts(), builtin(), name="Linux"), builtin(), tmp_path / "report")
    page = (tmp_path / "report" / "index.html").resolve()
    done, asked = opened(page, tmp_path)
    dom = done.stdout
    assert re.search(r'<html[^>]*data-charts="drawn"', dom), done.stderr[-2000:]
    boxes = re.split(r"<div class=\"chart[^\"]*\"[^>]*data-chart=", dom)[1:]
    assert len(boxes) >= 4
    for box in boxes:
        assert "<svg" in box.split("</figure>")[0]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in console if "rror" in line or "Refused" in line], console
    assert dom.count("<tr") > 100
    assert not asked
    assert not [
        host for host in ("clients2.google", "googleapis", "accounts.google") if host in page.read_text("utf-8")
    ]
    assert json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))["results"]["total"] == 10_607


@pytest.mark.browser
def test_the_log_would_show_a_request_of_the_page(tmp_path: Path) -> None:
    """The control of the test above."""
    if CHROMIUM is None:
        pytest.skip("SKIPPED: no Chromium on this machine; install it to test the report in a browser")
    page = tmp_path / "asks.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png">', encoding="utf-8")
    assert "http://127.0.0.1:9/x.png" in opened(page, tmp_path)[1]
