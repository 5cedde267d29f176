"""The gate finds what the rules forbid, and nothing else."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import pytest

from preventable.code.changed import measure_change
from preventable.code.gitfiles import Repository
from preventable.errors import CaseError
from preventable.readers.case_file import parse_case
from preventable.studies.gate import RULES, Verdict, gate_section, judge

TODAY = date(2026, 11, 24)
RULES_TOML = """
[gate]
exempt = ["core/vendor"]
[[gate.zones]]
name = "c"
paths = ["core"]
no_new_files = ["C", "C++"]
no_new_lines = ["C", "C++"]
[[gate.zones]]
name = "rust"
paths = ["rust"]
no_growth = ["unsafe_blocks", "unsafe_lines"]
safety_comments = true
"""
C = "int f(void)\n{\n\treturn 1;\n}\n"
DOCUMENTED = "fn f(p: *const u8) -> u8 {\n    // SAFETY: p is valid\n    unsafe { *p }\n}\n"
BASE = {"core/a.c": C, "core/vendor/z.c": C, "rust/a.rs": DOCUMENTED, "lib/free.c": C, "rust/c.txt": "x\n"}


def git(repo: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=repo, check=True, capture_output=True)


def write(root: Path, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    write(tmp_path, dict(BASE))
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    return tmp_path


def gate(repo: Path, change: dict[str, str | None], rules: str = RULES_TOML, today: date = TODAY) -> Verdict:
    write(repo, change)
    tree = measure_change(Repository(repo), "HEAD", None, sites=True)
    return judge(tree, parse_case(rules.encode()), today)


def found(verdict: Verdict) -> list[tuple[str, str]]:
    return [(f.rule, f.path) for f in verdict.findings if not f.suppressed]


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        ({}, []),
        ({"core/new.c": C}, [("PVG001", "core/new.c")]),
        ({"core/new.h": "#define X 1\n"}, [("PVG001", "core/new.h")]),
        ({"core/new.cpp": C}, [("PVG001", "core/new.cpp")]),
        ({"core/new.rs": DOCUMENTED}, []),
        ({"lib/new.c": C}, []),
        ({"core/vendor/new.c": C, "core/vendor/z.c": C + C}, []),
        ({"core/a.c": C + "int x;\n"}, [("PVG002", "core/a.c")]),
        ({"core/a.c": C.replace("1", "2")}, []),
        ({"core/a.c": C + "/* comment */\n\n"}, []),
        ({"core/a.c": None}, []),
        ({"lib/free.c": C + C}, []),
        ({"rust/a.rs": DOCUMENTED + "fn g() {}\n"}, []),
        ({"rust/a.rs": DOCUMENTED.replace("    // SAFETY: p is valid\n", "")}, [("PVG004", "rust/a.rs")]),
        ({"rust/a.rs": None}, []),
        ({"rust/b.rs": "fn x( {"}, [("PVG005", "rust/b.rs")]),
        ({"rust/b.rs": "fn x() { /* \0 */ }"}, [("PVG005", "rust/b.rs")]),
        ({"core/b.c": "int x; /* \0 */"}, [("PVG005", "core/b.c")]),
        (
            {"rust/b.rs": DOCUMENTED},
            [("PVG003", "rust/b.rs"), ("PVG003", "rust/b.rs")],
        ),
        (
            {"rust/b.rs": "macro_rules! m { () => { unsafe { f() } } }\n"},
            [("PVG003", "rust/b.rs"), ("PVG004", "rust/b.rs")],
        ),
        ({"rust/a.rs": None, "rust/moved.rs": DOCUMENTED}, []),
        ({"lib/free.c": None, "core/moved.c": C}, [("PVG001", "core/moved.c")]),
        ({"core/a.c": None, "core/b.c": C}, [("PVG001", "core/b.c")]),
    ],
)
def test_rules(repo: Path, change: dict[str, str | None], findings: list[tuple[str, str]]) -> None:
    assert found(gate(repo, change)) == findings


def test_a_committed_move_inside_the_zone_is_not_new(repo: Path) -> None:
    git(repo, "mv", "core/a.c", "core/b.c")
    assert found(gate(repo, {})) == []


def test_a_move_in_the_index_with_growth_on_disk_is_judged_by_the_file_on_disk(repo: Path) -> None:
    git(repo, "mv", "core/a.c", "core/b.c")
    assert found(gate(repo, {"core/b.c": C + "int more;\n"})) == [("PVG002", "core/b.c")]


def test_undocumented_unsafe_that_moves_within_the_zone_is_not_new(repo: Path) -> None:
    bare = "fn f(p: P) {\n    unsafe { *p };\n}\n"
    write(repo, {"rust/x.rs": bare, "rust/y.rs": "fn y() {}\n", "lib/z.rs": bare})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "bare")
    assert found(gate(repo, {"rust/x.rs": "fn x() {}\n", "rust/y.rs": bare})) == []
    assert found(gate(repo, {"lib/z.rs": None, "rust/y.rs": bare + bare, "rust/x.rs": None})) == [
        ("PVG003", "rust/y.rs"), ("PVG003", "rust/y.rs"), ("PVG004", "rust/y.rs"),
    ]  # fmt: skip


def test_a_file_in_the_place_of_a_link_is_new(repo: Path) -> None:
    (repo / "core/link.c").symlink_to("a.c")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "link")
    (repo / "core/link.c").unlink()
    assert found(gate(repo, {"core/link.c": C})) == [("PVG001", "core/link.c")]


def test_findings_say_where_and_have_stable_fingerprints(repo: Path) -> None:
    bare = "fn f() {\n    unsafe { g() };\n    unsafe { g() };\n}\n"
    first = gate(repo, {"rust/b.rs": bare})
    second = gate(repo, {"rust/b.rs": "\n\n" + bare})
    assert [f.line for f in first.findings if f.rule == "PVG004"] == [2, 3]
    assert [f.line for f in second.findings if f.rule == "PVG004"] == [4, 5]
    assert [f.fingerprint for f in first.findings] == [f.fingerprint for f in second.findings]
    assert len({f.fingerprint for f in first.findings}) == len(first.findings)


SUPPRESSED = (
    RULES_TOML
    + """
[[gate.suppressions]]
rule = "{rule}"
path = "core/a.c"
reason = "a fix"
expires = {expires}
"""
)


@pytest.mark.parametrize("rule", ["PVG002", "new-lines"])
def test_a_suppression_holds_until_its_day(repo: Path, rule: str) -> None:
    verdict = gate(repo, {"core/a.c": C + C}, SUPPRESSED.format(rule=rule, expires="2026-11-24"))
    assert verdict.open == 0
    assert [(f.suppressed, f.reason) for f in verdict.findings] == [(True, "a fix (until 2026-11-24)")]


def test_an_expired_suppression_is_a_finding_and_suppresses_nothing(repo: Path) -> None:
    verdict = gate(repo, {"core/a.c": C + C}, SUPPRESSED.format(rule="new-lines", expires="2026-11-23"))
    assert found(verdict) == [("PVG002", "core/a.c"), ("PVG006", "preventable.toml")]
    assert found(gate(repo, {"core/a.c": C}, SUPPRESSED.format(rule="new-lines", expires="2026-11-23"))) == [
        ("PVG006", "preventable.toml")
    ]


def test_an_unused_suppression_and_an_empty_glob_are_warnings(repo: Path) -> None:
    rules = SUPPRESSED.format(rule="new-lines", expires="2030-01-01").replace('["rust"]', '["rust", "rsut/x"]')
    assert gate(repo, {}, rules).warnings == [
        "preventable.toml: the suppression of new-lines in core/a.c suppresses nothing",
        "preventable.toml: the glob rsut/x matches nothing (nearest: rust)",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no zones"),
        ("[gate]\n", "no zones"),
        ('[[gate.zones]]\nname = "a"\npaths = ["x"]\n', "has no rule"),
        ('[[gate.zones]]\nname = "a"\npaths = []\nsafety_comments = true\n', "paths is empty"),
        ('[[gate.zones]]\nname = "a"\npaths = ["x"]\nno_new_files = ["Rsut"]\n', "did you mean Rust?"),
        ('[[gate.zones]]\nname = "a"\npaths = ["x"]\nno_growth = ["blocks"]\n', "did you mean unsafe_blocks?"),
        (RULES_TOML + '[[gate.suppressions]]\nrule = "new-file"\n', "gate.suppressions[0] lacks path, reason, expires"),
        ('[[gate.zones]]\nname = "a"\npaths = ["x"]\nno_new_file = ["C"]\n', "did you mean no_new_files?"),
        (SUPPRESSED.format(rule="new-line", expires="2030-01-01"), "did you mean new-lines?"),
        (SUPPRESSED.format(rule="new-lines", expires='"soon"'), "expires"),
        (SUPPRESSED.format(rule="new-lines", expires="2030-01-01").replace("a fix", " "), "reason is empty"),
        (SUPPRESSED.format(rule="new-lines", expires="2030-01-01").replace('reason = "a fix"\n', ""), "reason"),
    ],
)
def test_wrong_rules_are_refused(text: str, said: str) -> None:
    with pytest.raises(CaseError) as caught:
        gate_section(parse_case(text.encode()))
    assert said in str(caught.value)


def test_rule_ids_are_stable() -> None:
    assert [(rule.id, rule.name) for rule in RULES] == [
        ("PVG001", "new-file"),
        ("PVG002", "new-lines"),
        ("PVG003", "unsafe-growth"),
        ("PVG004", "unsafe-without-safety-comment"),
        ("PVG005", "indeterminate"),
        ("PVG006", "suppression-expired"),
    ]


def nested(at: Path) -> None:
    write(at, {"z.c": C})
    git(at, "init", "-q", "-b", "main")
    git(at, "add", "-A")
    git(at, "commit", "-qm", "nested")


@pytest.mark.parametrize("paths", ['["core"]', '["core/sub/deep"]', '["core/**/*.c"]'])
@pytest.mark.parametrize("state", ["untracked", "staged", "committed"])
def test_what_a_submodule_holds_is_unknown(repo: Path, state: str, paths: str) -> None:
    nested(repo / "core/sub")
    if state != "untracked":
        git(repo, "add", "core/sub")
    if state == "committed":
        git(repo, "commit", "-qm", "sub")
    base, head = ("HEAD~1", "HEAD") if state == "committed" else ("HEAD", None)
    rules = f'[[gate.zones]]\nname = "z"\npaths = {paths}\nno_new_files = ["C"]\n'
    tree = measure_change(Repository(repo), base, head, staged=state == "staged", sites=True)
    verdict = judge(tree, parse_case(rules.encode()), TODAY)
    assert found(verdict) == [("PVG005", "core/sub")]
    assert verdict.findings[0].baseline_state == "new"


def test_a_submodule_that_moves_on_was_unknown_before(repo: Path) -> None:
    nested(repo / "core/sub")
    git(repo, "add", "core/sub")
    git(repo, "commit", "-qm", "sub")
    assert gate(repo, {}).findings == []
    git(repo / "core/sub", "commit", "-qm", "more", "--allow-empty")
    verdict = gate(repo, {})
    assert found(verdict) == [("PVG005", "core/sub")]
    assert verdict.findings[0].baseline_state == "unchanged"
    assert gate(repo, {}, RULES_TOML.replace('"core/vendor"', '"core/sub"')).findings == []


def test_a_symbolic_link_is_no_file_whether_git_knows_it_or_not(repo: Path) -> None:
    (repo / "core/link.c").symlink_to("a.c")
    assert gate(repo, {}).findings == []
    git(repo, "add", "-A")
    assert gate(repo, {}).findings == []


def test_a_file_on_disk_that_left_the_index_is_not_new(repo: Path) -> None:
    git(repo, "rm", "-q", "--cached", "core/a.c")
    verdict = gate(repo, {})
    assert (verdict.findings, verdict.changed_files) == ([], 0)
    assert found(gate(repo, {"core/a.c": C + "int more;\n"})) == [("PVG002", "core/a.c")]


def test_a_file_on_disk_that_left_the_index_was_not_renamed(repo: Path) -> None:
    git(repo, "rm", "-q", "--cached", "core/a.c")
    write(repo, {"core/b.c": C})
    git(repo, "add", "core/b.c")
    assert found(gate(repo, {})) == [("PVG001", "core/b.c")]


def test_growth_of_what_did_not_parse_before_is_said_to_be_unknown(repo: Path) -> None:
    write(repo, {"rust/b.rs": "fn f( {\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "broken")
    assert gate(repo, {"rust/b.rs": "fn f() {}\n"}).warnings == []
    verdict = gate(repo, {"rust/b.rs": DOCUMENTED})
    assert verdict.findings == []
    [said] = verdict.warnings
    assert "rust/b.rs could not be counted before" in said
