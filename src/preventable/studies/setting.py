"""What ``compare``, ``lifetimes`` and ``claims`` share: the section ``[compare]`` and all inputs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from preventable.errors import CaseError, InputError
from preventable.evidence.merge import by_id
from preventable.readers.case_file import CaseFile
from preventable.readers.exposure import ExposureFile, joined, parse_exposure, read_exposure
from preventable.readers.git_dates import commit_dates, tag_dates
from preventable.readers.registry import load
from preventable.records import Advisory, CodeRange, Label, ReadReport
from preventable.studies.compare import Reading, Sides
from preventable.studies.embedded import embedded_releases, embedded_releases_report, load_facts
from preventable.studies.events import Dates, Events, date_events, window
from preventable.studies.exposure import Exposure
from preventable.studies.gather import dated_loads, dates_by_embedded, merge_loads, releases_of
from preventable.taxonomy.loader import Methodology

Labeller = Callable[[Sequence[Advisory]], Mapping[str, Label]]
EMBEDDED = "embedded:"
EMBEDDED_CASE = "embedded:linux/case.toml"
NO_RECORDS = frozenset({"releases", "kev"})


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ``[compare]`` section. File names are relative to the case file; ``embedded:linux/…`` names a file
    that comes with Preventable."""

    name: str = "the code"
    new: str = "Rust"
    old: str = "C"
    headers: Literal["old", "new", "neither"] = "old"
    regime_start: date | None = None
    """Fixes before it belong to another numbering regime; None: everything is one regime."""
    regime_reason: str = ""
    settle_days: int = 45
    """A fix counts only if it lies this long before the end of the data: records come late."""
    exposure: str | None = None
    readings: str | None = None
    facts: tuple[str, ...] = ()
    """Facts files of pairs whose code is not at hand."""
    releases: str | None = None
    first_release: str | None = None
    """The oldest release that can be told apart; what it introduced is only known to be older."""
    first_date: date | None = None
    primary: str = "strict"

    def sides(self) -> Sides:
        """Newcomer and incumbent."""
        return Sides(self.new, self.old, self.headers)


class Inputs(msgspec.Struct, frozen=True):
    """Everything read, dated and labelled."""

    setting: Setting
    advisories: tuple[Advisory, ...]
    labels: Mapping[str, Label]
    labelled: bool
    events: Events
    exposure: ExposureFile | None
    readings: Mapping[str, Reading]
    methodologies: Mapping[str, Methodology]
    start: date
    end: date
    data_date: date
    reports: tuple[ReadReport, ...]
    releases: Mapping[str, date]

    def lines(self) -> Exposure:
        """The exposure, which must be there.

        Raises:
            InputError: no exposure facts were given.
        """
        if self.exposure is None:
            raise InputError(
                "no exposure is known: without lines of code there is no rate",
                hint="Name a CSV of snapshots with --exposure, or in [compare] exposure; see docs/compare.md",
            )
        return Exposure(self.exposure.rows)

    def described(self) -> list[dict[str, object]]:
        """What the JSON envelope says was read."""
        rows: list[dict[str, object]] = [
            {
                "location": Path(r.location).name,
                "format": r.format,
                "digest": r.digest,
                "data_date": r.data_date,
                "read": r.read,
                "failed": r.failed,
                "rejected": r.rejected,
                "duplicate": r.duplicate,
                "joined": r.joined,
            }
            for r in self.reports
        ]
        if self.exposure is not None:
            rows.append(
                {
                    "location": Path(self.exposure.file).name,
                    "format": "exposure",
                    "digest": self.exposure.digest,
                    "data_date": max(r.date for r in self.exposure.rows),
                    "read": len(self.exposure.rows),
                }
            )
        return rows


def setting_of(case: CaseFile | None) -> Setting:
    """The ``[compare]`` section, or the defaults."""
    return (case.decode("compare", Setting) if case else None) or Setting()


def read_inputs(
    setting: Setting,
    base: Path,
    locations: Sequence[str],
    *,
    labeller: Labeller,
    methodologies: Mapping[str, Methodology],
    releases: str | None = None,
    exposure: Sequence[str] = (),
    repository: Path | None = None,
    quiet: bool = True,
) -> Inputs:
    """Read feeds, releases, exposure and readings; label and date the advisories.

    Args:
        setting: of the case.
        base: directory that the names in the setting are relative to.
        locations: advisory feeds and release dates, in any order; the embedded Linux facts if none is given.
        labeller: advisories -> labels.
        methodologies: by id.
        releases: file of release dates, instead of the setting's.
        exposure: files of exposure facts (``DATE=FILE`` for a saved census), instead of the setting's.
        repository: a git clone whose tags and commits date versions and commits.
        quiet: no progress.
    Raises:
        InputError: nothing usable, or no release dates where the records name only versions.
    """
    names = list(locations)
    if releases or setting.releases:
        names.append(releases or _beside(base, setting.releases or ""))
    tags = tag_dates(repository) if repository is not None else {}
    loads = dated_loads([load(name, quiet=quiet) for name in names], tags)
    versions = releases_of(loads)
    by_embedded = dates_by_embedded(loads)
    embedded, embedded_labels, own = ([], {}, []) if locations else embedded_records()
    commits: Mapping[str, date] = {}
    if repository is not None:
        read = [*embedded, *(a for one in loads for a in one.advisories)]
        wanted = {c for a in read for r in a.ranges for c in (r.introduced_commit, r.fixed_commit) if c}
        commits = commit_dates(repository, wanted)
    advisories, loads = merge_loads(loads, dated_commits=commits)
    reports = [one.report for one in loads]
    if locations:
        if not advisories:
            raise InputError("no advisory in the feeds that were named", hint="Release dates alone are no feed")
        labels = labeller(advisories)
    else:
        advisories, labels = embedded, embedded_labels
        reports += own
        versions = versions or embedded_releases()
    if by_embedded:
        reports.append(embedded_releases_report())
    versions = {**versions, **tags}
    table = _exposure(exposure, Path()) if exposure else _exposure([setting.exposure or ""], base)
    place = Exposure(table.rows).component_of if table else _first_directory
    dates = Dates(versions, commits, setting.first_release, setting.first_date)
    events = date_events(advisories, labels, dates, place)
    data_date = max((r.data_date for r in reports if r.data_date and r.format not in NO_RECORDS), default=None)
    if not events.events:
        why = "; ".join(f"{n:,}: {reason}" for reason, n in events.undated.items())
        raise InputError(
            f"no record could be dated by its fix ({why})",
            hint="Give release dates with --releases, or a clone with --repository",
        )
    if data_date is None:
        data_date = events.events[-1].fixed
    start = setting.regime_start or events.events[0].fixed
    start, end = window(events.events, start, data_date, setting.settle_days)
    return Inputs(
        setting=setting,
        advisories=tuple(advisories),
        labels=labels,
        labelled=any(label.weakness != "unknown" for label in labels.values()),
        events=events,
        exposure=table,
        readings=by_id(_readings(setting.readings, base), advisories),
        methodologies=methodologies,
        start=start,
        end=end,
        data_date=data_date,
        reports=tuple(reports),
        releases={**embedded_releases(), **versions} if by_embedded else versions,
    )


def embedded_records() -> tuple[list[Advisory], Mapping[str, Label], list[ReadReport]]:
    """The embedded Linux facts as records without prose, with the labels that they were given."""
    evidence = load_facts()
    paths: dict[str, list[str]] = {}
    for name, path in evidence.files.select("id", "path").iter_rows():
        paths.setdefault(name, []).append(path)
    spans: dict[str, list[CodeRange]] = {}
    for row in evidence.ranges.iter_rows(named=True):
        spans.setdefault(row["id"], []).append(
            CodeRange(
                introduced_version=row["introduced_version"], introduced_commit=row["introduced_commit"],
                introduced_date=row["introduced"], fixed_version=row["fixed_version"],
                fixed_commit=row["fixed_commit"], fixed_date=row["fixed"], mainline=row["mainline"],
            )
        )  # fmt: skip
    advisories, labels = [], {}
    columns = ("id", "feed", "published", "withdrawn", "weakness", "label_source", "cwe")
    for name, feed, published, withdrawn, weakness, source, cwe in evidence.advisories.select(columns).iter_rows():
        advisories.append(
            Advisory(
                id=name, feed=feed, file=f"{EMBEDDED}linux", published=published, withdrawn=withdrawn,
                files=tuple(paths.get(name, ())), ranges=tuple(spans.get(name, ())),
            )
        )  # fmt: skip
        labels[name] = Label(name, weakness, source, cwe)
    return advisories, labels, list(evidence.reports)


def text_of(name: str, base: Path) -> tuple[bytes, str]:
    """Bytes and display name of a file that a case names.

    Raises:
        CaseError: it does not exist.
    """
    if name.startswith(EMBEDDED):
        source = files("preventable.data").joinpath(*name.removeprefix(EMBEDDED).split("/"))
        if not source.is_file():
            raise CaseError(f"nothing embedded is called {name!r}", field="compare")
        return source.read_bytes(), name
    path = base / name
    if not path.is_file():
        raise CaseError("a file that the case names does not exist", file=str(path))
    return path.read_bytes(), str(path)


def _exposure(names: Sequence[str], base: Path) -> ExposureFile | None:
    found = []
    for name in names:
        if not name:
            continue
        day, equals, path = name.partition("=")
        if name.startswith(EMBEDDED):
            found.append(parse_exposure(*text_of(name, base)))
        elif equals and re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            found.append(read_exposure(base / path, date.fromisoformat(day)))
        else:
            found.append(read_exposure(base / name))
    return joined(found) if found else None


def _readings(name: str | None, base: Path) -> dict[str, Reading]:
    if name is None:
        return {}
    data, shown = text_of(name, base)
    try:
        document = tomllib.loads(data.decode("utf-8"))
        rows = msgspec.convert(document.get("readings", []), list[Reading])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CaseError(f"the hand readings cannot be read: {error}", file=shown) from error
    return {row.id: row for row in rows}


def _beside(base: Path, name: str) -> str:
    return name if Path(name).is_absolute() else str(base / name)


def _first_directory(path: str) -> str | None:
    head, slash, _ = path.partition("/")
    return head if slash else None
