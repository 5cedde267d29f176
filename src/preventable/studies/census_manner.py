"""One manner of counting for all sides of a comparison, and censuses saved as JSON.

The manner is what decides how a tree is counted besides the tree itself: the sections ``[census]`` and ``[components]``
with the options of the command line, the largest size of a file, and the methods of the release. Anything else in a
case file, and the order of globs where no order counts, may differ. A saved census and another side of another manner
are not compared. Trees may each go by their own case file, whose changes are changes of the tree; they are said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from preventable.code.census import Census, CensusRow, take_census
from preventable.code.census_case import CensusCase, CensusSection, Components, HeaderRule
from preventable.code.components import ComponentsFrom
from preventable.code.trees import DEFAULT_MAX_FILE_BYTES, NotCounted, Source, SourceInput
from preventable.errors import FormatError, InputError, UsageError
from preventable.readers.case_file import CaseFile
from preventable.records import METHOD_VERSION

Adjust = Callable[[CensusSection], CensusSection]
"""Changes to the ``[census]`` section, for options of the command line."""

_UNKNOWN_IN_OLDER: tuple[str, ...] = ("method_version", "max_file_bytes", "census_rules", "component_rules")


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How one side is counted; None: nobody wrote it down (an earlier release saved it)."""

    file: str
    """The saved file, the tree, or ``""`` for what the command line asks for."""
    kind: Literal["saved", "asked", "options", "tree"] = "tree"
    """``asked``: for the trees beside saved censuses; ``options``: beside nothing but saved censuses."""
    method_version: str | None = None
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    components_from: ComponentsFrom | None = None
    headers: HeaderRule | None = None
    census_rules: CensusSection | None = None
    """The ``[census]`` section with the options of the command line."""
    component_rules: Components | None = None
    """The ``[components]`` section."""
    case: str | None = None
    """Digest of the case file that was given, ``""`` where each tree's own counted."""

    @property
    def where(self) -> str:
        """The side in a sentence."""
        places = {"asked": "for the other side", "options": "by --case and the options"}
        return places.get(self.kind, f"in {self.file}")

    def section(self, other: CensusSection) -> CensusSection:
        """The ``[census]`` section for another tree, so that it is counted in this manner."""
        if self.census_rules is not None:
            return self.census_rules
        known = {"components_from": self.components_from, "headers": self.headers}
        changes = msgspec.to_builtins(other) | {name: value for name, value in known.items() if value is not None}
        return msgspec.convert(changes, CensusSection)

    def unknown(self) -> list[str]:
        """The members that nobody wrote down and that cannot be told from the digest of the case file either."""
        by_digest = ("census_rules", "component_rules") if self.case else ()
        return [name for name in _UNKNOWN_IN_OLDER if getattr(self, name) is None and name not in by_digest]


class SavedCensus(msgspec.Struct, frozen=True):
    """A census saved as JSON."""

    rows: list[CensusRow]
    source: SourceInput
    manner: Manner
    not_counted: list[NotCounted] = []


class OneManner:
    """Holds every side of a comparison to the manner of the saved censuses; says where trees alone differ.

    Args:
        saved: the sides, in their order: a saved census, or None for a tree.
        case: the case file for all trees; by default that of the saved censuses, else each tree's own.
        options: changes to the ``[census]`` section, for command-line options.
        max_file_bytes: larger files are not counted; by default as in the saved censuses.
    Raises:
        UsageError: the saved censuses differ in manner, or the case file or the options ask for another one, also where
            there is no tree to count.
    """

    def __init__(
        self,
        saved: Sequence[SavedCensus | None],
        case: CaseFile | None = None,
        options: Adjust | None = None,
        max_file_bytes: int | None = None,
    ) -> None:
        self._saved = [known.manner for known in saved if known is not None]
        self._case = case
        self._options = options
        self._first: Manner | None = None
        self._said: list[str] = []
        self._asks = case is not None or max_file_bytes is not None
        for first, second in combinations(self._saved, 2):
            require_alike(first, second)
        for manner in self._saved:
            asked = self._asked(manner, max_file_bytes)
            if len(self._saved) == len(saved):
                # Nothing is counted here: the release has no say, nor has the lack of a --case.
                asked = msgspec.structs.replace(asked, kind="options", method_version=None, case=asked.case or None)
            require_alike(manner, asked)
        # Of several, the one that says most.
        self._model = min(self._saved, key=lambda manner: len(manner.unknown()), default=None)
        known_limit = self._model.max_file_bytes if self._model is not None else None
        self.max_file_bytes: int = max_file_bytes or known_limit or DEFAULT_MAX_FILE_BYTES

    def warnings(self) -> list[str]:
        """A sentence for each setting that trees' own case files set otherwise, and for each saved census whose manner
        cannot be verified."""
        if len(self._saved) + (self._first is not None or self._asks) < 2:
            return self._said
        return self._said + [
            f"{manner.file} was saved by an earlier release and does not say {' and '.join(manner.unknown())}: whether "
            "the sides are counted alike in that cannot be verified; take it again to be sure"
            for manner in self._saved
            if manner.unknown()
        ]

    def count(self, source: Source, place: str) -> Census:
        """The census of a tree in this manner.

        Args:
            source: opened with ``max_file_bytes`` of this manner.
            place: the name of the tree, for messages.
        Raises:
            UsageError: the tree lacks what the manner of a saved census needs.
        """
        try:
            return take_census(source, self._case, adjust=lambda own: self.rules(own, place))
        except InputError as error:
            if self._model is None or error.field != "census.components_from":
                raise
            raise UsageError(
                f"{place} cannot be counted as {self._model.file} was: {error.what}", file=self._model.file,
                field="components_from", hint="Take the saved census again with --components-from directories",
            ) from error  # fmt: skip

    def rules(self, own: CensusCase, place: str) -> CensusCase:
        """The rules for a tree, from its own case file or the one given for all."""
        rules = own if self._model is None else self._in_model(own, self._model)
        if self._options is not None:
            rules = msgspec.structs.replace(rules, census=self._options(rules.census))
        manner = self._manner(rules, place, self.max_file_bytes)
        self._first = self._first or manner
        for name, mine, other in differences(self._first, manner):
            said = (
                f"{name} is {_shown(mine)} {self._first.where} and {_shown(other)} {manner.where}: what is counted "
                "otherwise by that shows, too; one --case counts all alike"
            )
            if said not in self._said:
                self._said.append(said)
        return rules

    def _in_model(self, own: CensusCase, model: Manner) -> CensusCase:
        changes: dict[str, Any] = {"census": model.section(own.census)}
        if model.component_rules is not None:
            changes["components"] = model.component_rules
        if self._case is None and model.census_rules is not None:
            changes["file"] = model.file
        if self._case is None and model.component_rules is not None:
            changes["components_file"] = model.file
        return msgspec.structs.replace(own, **changes)

    def _asked(self, saved: Manner, limit: int | None) -> Manner:
        """What the command line asks for beside a saved census: the same, but for a case file and options."""
        if self._case is not None and self._case.digest != saved.case:
            rules = CensusCase.of(self._case)
        else:
            rules = CensusCase(saved.section(CensusSection()), saved.component_rules or {})
        if self._options is not None:
            rules = msgspec.structs.replace(rules, census=self._options(rules.census))
        asked = self._manner(rules, "", limit)
        # Where it does not say its components, the digest decides.
        return asked if saved.component_rules is not None else msgspec.structs.replace(asked, component_rules=None)

    def _manner(self, rules: CensusCase, place: str, limit: int | None) -> Manner:
        return Manner(
            file=place,
            kind="tree" if place else "asked",
            method_version=METHOD_VERSION,
            max_file_bytes=limit,
            components_from=rules.census.components_from,
            headers=rules.census.headers,
            census_rules=rules.census,
            component_rules=rules.components,
            case=self._case.digest if self._case is not None else "",
        )


def require_alike(first: Manner, second: Manner) -> None:
    """Raise UsageError unless two sides are counted in one manner; what nobody wrote down is let pass.

    The digest of a whole case file is looked at only where a side does not say its ``[components]``.

    Example:
        >>> require_alike(Manner(file="a", headers="c"), Manner(file="b", headers="c", components_from="cargo"))
        >>> require_alike(Manner(file="a", headers="c"), Manner(file="b", headers="auto"))
        Traceback (most recent call last):
        preventable.errors.UsageError: The sides are not counted alike: headers is c in a and auto in b ...
    """
    for name, mine, other in differences(first, second):
        said = (
            "A saved census is not counted as asked" if second.kind == "options" else "The sides are not counted alike"
        )
        raise UsageError(
            f"{said}: {name} is {_shown(mine)} {first.where} and {_shown(other)} {second.where}",
            file=first.file,
            field=name,
            hint=_hint(first, second, name),
        )


def differences(first: Manner, second: Manner) -> Iterator[tuple[str, object, object]]:
    """Every setting that counts and that two sides have otherwise: its name and both values."""
    pairs: list[tuple[str, object, object]] = [
        (name, getattr(first, name), getattr(second, name))
        for name in ("method_version", "max_file_bytes", "components_from", "headers")
    ]
    if first.component_rules is None or second.component_rules is None:
        pairs.append(("case", first.case, second.case))
    if first.census_rules is not None and second.census_rules is not None:
        for name in CensusSection.__struct_fields__:
            mine, other = (_plain(getattr(rules, name)) for rules in (first.census_rules, second.census_rules))
            pairs.append((name, mine, other))
    if first.component_rules is not None and second.component_rules is not None:
        one, two = _globs(first.component_rules), _globs(second.component_rules)
        pairs += [(f"components.{name}", one.get(name, ()), two.get(name, ())) for name in {**one, **two}]
        if set(one) == set(two):
            pairs.append(("the order of components", tuple(one), tuple(two)))
    for name, mine, other in pairs:
        if mine is not None and other is not None and mine != other:
            yield name, mine, other


def _hint(first: Manner, second: Manner, name: str) -> str:
    if second.kind == "saved":
        return "Take one of them again in the manner of the other"
    if second.kind == "options":
        return "What is saved stays as it was counted: leave --case and the options out, or take it again with them"
    if name == "method_version":
        return f"Take {first.file} again with this release"
    if name == "case" or first.component_rules is None:
        return "Give the same --case and options for both, or take the saved census again"
    return (
        "Leave --case and the options out, so that the other side is counted as the saved one, or take the saved one "
        "again"
    )


def _plain(value: object) -> object:
    """A setting without what does not count: the order of globs in one list."""
    return tuple(sorted(set(value))) if isinstance(value, tuple) else value


def _globs(components: Components) -> dict[str, tuple[str, ...]]:
    """Component = globs, in the order that counts, without those that have none."""
    lists = {name: (value,) if isinstance(value, str) else value for name, value in components.items()}
    return {name: tuple(sorted(set(globs))) for name, globs in lists.items() if globs}


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return str(value) or "each tree's own"


def load_census(what: str) -> SavedCensus | None:
    """A census saved as JSON, if that is what the file is.

    Raises:
        FormatError: a JSON file is no census.
        InputError: the census is damaged.
    """
    path = Path(what)
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FormatError(
            f"The file is not JSON: {error}", file=what, hint="Save one with census --format json"
        ) from error
    if document.get("kind") != "census":
        raise FormatError("The file is no census", file=what, field="kind", hint="Save one with census --format json")
    field = "results"
    try:
        rows = msgspec.convert(document.get("results"), list[CensusRow])
        field = "not_counted"
        not_counted = msgspec.convert(document.get("not_counted", []), list[NotCounted])
        field = ""
        manner = msgspec.convert(document | {"file": what, "kind": "saved"}, Manner)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        field = (field + at.removesuffix("`")).removeprefix(".").replace("[...]", ".*")
        raise _damaged(what, reason, field) from error
    _require_sound(document, manner)
    return SavedCensus(rows, SourceInput("result", what, note=_origin(document)), manner, not_counted)


def _require_sound(document: Mapping[str, Any], manner: Manner) -> None:
    """Raise InputError where the rules of a saved census say what this release cannot do, or contradict themselves."""
    for name in document.get("census_rules") or ():
        if name not in CensusSection.__struct_fields__:
            raise _damaged(manner.file, "this release does not know the rule", f"census_rules.{name}")
    for name in ("components_from", "headers"):
        said, rule = getattr(manner, name), getattr(manner.census_rules, name, None)
        if said is not None and rule is not None and said != rule:
            raise _damaged(manner.file, f"it is {said}, but {rule} in census_rules", name)


def _damaged(file: str, reason: str, field: str) -> InputError:
    return InputError(f"The census is damaged: {reason}", file=file, field=field, hint="Take it again")


def _origin(document: Mapping[str, Any]) -> str | None:
    inputs = document.get("inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return str(first.get("commit") or first.get("location")) if isinstance(first, dict) else None
