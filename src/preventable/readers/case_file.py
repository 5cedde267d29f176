"""The case file: ``preventable.toml`` beside the code, or ``[tool.preventable]`` in ``pyproject.toml``.

This module finds and reads it, refuses top-level keys it does not know, and turns a section into the struct
of its owner, strictly: every unknown key is reported at once, each with the nearest key that exists.
A new section is one row in ``SECTIONS``; its struct lives with its owner.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import inspect as shape

from preventable.errors import CaseError

CASE_FILE = "preventable.toml"
PYPROJECT = "pyproject.toml"
MAX_BYTES = 4 * 1024 * 1024

T = TypeVar("T")
_TABLE_OF_ARRAY = re.compile(rb"^[ \t]*\[\[([^\]\n]+)\]\]", re.MULTILINE)


class SectionKind(msgspec.Struct, frozen=True):
    """One known top-level key: what TOML value it holds and what it is for."""

    kind: Literal["table", "tables"]
    about: str


SECTIONS: dict[str, SectionKind] = {
    "case": SectionKind("table", "name of the case, where the repository is, its start"),
    "components": SectionKind("table", "component name = path globs"),
    "census": SectionKind("table", "what is counted where: buckets, headers, components"),
    "gate": SectionKind("table", "zones, budgets and suppressions of the ratchet"),
    "advisories": SectionKind("table", "feeds and files that hold the vulnerability records"),
    "methodology": SectionKind("table", "which definition of memory safety counts"),
    "interventions": SectionKind("table", "which interventions are weighed"),
    "lineage": SectionKind("table", "snapshots and cohorts of the history"),
    "compare": SectionKind("table", "newcomer and incumbent, numbering regime, exposure facts, readings"),
    "pairs": SectionKind("tables", "C code and the Rust code that replaces it"),
    "claims": SectionKind("tables", "statements fixed before the data"),
    "ports": SectionKind("table", "packages, toolchains and architectures"),
    "roadmap": SectionKind("table", "dates and names that a memory-safety roadmap asks for"),
}
"""The registry of top-level keys; whoever owns a section adds its row here."""


class CaseFile(msgspec.Struct, frozen=True):
    """A case file as read; ``decode`` gives a section in the shape of its owner.

    Example:
        >>> class Ports(msgspec.Struct):
        ...     package: str
        >>> case = parse_case(b'[ports]\\npackage = "apt"\\n')
        >>> case.decode("ports", Ports).package
        'apt'
        >>> case.decode("claims", list[Ports]) is None
        True
    """

    file: str
    """Path for messages."""
    digest: str
    """``sha256:`` and the digest of the bytes read."""
    sections: Mapping[str, Any]
    tables: Mapping[str, tuple[int, ...]] = {}
    """Name of each ``[[list.of.tables]]`` = the lines, from 1, where its tables begin."""

    def line_of(self, name: str, index: int, count: int) -> int:
        """The line where table ``index`` of the ``count`` tables called ``name`` begins; 1 where it cannot be told.

        Example:
            >>> parse_case(b"[[claims]]\\n\\n[[claims]]\\n").line_of("claims", 1, 2)
            3
        """
        lines = self.tables.get(name, ())
        return lines[index] if len(lines) == count else 1

    def decode(self, name: str, type_: type[T]) -> T | None:
        """A section as ``type_``, or None if the file has none.

        Raises:
            CaseError: unknown keys (all of them, with the nearest that exist), a word that is none of the choices, or
                a value of another type.
        """
        if name not in SECTIONS:
            raise ValueError(f"{name} is not in SECTIONS; register it there")
        if name not in self.sections:
            return None
        value = self.sections[name]
        faults = list(_faults(value, shape.type_info(type_), name))
        if faults:
            raise CaseError("; ".join(faults), file=self.file, hint="See docs/case-file.md for the keys")
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            what, _, at = str(error).partition(" - at ")
            field = name + at.strip("`").removeprefix("$").replace("[...]", ".*")
            raise CaseError(what, file=self.file, field=field, hint="Correct the value") from error


def find_case_file(directory: Path) -> Path | None:
    """``preventable.toml`` in the directory, else a ``pyproject.toml`` there with ``[tool.preventable]``."""
    own = directory / CASE_FILE
    if own.is_file():
        return own
    pyproject = directory / PYPROJECT
    if pyproject.is_file() and b"tool.preventable" in _read(pyproject):
        return pyproject
    return None


def read_case_file(path: Path) -> CaseFile:
    """Read and check one case file.

    Args:
        path: a ``preventable.toml``, a ``pyproject.toml``, or any TOML file in the shape of the former.
    Raises:
        CaseError: the file is missing, is not TOML, or has a top-level key that is not known.
    """
    if not path.is_file():
        raise CaseError("The case file does not exist", file=str(path), hint="Give the path of a preventable.toml")
    return parse_case(_read(path), str(path))


def parse_case(data: bytes, file: str = CASE_FILE) -> CaseFile:
    """The bytes of a case file, checked down to its top-level keys.

    Args:
        data: UTF-8 TOML.
        file: the name for messages; ``pyproject.toml`` is read at its ``[tool.preventable]``.
    Raises:
        CaseError: not TOML, an unknown top-level key, or a section that is not the kind of value it must be.
    """
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CaseError(
            f"The case file is not UTF-8 (byte {error.start})", file=file, hint="Save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CaseError(f"The case file is not TOML: {error}", file=file, hint="Correct the line named") from error
    prefix = ""
    if Path(file).name == PYPROJECT:
        tool = document.get("tool", {})
        document = tool.get("preventable", {}) if isinstance(tool, dict) else {}
        prefix = "tool.preventable."
        if not isinstance(document, dict):
            raise CaseError("tool.preventable must be a table", file=file, hint="Write [tool.preventable.census] etc.")
    faults = [_unknown(f"{prefix}{key}", key, SECTIONS) for key in document if key not in SECTIONS]
    for key, value in document.items():
        wanted = SECTIONS[key].kind if key in SECTIONS else None
        if wanted == "table" and not isinstance(value, dict):
            faults.append(f"{prefix}{key} must be a table: write [{prefix}{key}]")
        elif wanted == "tables" and not (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
            faults.append(f"{prefix}{key} must be a list of tables: write [[{prefix}{key}]]")
    if faults:
        raise CaseError("; ".join(faults), file=file, hint="See docs/case-file.md for the keys")
    return CaseFile(file, "sha256:" + hashlib.sha256(data).hexdigest(), document, _table_lines(data, prefix))


def _table_lines(data: bytes, prefix: str) -> dict[str, tuple[int, ...]]:
    lines: dict[str, tuple[int, ...]] = {}
    for found in _TABLE_OF_ARRAY.finditer(data):
        name = ".".join(part.strip(" \t\"'") for part in found.group(1).decode("utf-8", "replace").split("."))
        name = name.removeprefix(prefix)
        lines[name] = (*lines.get(name, ()), data.count(b"\n", 0, found.start()) + 1)
    return lines


def nearest(word: str, choices: Iterator[str] | Mapping[str, object] | list[str] | tuple[str, ...]) -> str | None:
    """The choice most like the word, if any is like it at all.

    Example:
        >>> nearest("vendord", ["generated", "vendored"])
        'vendored'
    """
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return found[0] if found else None


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise CaseError("The case file is over 4 MiB", file=str(path), hint="Is it the right file?")
    return path.read_bytes()


def _unknown(where: str, key: str, known: Mapping[str, object] | list[str]) -> str:
    near = nearest(key, known)
    suggestion = f"did you mean {near}?" if near else "known: " + ", ".join(sorted(known))
    return f"unknown key {where} ({suggestion})"


_LOOKED_INTO = (shape.StructType, shape.DictType, shape.ListType, shape.VarTupleType, shape.LiteralType)


def _faults(value: object, type_: shape.Type, where: str) -> Iterator[str]:
    """Keys that the struct at that place does not have, and words that are none of its choices.

    Other values are left to msgspec.
    """
    if isinstance(type_, shape.UnionType):
        inner = [t for t in type_.types if isinstance(t, _LOOKED_INTO)]
        if any(isinstance(t, shape.StrType) for t in type_.types):
            inner = [t for t in inner if not isinstance(t, shape.LiteralType)]  # other words will do as well
        if len(inner) == 1:
            yield from _faults(value, inner[0], where)
    elif isinstance(type_, shape.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in type_.fields}
        tag = {type_.tag_field} if type_.tag_field else set()
        for key, member in value.items():
            if key in fields:
                yield from _faults(member, fields[key], f"{where}.{key}")
            elif key not in tag:
                yield _unknown(f"{where}.{key}", key, list(fields))
    elif isinstance(type_, shape.DictType) and isinstance(value, dict):
        for key, member in value.items():
            yield from _faults(member, type_.value_type, f"{where}.{key}")
    elif isinstance(type_, shape.ListType | shape.VarTupleType) and isinstance(value, list):
        for index, member in enumerate(value):
            yield from _faults(member, type_.item_type, f"{where}[{index}]")
    elif isinstance(type_, shape.LiteralType) and isinstance(value, str) and value not in type_.values:
        yield f"{where} is {value!r}, not one of {', '.join(str(v) for v in type_.values)}"
