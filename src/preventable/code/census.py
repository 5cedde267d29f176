"""What is there: files and lines by component, language and bucket, unsafe Rust, coupling.

A row holds the files of one component in one language in one bucket. Counts of unsafe code exist for Rust
only and are null elsewhere; they leave out indeterminate files, whose number stands beside them, and are
null when every file of the row is indeterminate. Test items inside a Rust file (``#[cfg(test)] mod tests``)
are in the row of bucket ``test``; the file itself is where its name puts it. ``.h`` files are a language of
their own (``C Header`` or ``C++ Header``) by the rule in ``header_language``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from preventable.code.buckets import (
    GENERATED_DIRECTORIES,
    TEST_DIRECTORIES,
    VENDORED_DIRECTORIES,
    Attributes,
    Bucket,
    BucketRules,
    KnownProject,
    Rules,
    known_project,
)
from preventable.code.census_case import CensusCase, CensusSection, Components, HeaderRule, case_in, glob_warnings
from preventable.code.components import ComponentMap, broken_manifests, map_components
from preventable.code.coupling import CouplingRow, couple
from preventable.code.measure import FileFacts, Measure, Measured, measure_source
from preventable.code.path_globs import PathGlobs
from preventable.code.trees import NotCounted, Source, SourceInput
from preventable.code.unsafe_rust import COUNT_NAMES, UnsafeCounts
from preventable.errors import InputError
from preventable.readers.case_file import CaseFile

_CPP_SOURCES = (".cc", ".cpp", ".cxx", ".c++", ".C", ".cppm", ".ixx", ".mm")


class CensusRow(msgspec.Struct, frozen=True):
    """One component, language and bucket. ``None`` is unknown or not applicable, never zero."""

    component: str
    language: str
    bucket: Bucket
    files: int
    code: int | None
    comment: int | None
    blank: int | None
    unsafe_blocks: int | None = None
    unsafe_functions: int | None = None
    unsafe_impls: int | None = None
    unsafe_traits: int | None = None
    unsafe_lines: int | None = None
    safety_comments: int | None = None
    indeterminate_files: int = 0
    unsafe_sites: int | None = None
    """Unsafe blocks and impls outside macro bodies: what ``safety_comments`` is a part of."""
    unsafe_externs: int | None = None
    unsafe_attributes: int | None = None
    unsafe_function_types: int | None = None
    extern_blocks: int | None = None
    foreign_functions: int | None = None
    exported_functions: int | None = None
    macro_unsafe_blocks: int | None = None
    macro_unsafe_functions: int | None = None
    macro_unsafe_impls: int | None = None
    macro_unsafe_traits: int | None = None
    macro_safety_comments: int | None = None
    inline_test_files: int = 0
    """In rows of bucket ``test``: files of bucket ``code`` whose test items are counted here (not in ``files``)."""


ROW_COLUMNS: tuple[str, ...] = CensusRow.__struct_fields__[:14]
"""The columns that the tables show."""


class Placed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where one file is counted, and which rule decided its bucket."""

    component: str
    language: str
    bucket: Bucket
    rule: str


class RuleCount(msgspec.Struct, frozen=True):
    """How many files a rule put into a bucket."""

    bucket: Bucket
    rule: str
    files: int


class Indeterminate(msgspec.Struct, frozen=True):
    """A Rust file whose unsafe code is unknown."""

    path: str
    component: str
    reason: str


class Census(msgspec.Struct, frozen=True):
    """The census of one tree."""

    rows: list[CensusRow]
    source: SourceInput
    rules: list[RuleCount]
    headers: HeaderRule
    components_from: str
    census_rules: CensusSection
    """The ``[census]`` section by which it was counted, with the options of the command line."""
    component_rules: Components
    """The ``[components]`` section by which it was counted."""
    max_file_bytes: int
    """Larger files were not counted."""
    project: str | None
    not_counted: list[NotCounted]
    indeterminate: list[Indeterminate]
    warnings: list[str]
    partial: bool
    """Some source file could not be read or is too large."""
    coupling: list[CouplingRow] | None = None
    files: list[dict[str, Any]] | None = None


class Placer:
    """Places files in component, language and bucket.

    Args:
        case: what the case file says.
        paths: every path of the tree (the header rule and known projects look at names only).
        kept: contents of ``.gitattributes``, ``MAINTAINERS`` and ``Cargo.toml`` files.
    """

    def __init__(self, case: CensusCase, paths: Sequence[str], kept: Mapping[str, bytes]) -> None:
        census = case.census
        attributes = {p: d for p, d in kept.items() if p.rpartition("/")[2] == ".gitattributes"}
        manifests = {p: d for p, d in kept.items() if p.rpartition("/")[2] == "Cargo.toml"}
        if census.components_from == "maintainers" and "MAINTAINERS" not in kept:
            raise InputError(
                "components_from is maintainers, but the tree has no MAINTAINERS file",
                file=case.file,
                field="census.components_from",
                hint="Use directories or cargo",
            )
        self.project: KnownProject | None = known_project(set(paths))
        rules = Rules(census.code, census.vendored, census.generated, census.test)
        self._buckets = BucketRules(rules, Attributes(attributes), self.project)
        self.component: ComponentMap = map_components(
            case.components,
            census.components_from,
            maintainers=kept.get("MAINTAINERS", b"").decode("utf-8", "replace"),
            cargo_manifests=manifests,
        )
        self.warnings: list[str] = []
        if census.components_from == "cargo":
            self.warnings = [
                f"{path} is not TOML: its package is unknown, and its files go by what is above"
                for path in broken_manifests(manifests)
            ]
        self._header_language = header_language(census, paths)
        self._excluded = PathGlobs(census.exclude, where="census.exclude") if census.exclude else None

    def excluded(self, path: str) -> bool:
        """Does the case file leave it out?"""
        return self._excluded is not None and self._excluded.matches(path)

    def place(self, fact: FileFacts) -> Placed:
        """Where a measured file is counted."""
        language = fact.counts.language if fact.counts else "Rust" if fact.path.endswith(".rs") else "unknown"
        if language == "C Header":
            language = self._header_language(fact.path)
        bucket, rule = self._buckets.decide(fact.path, fact.marker)
        tests = fact.rust.counts.tests if fact.rust and fact.rust.counts else None
        if rule == "default" and tests is not None and tests.whole_file:
            bucket, rule = "test", "attribute:cfg(test)"
        return Placed(self.component(fact.path), language, bucket, rule)


HEADER_RULES: dict[HeaderRule, str] = {
    "auto": "a .h file is C++ if the nearest directory at or above it with any C or C++ source below holds more C++ "
    "than C sources, else C; c_headers and cpp_headers of the case file come first",
    "c": "every .h file is C; c_headers and cpp_headers of the case file come first",
    "c++": "every .h file is C++; c_headers and cpp_headers of the case file come first",
}
"""The rule for ``.h`` files in words, for results."""


def header_language(census: CensusSection, paths: Iterable[str]) -> Callable[[str], str]:
    """Whether a ``.h`` file is ``C Header`` or ``C++ Header``.

    Globs ``c_headers`` and ``cpp_headers`` decide first, then ``headers = "c"`` or ``"c++"``. With ``auto``
    a header is C++ if the nearest directory at or above it with any C or C++ source below holds more C++
    than C sources.

    Example:
        >>> language = header_language(CensusSection(), ["a/x.c", "b/y.cpp", "b/include/z.h"])
        >>> language("a/x.h"), language("b/include/z.h"), language("q/r.h")
        ('C Header', 'C++ Header', 'C Header')
    """
    c_globs = PathGlobs(census.c_headers, where="census.c_headers")
    cpp_globs = PathGlobs(census.cpp_headers, where="census.cpp_headers")
    balance: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    if census.headers == "auto":
        own: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for path in paths:
            if path.endswith(".c"):
                own[path.rpartition("/")[0]][0] += 1
            elif path.endswith(_CPP_SOURCES):
                own[path.rpartition("/")[0]][1] += 1
        for directory, (c, cpp) in own.items():
            here = directory
            while True:
                balance[here] += cpp - c
                sources[here] += cpp + c
                if not here:
                    break
                here = here.rpartition("/")[0]
    cache: dict[str, str] = {}

    def by_neighbours(directory: str) -> str:
        if directory not in cache:
            if sources[directory]:
                cache[directory] = "C++ Header" if balance[directory] > 0 else "C Header"
            else:
                cache[directory] = by_neighbours(directory.rpartition("/")[0]) if directory else "C Header"
        return cache[directory]

    def language(path: str) -> str:
        if c_globs.matches(path):
            return "C Header"
        if cpp_globs.matches(path):
            return "C++ Header"
        if census.headers != "auto":
            return "C Header" if census.headers == "c" else "C++ Header"
        return by_neighbours(path.rpartition("/")[0])

    return language


Key = tuple[str, str, Bucket]


class _Sum:
    """What the files of one row add up to."""

    def __init__(self) -> None:
        self.files = self.inline = self.unknown = self.code = self.comment = self.blank = 0
        self.unsafe: UnsafeCounts | None = None

    def add(self, code: int, comment: int, blank: int, unsafe: UnsafeCounts | None) -> None:
        self.code += code
        self.comment += comment
        self.blank += blank
        if unsafe is not None:
            self.unsafe = unsafe if self.unsafe is None else self.unsafe + unsafe

    def row(self, key: Key) -> CensusRow:
        counted = self.files > 0 or self.inline > 0
        sums = {name: getattr(self.unsafe, name) for name in COUNT_NAMES} if self.unsafe else {}
        if sums:
            sums["unsafe_sites"] = sums["unsafe_blocks"] + sums["unsafe_impls"]
        return CensusRow(
            *key,
            files=self.files,
            code=self.code if counted else None,
            comment=self.comment if counted else None,
            blank=self.blank if counted else None,
            indeterminate_files=self.unknown,
            inline_test_files=self.inline,
            **sums,
        )


def add_up(placed: Iterable[tuple[Placed, FileFacts]]) -> list[CensusRow]:
    """Rows, sorted, of placed files.

    A Rust file that could not be counted makes its row indeterminate. Test items inside a file of bucket ``code``
    are taken out of its row and added to the row of bucket ``test``, so that the two add up to the file.
    """
    sums: dict[Key, _Sum] = defaultdict(_Sum)
    for place, fact in placed:
        unsafe = fact.rust.counts if fact.rust and place.language == "Rust" else None
        lines = fact.counts
        if place.language != "Rust" and lines is None:
            continue
        total = sums[place.component, place.language, place.bucket]
        total.unknown += place.language == "Rust" and unsafe is None
        if lines is None:
            continue
        total.files += 1
        tests = unsafe.tests if unsafe and place.bucket == "code" else None
        if tests is None or unsafe is None:
            total.add(lines.code, lines.comment, lines.blank, unsafe)
            continue
        # The counter has the last word on how many lines there are.
        part = (min(tests.code, lines.code), min(tests.comment, lines.comment), min(tests.blank, lines.blank))
        total.add(lines.code - part[0], lines.comment - part[1], lines.blank - part[2], unsafe - tests.counts)
        inside = sums[place.component, place.language, "test"]
        inside.inline += 1
        inside.add(*part, tests.counts)
    return [sums[key].row(key) for key in sorted(sums)]


def take_census(
    source: Source,
    case: CaseFile | None = None,
    *,
    coupling: bool = False,
    keep_files: bool = False,
    workers: int | None = None,
    adjust: Callable[[CensusCase], CensusCase] | None = None,
) -> Census:
    """Count a whole tree.

    Args:
        source: a directory, an archive or a revision.
        case: the case file; by default the one at the root of the tree itself, if any.
        coupling: also includes, exports and bindings per component.
        keep_files: also one row per file, with the rule that decided its bucket.
        workers: processes; by default the number of cores.
        adjust: changes to what the case file says, for command-line options; called once, with the rules of the tree.
    Raises:
        CaseError: the case file is wrong.
        InputError: nothing could be counted.
    """
    placing = _Placing(case, adjust)
    measured = measure_source(source, Measure(coupling=coupling), workers=workers, observe=placing.observe)
    if source.wrapped:
        _strip_root(measured, source.not_counted)
    if placing.placer is None:
        placing.observe(measured, measured.facts)
    rules, placer, by_rule = placing.rules, placing.placer, placing.by_rule
    placed = sorted(placing.placed, key=lambda pair: pair[1].path)
    not_counted = [*source.not_counted, *placing.not_counted]
    if placer is None or not any(fact.counts for _, fact in placed):
        raise InputError(
            "There is no file in a known language",
            file=source.provenance().location,
            hint="Is it the right place?",
        )
    warnings = [*glob_warnings(rules, measured.paths), *placer.warnings]
    coupled = None
    if coupling:
        linked = [(fact.path, fact.links) for _, fact in placed if fact.links is not None]
        coupled = couple(linked, measured.paths, placer.component)
    return Census(
        rows=add_up(placed),
        source=source.provenance(),
        rules=[RuleCount(b, r, n) for (b, r), n in sorted(by_rule.items())],
        headers=rules.census.headers,
        components_from=rules.census.components_from,
        census_rules=rules.census,
        component_rules=rules.components,
        max_file_bytes=source.max_file_bytes,
        project=placer.project.name if placer.project else None,
        not_counted=sorted(({n.path: n for n in not_counted}).values(), key=lambda n: n.path),
        indeterminate=[
            Indeterminate(f.path, p.component, f.rust.indeterminate or "" if f.rust else f.reason or "")
            for p, f in placed
            if p.language == "Rust" and (f.rust is None or f.rust.counts is None)
        ],
        warnings=warnings,
        partial=is_partial(not_counted),
        coupling=coupled,
        files=[_file_row(p, f) for p, f in placed] if keep_files else None,
    )


def is_partial(not_counted: Iterable[NotCounted]) -> bool:
    """Is something that is probably source among what was not counted?"""
    return any(n.reason.startswith(("unreadable", "larger", "missing", "the counter")) for n in not_counted)


class _Placing:
    """Places files as they are measured."""

    def __init__(self, case: CaseFile | None, adjust: Callable[[CensusCase], CensusCase] | None) -> None:
        self._case = case
        self._adjust = adjust
        self.rules = CensusCase()
        self.placer: Placer | None = None
        self.placed: list[tuple[Placed, FileFacts]] = []
        self.not_counted: list[NotCounted] = []
        self.by_rule: Counter[tuple[Bucket, str]] = Counter()

    def observe(self, measured: Measured, facts: Sequence[FileFacts]) -> None:
        """Place the files of one shard; the first call fixes the rules."""
        if self.placer is None:
            self.rules = CensusCase.of(self._case or case_in(measured.kept))
            if self._adjust is not None:
                self.rules = self._adjust(self.rules)
            self.placer = Placer(self.rules, measured.paths, measured.kept)
        placer = self.placer
        for fact in facts:
            if placer.excluded(fact.path):
                self.not_counted.append(NotCounted(fact.path, "excluded by the case file"))
                continue
            if fact.counts is None:
                self.not_counted.append(NotCounted(fact.path, fact.reason or "not counted"))
                if not fact.path.endswith(".rs"):
                    continue
            place = placer.place(fact)
            self.placed.append((place, fact))
            if fact.counts is not None:
                self.by_rule[place.bucket, place.rule] += 1


def _file_row(place: Placed, fact: FileFacts) -> dict[str, Any]:
    counts = fact.counts
    row: dict[str, Any] = {"path": fact.path, **{n: getattr(place, n) for n in Placed.__struct_fields__}}
    row |= {n: getattr(counts, n) if counts else None for n in ("code", "comment", "blank")}
    unsafe = fact.rust.counts if fact.rust else None
    if place.language == "Rust":
        row |= {name: getattr(unsafe, name) if unsafe else None for name in COUNT_NAMES}
        row["indeterminate"] = fact.rust.indeterminate if fact.rust else fact.reason
        if unsafe and unsafe.tests:
            inside = unsafe.tests
            row["test_items"] = {"code": inside.code, "comment": inside.comment, "blank": inside.blank}
            row["test_items"] |= {name: getattr(inside.counts, name) for name in COUNT_NAMES}
    return row


def _strip_root(measured: Measured, not_counted: list[NotCounted]) -> None:
    """Take away the single top directory that an archive wraps its tree in, unless its name says what is in it."""
    everything = [*measured.paths, *(n.path for n in not_counted)]
    tops = {path.split("/", 1)[0] for path in everything}
    if len(tops) != 1 or any("/" not in path for path in everything):
        return
    if tops & (VENDORED_DIRECTORIES | GENERATED_DIRECTORIES | TEST_DIRECTORIES):
        return
    cut = len(tops.pop()) + 1
    measured.paths = [path[cut:] for path in measured.paths]
    measured.facts = [msgspec.structs.replace(fact, path=fact.path[cut:]) for fact in measured.facts]
    measured.kept = {path[cut:]: data for path, data in measured.kept.items()}
    not_counted[:] = [NotCounted(n.path[cut:], n.reason) for n in not_counted]
