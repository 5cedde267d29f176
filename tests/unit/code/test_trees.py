"""A tree is a directory, an archive or a revision; whatever cannot be counted is named."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from preventable.code.census import Census, take_census
from preventable.code.trees import open_source, split_revision
from preventable.errors import ArchiveError, CaseError, InputError, RepositoryError, UsageError

C = b"/* c */\nint main(void)\n{\n\treturn 0;\n}\n\n"
RUST = b"fn f(p: *const u8) -> u8 {\n    // SAFETY: p is valid\n    unsafe { *p }\n}\n"
FILES = {
    "src/a.c": C,
    "src/a.h": b"#define A 1\n",
    "rust/b.rs": RUST,
    "tests/t.c": C,
    "vendor/v.c": C,
    "Makefile": b"all:\n",
}


def write(root: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def git(repo: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", *arguments],
        cwd=repo, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def make_repository(root: Path) -> Path:
    write(root)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    return root


def census(what: Path | str) -> Census:
    return take_census(open_source(str(what)), workers=1)


def facts(result: Census) -> list[tuple[str, str, str, int, int | None]]:
    return [(r.component, r.language, r.bucket, r.files, r.code) for r in result.rows]


EXPECTED = [
    (".", "Makefile", "code", 1, 1),
    ("rust", "Rust", "code", 1, 3),
    ("src", "C", "code", 1, 4),
    ("src", "C Header", "code", 1, 1),
    ("tests", "C", "test", 1, 4),
    ("vendor", "C", "vendored", 1, 4),
]


def test_a_directory(tmp_path: Path) -> None:
    result = census(write(tmp_path))
    assert facts(result) == EXPECTED
    rust = result.rows[1]
    assert (rust.unsafe_blocks, rust.safety_comments, rust.unsafe_lines, rust.indeterminate_files) == (1, 1, 1, 0)
    assert result.rows[2].unsafe_blocks is None
    assert not result.partial


def tar_of(path: Path, mode: str) -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in FILES.items():
            member = tarfile.TarInfo(f"project-1.0/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("project-1.0/link.c")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"])
def test_archives_are_the_same_tree_and_leave_nothing_behind(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr("preventable.code.measure.MEMORY_DIRECTORY", str(scratch))
    path = tmp_path / f"p.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in FILES.items():
                archive.writestr(f"project-1.0/{name}", data)
    elif suffix == "tar.zst":
        tar_of(tmp_path / "p.tar", "w")
        path.write_bytes(zstandard.compress((tmp_path / "p.tar").read_bytes()))
    else:
        tar_of(path, "w:" + suffix.removeprefix("tar").removeprefix("."))
    result = census(path)
    assert facts(result) == EXPECTED
    assert [n.reason for n in result.not_counted] == ([] if suffix == "zip" else ["symbolic link"])
    assert result.source.digest is not None
    assert list(scratch.iterdir()) == []


def test_a_members_name_never_reaches_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../../evil.c", "/abs/evil.c", "a/../../Makefile"):
            member = tarfile.TarInfo(name)
            member.size = len(C)
            archive.addfile(member, io.BytesIO(C))
    result = census(path)
    assert sum(r.files for r in result.rows) == 3
    assert [p.name for p in tmp_path.rglob("*")] == ["evil.tar"]
    assert not (tmp_path.parent / "evil.c").exists()


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    tar_of(tmp_path / "p.tar", "w")
    plain = (tmp_path / "p.tar").read_bytes()
    tar_of(tmp_path / "p.tar.gz", "w:gz")
    packed = (tmp_path / "p.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "cut.tar.zst").write_bytes(zstandard.compress(plain)[:-40])
    (tmp_path / "cut.tar").write_bytes(plain[:2048])
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04" + b"\0" * 30)
    for name in ("cut.tar.gz", "cut.tar.zst", "cut.tar", "bad.zip"):
        with pytest.raises(ArchiveError, match="cannot be read"):
            census(tmp_path / name)


def test_a_revision_leaves_no_checkout(tmp_path: Path) -> None:
    repo = make_repository(tmp_path)
    commit = git(repo, "rev-parse", "HEAD")
    write(repo, {"src/later.c": C})
    before = git(repo, "status", "--porcelain")
    result = census(f"{repo}@HEAD")
    assert facts(result) == EXPECTED
    assert result.source.commit == commit
    assert git(repo, "status", "--porcelain") == before
    assert git(repo, "worktree", "list").count("\n") == 0


def test_a_work_tree_honours_gitignore(tmp_path: Path) -> None:
    repo = make_repository(tmp_path)
    write(repo, {".gitignore": b"ignored.c\n", "ignored.c": C, "src/untracked.c": C})
    rows = {(r.component, r.language): r.files for r in census(repo).rows}
    assert rows["src", "C"] == 2
    assert (".", "C") not in rows


def test_a_directory_inside_a_work_tree_is_seen_as_git_sees_it(tmp_path: Path) -> None:
    repo = make_repository(tmp_path)
    write(repo, {".gitignore": b"*.gen.c\nrelease/\n", "src/x.gen.c": C, "release/r.c": C})
    assert [(r.component, r.language) for r in census(repo / "src").rows] == [(".", "C"), (".", "C Header")]
    assert facts(census(repo / "release")) == [(".", "C", "code", 1, 4)]


def test_a_bare_repository_stands_for_its_head(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    make_repository(tmp_path / "r")
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "r"), str(tmp_path / "bare"))
    assert facts(census(tmp_path / "bare")) == EXPECTED


def test_bad_repositories_and_revisions_are_said(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "r").mkdir()
    repo = make_repository(tmp_path / "r")
    with pytest.raises(RepositoryError, match="There is no git repository"):
        census(f"{tmp_path / 'plain'}@HEAD")
    with pytest.raises(RepositoryError, match="Unknown revision nope"):
        census(f"{repo}@nope")
    with pytest.raises(RepositoryError, match="is not a revision"):
        census(f"{repo}@--output=x")
    with pytest.raises(UsageError, match="names no revision"):
        split_revision(f"{repo}@")
    with pytest.raises(InputError):
        census(tmp_path / "missing")


def test_a_shallow_clone_says_that_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    repo = make_repository(tmp_path / "r")
    first = git(repo, "rev-parse", "HEAD")
    write(repo, {"src/later.c": C})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo}", "shallow")
    assert facts(census(f"{tmp_path / 'shallow'}@HEAD"))[2] == ("src", "C", "code", 2, 8)
    with pytest.raises(RepositoryError, match="shallow: fetch what is missing"):
        census(f"{tmp_path / 'shallow'}@{first}")


def test_odd_files_are_named_not_counted(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": C, "binary.c": b"\x7fELF\0\0\1", "latin.c": b"/* \xe9\xff */\nint x;\n", "big.c": C})
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.c").symlink_to("self.c")
    os.mkfifo(tmp_path / "pipe.c")
    with (tmp_path / "big.c").open("r+b") as stream:
        stream.truncate(1 << 30)
    result = census(tmp_path)
    reasons = {n.path: n.reason for n in result.not_counted}
    assert reasons == {
        "big.c": "larger than 67,108,864 bytes",
        "binary.c": "binary",
        "loop": "symbolic link",
        "pipe.c": "special file",
        "self.c": "symbolic link",
    }
    assert facts(result) == [(".", "C", "code", 2, 5)]
    assert result.partial


def test_names_that_differ_in_case_or_are_no_unicode_are_files_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, {"Name.c": C, "name.c": C})
    try:
        (tmp_path / os.fsdecode(b"b\xff.c")).write_bytes(C)
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    result = take_census(open_source(str(tmp_path)), workers=1, keep_files=True)
    assert facts(result) == [(".", "C", "code", 3, 12)]


def test_a_submodule_is_named(tmp_path: Path) -> None:
    for name in ("inner", "outer"):
        (tmp_path / name).mkdir()
        make_repository(tmp_path / name)
    git(
        tmp_path / "outer", "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "inner"), "sub"
    )
    git(tmp_path / "outer", "commit", "-qm", "sub")
    for what in (tmp_path / "outer", f"{tmp_path / 'outer'}@HEAD"):
        result = census(what)
        assert [(n.path, n.reason) for n in result.not_counted] == [("sub", "submodule or nested repository")]


def test_rust_that_does_not_parse_is_indeterminate(tmp_path: Path) -> None:
    write(tmp_path, {"a/ok.rs": RUST, "a/bad.rs": b"fn f( {\n", "b/bad.rs": b"fn f( {\n", "c/nul.rs": b"fn f() {}\0"})
    a, b, c = census(tmp_path).rows
    assert (a.files, a.unsafe_blocks, a.indeterminate_files) == (2, 1, 1)
    assert (b.files, b.unsafe_blocks, b.unsafe_lines, b.indeterminate_files) == (1, None, None, 1)
    assert (c.files, c.code, c.unsafe_blocks, c.indeterminate_files) == (0, None, None, 1)


def test_nothing_to_count_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file in a known language"):
        census(tmp_path)


def test_the_case_file_of_the_tree_rules(tmp_path: Path) -> None:
    write(tmp_path)
    write(
        tmp_path,
        {"preventable.toml": b'[components]\nk = ["src", "scr"]\n[census]\ntest = ["rust"]\nexclude = ["vendor"]\n'},
    )
    result = census(tmp_path)
    rows = {(r.component, r.language, r.bucket) for r in result.rows}
    assert ("k", "C", "code") in rows
    assert ("rust", "Rust", "test") in rows
    assert not any(component == "vendor" for component, _, _ in rows)
    assert result.warnings == ["preventable.toml: the glob scr matches nothing (nearest: src)"]
    write(tmp_path, {"preventable.toml": b'[census]\nvendord = ["x"]\n'})
    with pytest.raises(CaseError, match=r"census\.vendord \(did you mean vendored"):
        census(tmp_path)


def test_headers_follow_the_sources_beside_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"c/a.c": C, "c/include/a.h": b"#define A\n", "cpp/a.cpp": C, "cpp/a.h": b"#define A\n", "x.h": b"int x;\n"},
    )
    rows = {(r.component, r.language) for r in census(tmp_path).rows}
    assert {("c", "C Header"), ("cpp", "C++ Header"), (".", "C Header")} <= rows


def test_processes_and_one_process_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preventable.code.measure.POOL_FROM_BYTES", 0)
    write(tmp_path)
    many = take_census(open_source(str(tmp_path)), workers=2, coupling=True)
    one = take_census(open_source(str(tmp_path)), workers=1, coupling=True)
    assert many == one


def test_what_lies_behind_a_linked_directory_is_not_counted(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo")
    (repo / "src").rename(tmp_path / "outside")
    (repo / "src").symlink_to(tmp_path / "outside")
    result = census(repo)
    assert "src" not in {row.component for row in result.rows}
    assert [(n.path, n.reason) for n in result.not_counted] == [("src", "symbolic link")]


def test_a_file_left_out_by_sparse_checkout_is_named(tmp_path: Path) -> None:
    repo = make_repository(tmp_path)
    git(repo, "sparse-checkout", "set", "rust")
    git(repo, "sparse-checkout", "reapply")
    result = census(repo)
    assert {row.component for row in result.rows} == {".", "rust"}
    named = {n.path: n.reason for n in result.not_counted}
    assert named["src/a.c"] == "missing: not checked out (sparse checkout)"
    assert result.partial
    (repo / "rust/b.rs").unlink()
    (repo / "rust/c.rs").write_bytes(RUST)
    assert "rust/b.rs" not in {n.path for n in census(repo).not_counted}
