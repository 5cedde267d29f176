"""Which sources become unbuildable without a toolchain: source by source against dose-builddebcheck.

Usage::

    python benchmarks/eval_ports.py SOURCES PACKAGES ARCH TOOL-SOURCE [TOOL-SOURCE …]

SOURCES and PACKAGES are plain index files. For each tool: dose before and after its source's binaries are
taken out of PACKAGES, and the same question here; newest sources are compared one by one, and every
disagreement is printed with its cause, where it has one. What dose lists and the model lacks counts as a
disagreement: which version is the newest is read from SOURCES, not from the model alone.

dose does not know some architectures' wildcards (``linux-any`` on riscv64 and loong64): it leaves such sources
out and reads ``[linux-any]`` as false, against dpkg-architecture(1). A probe finds out which; they are spelled
out in the index that dose reads, and that is said.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from preventable.readers.debian import read_index
from preventable.readers.debian_architecture import matches, tuple_of
from preventable.readers.debian_archive import from_files
from preventable.readers.debian_relations import RelationPool
from preventable.readers.debian_version import version_key
from preventable.studies.ports.conflicts import Installer
from preventable.studies.ports.impact import Scenario, play
from preventable.studies.ports.model import Policy
from preventable.studies.ports.prepare import Workshop
from preventable.studies.ports.terms import Names
from preventable.studies.ports.witnesses import Witnesses


def dose(packages: Path, sources: Path, arch: str) -> set[tuple[str, str]]:
    """(source, version) of everything that dose calls broken."""
    done = subprocess.run(
        ["dose-builddebcheck", f"--deb-native-arch={arch}", "-f", str(packages), str(sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr[-500:])
    found = set()
    name = ""
    for line in done.stdout.splitlines():
        if line.startswith("  package: "):
            name = line[11:].strip()
        elif line.startswith("  version: "):
            found.add((name, line[11:].strip().strip('"')))
    return found


def unknown_wildcards(arch: str, folder: Path) -> list[str]:
    """Wildcards that dpkg matches with the architecture and dose does not, by an archive of three packages."""
    packages, sources = folder / "P", folder / "S"
    packages.write_text(f"Package: build-essential\nVersion: 1\nArchitecture: {arch}\nFilename: x\n")
    _, _, system, cpu = tuple_of(arch) or ("", "", "", "")
    wildcards = [w for w in (f"{system}-any", f"any-{cpu}", f"{system}-{arch}") if matches(arch, w)]
    stanza = "Package: p{}\nBinary: a\nVersion: 1\nArchitecture: any\nBuild-Depends: missing [{}]\n"
    sources.write_text("\n".join(stanza.format(i, w) for i, w in enumerate(wildcards)))
    known = {name for name, _ in dose(packages, sources, arch)}
    return [w for i, w in enumerate(wildcards) if f"p{i}" not in known]


def without(packages: bytes, tool: str) -> bytes:
    """The index without the binaries of one source."""
    wanted = re.compile(rb"^Source: " + re.escape(tool.encode()) + rb"(?: |$)", re.M)
    itself = re.compile(rb"^Package: " + re.escape(tool.encode()) + rb"$", re.M)
    source = re.compile(rb"^Source: ", re.M)
    return b"\n\n".join(
        s for s in packages.split(b"\n\n") if not wanted.search(s) and not (itself.search(s) and not source.search(s))
    )


def ranks(sources: bytes) -> dict[tuple[str, str], tuple[bool, bytes]]:
    """How new each version in the index is, whatever it builds for; Extra-Source-Only ones yield to all others."""
    listed = read_index(sources, "Sources", RelationPool()).sources
    return {(s.name, s.version): (not s.extra_only, version_key(s.version)) for s in listed}


def countable(
    lost: Iterable[tuple[str, str]],
    modelled: Iterable[tuple[str, str]],
    rank: Mapping[tuple[str, str], tuple[bool, bytes]],
) -> set[tuple[str, str]]:
    """Those of dose's sources that are the newest of their name, as far as anyone knows.

    Args:
        lost: what dose calls broken.
        modelled: the newest versions in the model; a newer one that only dose has still counts.
        rank: from ``ranks``.
    """
    newest = {name: version for name, version in modelled}  # noqa: C416  (a mapping would be copied as it is)
    found = set()
    for name, version in lost:
        own = newest.get(name)
        if own is None or own == version or (name, version) not in rank or rank[name, version] > rank[name, own]:
            found.add((name, version))
    return found


def main(sources: str, packages: str, arch: str, *tools: str) -> int:
    """Print the table; status 1 when a disagreement has no cause."""
    if shutil.which("dose-builddebcheck") is None:
        print("skipped: dose-builddebcheck is not installed")
        return 0
    prepared = next(iter(Workshop(from_files([Path(sources), Path(packages)], "eval"), Policy(), None).prepare([arch])))
    model, base = prepared.model, prepared.baseline
    newest = {
        (model.src_name[i], model.src_version[i]): i + model.n_bin for i in np.flatnonzero(model.src_newest).tolist()
    }
    scratch = tempfile.TemporaryDirectory()
    theirs_to_read = Path(sources)
    unknown = unknown_wildcards(arch, Path(scratch.name))
    if unknown:
        print(f"{arch}: dose does not know {', '.join(unknown)} there; spelled out in the index that it reads")
        words = re.compile(rb"(?<![\w-])(?:" + "|".join(map(re.escape, unknown)).encode() + rb")(?![\w-])")
        theirs_to_read = Path(scratch.name) / "Sources"
        theirs_to_read.write_bytes(words.sub(arch.encode(), Path(sources).read_bytes()))
    before = dose(Path(packages), theirs_to_read, arch)
    own_before = {
        (model.src_name[i - model.n_bin], model.src_version[i - model.n_bin])
        for i in np.flatnonzero(base.state.dead).tolist()
        if i >= model.n_bin
    }
    print(f"{arch}: broken before, all versions: dose {len(before):,}, here {len(own_before):,}, ", end="")
    print(f"only dose {len(before - own_before)}, only here {len(own_before - before)}")
    for key in sorted(before ^ own_before):
        print(f"    only {'dose' if key in before else 'here'}: {key[0]} {key[1]}: no known cause")
    unexplained = len(before ^ own_before)
    names = Names(model)
    rank = ranks(Path(sources).read_bytes())
    none = np.zeros(0, np.int32)
    print(f"{'tool':<20} {'dose':>7} {'here':>7} {'agree':>7} {'only dose':>10} {'only here':>10}")
    for tool in tools:
        with tempfile.TemporaryDirectory() as folder:
            reduced = Path(folder) / "Packages"
            reduced.write_bytes(without(Path(packages).read_bytes(), tool))
            after = dose(reduced, theirs_to_read, arch)
        theirs = countable(after - before, newest, rank)
        found = names.tool(f"src:{tool}")
        if found is None:
            print(f"{tool:<20} has no binaries")
            continue
        with Installer(model) as installer:
            scenario = Scenario(np.array(sorted(found[1]), np.int32), none, none)
            outcome = play(model, base, scenario, Witnesses(model), installer)
        lost = set(outcome.levels["one"].sources.tolist())
        own = {key for key, node in newest.items() if node in lost}
        print(
            f"{tool:<20} {len(theirs):>7,} {len(own):>7,} {len(theirs & own):>7,} "
            f"{len(theirs - own):>10} {len(own - theirs):>10}"
        )
        for key in sorted(theirs ^ own):
            side = "only dose" if key in theirs else "only here"
            print(f"    {side}: {key[0]} {key[1]}: no known cause")
            unexplained += 1
    scratch.cleanup()
    print(f"disagreements without a cause: {unexplained}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
