"""Small archives for the tests of ports, written as stanzas."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from preventable.readers.debian_archive import Snapshot, from_files
from preventable.studies.ports.conflicts import Installer
from preventable.studies.ports.impact import Outcome, Scenario, play
from preventable.studies.ports.model import Policy
from preventable.studies.ports.prepare import Workshop
from preventable.studies.ports.storage import Prepared
from preventable.studies.ports.terms import Names
from preventable.studies.ports.witnesses import Witnesses

BUILD_ESSENTIAL = "Package: build-essential\nVersion: 1\nArchitecture: amd64\nSource: base\nFilename: x"


def source(name: str, needs: str = "", *, arch: str = "any", version: str = "1", **more: str) -> str:
    """A stanza of Sources; keyword ``Build_Depends_Indep`` is the field Build-Depends-Indep."""
    lines = [f"Package: {name}", f"Binary: {name}", f"Version: {version}", f"Architecture: {arch}"]
    if needs:
        lines.append(f"Build-Depends: {needs}")
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in more.items()]
    return "\n".join(lines)


def binary(name: str, needs: str = "", *, src: str = "", arch: str = "amd64", version: str = "1", **more: str) -> str:
    """A stanza of Packages."""
    lines = [f"Package: {name}", f"Version: {version}", f"Architecture: {arch}", f"Source: {src or name}"]
    if needs:
        lines.append(f"Depends: {needs}")
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in more.items()]
    return "\n".join([*lines, "Filename: x"])


def write(folder: Path, sources: Iterable[str], packages: dict[str, Iterable[str]]) -> list[Path]:
    """Write the indices; every architecture gets a build-essential."""
    files = [folder / "Sources"]
    files[0].write_text("\n\n".join(sources) + "\n\n", encoding="utf-8")
    for arch, stanzas in packages.items():
        file = folder / f"Packages_{arch}"
        base = BUILD_ESSENTIAL.replace("amd64", arch)
        file.write_text("\n\n".join([base, *stanzas]) + "\n\n", encoding="utf-8")
        files.append(file)
    return files


def snapshot(folder: Path, sources: Iterable[str], packages: Iterable[str], arch: str = "amd64") -> Snapshot:
    return from_files(write(folder, sources, {arch: packages}), "test")


def prepare(
    folder: Path,
    sources: Iterable[str],
    packages: Iterable[str],
    *,
    policy: Policy | None = None,
    arch: str = "amd64",
) -> Prepared:
    shop = Workshop(snapshot(folder, sources, packages, arch), policy or Policy(), None)
    return next(iter(shop.prepare([arch])))


def remove(prepared: Prepared, *tools: str) -> Outcome:
    """Play the loss of toolchains, conflicts and all."""
    model = prepared.model
    names = Names(model)
    gone: list[int] = []
    for tool in tools:
        found = names.tool(tool)
        assert found is not None
        gone += found[1]
    none = np.zeros(0, np.int32)
    with Installer(model) as installer:
        scenario = Scenario(np.array(sorted(set(gone)), np.int32), none, none)
        return play(model, prepared.baseline, scenario, Witnesses(model), installer)


def lost(prepared: Prepared, outcome: Outcome, level: str = "full") -> tuple[set[str], set[str]]:
    """Names of the sources and of the binary packages lost at a level."""
    model, at = prepared.model, outcome.levels[level]
    return (
        {model.src_name[i - model.n_bin] for i in at.sources.tolist()},
        {model.bin_name[i] for i in at.binaries.tolist()},
    )


def broken(prepared: Prepared) -> set[str]:
    """Labels of what is broken before any question."""
    model = prepared.model
    return {model.label(i) for i in np.flatnonzero(prepared.baseline.state.dead).tolist()}
