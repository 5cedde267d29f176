"""``preventable census``: formats, streams and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

C = "int main(void)\n{\n\treturn 0;\n}\n"
REQUIRED = (
    "component", "language", "bucket", "files", "code", "comment", "blank", "unsafe_blocks", "unsafe_functions",
    "unsafe_impls", "unsafe_traits", "unsafe_lines", "safety_comments", "indeterminate_files",
)  # fmt: skip


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        [sys.executable, "-m", "preventable", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip


def git(repo: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=repo, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    (repo / "src").mkdir(parents=True)
    (repo / "src/a.c").write_text(C)
    (repo / "src/b.rs").write_text("fn f() { unsafe { g() } }\n")
    git(repo, "init", "-q", "-b", "main")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "one")
    (repo / "src/a.c").write_text(C + C)
    (repo / "src/bad.rs").write_text("fn f( {\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two")
    return repo


@pytest.mark.parametrize("what", [".", ".@HEAD", "HEAD"])
def test_json_rows_have_every_member(repo: Path, what: str) -> None:
    done = run("census", what, "--format", "json", cwd=repo)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "census"
    rows = document["results"]
    assert [list(row)[:14] for row in rows] == [list(REQUIRED)] * 2
    c, rust = rows
    assert (c["language"], c["code"], c["unsafe_blocks"]) == ("C", 8, None)
    assert (rust["files"], rust["unsafe_blocks"], rust["indeterminate_files"]) == (2, 1, 1)
    assert "unsafe code unknown in 1 Rust files: src/bad.rs: does not parse" in done.stderr


@pytest.mark.parametrize("fmt", ["table", "csv", "markdown", "jsonl", "badge"])
def test_other_formats_write_to_standard_output_only(repo: Path, fmt: str) -> None:
    done = run("census", ".", "--format", fmt, "--quiet", cwd=repo)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Rust" in done.stdout


def test_files_and_coupling_are_in_the_json(repo: Path) -> None:
    done = run("census", ".", "--format", "json", "--files", "--coupling", "-q", cwd=repo)
    document = json.loads(done.stdout)
    assert next((f["path"], f["rule"]) for f in document["files"]) == ("src/a.c", "default")
    assert document["coupling"][0]["component"] == "src"


def test_diff_of_two_revisions_and_of_saved_results(repo: Path) -> None:
    done = run("census", "diff", ".@HEAD~1", ".@HEAD", "--format", "json", cwd=repo)
    assert done.returncode == 0, done.stderr
    rows = {row["language"]: row for row in json.loads(done.stdout)["results"]}
    assert (rows["C"]["files_delta"], rows["C"]["code_delta"]) == (0, 4)
    assert (rows["Rust"]["files_delta"], rows["Rust"]["unsafe_blocks_delta"]) == (1, None)
    for revision, name in (("HEAD~1", "a.json"), ("HEAD", "b.json")):
        (repo.parent / name).write_text(run("census", revision, "--format", "json", cwd=repo).stdout)
    saved = run(
        "census", "diff", str(repo.parent / "a.json"), str(repo.parent / "b.json"), "--format", "json", cwd=repo
    )
    assert json.loads(saved.stdout)["results"] == json.loads(done.stdout)["results"]


def save(repo: Path, name: str, *arguments: str) -> str:
    done = run("census", ".", "--format", "json", "-q", *arguments, cwd=repo)
    path = repo.parent / name
    path.write_text(done.stdout)
    return str(path)


def cargo(repo: Path) -> None:
    (repo / "src/Cargo.toml").write_text('[package]\nname = "one"\n')


def test_the_other_side_of_a_saved_census_is_counted_alike(repo: Path) -> None:
    cargo(repo)
    saved = save(repo, "a.json", "--components-from", "cargo", "--headers", "c++")
    for sides in ((saved, "."), (".", saved)):
        done = run("census", "diff", *sides, "--format", "json", cwd=repo)
        assert json.loads(done.stdout)["results"] == []
    case = repo / "preventable.toml"
    case.write_text('[census]\nexclude = ["src/a.c"]\n')
    rows = json.loads(run("census", "diff", saved, ".", "--format", "json", cwd=repo).stdout)["results"]
    assert [row["language"] for row in rows] == ["TOML"], "the case file itself, but nothing that it leaves out"


def test_an_older_saved_census_gives_what_it_wrote_down(repo: Path) -> None:
    cargo(repo)
    saved = Path(save(repo, "a.json", "--components-from", "cargo"))
    document = json.loads(saved.read_text())
    for name in ("census_rules", "component_rules", "max_file_bytes", "case"):
        del document[name]
    saved.write_text(json.dumps(document))
    done = run("census", "diff", str(saved), ".", "--format", "json", cwd=repo)
    answer = json.loads(done.stdout)
    assert answer["results"] == []
    assert [w.split(": ")[0] for w in answer["warnings"]] == [
        f"{saved} was saved by an earlier release and does not say max_file_bytes and census_rules and component_rules"
    ]
    assert "cannot be verified" in done.stderr


def test_sides_that_cannot_be_counted_alike_are_refused(repo: Path) -> None:
    cargo(repo)
    by_cargo = save(repo, "a.json", "--components-from", "cargo")
    by_directory = save(repo, "b.json")
    (repo.parent / "case.toml").write_text('[components]\nother = "src/a.c"\n[census]\nexclude = ["src/b.rs"]\n')
    by_case = save(repo, "c.json", "--case", "../case.toml")
    document = json.loads(Path(by_directory).read_text())
    (repo.parent / "two.toml").write_text('[components]\nother = "src/b.rs"\n[census]\nexclude = ["src/b.rs"]\n')
    by_digest = repo.parent / "d.json"
    older = json.loads(Path(by_case).read_text())
    del older["component_rules"]
    by_digest.write_text(json.dumps(older))
    old, own = repo.parent / "old.json", repo.parent / "own.json"
    old.write_text(json.dumps(document | {"method_version": "1999.1"}))
    own.write_text(json.dumps(document | {"census_rules": document["census_rules"] | {"exclude": ["x"]}}))
    maintained = repo.parent / "m.json"
    maintained.write_text(
        json.dumps(
            document
            | {"components_from": "maintainers"}
            | {"census_rules": document["census_rules"] | {"components_from": "maintainers"}}
        )
    )
    for arguments, words in (
        ((by_cargo, by_directory), ("components_from is cargo in", "directories in", "Take one of them again")),
        ((by_cargo, ".", "--components-from", "directories"), ("is cargo in", "directories for the other side")),
        ((by_directory, ".", "--headers", "c++"), ("headers is auto in", "c++ for the other side")),
        ((by_directory, str(own)), ("exclude is nothing in", "x in")),
        ((str(old), "."), ("method_version is 1999.1", "again with this release")),
        ((str(by_digest), "."), ("case is sha256:", "each tree's own for the other side", "the same --case")),
        ((by_case, ".", "--case", "../two.toml"), ("components.other is src/a.c in", "src/b.rs for the other side")),
        ((by_case, ".", "--max-file-bytes", "9"), ("max_file_bytes is 67108864 in", "9 for the other side")),
        ((str(maintained), "."), ("cannot be counted as", "no MAINTAINERS file")),
    ):
        done = run("census", "diff", *arguments, cwd=repo)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert done.stdout == ""
        assert all(word in done.stderr for word in words), done.stderr
    for arguments in ((by_case,), (by_case, "--case", "../case.toml"), (str(by_digest), "--case", "../case.toml")):
        done = run("census", "diff", *arguments, ".", "--format", "json", cwd=repo)
        assert json.loads(done.stdout)["results"] == []


def test_options_that_saved_censuses_alone_were_not_counted_by_are_refused(repo: Path) -> None:
    """Nothing is counted there, and what is saved is not what was asked for; what it is may be asked for."""
    (repo.parent / "same.toml").write_text('# Another file.\n[components]\nother = ["src/a.c"]\n')
    (repo.parent / "two.toml").write_text('[components]\nother = "src/b.rs"\n')
    (repo / "preventable.toml").write_text('[components]\nother = "src/a.c"\n')
    saved = Path(save(repo, "a.json"))
    by_digest, of_1999 = repo.parent / "d.json", repo.parent / "1999.json"
    older = json.loads(Path(save(repo, "b.json", "--case", "../two.toml")).read_text())
    del older["component_rules"]
    by_digest.write_text(json.dumps(older))
    of_1999.write_text(json.dumps(json.loads(saved.read_text()) | {"method_version": "1999.1"}))
    for file, options, said in (
        (saved, ("--headers", "c"), "headers is auto in"),
        (saved, ("--components-from", "other"), "components_from is directories in"),
        (saved, ("--case", "../two.toml"), "components.other is src/a.c in"),
        (saved, ("--max-file-bytes", "100"), "max_file_bytes is 67108864 in"),
        (by_digest, ("--case", "../same.toml"), "case is sha256:"),
    ):
        for words in (("diff", str(file), str(file)), ("series", str(file))):
            done = run("census", *words, *options, cwd=repo)
            assert (done.returncode, done.stdout) == (2, ""), (words, options)
            assert said in done.stderr
            assert "by --case and the options" in done.stderr
            assert "leave --case and the options out" in done.stderr
    for file, options in (
        (saved, ("--headers", "auto", "--components-from", "directories", "--max-file-bytes", "67108864")),
        (saved, ("--case", "../same.toml")),
        (by_digest, ()),
        (by_digest, ("--case", "../two.toml")),
        (of_1999, ()),
        (of_1999, ("--headers", "auto")),
    ):
        for words in (("diff", str(file), str(file)), ("series", str(file))):
            done = run("census", *words, *options, cwd=repo)
            assert (done.returncode, done.stderr) == (0, ""), (words, options)


def test_an_option_that_nobody_can_check_an_older_census_for_is_said(repo: Path) -> None:
    saved = Path(save(repo, "a.json"))
    document = json.loads(saved.read_text())
    del document["max_file_bytes"]
    saved.write_text(json.dumps(document))
    assert run("census", "series", str(saved), cwd=repo).stderr == ""
    done = run("census", "series", str(saved), "--max-file-bytes", "9", cwd=repo)
    assert done.returncode == 0
    assert "does not say max_file_bytes: whether" in done.stderr


def test_only_what_changes_the_count_is_compared(repo: Path) -> None:
    case = repo / "preventable.toml"
    case.write_text('[components]\nparser = ["src/a.c", "src/x"]\nrest = "src"\n[census]\nexclude = ["p", "q"]\n')
    before = save(repo, "before.json")
    given = save(repo, "given.json", "--case", str(case))
    case.write_text(
        '# Another.\n[census]\nexclude = ["q", "p"]\n[components]\nparser = ["src/x", "src/a.c"]\nrest = "src"\n'
        'none = []\n[case]\nname = "x"\n'
    )
    after = save(repo, "after.json", "--case", str(case))
    for sides in ((before, after), (given, after), (given, ".", "--case", str(case)), (before, "."), (after, ".")):
        done = run("census", "diff", *sides, "--format", "json", cwd=repo)
        assert done.returncode == 0, done.stderr
        assert {row["language"] for row in json.loads(done.stdout)["results"]} <= {"TOML"}


def test_the_components_of_a_tree_are_saved_and_hold_for_the_other_side(repo: Path) -> None:
    case = repo / "preventable.toml"
    case.write_text('[components]\nparser = "src/a.c"\n')
    saved = save(repo, "a.json")
    assert json.loads(Path(saved).read_text())["component_rules"] == {"parser": "src/a.c"}
    case.write_text('[components]\nother = "src/a.c"\n')
    (repo / "src/a.c").write_text(C)
    rows = json.loads(run("census", "diff", saved, ".", "--format", "json", cwd=repo).stdout)["results"]
    assert [(row["component"], row["code_delta"]) for row in rows] == [("parser", -4)]
    for sides in ((saved, save(repo, "b.json")), (saved, ".", "--case", "preventable.toml")):
        done = run("census", "diff", *sides, cwd=repo)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"components.parser is src/a.c in {saved} and nothing" in done.stderr


def test_a_glob_that_matches_nothing_is_named_with_the_file_it_stands_in(repo: Path) -> None:
    (repo.parent / "case.toml").write_text('[components]\none = "nowhere"\n[census]\nexclude = ["attic"]\n')
    saved = save(repo, "a.json", "--case", "../case.toml")
    done = run("census", "diff", saved, ".", cwd=repo)
    assert done.stderr.splitlines() == [
        f"preventable: warning: {saved}: the glob attic matches nothing",
        f"preventable: warning: {saved}: the glob nowhere matches nothing",
    ]
    document = json.loads(Path(saved).read_text())
    for name in ("component_rules", "case"):
        del document[name]
    Path(saved).write_text(json.dumps(document))
    (repo / "preventable.toml").write_text('[components]\none = "nowhere"\n')
    done = run("census", "diff", saved, ".", cwd=repo)
    assert f"{saved}: the glob attic matches" in done.stderr
    assert " preventable.toml: the glob nowhere matches" in done.stderr
    assert "does not say component_rules: whether" in done.stderr


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('[census]\ncomponents_from = "other"\n', "components_from is directories in . and other in ../other"),
        ('[census]\nexclude = ["x"]\n', "exclude is nothing in . and x in ../other"),
        ('[components]\nall = "**/a.c"\n', "components.all is nothing in . and **/a.c in ../other"),
    ],
)
@pytest.mark.parametrize("subcommand", ["diff", "series"])
def test_trees_whose_own_rules_differ_are_compared_and_said_to(
    repo: Path, subcommand: str, rules: str, said: str
) -> None:
    other = repo.parent / "other"
    other.mkdir()
    (other / "a.c").write_text(C)
    (other / "preventable.toml").write_text(rules)
    done = run("census", subcommand, ".", "../other", cwd=repo)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr.count(said) == 1
    assert "one --case counts all alike" in done.stderr
    again = run("census", subcommand, ".", "../other", "--case", "../other/preventable.toml", cwd=repo)
    assert (again.returncode, again.stderr.count("counted otherwise")) == (0, 0)
    (repo / "preventable.toml").write_text(rules + "# The same.\n")
    assert "counted otherwise" not in run("census", subcommand, ".", "../other", cwd=repo).stderr


def test_two_revisions_with_different_rules_are_compared_and_said_to(repo: Path) -> None:
    (repo / "preventable.toml").write_text('[components]\nother = "src/a.c"\n')
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "rules")
    for subcommand in ("diff", "series"):
        done = run("census", subcommand, "HEAD~1", "HEAD", "--format", "json", cwd=repo)
        said = [w for w in json.loads(done.stdout)["warnings"] if "counted otherwise" in w]
        assert [w.split(":")[0] for w in said] == ["components.other is nothing in HEAD~1 and src/a.c in HEAD"]
        assert done.returncode == 0
        done = run("census", subcommand, "HEAD~1", "HEAD", "--case", "preventable.toml", cwd=repo)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_series_is_of_one_manner(repo: Path) -> None:
    case = repo.parent / "case.toml"
    case.write_text('[components]\none = "src/a.c"\ntwo = "src"\n[census]\nexclude = ["src/b.rs"]\n')
    plain = save(repo, "plain.json")
    ruled = save(repo, "ruled.json", "--case", str(case))
    done = run("census", "series", "HEAD", plain, "HEAD~1", ruled, cwd=repo)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"exclude is nothing in {plain} and src/b.rs in {ruled}" in done.stderr
    case.write_text('[components]\ntwo = "src"\none = "src/a.c"\n[census]\nexclude = ["src/b.rs"]\n')
    turned = save(repo, "turned.json", "--case", str(case))
    assert "the order of components is one, two" in run("census", "series", ruled, turned, cwd=repo).stderr
    done = run("census", "series", plain, "HEAD", "--headers", "c++", cwd=repo)
    assert "headers is auto in" in done.stderr
    rows = json.loads(run("census", "series", "HEAD~1", ruled, "--format", "json", cwd=repo).stdout)["results"]
    assert [(row["release"], row["language"], row["files"]) for row in rows] == [
        ("HEAD~1", "C", 1),
        (ruled, "C", 1),
        (ruled, "Rust", 1),
    ]


def test_the_largest_size_of_a_file_is_that_of_the_saved_census(repo: Path) -> None:
    saved = save(repo, "a.json", "--max-file-bytes", "50")
    done = run("census", "diff", saved, ".", "--format", "json", cwd=repo)
    assert json.loads(done.stdout)["results"] == []
    assert "larger than 50 bytes" in done.stderr


def test_series_shows_each_release(repo: Path) -> None:
    done = run("census", "series", "HEAD~1", "HEAD", "--format", "json", "-q", cwd=repo)
    rows = [(r["release"], r["code"]) for r in json.loads(done.stdout)["results"] if r["language"] == "C"]
    assert rows == [("HEAD~1", 4), ("HEAD", 8)]


def test_the_same_input_gives_the_same_bytes(repo: Path) -> None:
    first, second = (run("census", ".@HEAD", "--format", "json", "-q", cwd=repo).stdout for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["census", ".@nope"], 3, "Unknown revision nope"),
        (["census", "./missing.tar"], 3, "no such file or directory"),
        (["census", "nothing"], 3, "neither a path that exists nor a revision"),
        (["census", ".@"], 2, "names no revision"),
        (["census", ".", "--format", "xml"], 2, "Invalid value"),
        (["census", ".", "--case", "nope.toml"], 2, "does not exist"),
        (["census", "src/a.c"], 3, "no archive"),
        (["census", ".", "--max-file-bytes", "20"], 1, "larger than 20 bytes"),
        (["census", "diff", "."], 2, "Missing argument"),
    ],
)
def test_failures_have_their_status_and_say_what_next(repo: Path, arguments: list[str], status: int, said: str) -> None:
    done = run(*arguments, cwd=repo)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_both_forms_and_ends_with_an_example(repo: Path) -> None:
    done = run("census", "--help", cwd=repo)
    assert done.returncode == 0
    assert "census [OPTIONS] WHAT" in done.stdout
    assert "census diff [OPTIONS] A B" in done.stdout
    assert "Example: preventable census" in done.stdout
