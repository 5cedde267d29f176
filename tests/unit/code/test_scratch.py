"""Trees made to be compared: their ids and their pack are what git makes of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from preventable.code.history.gitcall import Repository
from preventable.code.history.scratch import Scratch
from preventable.errors import RepositoryError


def git(path: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["git", "-C", str(path), *arguments], input=stdin, stdout=subprocess.PIPE, check=True)
    return done.stdout.strip()


@pytest.fixture(params=["sha1", "sha256"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", f"--object-format={request.param}", str(tmp_path)], check=True)
    return tmp_path


def test_ids_and_contents_are_those_of_mktree_and_git_verifies_the_pack(room: Path) -> None:
    blobs = [git(room, "hash-object", "-w", "--stdin", stdin=b"%d\n" % n) for n in range(300)]
    files = [(b"%05d" % n, blob) for n, blob in enumerate(blobs)]
    with Scratch(Repository(room)) as scratch:
        leaves = [scratch.tree(files=[(b"a b\xff", blob)]) for blob in blobs]
        wide = scratch.tree(files=files)
        top = scratch.tree(trees=[(b"%09d" % n, leaf) for n, leaf in enumerate(leaves)])
        empty = scratch.tree()
        made = [*leaves, wide, top, empty]
        pack, index = scratch._write_trees()
        # A small repository of its own: nothing but the pack.
        alone = {**os.environ, "GIT_OBJECT_DIRECTORY": scratch._directory.name}
        listed = subprocess.run(
            ["git", "-C", str(room), "verify-pack", "-v", str(index)], env=alone, stdout=subprocess.PIPE, check=True
        ).stdout
        assert pack.exists()
    assert sorted(line.split()[0] for line in listed.splitlines() if b" tree " in line) == sorted(set(made))

    def entries(mode: str, kind: str, pairs: list[tuple[bytes, bytes]]) -> bytes:
        return b"".join(f"{mode} {kind} ".encode() + blob + b"\t" + name + b"\0" for name, blob in pairs)

    expected = [git(room, "mktree", "-z", stdin=entries("100644", "blob", [(b"a b\xff", blob)])) for blob in blobs[:9]]
    assert leaves[:9] == expected
    assert wide == git(room, "mktree", "-z", stdin=entries("100644", "blob", files))
    top_entries = entries("040000", "tree", [(b"%09d" % n, leaf) for n, leaf in enumerate(leaves)])
    assert top == git(room, "mktree", "-z", "--missing", stdin=top_entries)
    assert empty == git(room, "mktree", "-z")


def test_trees_are_there_for_the_next_call_alone_and_the_repository_stays_as_it_is(room: Path) -> None:
    one, two = (git(room, "hash-object", "-w", "--stdin", stdin=text) for text in (b"a\nb\n", b"a\nc\n"))
    before = sorted(p.name for p in (room / ".git" / "objects").rglob("*"))
    with Scratch(Repository(room)) as scratch:
        for _ in range(2):
            pair = scratch.tree(files=[(b"x", one)]) + b" " + scratch.tree(files=[(b"x", two)])
            found = scratch.compare([pair], "diff-tree", "--stdin", "-p", "-U0")
            assert [(head, body.splitlines()[-2:]) for head, body in found] == [(pair, [b"-b", b"+c"])]
            left = [p for p in Path(scratch._directory.name).rglob("*") if p.is_file()]
            assert left == []
        directory = Path(scratch._directory.name)
    assert not directory.exists()
    assert sorted(p.name for p in (room / ".git" / "objects").rglob("*")) == before


def test_trees_that_cannot_be_written_are_an_error_that_says_so(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with Scratch(Repository(room)) as scratch:
        scratch.tree()
        with pytest.raises(RepositoryError, match=r"No space left on device.*TMPDIR"):
            scratch.run("version")
