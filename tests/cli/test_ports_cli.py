"""``preventable ports``: rows, exit statuses, streams, the cache, and bad input."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = {
    "arch",
    "level",
    "sources_unbuildable",
    "binaries_uninstallable",
    "essential",
    "required",
    "important",
}
SOURCES = """Package: rustc
Binary: rustc
Version: 1
Architecture: any
Maintainer: Rust Team <rust@example.org>
Build-Depends: rustc:native

Package: sqv
Binary: sqv
Version: 1
Architecture: any
Maintainer: Rust Team <rust@example.org>
Build-Depends: rustc

Package: apt
Binary: apt
Version: 1
Architecture: any
Maintainer: APT <apt@example.org>

Package: user
Binary: user
Version: 1
Architecture: any
Maintainer: Someone <s@example.org>
Build-Depends: apt
"""
BINARIES = """Package: build-essential
Version: 1
Architecture: ARCH
Filename: x

Package: rustc
Version: 1
Architecture: ARCH
Filename: x

Package: sqv
Version: 1
Architecture: ARCH
Filename: x

Package: apt
Version: 1
Architecture: ARCH
Priority: required
Depends: NEEDS
Filename: x

Package: user
Version: 1
Architecture: ARCH
Priority: important
Filename: x
"""


@pytest.fixture
def indices(tmp_path: Path) -> Path:
    (tmp_path / "Sources").write_text(SOURCES, encoding="utf-8")
    for arch, needs in (("amd64", "sqv"), ("arm64", "sqv"), ("m68k", "build-essential")):
        text = BINARIES.replace("ARCH", arch).replace("NEEDS", needs)
        (tmp_path / f"Packages_{arch}").write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "preventable", "ports", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
        timeout=120,
    )


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "ports"
    result: list[dict[str, Any]] = document["results"]
    return result


def files(folder: Path, *arches: str) -> list[str]:
    return [
        "--sources",
        str(folder / "Sources"),
        "--packages",
        *(str(folder / f"Packages_{a}") for a in arches or ("amd64",)),
    ]


def test_rows_for_every_architecture_and_level(indices: Path) -> None:
    done = run(indices, "--remove", "rustc", "--archive", str(indices), "--format", "json")
    found = rows(done)
    assert [(r["arch"], r["level"]) for r in found] == [
        (a, level) for a in ("amd64", "arm64", "m68k") for level in ("one", "two", "full")
    ]
    assert all(set(r) >= MEMBERS for r in found)
    full = {r["arch"]: r for r in found if r["level"] == "full"}
    assert full["amd64"]["sources_unbuildable"] == 3
    assert full["amd64"]["required"] == ["apt"]
    assert full["amd64"]["important"] == ["user"]
    assert full["m68k"]["sources_unbuildable"] == 2


def test_doubts_about_an_archive_are_said_but_stay_out_of_results(indices: Path) -> None:
    base = indices / "archive" / "dists" / "sid"
    listed = []
    for name, source in (("main/source/Sources", "Sources"), ("main/binary-amd64/Packages", "Packages_amd64")):
        content = (indices / source).read_bytes()
        (base / name).parent.mkdir(parents=True)
        (base / name).write_bytes(content)
        listed.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
    head = ["Suite: sid", "Architectures: amd64", "Components: main", "Valid-Until: Sat, 01 Aug 2020 00:00:00 UTC"]
    (base / "Release").write_text("\n".join([*head, "SHA256:", *listed, ""]), encoding="utf-8")
    done = run(indices, "--remove", "rustc", "--archive", str(indices / "archive"), "--format", "json")
    assert "preventable: warning: sid: Release: not signed" in done.stderr
    assert "preventable: warning: sid: Release: valid until 2020-08-01 only" in done.stderr
    assert len(rows(done)) == 3
    document = json.loads(done.stdout)
    assert document["read"]["warnings"] == []
    assert any("vouches for the indices until 2020-08-01 only" in limit for limit in document["limits"])


def test_the_table_tells_the_bootstrap_once_and_hubs_that_save_nothing_in_a_line(tmp_path: Path) -> None:
    needs = {"rustc": "", "one": "rustc", "two": "rustc", "leaf": "one, two"}
    stanza = "Package: {0}\nBinary: {0}\nVersion: 1\nArchitecture: any\n"
    sources = [stanza.format(n) + (f"Build-Depends: {d}\n" if d else "") for n, d in needs.items()]
    packages = [
        f"Package: {n}\nVersion: 1\nArchitecture: amd64\nFilename: x\n" + ("Depends: one\n" if n == "rustc" else "")
        for n in ("build-essential", *needs)
    ]
    (tmp_path / "Sources").write_text("\n".join(sources), encoding="utf-8")
    (tmp_path / "Packages_amd64").write_text("\n".join(packages), encoding="utf-8")
    said = run(tmp_path, "--remove", "rustc", *files(tmp_path), "--hubs", "1").stdout
    assert said.count("Bootstrap of rustc") == 1
    assert "\n  it depends on one; were that missing, too: needs itself (src:one " in said
    assert "Hubs on files:amd64: none. Keeping one saves no source but these" in said


def test_a_package_that_starts_to_need_a_tool(indices: Path) -> None:
    words = ["apt", "--requires", "rustc", *files(indices, "amd64", "arm64"), "--without-toolchain", "arm64"]
    found = rows(run(indices, *words, "--reasons", "--format", "json"))
    full = {r["arch"]: r for r in found if r["level"] == "full"}
    assert (full["amd64"]["sources_unbuildable"], full["arm64"]["sources_unbuildable"]) == (0, 2)
    chain = next(r for r in full["arm64"]["reasons"] if r["package"] == "src:user")["chain"]
    assert [s["package"] for s in chain] == ["src:user", "apt", "src:apt"]


def test_without_toolchain_chooses_no_architectures(indices: Path) -> None:
    words = ["apt", "--requires", "rustc", "--without-toolchain", "arm64", "--format", "json"]
    given = rows(run(indices, *words, *files(indices, "amd64", "arm64", "m68k")))
    found = rows(run(indices, *words, "--archive", str(indices)))
    counts = [[(r["arch"], r["level"], r["sources_unbuildable"]) for r in of] for of in (given, found)]
    assert counts[0] == counts[1]
    assert {arch for arch, _, _ in counts[1]} == {"amd64", "arm64", "m68k"}


def test_lists_after_one_option(indices: Path) -> None:
    words = ["--remove", "rustc", "--archive", str(indices), "--arch", "amd64", "m68k", "--format", "json"]
    assert {r["arch"] for r in rows(run(indices, *words))} == {"amd64", "m68k"}


def test_today(indices: Path) -> None:
    done = run(indices, "apt", "--requires", "rustc", "--today", *files(indices, "amd64", "m68k"), "--format", "json")
    found = {r["arch"]: r for r in rows(done)}
    assert found["amd64"]["sources_direct"] == 2
    needs = {n["arch"]: n for n in json.loads(done.stdout)["needs"]}
    assert needs["amd64"]["run_needs_package_built_with_it"] is True
    assert needs["m68k"]["run_needs_package_built_with_it"] is False


def test_only_a_maintainers_packages(indices: Path) -> None:
    words = ["--remove", "rustc", *files(indices), "--maintainer", "apt@example.org", "--format", "json"]
    full = rows(run(indices, *words))[-1]
    assert (full["sources_unbuildable"], full["binaries_uninstallable"]) == (0, 1)


@pytest.mark.parametrize("fmt", ["table", "csv", "markdown", "jsonl"])
def test_formats(indices: Path, fmt: str) -> None:
    done = run(indices, "--remove", "rustc", *files(indices), "--format", fmt)
    assert done.returncode == 0
    assert "amd64" in done.stdout
    if fmt == "csv":
        assert list(csv.DictReader(io.StringIO(done.stdout)))[-1]["sources_unbuildable"] == "3"


def test_the_cache_gives_the_same_bytes(indices: Path) -> None:
    words = ["--remove", "rustc", *files(indices), "--format", "json"]
    first, second = run(indices, *words), run(indices, *words)
    fresh = run(indices, *words, "--no-cache")
    assert list((indices / "cache").rglob("*.model"))
    assert first.stdout == second.stdout == fresh.stdout
    model = next((indices / "cache").rglob("*.model"))
    model.write_bytes(b"garbage")
    assert run(indices, *words).stdout == first.stdout


def test_an_architecture_without_packages_is_answered_from_sources(indices: Path) -> None:
    done = run(indices, "--remove", "rustc", *files(indices), "--arch", "amd64", "hppa", "--format", "json")
    assert done.returncode == 1
    found = [r for r in json.loads(done.stdout)["results"] if r["arch"] == "hppa"]
    assert [r["sources_unbuildable"] for r in found] == [2, None, None]
    assert all(r["binaries_uninstallable"] is None for r in found)
    assert "only the index of sources was used" in done.stderr


def test_an_architecture_said_to_lack_the_tool_is_answered_though_it_has_no_index(indices: Path) -> None:
    done = run(
        indices, "apt", "--requires", "rustc", *files(indices), "--without-toolchain", "hppa", "--format", "json"
    )
    assert done.returncode == 1
    found = {(r["arch"], r["level"]): r["sources_unbuildable"] for r in json.loads(done.stdout)["results"]}
    assert found["hppa", "one"] == 1
    assert found["hppa", "full"] is None


def test_no_architecture_at_all_is_an_error_that_says_what_to_give(indices: Path) -> None:
    words = ["--remove", "rustc", "--sources", str(indices / "Sources")]
    for more in ([], ["--today"]):
        done = run(indices, *words, *more)
        assert (done.returncode, done.stdout) == (3, "")
        assert "no architecture has an index of packages" in done.stderr
        assert "--arch" in done.stderr
    for suite in ("bare", "whole"):
        (indices / "dists" / suite).mkdir(parents=True)
        (indices / "dists" / suite / "Sources").write_text(SOURCES, encoding="utf-8")
    tree = ["--remove", "rustc", "--archive", str(indices / "dists"), "--format", "json"]
    assert run(indices, *tree).returncode == 3
    (indices / "Packages_amd64").rename(indices / "dists" / "whole" / "Packages_amd64")
    some = run(indices, *tree)
    assert some.returncode == 1, "a suite of several that has none is said, and the others are answered"
    assert {r["suite"] for r in json.loads(some.stdout)["results"]} == {"whole"}
    assert "no architecture has an index of packages in bare" in some.stderr


def test_suite_with_architecture_beside_files_names_both(indices: Path) -> None:
    done = run(indices, "--remove", "rustc", *files(indices), "--suite", "sid:amd64", "--format", "json")
    assert {(r["suite"], r["arch"]) for r in rows(done)} == {("sid", "amd64")}


def test_a_profile_that_nothing_names_is_said(indices: Path) -> None:
    words = ["--remove", "rustc", *files(indices), "--profile", "nochek", "--format", "json"]
    first, cached = run(indices, *words), run(indices, *words)
    assert "names the build profile 'nochek': it changes nothing" in first.stderr
    assert first.stdout == cached.stdout


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([], 2, "no tool was named"),
        (["--remove", "rustcc"], 2, "Did you mean rustc"),
        (["aptt", "--requires", "rustc", "--without-toolchain", "amd64"], 2, "Did you mean apt"),
        (["--requires", "rustc"], 2, "needs the PACKAGE"),
        (["apt", "--requires", "rustcc"], 2, "Did you mean rustc"),
        (["apt", "--today", "--requires", "rustcc"], 2, "Did you mean rustc"),
        (["--remove", "rustc", "--arch", "amd46"], 2, "amd64"),
        (["--remove", "rustc", "--archive", "/nonexistent"], 3, "no such file or directory"),
        (["--remove", "rustc", "--keep", "aptt"], 2, "Did you mean apt"),
        (["--remove", "rustc", "--maintainer", "nobody@example.org"], 2, "no source has a maintainer"),
        (["apt", "--requires", "rustc", "--arch", "amd64", "--without-toolchain", "hppa"], 2, "--arch leaves out"),
        (["--today", "--requires", "rustc", "--why", "apt"], 2, "--why has no meaning with --today"),
        (["--today", "--requires", "rustc", "--reasons"], 2, "--reasons has no meaning with --today"),
        (["--today", "--remove", "rustc", "--keep", "apt", "--only", "apt"], 2, "--keep, --only have no meaning"),
        (["--today", "--remove", "rustc", "--maintainer", "apt@"], 2, "--maintainer has no meaning with --today"),
        (["apt", "--today", "--requires", "rustc", "--without-toolchain", "amd64"], 2, "no meaning with --today"),
        (["apt", "--today", "--requires", "rustc", "--dependency", "run"], 2, "--dependency run has no meaning"),
        (["--remove", "rustc", "--without-toolchain", "amd64"], 2, "--without-toolchain has no meaning with --remove"),
        (["apt", "--remove", "rustc", "--dependency", "run"], 2, "--dependency run has no meaning with --remove"),
        (["--remove", "rustc", "--maintainer", ""], 2, "--maintainer with an empty text"),
    ],
)
def test_bad_questions(indices: Path, words: list[str], status: int, says: str) -> None:
    more = [] if "--archive" in words else files(indices)
    done = run(indices, *words, *more)
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_bad_files(indices: Path) -> None:
    broken = indices / "broken"
    broken.write_text(BINARIES.replace("ARCH", "amd64").replace("NEEDS", "sqv (>> "), encoding="utf-8")
    words = ["--remove", "rustc", "--sources", str(indices / "Sources"), "--packages", str(broken)]
    done = run(indices, *words, "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["read"]["failed"][0]["field"] == "Depends"
    assert "line 20" in done.stderr
    strict = run(indices, *words, "--strict")
    assert strict.returncode == 3
    assert "not a relation" in strict.stderr
    swapped = run(indices, "--remove", "rustc", "--sources", str(indices / "Packages_amd64"))
    assert swapped.returncode == 3
    (indices / "cut.xz").write_bytes(b"\xfd7zXZ\x00\x00")
    cut = run(indices, "--remove", "rustc", "--sources", str(indices / "cut.xz"))
    assert cut.returncode == 3
    assert "damaged or truncated" in cut.stderr
