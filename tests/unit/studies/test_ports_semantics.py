"""What a correct "what if X needs a toolchain" must handle: one small archive for each of the semantics."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from preventable.studies.ports.model import Policy
from preventable.studies.ports.question import ask
from preventable.studies.ports.terms import Question

_spec = importlib.util.spec_from_file_location(
    "debian_archive_fixture", Path(__file__).with_name("debian_archive_fixture.py")
)
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
sys.modules["debian_archive_fixture"] = made
_spec.loader.exec_module(made)
source, binary, prepare, remove, lost, broken = (
    made.source,
    made.binary,
    made.prepare,
    made.remove,
    made.lost,
    made.broken,
)
TOOL = (source("rustc"), binary("rustc"))
ONE_BASE = "Package: build-essential\nVersion: 1\nArchitecture: amd64\nDepends: gcc\nFilename: x"
"""The only build-essential, unlike the fixture's, needs something."""


def test_01_difference_to_a_baseline(tmp_path: Path) -> None:
    """What was broken before neither counts nor kills: its stale binaries go on serving others."""
    sources = [TOOL[0], source("zip", "rustc, nosuch"), source("user", "zip"), source("new", "rustc")]
    p = prepare(tmp_path, sources, [TOOL[1], binary("zip"), binary("user"), binary("new")])
    assert broken(p) == {"src:zip"}
    assert lost(p, remove(p, "rustc")) == ({"new"}, {"rustc", "new"})


def test_02_levels_and_hubs(tmp_path: Path) -> None:
    """One step, two, full; and the hub through which the rest falls."""
    sources = [TOOL[0], source("hub", "rustc")]
    packages = [TOOL[1], binary("hub")]
    for i in range(4):
        sources.append(source(f"leaf{i}", "hub"))
        packages.append(binary(f"leaf{i}"))
    sources.append(source("last", "leaf0"))
    packages.append(binary("last"))
    p = prepare(tmp_path, sources, packages)
    outcome = remove(p, "rustc")
    assert [len(lost(p, outcome, level)[0]) for level in ("one", "two", "full")] == [1, 5, 6]
    assert outcome.rounds == 3
    answer = ask(p, Question(remove=("rustc",)))
    assert answer.hubs[0]["source"] == "hub"
    assert answer.hubs[0]["sources_through"] == 5
    assert answer.hubs[0]["sources_left"] == 0


@pytest.mark.parametrize(("arch", "expected"), [("amd64", {"gcc"}), ("alpha", set())])
def test_03_restrictions_for_the_target(tmp_path: Path, arch: str, expected: set[str]) -> None:
    """gcc-16's ``cargo [!alpha !hppa …]`` is a need on amd64 and none on alpha."""
    tool = binary("cargo", src="rustc", arch=arch)
    p = prepare(
        tmp_path,
        [source("rustc"), source("gcc", "cargo [!alpha !hppa]")],
        [tool, binary("gcc", arch=arch)],
        arch=arch,
    )
    assert lost(p, remove(p, "cargo"))[0] == expected


def test_04_run_time_dependencies_of_each_architecture(tmp_path: Path) -> None:
    """apt needs sqv on one architecture and gpgv on another: each index is asked by itself."""
    sources = [TOOL[0], source("sqv", "rustc"), source("apt"), source("gpgv")]
    for arch, needs, expected in (("amd64", "sqv", True), ("m68k", "gpgv", False)):
        folder = tmp_path / arch
        folder.mkdir()
        packages = [binary(n, arch=arch) for n in ("rustc", "sqv", "gpgv")] + [binary("apt", needs, arch=arch)]
        p = prepare(folder, sources, packages, arch=arch)
        assert ("apt" in lost(p, remove(p, "rustc"))[1]) is expected


def test_05_restricted_alternatives_vanish(tmp_path: Path) -> None:
    """trixie's apt: ``sqv [amd64] <!nosqv> | gpgv``: off the list only gpgv is left."""
    field = "sqv [amd64 arm64] <!pkg.apt.nosqv> | gpgv"
    sources = [TOOL[0], source("sqv", "rustc"), source("apt", field), source("gpgv")]

    def of(arch: str) -> list[str]:
        return [binary(n, arch=arch) for n in ("rustc", "sqv", "gpgv", "apt")]

    on = prepare(tmp_path, sources, of("amd64"), policy=Policy(first_alternative=True))
    assert "apt" in lost(on, remove(on, "rustc"))[0]
    off = prepare(tmp_path, sources, of("m68k"), arch="m68k", policy=Policy(first_alternative=True))
    assert "apt" not in lost(off, remove(off, "rustc"))[0]
    profile = Policy(profiles=("pkg.apt.nosqv",), first_alternative=True)
    without = prepare(tmp_path, sources, of("amd64"), policy=profile)
    assert "apt" not in lost(without, remove(without, "rustc"))[0]


def test_06_first_alternative_or_any(tmp_path: Path) -> None:
    """sbuild takes the first alternative; two alternatives of one name stay together."""
    sources = [
        TOOL[0],
        source("meson", "rustc | gcc"),
        source("ranges", "gcc (<< 1) | gcc (>= 1)"),
        source("gcc"),
    ]
    packages = [TOOL[1], binary("gcc")]
    any_ = prepare(tmp_path, sources, packages)
    assert lost(any_, remove(any_, "rustc"))[0] == set()
    first = prepare(tmp_path, sources, packages, policy=Policy(first_alternative=True))
    assert broken(first) == set()
    assert lost(first, remove(first, "rustc"))[0] == {"meson"}


def test_07_versioned_provides_and_second_toolchains(tmp_path: Path) -> None:
    """rustc-web serves whoever is content with its version; an unversioned Provides meets no version."""
    sources = [TOOL[0], source("old", "rustc (>= 1.60)"), source("new", "rustc (>= 1.80)"), source("web")]
    packages = [
        binary("rustc", version="1.85"),
        binary("rustc-web", src="web", Provides="rustc (= 1.70)"),
        binary("rust-lite", src="web", Provides="rustc"),
    ]
    p = prepare(tmp_path, sources, packages)
    assert lost(p, remove(p, "src:rustc"))[0] == {"new"}
    answer = ask(p, Question(remove=("src:rustc",)))
    assert answer.tools[0]["other_providers"] == ["rustc-web"], "rust-lite's meets no version, and all ask for one"
    assert any("rustc-web can stand in for src:rustc" in limit for limit in answer.limits)
    sources = [TOOL[0], source("any", "rustc"), source("web"), source("app")]
    p = prepare(tmp_path, sources, [*packages, binary("app")])
    assert ask(p, Question(remove=("rustc",))).tools[0]["other_providers"] == ["rust-lite", "rustc-web"]


@pytest.mark.parametrize(
    ("removed", "lost_sources"),
    [(("rustc",), 0), (("rustc", "bin:rustc-web"), 1), (("rustc", "runtime"), 1), (("runtime",), 0)],
)
def test_07_a_second_toolchain_keeps_who_starts_to_need_it(
    tmp_path: Path, removed: tuple[str, ...], lost_sources: int
) -> None:
    """rustc-web, as long as it can be installed itself, serves app when rustc has gone."""
    sources = [TOOL[0], source("web"), source("app"), source("runtime"), source("user", "rustc")]
    web = binary("rustc-web", "runtime", src="web", Provides="rustc (= 1.70)")
    p = prepare(tmp_path, sources, [TOOL[1], web, binary("app"), binary("runtime")])
    answer = ask(p, Question(packages=("app",), requires=("rustc",), remove=removed, only=("src:app",)))
    assert [r["sources_unbuildable"] for r in answer.rows] == [lost_sources] * 3


def test_08_virtual_helpers(tmp_path: Path) -> None:
    """``dh-sequence-cargo`` is provided by dh-cargo, which depends on the toolchain."""
    sources = [TOOL[0], source("dh-cargo"), source("crate", "dh-sequence-cargo")]
    packages = [TOOL[1], binary("dh-cargo", "rustc", Provides="dh-sequence-cargo")]
    p = prepare(tmp_path, sources, packages)
    assert lost(p, remove(p, "rustc"), "one")[0] == {"crate"}


def test_09_build_profiles(tmp_path: Path) -> None:
    """``<!nocheck>`` vanishes under nocheck, ``<nocheck>`` appears; both baselines differ, too."""
    sources = [TOOL[0], source("lintian", "rustc <!nocheck>"), source("odd", "nosuch <!nocheck> <!nodoc>")]
    plain = prepare(tmp_path, sources, [TOOL[1]])
    assert broken(plain) == {"src:odd"}
    assert lost(plain, remove(plain, "rustc"))[0] == {"lintian"}
    quiet = prepare(tmp_path, sources, [TOOL[1]], policy=Policy(profiles=("nocheck",)))
    assert lost(quiet, remove(quiet, "rustc"))[0] == set()
    assert broken(quiet) == {"src:odd"}, "a disjunction of profiles vanishes only when all of them do"
    both = prepare(tmp_path, sources, [TOOL[1]], policy=Policy(profiles=("nocheck", "nodoc")))
    assert broken(both) == set()


def test_10_arch_only_builds(tmp_path: Path) -> None:
    """Build-Depends-Indep does not count for an arch-only build, nor do sources of arch:all only."""
    sources = [
        TOOL[0],
        source("mixed", arch="any all", Build_Depends_Indep="rustc"),
        source("docs", "rustc", arch="all"),
        source("arch", Build_Depends_Arch="rustc"),
    ]
    full = prepare(tmp_path, sources, [TOOL[1]])
    assert lost(full, remove(full, "rustc"))[0] == {"mixed", "docs", "arch"}
    only = prepare(tmp_path, sources, [TOOL[1]], policy=Policy(arch_only=True))
    assert lost(only, remove(only, "rustc"))[0] == {"arch"}


def test_11_several_live_versions(tmp_path: Path) -> None:
    """Only the newest version counts and kills; Extra-Source-Only yields even when its version is higher."""
    sources = [
        TOOL[0],
        source("go", "rustc", version="1"),
        source("go", version="2"),
        source("x", "rustc", version="9", Extra_Source_Only="yes"),
        source("x", version="8"),
        source("y", "rustc", version="1~rc1"),
        source("y", "rustc", version="1"),
    ]
    p = prepare(tmp_path, sources, [TOOL[1], binary("go"), binary("x"), binary("y")])
    assert lost(p, remove(p, "rustc")) == ({"y"}, {"rustc", "y"})


def test_12_self_cycles(tmp_path: Path) -> None:
    """rustc needs rustc:native: buildable today, lost with itself, and the bootstrap says how."""
    self_needing = source("rustc", "rustc:native <!pkg.rustc.dlstage0>, llvm")
    p = prepare(tmp_path, [self_needing, source("llvm")], [TOOL[1], binary("llvm")])
    assert broken(p) == set()
    assert lost(p, remove(p, "rustc"))[0] == {"rustc"}
    told = ask(p, Question(remove=("rustc",))).bootstrap[0]
    assert told["verdict"] == "with a build profile"
    assert told["blocked_by"][0]["dropped_by_profile"] == ["pkg.rustc.dlstage0"]
    assert told["builds_with"] == ["llvm"]


def test_13_arch_all_survives(tmp_path: Path) -> None:
    """A lost source's architecture-independent binaries stay; they are built elsewhere."""
    sources = [TOOL[0], source("doc", "rustc", arch="any all"), source("user", "doc-all")]
    packages = [TOOL[1], binary("doc", src="doc"), binary("doc-all", src="doc", arch="all")]
    p = prepare(tmp_path, sources, packages)
    assert lost(p, remove(p, "rustc")) == ({"doc"}, {"rustc", "doc"})


def test_14_native_and_any(tmp_path: Path) -> None:
    """``:native`` is the package itself; ``:any`` needs Multi-Arch: allowed; another architecture is none."""
    sources = [
        source("a", "tool:native"),
        source("b", "tool:any"),
        source("c", "plain:any"),
        source("d", "tool:arm64"),
        source("e", "tool:amd64"),
    ]
    p = prepare(tmp_path, sources, [binary("tool", Multi_Arch="allowed"), binary("plain", Multi_Arch="foreign")])
    assert broken(p) == {"src:c", "src:d"}


def test_15_source_granularity_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gcc needs cargo for one front end and takes build-essential along: said, with rows without."""
    monkeypatch.setattr(made, "BUILD_ESSENTIAL", ONE_BASE)
    sources = [TOOL[0], source("gcc", "rustc"), source("leaf"), source("crate", "rustc")]
    p = prepare(tmp_path, sources, [TOOL[1], binary("gcc"), binary("leaf"), binary("crate")])
    answer = ask(p, Question(remove=("rustc",)))
    assert any("overstates (GCC needs Rust for one front end)" in limit for limit in answer.limits)
    assert {tuple(r["kept"]) for r in answer.with_base_kept} == {("gcc",)}
    assert [r["sources_unbuildable"] for r in answer.rows] == [2, 4, 4]
    assert [r["sources_unbuildable"] for r in answer.with_base_kept] == [1, 1, 1], "crate falls whatever is kept"


def test_15_the_example_of_gcc_is_given_for_rust_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "BUILD_ESSENTIAL", ONE_BASE)
    sources = [source("gnat"), source("gcc", "gnat"), source("leaf")]
    p = prepare(tmp_path, sources, [binary("gnat"), binary("gcc"), binary("leaf")])
    limits = ask(p, Question(remove=("gnat",))).limits
    assert any("overstates: with_base_kept" in limit for limit in limits)


@pytest.mark.parametrize(
    ("term", "arch", "holds"),
    [
        ("linux-any", "amd64", True),
        ("linux-any", "hurd-amd64", False),
        ("any-linux-armeb", "armeb", True),
        ("any-linux-armeb", "armhf", False),
        ("any-amd64", "hurd-amd64", True),
        ("gnu-any-any", "musl-linux-amd64", False),
        ("any-arm", "armhf", True),
        ("hurd-any", "hurd-i386", True),
    ],
)
def test_16_architecture_wildcards(tmp_path: Path, term: str, arch: str, holds: bool) -> None:
    p = prepare(tmp_path, [source("s", f"nosuch [{term}]")], [], arch=arch)
    assert broken(p) == ({"src:s"} if holds else set())


def test_17_build_essential_and_essential_are_implied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every source needs build-essential; everything needs what is Essential."""
    newer = ONE_BASE.replace("Version: 1", "Version: 2")
    sources, packages = [source("gcc"), source("s")], [binary("gcc"), binary("b")]
    beside = prepare(tmp_path, sources, [newer, *packages])
    # The old build-essential of the fixture stays installable, so the newer one's loss harms nobody.
    assert lost(beside, remove(beside, "gcc"))[0] == set()
    monkeypatch.setattr(made, "BUILD_ESSENTIAL", ONE_BASE)
    alone = prepare(tmp_path, sources, packages)
    assert lost(alone, remove(alone, "gcc")) == ({"gcc", "s"}, {"gcc", "build-essential"})
    monkeypatch.undo()
    p2 = prepare(tmp_path, [source("t"), source("s")], [binary("t"), binary("base", "t", Essential="yes"), binary("b")])
    outcome = lost(p2, remove(p2, "t"))
    assert outcome[0] == {"t", "s"}
    assert outcome[1] == {"t", "base", "b", "build-essential"}


_SYSTEM = (
    [TOOL[0], source("libc", "rustc"), source("base"), source("leaf")],
    [
        TOOL[1],
        binary("libc"),
        binary("base", "libc", Essential="yes"),
        binary("leaf"),
        binary("manual", src="leaf", arch="all"),
    ],
)


@pytest.mark.parametrize(
    "question",
    [
        Question(remove=("rustc",)),
        Question(remove=("base",)),
        Question(packages=("base",), requires=("rustc",), without=("amd64",)),
    ],
    ids=["needs what left", "leaves", "cannot be built"],
)
def test_17_what_is_essential_is_demanded_however_it_is_lost(tmp_path: Path, question: Question) -> None:
    """An Essential package that left is missing from a system as much as one that cannot be installed."""
    answer = ask(prepare(tmp_path, *_SYSTEM), question)
    full = answer.rows[-1]
    assert full["binaries_uninstallable"] == 6, "manual (arch:all) declares nothing and falls, too"
    assert full["essential"] == ["base"]
    said = [x for x in answer.limits if "no system can be set up on amd64" in x]
    assert len(said) == 1
    assert "of the 6 binary packages uninstallable in the end" in said[0]
    assert "1 fall with Essential alone" in said[0]
    assert not any("declared needs only" in x for x in answer.limits)


def test_17_the_note_on_essential_stands_where_it_is_true_only(tmp_path: Path) -> None:
    p = prepare(tmp_path, [*_SYSTEM[0], source("user", "leaf")], [*_SYSTEM[1], binary("user")])
    answer = ask(p, Question(remove=("leaf",)))
    assert answer.rows[-1]["sources_unbuildable"] == 1
    assert not any("Essential" in x for x in answer.limits)


def test_17_the_chain_names_the_essential_package(tmp_path: Path) -> None:
    reasons = ask(prepare(tmp_path, *_SYSTEM), Question(remove=("rustc",), why=("bin:manual", "src:leaf"))).reasons
    manual, leaf = (next(r["chain"] for r in reasons if r["package"] == name) for name in ("manual", "src:leaf"))
    assert [s["package"] for s in manual] == ["manual", "base", "libc", "src:libc", "rustc"]
    assert manual[0]["why"] == "needs Essential base, as every system does"
    assert leaf[0]["why"] == "needs Essential base, as every build does"


def test_17_what_is_kept_stays_though_essential_falls(tmp_path: Path) -> None:
    p = prepare(tmp_path, *_SYSTEM)
    assert ask(p, Question(remove=("rustc",))).rows[-1]["sources_unbuildable"] == 4
    assert ask(p, Question(remove=("rustc",), keep=("leaf",))).rows[-1]["sources_unbuildable"] == 3


def test_hubs_count_what_was_asked_for_and_start_with_the_base_kept(tmp_path: Path) -> None:
    sources = [*_SYSTEM[0], source("hub", "rustc"), source("x", "hub", Maintainer="Team"), source("y", "hub")]
    p = prepare(tmp_path, [*sources, source("z", "hub", Maintainer="Team")], [*_SYSTEM[1], binary("hub")])
    whole = ask(p, Question(remove=("rustc",)))
    theirs = ask(p, Question(remove=("rustc",), maintainers=("team",)))
    assert [(h["source"], h["saved"], h["sources_left"]) for h in whole.hubs] == [("hub", 4, 0)]
    assert [(h["source"], h["saved"], h["sources_left"]) for h in theirs.hubs] == [("hub", 2, 0)]
    assert all(h["base_kept"] for h in (*whole.hubs, *theirs.hubs))
    assert all(x.startswith("whole archive: ") for x in theirs.limits)
    assert not any(x.startswith("whole archive: ") for x in whole.limits)


def test_the_bootstrap_has_one_verdict_on_the_tool(tmp_path: Path) -> None:
    """What the tool depends on is told apart, and the base, which any port has, is left out."""
    sources = [source("tool"), source("compiler", "compiler"), source("curses", "curses")]
    packages = [
        binary("tool", "libcurses-dev, compiler"),
        binary("compiler"),
        binary("curses", Essential="yes"),
        binary("libcurses-dev", src="curses"),
    ]
    told = ask(prepare(tmp_path, sources, packages), Question(remove=("tool",))).bootstrap
    assert [(b["about"], b.get("via"), b["verdict"]) for b in told] == [
        ("tool", None, "yes"),
        ("what it depends on", "compiler", "needs itself"),
    ]


def test_today_says_that_whole_sources_overstate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "BUILD_ESSENTIAL", ONE_BASE)
    sources = [TOOL[0], source("gcc", "rustc"), source("leaf")]
    p = prepare(tmp_path, sources, [TOOL[1], binary("gcc"), binary("leaf")])
    limits = ask(p, Question(packages=("leaf",), requires=("rustc",), today=True)).limits
    assert any("round 1 takes gcc" in x and "GCC needs Rust for one front end" in x for x in limits)


def test_18_stale_binaries(tmp_path: Path) -> None:
    """A binary of an older source version goes with the newest version's buildability."""
    sources = [TOOL[0], source("s", "rustc", version="2")]
    stale = "Package: s\nVersion: 1\nArchitecture: amd64\nSource: s (1)\nFilename: x"
    p = prepare(tmp_path, sources, [TOOL[1], stale])
    assert lost(p, remove(p, "rustc")) == ({"s"}, {"rustc", "s"})
    assert ask(p, Question(remove=("rustc",))).baseline["binaries_stale"] == 1


def test_conflicts_decide_what_is_left(tmp_path: Path) -> None:
    """When the only remaining alternatives exclude each other, the source is lost."""
    sources = [TOOL[0], source("s", "rustc | a, b"), source("a"), source("b")]
    packages = [TOOL[1], binary("a"), binary("b", Conflicts="a")]
    p = prepare(tmp_path, sources, packages)
    assert broken(p) == set()
    assert lost(p, remove(p, "rustc"))[0] == {"s"}


def test_breaks_with_a_version_and_build_conflicts(tmp_path: Path) -> None:
    sources = [
        source("s", "a, b"),
        source("t", "a, c"),
        source("u", "a", Build_Conflicts="a"),
        source("v", "a", Build_Conflicts="a [armhf]"),
    ]
    packages = [binary("a", version="2"), binary("b", Breaks="a (<< 2)"), binary("c", Breaks="a (<= 2)")]
    p = prepare(tmp_path, sources, packages)
    assert broken(p) == {"src:t", "src:u"}


def test_cycles_stay_installable(tmp_path: Path) -> None:
    p = prepare(tmp_path, [source("s", "a")], [binary("a", "b"), binary("b", "c"), binary("c", "a")])
    assert broken(p) == set()


def test_a_package_that_starts_to_need_a_tool(tmp_path: Path) -> None:
    """Only the package's own loss and what follows; the tool's other users are as the archive shows them."""
    sources = [TOOL[0], source("apt"), source("user", "apt"), source("other", "rustc")]
    packages = [TOOL[1], binary("apt", Priority="required"), binary("user"), binary("other")]
    p = prepare(tmp_path, sources, packages)
    has = ask(p, Question(packages=("apt",), requires=("rustc",)))
    assert [r["sources_unbuildable"] for r in has.rows] == [0, 0, 0]
    lacks = ask(p, Question(packages=("apt",), requires=("rustc",), without=("amd64",), why=("user",)))
    assert [r["sources_unbuildable"] for r in lacks.rows] == [1, 2, 2]
    assert [r["binaries_uninstallable"] for r in lacks.rows] == [1, 2, 2]
    assert lacks.rows[0]["required"] == ["apt"]
    chain = next(r for r in lacks.reasons if r["package"] == "src:user")["chain"]
    assert [s["package"] for s in chain] == ["src:user", "apt", "src:apt"]
    run = ask(p, Question(packages=("apt",), requires=("rustc",), without=("amd64",), dependency="run"))
    assert run.rows[0]["binaries_uninstallable"] == 2
    assert run.rows[0]["sources_unbuildable"] == 1, "user can no longer be built, since apt cannot be installed"


def test_today_tells_paths(tmp_path: Path) -> None:
    """apt builds without the tool, and runs with a package that was built with it."""
    sources = [TOOL[0], source("sqv", "rustc"), source("apt")]
    p = prepare(tmp_path, sources, [TOOL[1], binary("sqv"), binary("apt", "sqv")])
    answer = ask(p, Question(packages=("apt",), requires=("rustc",), today=True))
    need = answer.needs[0]
    assert (need["build_direct"], need["build_needs"], need["run_needs"]) == (False, False, False)
    assert need["run_needs_package_built_with_it"]
    assert [s["package"] for s in need["paths"][0]["chain"]] == ["apt", "sqv", "src:sqv", "rustc"]
    assert answer.today[0]["sources_direct"] == 1
    assert answer.today[0]["has_tool"] is True


def test_what_is_kept_is_not_asked_of_the_solver_again(tmp_path: Path) -> None:
    """A kept source whose only choices exclude each other stays; asking again whether it can be built never ended."""
    sources = [source("c"), source("k", "a, b | c"), source("a"), source("b")]
    packages = [binary("a", Conflicts="b"), binary("b"), binary("c"), binary("k")]
    p = prepare(tmp_path, sources, packages)
    assert lost(p, remove(p, "c"))[0] == {"k"}
    assert ask(p, Question(remove=("c",), keep=("k",))).rows[-1]["sources_unbuildable"] == 0
