"""Relations between packages: syntax, restrictions, and a pool in which each distinct one is kept once.

deb-control(5), deb-src-control(5)::

    field       = clause ("," clause)*                 all must hold
    clause      = alternative ("|" alternative)*       one must hold
    alternative = name[:qualifier] [(op version)] [[arch …]] [<profile …>]…

The restrictions stay in the pool and are evaluated for a target: an alternative whose restrictions do
not hold vanishes, and a clause all of whose alternatives vanish is no requirement at all.
"""

from __future__ import annotations

import re
from collections.abc import Set
from itertools import islice

import msgspec

from preventable.readers.debian_architecture import matches
from preventable.readers.debian_version import version_key

OPERATORS = {"": 0, "<<": 1, "<=": 2, "<": 2, "=": 3, ">=": 4, ">": 4, ">>": 5}
"""Code of each operator; the obsolete ``<`` and ``>`` mean ``<=`` and ``>=``, as in dpkg."""

_ALTERNATIVE = re.compile(
    r"""\s*(?P<name>[A-Za-z0-9][A-Za-z0-9+.\-_]*)
        (?::(?P<qualifier>[a-z0-9\-]+))?\s*
        (?:\(\s*(?P<op><<|<=|>=|>>|=|<|>)\s*(?P<version>[^\s()]+)\s*\)\s*)?
        (?:\[(?P<arches>[^\[\]]*)\]\s*)?
        (?P<profiles>(?:<[^<>]*>\s*)*)\s*""",
    re.VERBOSE,
)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.\-_]*")
_VERSION = re.compile(r"[^\s()]+\)")


class Restriction(msgspec.Struct, frozen=True):
    """``[arch …]`` and ``<profile …>…`` of one alternative."""

    arches: tuple[str, ...] = ()
    profiles: tuple[tuple[str, ...], ...] = ()

    def holds(self, architecture: str, profiles: Set[str]) -> bool:
        """Evaluate for a host architecture and the active build profiles.

        All architectures are negated or none is (deb-src-control(5)); profiles are a disjunction of
        conjunctions.

        Example:
            >>> Restriction(arches=("!alpha", "!hppa")).holds("amd64", set())
            True
            >>> Restriction(profiles=(("!nocheck",),)).holds("amd64", {"nocheck"})
            False
        """
        if self.arches:
            negated = [a[1:] for a in self.arches if a.startswith("!")]
            plain = [a for a in self.arches if not a.startswith("!")]
            if any(matches(architecture, a) for a in negated):
                return False
            if plain and not any(matches(architecture, a) for a in plain):
                return False
        if self.profiles:
            return any(
                all((term[1:] not in profiles) if term.startswith("!") else (term in profiles) for term in group)
                for group in self.profiles
            )
        return True


class RelationPool:
    """Every distinct name, version, atom, clause and field of the indices read into it, once.

    Ids are small integers, so that the model of an architecture is arrays. Restriction 0 always holds.

    Example:
        >>> pool = RelationPool()
        >>> field = pool.field(b"debhelper (>= 9), rustc:native | rust [linux-any] <!nocheck>")
        >>> [pool.clause_text(c) for c in pool.fields[field]]
        ['debhelper (>= 9)', 'rustc:native | rust [linux-any] <!nocheck>']
    """

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.versions: dict[str, int] = {}
        self.qualifiers: dict[str, int] = {"": 0, "native": 0, "any": 1}
        self.atoms: dict[tuple[int, int, int, int], int] = {}
        self.restrictions: dict[Restriction, int] = {Restriction(): 0}
        self.clauses: list[tuple[tuple[int, int], ...]] = []
        self.clause_source: list[str] = []
        self.fields: list[tuple[int, ...]] = [()]
        self.faults: dict[int, str] = {}
        self._clause_ids: dict[bytes, int] = {}
        self._field_ids: dict[bytes, int] = {b"": 0}
        self._version_keys: list[bytes] = []
        self._version_order: list[bytes] = []

    def name(self, name: str) -> int:
        return self.names.setdefault(name, len(self.names))

    def version(self, version: str) -> int:
        return self.versions.setdefault(version, len(self.versions))

    def version_ranks(self) -> list[int]:
        """The rank of each version in the pool, in the order of their ids; equal versions rank equal."""
        keys = self._version_keys
        fresh = list(map(version_key, islice(self.versions, len(keys), None)))
        keys.extend(fresh)
        # Sorting what is sorted but for its end is one pass.
        self._version_order = sorted([*self._version_order, *sorted({*fresh}.difference(self._version_order))])
        rank = {key: i for i, key in enumerate(self._version_order)}
        return list(map(rank.__getitem__, keys))

    def field(self, value: bytes) -> int:
        """Id of a field's value; a syntax error is kept in ``faults`` and its clause left out."""
        known = self._field_ids.get(value)
        if known is not None:
            return known
        text = value
        if b"\n" in text or b"\t" in text:
            text = b" ".join(text.split())
        number = len(self.fields)
        clauses = []
        ids = self._clause_ids
        for part in text.split(b","):
            part = part.strip(b" ")  # noqa: PLW2901  (the same clause, trimmed)
            clause = ids.get(part)
            if clause is None:
                if not part:
                    continue
                try:
                    clause = self._clause(part)
                except ValueError as error:
                    self.faults.setdefault(number, str(error))
                    continue
            clauses.append(clause)
        self.fields.append(tuple(clauses))
        self._field_ids[value] = number
        return number

    def clause_text(self, clause: int) -> str:
        return self.clause_source[clause]

    def _clause(self, raw: bytes) -> int:
        text = raw.decode("utf-8", "replace")
        alternatives: tuple[tuple[int, int], ...] | None = self._plain(text)
        if alternatives is None:
            alternatives = tuple(self._alternative(part) for part in text.split("|"))
        number = len(self.clauses)
        self.clauses.append(alternatives)
        self.clause_source.append(text)
        self._clause_ids[raw] = number
        return number

    def _plain(self, text: str) -> tuple[tuple[int, int]] | None:
        """The usual form, ``name`` or ``name (op version)``, without the full pattern."""
        name, bracket, rest = text.partition(" (")
        known = self.names.get(name)
        if known is None:
            if _NAME.fullmatch(name) is None:
                return None
            known = self.names[name] = len(self.names)
        op, version = 0, -1
        if bracket:
            sign, space, value = rest.partition(" ")
            code = OPERATORS.get(sign)
            if not code or not space or value[-1:] != ")" or _VERSION.fullmatch(value) is None:
                return None
            op, version = code, self.version(value[:-1])
        return ((self.atoms.setdefault((known, op, version, 0), len(self.atoms)), 0),)

    def _alternative(self, text: str) -> tuple[int, int]:
        match = _ALTERNATIVE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a relation: {text.strip()[:80]!r}")
        name, qualifier, op, version, arches, profiles = match.group(
            "name", "qualifier", "op", "version", "arches", "profiles"
        )
        restriction = 0
        if arches is not None or profiles:
            value = Restriction(
                tuple((arches or "").split()),
                tuple(tuple(group.split()) for group in re.findall(r"<([^<>]*)>", profiles or "")),
            )
            negated = {a.startswith("!") for a in value.arches}
            if len(negated) > 1:
                raise ValueError(f"negated and plain architectures mixed: {text.strip()[:80]!r}")
            restriction = self.restrictions.setdefault(value, len(self.restrictions))
        atom = (
            self.name(name),
            OPERATORS[op or ""],
            self.version(version) if version else -1,
            self.qualifiers.setdefault(qualifier or "", len(self.qualifiers) - 1),
        )
        return self.atoms.setdefault(atom, len(self.atoms)), restriction
