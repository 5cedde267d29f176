"""The components of a history's paths, by the case file as the census uses it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from preventable.code.components import ComponentMap, ComponentsFrom, map_components
from preventable.code.history.gitcall import Repository
from preventable.errors import CaseError
from preventable.readers.case_file import (
    CASE_FILE,
    PYPROJECT,
    CaseFile,
    find_case_file,
    parse_case,
    read_case_file,
)

Globs = dict[str, str | tuple[str, ...]]


def case_of(repository: Repository, tip: str, case_path: Path | None = None) -> CaseFile | None:
    """The case file of a history: the one given, else the one beside the code, else that of its last commit.

    Raises:
        CaseError: it cannot be read.
    """
    found = case_path or find_case_file(repository.path)
    if found is not None:
        return read_case_file(found)
    for name, mark in ((CASE_FILE, b""), (PYPROJECT, b"tool.preventable")):
        data = repository.try_run("cat-file", "blob", f"{tip}:{name}")
        if data is not None and mark in data:
            return parse_case(data, name)
    return None


def component_map(repository: Repository, tip: str, case: CaseFile | None) -> ComponentMap:
    """``[components]`` and ``census.components_from`` of a case file as a function of paths.

    ``MAINTAINERS`` and ``Cargo.toml`` files are those of the last commit.

    Raises:
        CaseError: a value is not what it must be, or the history has no ``MAINTAINERS``.
    """
    if case is None:
        return map_components({})
    rest: ComponentsFrom = case.sections.get("census", {}).get("components_from", "directories")
    if rest not in get_args(ComponentsFrom):
        raise CaseError(
            f"{rest!r} is not one of {', '.join(get_args(ComponentsFrom))}",
            file=case.file,
            field="census.components_from",
            hint="Correct the value",
        )
    maintainers = ""
    manifests: dict[str, bytes] = {}
    if rest == "maintainers":
        data = repository.try_run("cat-file", "blob", f"{tip}:MAINTAINERS")
        if data is None:
            raise CaseError(
                "components_from is maintainers, but the last commit has no MAINTAINERS file",
                file=case.file,
                field="census.components_from",
                hint="Use directories or cargo",
            )
        maintainers = data.decode("utf-8", "replace")
    elif rest == "cargo":
        for name in repository.run("ls-tree", "-r", "-z", "--name-only", tip).split(b"\0"):
            if name.rpartition(b"/")[2] == b"Cargo.toml":
                path = name.decode("utf-8", "surrogateescape")
                manifests[path] = repository.try_run("cat-file", "blob", f"{tip}:{path}") or b""
    return map_components(
        case.decode("components", Globs) or {}, rest, maintainers=maintainers, cargo_manifests=manifests
    )
