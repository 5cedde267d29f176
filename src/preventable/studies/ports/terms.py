"""The question, the answer, and the names by which both speak of packages."""

from __future__ import annotations

import re
from itertools import compress
from typing import Any, Literal

import msgspec
import numpy as np

from preventable.readers.debian_architecture import nearest
from preventable.studies.ports.conflicts import Baseline
from preventable.studies.ports.model import ArchiveModel


class Question(msgspec.Struct, frozen=True):
    """What is asked; the same for every architecture."""

    packages: tuple[str, ...] = ()
    """Who gains the dependency (with ``requires``); else whose fate is asked."""
    requires: tuple[str, ...] = ()
    """The tools that ``packages`` start to need."""
    remove: tuple[str, ...] = ()
    """Toolchains that are missing altogether."""
    without: tuple[str, ...] = ()
    """Architectures to treat as lacking the required tools, whatever their index says."""
    dependency: Literal["build", "run"] = "build"
    keep: tuple[str, ...] = ()
    """Sources that stay buildable whatever happens."""
    only: tuple[str, ...] = ()
    maintainers: tuple[str, ...] = ()
    reasons: bool = False
    why: tuple[str, ...] = ()
    hubs: int = 5
    conflicts: bool = True
    today: bool = False


class Answer(msgspec.Struct):
    """The answer for one suite on one architecture."""

    suite: str
    architecture: str
    rows: list[dict[str, Any]] = msgspec.field(default_factory=list)
    hubs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    reasons: list[dict[str, Any]] = msgspec.field(default_factory=list)
    bootstrap: list[dict[str, Any]] = msgspec.field(default_factory=list)
    with_base_kept: list[dict[str, Any]] = msgspec.field(default_factory=list)
    today: list[dict[str, Any]] = msgspec.field(default_factory=list)
    needs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    baseline: dict[str, Any] = msgspec.field(default_factory=dict)
    tools: list[dict[str, Any]] = msgspec.field(default_factory=list)
    limits: list[str] = msgspec.field(default_factory=list)
    unknown: list[str] = msgspec.field(default_factory=list)
    """Names asked for that this architecture does not have."""
    near: list[str] = msgspec.field(default_factory=list)
    known: list[str] = msgspec.field(default_factory=list)
    """Names asked for that it has."""


class Names:
    """Looks packages up by name: ``NAME``, ``src:NAME`` or ``bin:NAME``."""

    def __init__(self, model: ArchiveModel) -> None:
        self.model = model
        newest = np.flatnonzero(model.src_newest)
        names = compress(model.src_name, model.src_newest.tolist())
        self.newest = dict(zip(names, (newest + model.n_bin).tolist(), strict=True))
        self._binaries: dict[str, list[int]] = {}
        self._built: dict[str, list[int]] = {}

    def binaries(self, name: str) -> list[int]:
        """The binary packages of that name (several versions may be live)."""
        if name not in self._binaries:
            self._binaries[name] = _places(self.model.bin_name, name)
        return self._binaries[name]

    def built(self, source: str) -> list[int]:
        """The binary packages built from a source of that name."""
        if source not in self._built:
            self._built[source] = _places(self.model.bin_source_name, source)
        return self._built[source]

    def tool(self, name: str) -> tuple[list[str], list[int]] | None:
        """The sources of a toolchain and the binary packages that go with it.

        A binary package's name means its source and all that it builds; ``bin:NAME`` means that package
        alone; a name that is only provided means all who provide it.
        """
        if name.startswith("bin:"):
            own = self.binaries(name[4:])
            return (sorted({self.model.bin_source_name[i] for i in own}), own) if own else None
        plain = name.removeprefix("src:")
        if not name.startswith("src:") and self.binaries(plain):
            sources = sorted({self.model.bin_source_name[i] for i in self.binaries(plain)})
        elif self.built(plain):
            sources = [plain]
        else:
            return None
        return sources, sorted(i for s in sources for i in self.built(s))

    def source(self, name: str) -> int | None:
        """The newest source of that name, or the source of the binary of that name."""
        plain = name.removeprefix("src:").removeprefix("bin:")
        if not name.startswith("bin:") and plain in self.newest:
            return self.newest[plain]
        own = self.binaries(plain)
        if own and not name.startswith("src:"):
            return self.newest.get(self.model.bin_source_name[own[-1]])
        return None

    def nodes(self, name: str) -> list[int]:
        """The source and the binary packages that a name stands for."""
        plain = name.removeprefix("src:").removeprefix("bin:")
        if name.startswith("bin:"):
            return list(self.binaries(plain))
        found = [self.newest[plain]] if plain in self.newest else []
        found += self.built(plain)
        if not name.startswith("src:"):
            found += [i for i in self.binaries(plain) if i not in found]
        return found

    def near(self, name: str) -> list[str]:
        plain = name.removeprefix("src:").removeprefix("bin:")
        return nearest(plain, sorted({*self.model.bin_name, *self.newest, *self.model.bin_source_name}))

    def mentioned(self, name: str) -> bool:
        """Does the archive know the name at all: as a package, or in some dependency?"""
        plain = name.removeprefix("src:").removeprefix("bin:")
        if self.nodes(name) or self.tool(name):
            return True
        return any(plain in text and plain in re.split(r"[ |,:()\[\]<>]+", text) for text in self.model.clause_text)

    def providers(self, name: str) -> list[int]:
        """Binary packages that stand in for a name: they meet some clause that asks for it alone."""
        found = set()
        for clause, text in self.model.clause_text.beginning(name):
            if "|" not in text and _FIRST_NAME.match(text)[0] == name:  # type: ignore[index]  # a clause begins with a name
                found.update(self.model.candidates[clause].tolist())
        return sorted(i for i in found if self.model.bin_name[i] != name)


def _places(items: list[str], wanted: str) -> list[int]:
    """Where an item stands in a list, every time."""
    out: list[int] = []
    try:
        while True:
            out.append(items.index(wanted, out[-1] + 1 if out else 0))
    except ValueError:
        return out


_FIRST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.\-_]*")


def tool_facts(
    model: ArchiveModel, baseline: Baseline, names: Names, name: str, tool: tuple[list[str], list[int]] | None
) -> dict[str, Any]:
    plain = name.removeprefix("src:").removeprefix("bin:")
    own = tool[1] if tool else []
    living = [i for i in own if not baseline.state.dead[i]]
    if names.binaries(plain):
        living = [i for i in names.binaries(plain) if not baseline.state.dead[i]]
    mine = set(own)
    others = sorted({model.bin_name[i] for i in names.providers(plain) if i not in mine and not baseline.state.dead[i]})
    return {
        "suite": model.suite,
        "arch": model.architecture,
        "tool": name,
        "sources": tool[0] if tool else [],
        "binaries": len(own),
        "binary_names": sorted({model.bin_name[i] for i in own}),
        "versions": sorted({model.bin_version[i] for i in living}),
        "installable": bool(living or others),
        "other_providers": others,
    }


def maintainer_term(person: str) -> str:
    """How a maintainer that was asked for is called among the known and unknown names."""
    return f"maintainer {person}"


def note_tool(names: Names, name: str, answer: Answer) -> None:
    """A tool may well be missing here; only a name that nothing in the archive knows is a mistake."""
    if names.mentioned(name):
        answer.known.append(name)
    else:
        answer.unknown.append(name)
        answer.near.extend(names.near(name))
