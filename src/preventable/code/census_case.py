"""What a case file says about counting: the sections ``[census]`` and ``[components]``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from preventable.code.components import ComponentsFrom
from preventable.code.path_globs import unmatched
from preventable.readers.case_file import CaseFile, parse_case

HeaderRule = Literal["auto", "c", "c++"]


class CensusSection(msgspec.Struct, frozen=True):
    """``[census]`` of the case file. All globs are relative to the root."""

    code: tuple[str, ...] = ()
    vendored: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """Not counted at all."""
    headers: HeaderRule = "auto"
    c_headers: tuple[str, ...] = ()
    cpp_headers: tuple[str, ...] = ()
    components_from: ComponentsFrom = "directories"


Components = dict[str, str | tuple[str, ...]]
"""``[components]`` of the case file: name = glob or globs."""


class CensusCase(msgspec.Struct, frozen=True):
    """What the case file says about counting."""

    census: CensusSection = CensusSection()
    components: Components = msgspec.field(default_factory=dict)
    file: str | None = None
    """Where ``[census]`` was read, for messages."""
    digest: str | None = None
    components_file: str | None = None
    """Where ``[components]`` was read, for messages."""

    @classmethod
    def of(cls, case: CaseFile | None) -> CensusCase:
        """The two sections of a case file; the defaults without one."""
        if case is None:
            return cls()
        return cls(
            case.decode("census", CensusSection) or CensusSection(),
            case.decode("components", Components) or {},
            case.file,
            case.digest,
            case.file,
        )

    def globs(self) -> list[str]:
        """Every glob in it, for warnings about those that match nothing."""
        return [*census_globs(self.census), *component_globs(self.components)]


def census_globs(census: CensusSection) -> list[str]:
    """Every glob of a ``[census]`` section."""
    globs = (*census.code, *census.vendored, *census.generated, *census.test, *census.exclude)
    return [*globs, *census.c_headers, *census.cpp_headers]


def component_globs(components: Components) -> list[str]:
    """Every glob of a ``[components]`` section."""
    return [glob for value in components.values() for glob in ([value] if isinstance(value, str) else value)]


def glob_warnings(rules: CensusCase, paths: Sequence[str]) -> list[str]:
    """A sentence for each glob that matches none of the paths: the file it stands in, and the nearest path."""
    globs: dict[str, list[str]] = defaultdict(list)
    globs[rules.file or "[census]"] += census_globs(rules.census)
    globs[rules.components_file or "[components]"] += component_globs(rules.components)
    return [
        f"{file}: the glob {glob} matches nothing" + (f" (nearest: {near})" if near else "")
        for file, of_file in globs.items()
        for glob, near in unmatched(of_file, paths)
    ]


def case_in(kept: Mapping[str, bytes]) -> CaseFile | None:
    """The case file at the root of a tree, from the files kept while measuring it."""
    if "preventable.toml" in kept:
        return parse_case(kept["preventable.toml"], "preventable.toml")
    if b"tool.preventable" in kept.get("pyproject.toml", b""):
        return parse_case(kept["pyproject.toml"], "pyproject.toml")
    return None
