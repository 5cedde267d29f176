"""The full fixpoint agrees with iterating dose-builddebcheck and dose-debcheck on random small archives.

Two differences have a cause and a name, and the generator or the assertion leaves them out:

* an Essential package that has left the archive is no longer demanded by dose, but is here;
* dose drops a versioned conflict of a ``Multi-Arch: same`` package on a name that is only provided.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from preventable.studies.ports.conflicts import Installer
from preventable.studies.ports.impact import Scenario, play
from preventable.studies.ports.model import Policy
from preventable.studies.ports.prepare import Workshop
from preventable.studies.ports.terms import Names
from preventable.studies.ports.witnesses import Witnesses

_path = Path(__file__).parents[1] / "unit" / "studies" / "debian_archive_fixture.py"
_spec = importlib.util.spec_from_file_location("debian_archive_fixture", _path)
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
sys.modules["debian_archive_fixture"] = made
_spec.loader.exec_module(made)

pytestmark = pytest.mark.skipif(
    shutil.which("dose-builddebcheck") is None or shutil.which("dose-debcheck") is None,
    reason="needs dose-builddebcheck and dose-debcheck (Debian packages dose-builddebcheck, dose-distcheck)",
)
RESTRICTIONS = [
    "[amd64]",
    "[!amd64]",
    "[linux-any]",
    "[armhf]",
    "<!nocheck>",
    "<nocheck>",
    "[any-amd64] <!nodoc>",
]


class Generator:
    """A random archive: sources, their binaries, virtual names, versions, conflicts, cycles."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        names = [f"s{i}" for i in range(self.random.randint(4, 14))]
        self.all = [(f"{s}-b{k}", s) for s in names for k in range(self.random.randint(1, 3))]
        self.names = names
        self.virtual = ["v0", "v1", "v2"]

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def atom(self) -> str:
        name = self.random.choice(self.virtual) if self.chance(0.15) else self.random.choice(self.all)[0]
        if self.chance(0.25):
            op, version = self.random.choice([">=", "<=", "<<", ">>", "="]), self.random.choice("123")
            return f"{name} ({op} {version})"
        return name

    def field(self, low: int, high: int) -> str:
        clauses = []
        for _ in range(self.random.randint(low, high)):
            clauses.append(" | ".join(self.atom() for _ in range(self.random.choice([1, 1, 1, 2, 2, 3]))))
        return ", ".join(clauses)

    def archive(self) -> tuple[list[str], list[str]]:
        sources, packages = [], []
        for name in self.names:
            version = self.random.choice("123")
            needs = [self.field(0, 2)]
            if self.chance(0.3):
                needs.append(f"{self.atom()} {self.random.choice(RESTRICTIONS)}")
            if self.chance(0.3):
                needs.append(f"{self.atom()} [armhf] | {self.atom()}")
            more = {}
            if self.chance(0.3):
                more["Build_Depends_Indep"] = self.field(1, 2)
            if self.chance(0.2):
                more["Build_Conflicts"] = self.atom()
            arch = self.random.choice(["any", "any", "all", "any all", "linux-any", "armhf"])
            sources.append(made.source(name, ", ".join(n for n in needs if n), arch=arch, version=version, **more))
            packages += [self.binary(b, s, version) for b, s in self.all if s == name and not self.chance(0.1)]
        return sources, packages

    def binary(self, name: str, src: str, version: str) -> str:
        more = {}
        if self.chance(0.1):
            more["Pre_Depends"] = self.field(1, 1)
        if self.chance(0.25):
            more["Conflicts"] = ", ".join(self.atom() for _ in range(self.random.randint(1, 2)))
        if self.chance(0.15):
            more["Breaks"] = self.atom()
        if self.chance(0.25):
            version_given = f" (= {self.random.choice('12')})" if self.chance(0.4) else ""
            more["Provides"] = self.random.choice(self.virtual) + version_given
        if self.chance(0.1):
            more["Multi_Arch"] = self.random.choice(["allowed", "foreign"])
        if self.chance(0.02):
            more["Essential"] = "yes"
        arch = "all" if self.chance(0.25) else "amd64"
        stanza: str = made.binary(name, self.field(0, 2), src=src, arch=arch, version=version, **more)
        return stanza


def dose(command: str, *files: Path) -> set[str]:
    done = subprocess.run(
        [command, "--deb-native-arch=amd64", "-f", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
    return {line.strip()[9:] for line in done.stdout.splitlines() if line.strip().startswith("package: ")}


def field_of(stanza: str, field: str) -> str:
    return next(line.split(": ", 1)[1] for line in stanza.splitlines() if line.startswith(f"{field}: "))


def iterate_dose(
    folder: Path, sources: Path, packages: list[str], tool: str, base: tuple[set[str], set[str]]
) -> list[tuple[set[str], set[str]]]:
    """Remove, ask dose, remove the binaries of what it calls unbuildable, and again, until all is quiet."""
    file = folder / "Packages_now"
    now = [p for p in packages if field_of(p, "Source") != tool]
    levels: list[tuple[set[str], set[str]]] = []
    while True:
        file.write_text("\n\n".join(now) + "\n\n", encoding="utf-8")
        fallen = dose("dose-builddebcheck", file, sources) - base[0]
        if levels and fallen == levels[-1][0]:
            return levels
        now = [p for p in now if field_of(p, "Source") not in fallen or field_of(p, "Architecture") == "all"]
        file.write_text("\n\n".join(now) + "\n\n", encoding="utf-8")
        gone = {field_of(p, "Package") for p in packages} - {field_of(p, "Package") for p in now}
        levels.append((fallen, (dose("dose-debcheck", file) | gone) - base[1]))
        assert len(levels) < 40


def compare(seed: int, folder: Path) -> str:
    """How the comparison of one archive went; raises on a difference without a named cause."""
    generator = Generator(seed)
    sources, packages = generator.archive()
    files = made.write(folder, sources, {"amd64": packages})
    packages = [made.BUILD_ESSENTIAL, *packages]
    base = dose("dose-builddebcheck", files[1], files[0]), dose("dose-debcheck", files[1])
    prepared = next(iter(Workshop(made.from_files(files, "t"), Policy(), None).prepare(["amd64"])))
    broken = made.broken(prepared)
    assert {b.removeprefix("src:") for b in broken if b.startswith("src:")} == base[0]
    assert {b for b in broken if not b.startswith("src:")} == base[1]
    model = prepared.model
    tools = sorted({field_of(p, "Source") for p in packages} - {"base"})
    tool = generator.random.choice(tools)
    want = iterate_dose(folder, files[0], packages, tool, base)
    outcome = made.remove(prepared, f"src:{tool}")
    own = [made.lost(prepared, outcome, level) for level in ("one", "two", "full")]
    wanted = [want[0], want[min(1, len(want) - 1)], want[-1]]
    essential = {i for i in np.flatnonzero(model.bin_essential).tolist() if outcome.state.dead[i]}
    if own != wanted:
        assert essential, f"seed {seed}: {own} where dose says {wanted}"
        return "essential"
    none = np.zeros(0, np.int32)
    gone = np.array(sorted(Names(model).tool(f"src:{tool}")[1]), np.int32)  # type: ignore[index]  # it exists
    alone = play(model, prepared.baseline, Scenario(gone, none, none), None, None)
    return "conflicts" if made.lost(prepared, alone) != own[-1] else "same"


def test_agrees_with_dose_on_random_archives(tmp_path: Path) -> None:
    outcomes = []
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcomes.append(compare(seed, folder))
    assert outcomes.count("essential") <= 1


@pytest.mark.slow
def test_agrees_with_dose_on_hundreds_of_random_archives(tmp_path: Path) -> None:
    outcomes = []
    for seed in range(1000, 1400):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcomes.append(compare(seed, folder))
    assert outcomes.count("essential") <= 12
    assert outcomes.count("conflicts") >= 5, "the archives are to have conflicts that matter"
    assert Installer is not None
    assert Witnesses is not None
