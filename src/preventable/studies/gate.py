"""The ratchet: judges a change by the rules of the case file. Only the files that differ are read.

Rules (ids never change their meaning):

* ``PVG001 new-file``: a file in a language of ``no_new_files`` appears in the zone (added, or moved into it);
* ``PVG002 new-lines``: a file in a language of ``no_new_lines`` has more lines of code than before; lines
  that are replaced one for one do not count, nor do comments and blank lines;
* ``PVG003 unsafe-growth``: what ``no_growth`` names has grown in the zone as a whole;
* ``PVG004 unsafe-without-safety-comment``: a new unsafe block or impl has no ``// SAFETY:`` comment;
* ``PVG005 indeterminate``: a changed file that a rule of the zone is about cannot be judged;
* ``PVG006 suppression-expired``: a suppression is past its date.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Literal

import msgspec

from preventable.code.census import Placer
from preventable.code.census_case import CensusCase
from preventable.code.changed import NOT_FILES, ChangedTree
from preventable.code.counting import language_names
from preventable.code.gitfiles import Change
from preventable.code.measure import FileFacts
from preventable.code.path_globs import PathGlobs, unmatched
from preventable.code.unsafe_rust import UnsafeSite
from preventable.errors import CaseError
from preventable.readers.case_file import CaseFile, nearest

MEASURES = ("unsafe_blocks", "unsafe_lines", "unsafe_functions", "unsafe_impls", "unsafe_traits")


class Rule(msgspec.Struct, frozen=True):
    """One rule of the gate; the id is stable."""

    id: str
    name: str
    about: str
    details: str
    help: str


RULES: tuple[Rule, ...] = (
    Rule(
        "PVG001",
        "new-file",
        "A file in a closed language appears in a zone.",
        "A zone with no_new_files was given a file in one of these languages: added, or moved in from outside "
        "the zone.",
        "Write it in a memory-safe language.",
    ),
    Rule(
        "PVG002",
        "new-lines",
        "A file in a closed language grows.",
        "A file in a language of no_new_lines has more lines of code than before; blank lines and comments do "
        "not count, and a line replaced by one line is no growth.",
        "Move the addition to a memory-safe language.",
    ),
    Rule(
        "PVG003",
        "unsafe-growth",
        "Unsafe Rust grows in a zone.",
        "What no_growth names (unsafe blocks, lines, functions, impls or traits) has grown in the zone as a "
        "whole, macro bodies included.",
        "Use a safe abstraction, or remove as much.",
    ),
    Rule(
        "PVG004",
        "unsafe-without-safety-comment",
        "New unsafe code does not say why it is sound.",
        "A new unsafe block or unsafe impl, also in a macro body, has no // SAFETY: comment above it or at "
        "its beginning.",
        "Write a // SAFETY: comment above it.",
    ),
    Rule(
        "PVG005",
        "indeterminate",
        "A changed file cannot be judged.",
        "A changed file that a rule of the zone is about does not parse, is binary, too large or cannot be "
        "read, or is a submodule or nested repository: what it holds is unknown, not none.",
        "Make it parse, or suppress it with a reason.",
    ),
    Rule(
        "PVG006",
        "suppression-expired",
        "A suppression is past its date.",
        "The last day of a suppression in the case file is over; what it hid is a finding again.",
        "Remove it, or renew it with a reason.",
    ),
)
_BY_NAME = {rule.name: rule for rule in RULES} | {rule.id: rule for rule in RULES}
_WITH_HEADERS = {"C": ("C", "C Header"), "C++": ("C++", "C++ Header", "C++ Module")}
SUBMODULE = NOT_FILES[1]
_C_LIKE = (".c", ".h", ".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".C", ".H")


class Zone(msgspec.Struct, frozen=True):
    """``[[gate.zones]]``: a part of the tree and what may not grow in it."""

    name: str
    paths: tuple[str, ...]
    exempt: tuple[str, ...] = ()
    """Vendored code, by name."""
    no_new_files: tuple[str, ...] = ()
    """Languages; ``C`` and ``C++`` include their headers."""
    no_new_lines: tuple[str, ...] = ()
    no_growth: tuple[str, ...] = ()
    """What may not grow (of ``MEASURES``), macro bodies included."""
    safety_comments: bool = False
    """New unsafe blocks and impls need ``// SAFETY:``."""


class Suppression(msgspec.Struct, frozen=True):
    """``[[gate.suppressions]]``: every member is required."""

    rule: str
    path: str
    reason: str
    expires: date


class GateSection(msgspec.Struct, frozen=True):
    """``[gate]`` of the case file."""

    zones: tuple[Zone, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    exempt: tuple[str, ...] = ()
    """Exempt from every zone."""


class Finding(msgspec.Struct, frozen=True):
    """One breach of one rule."""

    rule: str
    name: str
    zone: str
    path: str
    line: int
    message: str
    fingerprint: str
    baseline_state: Literal["new", "unchanged"] = "new"
    suppressed: bool = False
    reason: str | None = None
    """Why it is suppressed, and until when."""


class Verdict(msgspec.Struct, frozen=True):
    """What the gate says about a change."""

    findings: list[Finding]
    """Sorted by path, line and rule; suppressed ones are among them."""
    changed_files: int
    warnings: list[str]
    grown: list[str]
    """Paths whose finding needs the line of the first addition."""

    @property
    def open(self) -> int:
        """Findings that are not suppressed."""
        return sum(not finding.suppressed for finding in self.findings)


def gate_section(case: CaseFile) -> GateSection:
    """The rules of a case file, checked.

    Raises:
        CaseError: there are none, or one names a language, rule or zone wrongly.
    """
    incomplete = list(_incomplete(case))
    if incomplete:
        raise CaseError(
            "; ".join(incomplete), file=case.file, hint="A suppression needs rule, path, reason and expires"
        )
    section = case.decode("gate", GateSection)
    if section is None or not section.zones:
        raise CaseError(
            "The case file has no zones for the gate",
            file=case.file,
            field="gate.zones",
            hint="`preventable gate --example` prints rules to begin with",
        )
    faults = []
    languages = language_names()
    for index, zone in enumerate(section.zones):
        where = f"gate.zones[{index}]"
        if zone.name in {other.name for other in section.zones[:index]}:
            faults.append(f"{where}.name: {zone.name} is used twice")
        if not zone.paths:
            faults.append(f"{where}.paths is empty")
        if not (zone.no_new_files or zone.no_new_lines or zone.no_growth or zone.safety_comments):
            faults.append(f"{where} has no rule (no_new_files, no_new_lines, no_growth, safety_comments)")
        for language in (*zone.no_new_files, *zone.no_new_lines):
            if language not in languages:
                faults.append(f"{where}: unknown language {language}" + _meant(language, sorted(languages)))
        for measure in zone.no_growth:
            if measure not in MEASURES:
                faults.append(f"{where}.no_growth: unknown measure {measure}" + _meant(measure, MEASURES))
    for index, suppression in enumerate(section.suppressions):
        where = f"gate.suppressions[{index}]"
        if suppression.rule not in _BY_NAME:
            faults.append(f"{where}.rule: unknown rule {suppression.rule}" + _meant(suppression.rule, list(_BY_NAME)))
        if not suppression.reason.strip():
            faults.append(f"{where}.reason is empty")
    if faults:
        raise CaseError("; ".join(faults), file=case.file, hint="See docs/gate.md")
    return section


def _incomplete(case: CaseFile) -> Iterator[str]:
    """Suppressions that lack members, all at once."""
    section = case.sections.get("gate")
    tables = section.get("suppressions") if isinstance(section, dict) else None
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        missing = [n for n in Suppression.__struct_fields__ if isinstance(table, dict) and n not in table]
        if missing:
            yield f"gate.suppressions[{index}] lacks {', '.join(missing)}"


def _meant(word: str, choices: Sequence[str]) -> str:
    near = nearest(word, list(choices))
    return f" (did you mean {near}?)" if near else f" (known: {', '.join(choices)})" if len(choices) < 20 else ""


def judge(tree: ChangedTree, case: CaseFile, today: date, base_case: CaseFile | None = None) -> Verdict:
    """Judge a change.

    Args:
        tree: the change, measured with sites.
        case: the rules.
        today: the day that suppressions are compared with.
        base_case: the rules before the change, to tell expired suppressions that were there already.
    """
    section = gate_section(case)
    rules = CensusCase.of(case)
    before = Placer(rules, tree.before.paths, tree.before.kept)
    after = Placer(rules, tree.after.paths, tree.after.kept)
    findings: list[Finding] = []
    unknown: list[str] = []
    everywhere_exempt = PathGlobs(section.exempt, where="gate.exempt")
    for zone in section.zones:
        judged = _JudgedZone(zone, everywhere_exempt, tree, before, after)
        findings += judged.findings()
        unknown += judged.unknown_growth
    findings = _numbered(findings)
    findings, used = _suppress(findings, section.suppressions, today)
    findings += _expired(section.suppressions, case, base_case, today)
    findings.sort(key=lambda f: (f.path, f.line, f.rule, f.zone, f.fingerprint))
    warnings = [
        f"{case.file}: the suppression of {s.rule} in {s.path} suppresses nothing"
        for index, s in enumerate(section.suppressions)
        if index not in used and s.expires >= today
    ]
    globs = [*section.exempt, *(g for z in section.zones for g in (*z.paths, *z.exempt)), *rules.globs()]
    warnings += [
        f"{case.file}: the glob {glob} matches nothing" + (f" (nearest: {near})" if near else "")
        for glob, near in unmatched(globs, tree.after.paths)
    ]
    warnings += unknown
    grown = sorted({f.path for f in findings if f.rule == "PVG002"})
    return Verdict(findings, len(tree.changes), warnings, grown)


class _JudgedZone:
    """The changed files of one zone."""

    def __init__(self, zone: Zone, exempt: PathGlobs, tree: ChangedTree, before: Placer, after: Placer) -> None:
        self.zone = zone
        self.tree = tree
        self.before, self.after = before, after
        self._inside = PathGlobs(zone.paths, where=f"gate.zones.{zone.name}.paths")
        self._exempt = (PathGlobs(zone.exempt, where=f"gate.zones.{zone.name}.exempt"), exempt)
        self._new_files = _languages(zone.no_new_files)
        self._new_lines = _languages(zone.no_new_lines)
        self.unknown_growth: list[str] = []
        """Warnings, known once the findings are."""

    def holds(self, path: str | None) -> bool:
        """Is the path in the zone and not exempt?"""
        return path is not None and self._inside.matches(path) and not any(e.matches(path) for e in self._exempt)

    def _reaches_into(self, repository: str) -> bool:
        """May files of a submodule or nested repository at this path be in the zone?"""
        inside = (repository, *(f"{repository}/x{ending}" for ending in (*_C_LIKE, ".rs")))
        if any(self.holds(path) for path in inside):
            return True
        below = (glob.strip().removeprefix("./").removeprefix("/") for glob in self.zone.paths)
        return any(glob.startswith(repository + "/") for glob in below)

    def _unseen(self, change: Change) -> Finding:
        path = change.new_path or ""
        state: Literal["new", "unchanged"] = "unchanged" if change.old_mode == SUBMODULE else "new"
        message = f"{path} is a submodule or nested repository: what it holds is unknown"
        return self._finding("PVG005", path, 1, message, "submodule", state)

    def findings(self) -> list[Finding]:
        found: list[Finding] = []
        unsafe: list[tuple[str, FileFacts | None, FileFacts | None]] = []
        for change in self.tree.changes:
            was_inside = self.holds(change.old_path) and change.old_mode not in NOT_FILES
            if change.new_mode == SUBMODULE and self._reaches_into(change.new_path or ""):
                found.append(self._unseen(change))
            is_inside = self.holds(change.new_path) and change.new_mode != SUBMODULE
            old = self.tree.before.facts.get(change.old_path or "") if was_inside else None
            new = self.tree.after.facts.get(change.new_path or "") if is_inside else None
            path = change.new_path or change.old_path or ""
            if is_inside:
                found += self._lines(path, old, new, appeared=not was_inside)
            if was_inside or is_inside:
                unsafe.append((path, old, new))
        if self.zone.no_growth:
            found += self._growth(unsafe)
            self.unknown_growth = [
                f"{path} could not be counted before: whether its unsafe code grew (zone {self.zone.name}) is unknown"
                for path, old, new in unsafe
                if not _known(old) and _known(new) and any(_count(new, name) for name in self.zone.no_growth)
            ]
        if self.zone.safety_comments:
            found += self._undocumented(unsafe)
        return found

    def _lines(self, path: str, old: FileFacts | None, new: FileFacts | None, *, appeared: bool) -> list[Finding]:
        about_unsafe = bool(self.zone.no_growth) or self.zone.safety_comments
        if new is None or new.counts is None:
            about = (self._new_files or self._new_lines) and path.endswith(_C_LIKE)
            about = about or (about_unsafe and path.endswith(".rs"))
            missing = new.reason if new else self._why_missing(path)
            if about and missing:
                return [self._finding("PVG005", path, 1, f"{path} cannot be judged: {missing}", missing)]
            return []
        language = self.after.place(new).language
        found = []
        if language == "Rust" and about_unsafe and new.rust is not None and new.rust.counts is None:
            why = new.rust.indeterminate or "does not parse"
            known = old is not None and old.rust is not None and old.rust.counts is None
            state: Literal["new", "unchanged"] = "unchanged" if known else "new"
            message = f"{path} {why}: its unsafe code is unknown"
            found.append(self._finding("PVG005", path, 1, message, "rust", state))
        if appeared and language in self._new_files:
            lines = f"{new.counts.code:,} line{'s' if new.counts.code != 1 else ''} of code"
            message = f"new {language} file in the zone {self.zone.name}: {lines}"
            found.append(self._finding("PVG001", path, 1, message, ""))
        elif language in self._new_lines:
            was = old.counts.code if old and old.counts else 0
            more = new.counts.code - was
            if more > 0:
                message = (
                    f"{more:,} more line{'s' if more > 1 else ''} of {language} in the zone {self.zone.name} "
                    f"({was:,} before, {new.counts.code:,} now)"
                )
                found.append(self._finding("PVG002", path, 1, message, ""))
        return found

    def _why_missing(self, path: str) -> str | None:
        return next((n.reason for n in self.tree.not_counted if n.path == path and "link" not in n.reason), None)

    def _growth(self, files: list[tuple[str, FileFacts | None, FileFacts | None]]) -> list[Finding]:
        found = []
        for name in self.zone.no_growth:
            deltas = [(_count(new, name) - _count(old, name), path) for path, old, new in files if _known(old, new)]
            total = sum(delta for delta, _ in deltas)
            if total <= 0:
                continue
            path = min((-delta, path) for delta, path in deltas)[1]
            grew = ", ".join(f"{p} {d:+,}" for d, p in sorted(deltas, key=lambda x: (-x[0], x[1])) if d > 0)
            label = name.replace("_", " ").removesuffix("s") + ("s" if total > 1 else "")
            message = f"{total:,} more {label} in the zone {self.zone.name} ({grew})"
            new = self.tree.after.facts.get(path)
            line = _first_new_site(self.tree, path, new)
            found.append(self._finding("PVG003", path, line, message, name))
        return found

    def _undocumented(self, files: list[tuple[str, FileFacts | None, FileFacts | None]]) -> list[Finding]:
        """New sites without a comment. One that only moved, within its file or the zone, is not new."""
        left: Counter[tuple[str, str]] = Counter()
        appeared: list[tuple[str, UnsafeSite]] = []
        for path, old, new in files:
            was = Counter((s.kind, s.text) for s in _bare_sites(old))
            for site in _bare_sites(new):
                if was[site.kind, site.text] > 0:
                    was[site.kind, site.text] -= 1
                else:
                    appeared.append((path, site))
            left += was
        found = []
        for path, site in appeared:
            if left[site.kind, site.text] > 0:
                left[site.kind, site.text] -= 1
                continue
            where = " in a macro body" if site.in_macro else ""
            message = f"unsafe {site.kind}{where} without a // SAFETY: comment"
            found.append(self._finding("PVG004", path, site.line, message, f"{site.kind}|{site.text}"))
        return found

    def _finding(
        self,
        rule: str,
        path: str,
        line: int,
        message: str,
        detail: str,
        state: Literal["new", "unchanged"] = "new",
    ) -> Finding:
        key = "\0".join((rule, self.zone.name, path, detail))
        return Finding(rule, _BY_NAME[rule].name, self.zone.name, path, line, message, key, state)


def _languages(names: Iterable[str]) -> frozenset[str]:
    return frozenset(language for name in names for language in _WITH_HEADERS.get(name, (name,)))


def _known(*sides: FileFacts | None) -> bool:
    return all(side is None or side.rust is None or side.rust.counts is not None for side in sides)


def _count(side: FileFacts | None, name: str) -> int:
    if side is None or side.rust is None or side.rust.counts is None:
        return 0
    counts = side.rust.counts
    return int(getattr(counts, name)) + int(getattr(counts, f"macro_{name}", 0))


def _bare_sites(side: FileFacts | None) -> Sequence[UnsafeSite]:
    if side is None or side.rust is None:
        return ()
    return [s for s in side.rust.sites if s.kind in ("block", "impl") and not s.documented]


def _first_new_site(tree: ChangedTree, path: str, new: FileFacts | None) -> int:
    if new is None or new.rust is None or not new.rust.sites:
        return 1
    old_path = next((c.old_path for c in tree.changes if c.new_path == path), None)
    old = tree.before.facts.get(old_path or "")
    left = Counter((s.kind, s.text) for s in (old.rust.sites if old and old.rust else ()))
    for site in new.rust.sites:
        if left[site.kind, site.text] <= 0:
            return site.line
        left[site.kind, site.text] -= 1
    return new.rust.sites[0].line


def _numbered(findings: list[Finding]) -> list[Finding]:
    """Fingerprints that survive moves of lines: rule, zone, path, text, and which of several alike."""
    seen: dict[str, int] = defaultdict(int)
    numbered = []
    for finding in sorted(findings, key=lambda f: (f.path, f.line, f.rule, f.zone)):
        key = finding.fingerprint
        seen[key] += 1
        digest = hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        numbered.append(msgspec.structs.replace(finding, fingerprint=digest))
    return numbered


def _suppress(
    findings: list[Finding], suppressions: Sequence[Suppression], today: date
) -> tuple[list[Finding], set[int]]:
    compiled = [(index, s, PathGlobs([s.path], where="gate.suppressions")) for index, s in enumerate(suppressions)]
    used: set[int] = set()
    result = []
    for finding in findings:
        for index, suppression, globs in compiled:
            same_rule = suppression.rule in (finding.rule, finding.name)
            if same_rule and suppression.expires >= today and globs.matches(finding.path):
                used.add(index)
                reason = f"{suppression.reason} (until {suppression.expires.isoformat()})"
                finding = msgspec.structs.replace(finding, suppressed=True, reason=reason)  # noqa: PLW2901  (the point)
                break
        result.append(finding)
    return result, used


def _expired(
    suppressions: Sequence[Suppression], case: CaseFile, base_case: CaseFile | None, today: date
) -> list[Finding]:
    try:
        base_section = base_case.decode("gate", GateSection) if base_case else None
    except CaseError:
        base_section = None
    known = set(base_section.suppressions) if base_section else set()
    rule_name = _BY_NAME["PVG006"].name
    found = []
    for index, suppression in enumerate(suppressions):
        if suppression.expires < today:
            rule = _BY_NAME[suppression.rule]
            message = (
                f"the suppression of {rule.id} {rule.name} in {suppression.path} expired on "
                f"{suppression.expires.isoformat()}: {suppression.reason}"
            )
            key = "\0".join(("PVG006", suppression.rule, suppression.path, suppression.expires.isoformat()))
            state: Literal["new", "unchanged"] = "unchanged" if suppression in known else "new"
            digest = hashlib.sha256(key.encode()).hexdigest()[:32]
            line = case.line_of("gate.suppressions", index, len(suppressions))
            found.append(Finding("PVG006", rule_name, "", case.file, line, message, digest, state))
    return found
