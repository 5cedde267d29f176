"""One suite over every registered reader and every container it may come in."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest
import zstandard

from preventable.errors import ArchiveError, FormatError, InputError, PreventableError, RecordError, UsageError
from preventable.readers import registry, sources
from preventable.readers.base import Options
from preventable.readers.registry import READERS, Load, fingerprint, load
from support.feeds import CONTAINERS, FEEDS, Feed, packed, place, tar_bytes, zip_bytes

TODAY = Options(today=date(2026, 1, 1))
ADVISORY_FEEDS = [f for f in FEEDS.values() if READERS[f.name].kind == "advisories"]
ARCHIVES = [c for c in CONTAINERS if c != "directory"]
each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS.keys())
each_advisory_feed = pytest.mark.parametrize("feed", ADVISORY_FEEDS, ids=lambda f: f.name)
each_container = pytest.mark.parametrize("container", CONTAINERS)


def records(loaded: Load) -> object:
    return loaded.advisories, dict(loaded.marks), dict(loaded.releases)


def total(loaded: Load) -> int:
    r = loaded.report
    return r.read + r.rejected + r.duplicate + r.failed


def test_every_reader_has_a_fixture_and_says_what_a_user_needs() -> None:
    assert FEEDS.keys() == READERS.keys()
    for name, reader in READERS.items():
        assert reader.name == name
        assert reader.licence
        assert reader.where
        assert reader.kind in ("advisories", "marks", "releases")


@each_feed
@each_container
def test_counts_and_records(feed: Feed, container: str, tmp_path: Path) -> None:
    """Recognised without --from; the same records from every container; everything is accounted for."""
    loaded = load(str(place(feed.members(), container, tmp_path)), options=TODAY)
    report = loaded.report
    assert report.format == feed.name
    assert (report.read, report.rejected, report.duplicate, report.failed) == (
        feed.read, feed.rejected, 0, feed.failed,
    ), report.rows  # fmt: skip
    assert report.licence == READERS[feed.name].licence
    assert len(report.rows) == report.failed
    if feed.ids:
        assert tuple(a.id for a in loaded.advisories) == feed.ids
    plain = load(str(feed.directory), options=TODAY)
    assert records(loaded) == records(plain)
    assert report.data_date == plain.report.data_date is not None


@each_feed
@each_container
def test_digest_is_stable_and_is_the_fingerprint(feed: Feed, container: str, tmp_path: Path) -> None:
    place_ = place(feed.members(), container, tmp_path / "one")
    digest = load(str(place_), options=TODAY).report.digest
    assert digest.startswith("sha256:")
    assert digest == load(str(place(feed.members(), container, tmp_path / "two")), options=TODAY).report.digest
    assert fingerprint(str(place_)) == fingerprint(str(place_))
    if container != "directory":
        assert fingerprint(str(place_)) == digest


@each_feed
def test_a_plain_file(feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / Path(feed.single).name
    path.write_bytes(feed.members()[feed.single])
    named = load(str(path), format_name=feed.name, options=TODAY)
    assert named.report.read == feed.single_read
    if feed.name != "kernel_cna":  # one kernel record alone has nothing that tells it from another CVE record
        assert load(str(path), options=TODAY).report == named.report
    compressed = path.with_name(path.name + ".zst")
    compressed.write_bytes(zstandard.compress(path.read_bytes()))
    assert records(load(str(compressed), format_name=feed.name, options=TODAY)) == records(named) or (
        [msgspec.structs.replace(a, file="") for a in load(str(compressed), format_name=feed.name).advisories]
        == [msgspec.structs.replace(a, file="") for a in named.advisories]
    )


@each_feed
@pytest.mark.parametrize("container", ["directory", "tar", "zip"])
def test_an_empty_feed_is_an_error(feed: Feed, container: str, tmp_path: Path) -> None:
    (tmp_path / "feed").mkdir()
    with pytest.raises(InputError):
        load(str(place({}, container, tmp_path)))
    with pytest.raises(InputError):
        load(str(place({}, container, tmp_path)), format_name=feed.name)
    nothing = {"README.txt": b"nothing of ours\n"}
    with pytest.raises(FormatError):
        load(str(place(nothing, container, tmp_path / "other")))


@each_feed
def test_an_empty_file_is_an_error(feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / Path(feed.single).name
    path.write_bytes(b"")
    with pytest.raises(InputError):
        load(str(path))
    with pytest.raises(InputError):
        load(str(path), format_name=feed.name)


def broken_member(feed: Feed) -> tuple[str, bytes]:
    """One more member (or, for row formats, one more row in the member) that cannot be read."""
    return {
        "kernel_cna": ("cve/published/2024/CVE-2024-99999.json", b'{"dataType": "CVE_RECORD", "cveMetadata": 3}'),
        "cve5": ("cves/2024/99xxx/CVE-2024-99999.json", b'{"dataType": "CVE_RECORD", "cveMetadata": {'),
        "osv": ("zz.json", b'{"id": 7, "schema_version": "1.4.0"}'),
        "rustsec": ("crates/x/RUSTSEC-2024-9999.md", b"```toml\n[advisory\n```\n\n# t\n"),
        "kev": ("other.json", b'{"catalogVersion": "1"}'),
        "releases": ("other.json", b'{"versions": ['),
        "jsonl": ("other.jsonl", b'{"id": "X-1", "title": \n'),
        "csv": ("other.csv", b"id,title\nX-1\n"),
    }[feed.name]


@each_feed
@each_container
def test_a_corrupt_member_is_a_row_and_nothing_else_is_lost(feed: Feed, container: str, tmp_path: Path) -> None:
    name, data = broken_member(feed)
    where = str(place({**feed.members(), name: data}, container, tmp_path))
    loaded = load(where, format_name=feed.name, options=TODAY)
    assert (loaded.report.read, loaded.report.failed) == (feed.read, feed.failed + 1)
    row = next(r for r in loaded.report.rows if r.file == name)
    assert row.reason
    with pytest.raises(RecordError) as error:
        load(where, format_name=feed.name, options=TODAY, strict=True)
    assert error.value.file is not None


@each_feed
def test_not_utf8_is_a_row(feed: Feed, tmp_path: Path) -> None:
    name, _ = broken_member(feed)
    bad = {
        "csv": b"id,title,text\nX-1,\xff\xfe,x\n",
        "jsonl": b'{"id": "X-1", "title": "\xff\xfe"}\n',
        "kev": b'{"catalogVersion": "1", "vulnerabilities": [{"cveID": "CVE-1-\xff", "dateAdded": "2024-01-01"}]}',
        "releases": b'{"versions": {"9.9": {"date": "2024-\xff"}}}',
        "rustsec": b'```toml\n[advisory]\nid = "RUSTSEC-2024-9999"\n```\n# \xff\n',
    }.get(feed.name)
    if bad is None:
        good = feed.members()[feed.single]
        bad = good.replace(b'"value": "', b'"value": "\xff').replace(b'"summary": "', b'"summary": "\xff')
        assert b"\xff" in bad
    loaded = load(str(place({**feed.members(), name: bad}, "tar", tmp_path)), format_name=feed.name, options=TODAY)
    assert loaded.report.read == feed.read
    assert any(r.file == name for r in loaded.report.rows), loaded.report.rows


@each_feed
def test_deep_nesting_is_a_row(feed: Feed, tmp_path: Path) -> None:
    name, _ = broken_member(feed)
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    if feed.name == "rustsec":
        deep = b"```toml\nx = " + b"[" * 100_000 + b"]" * 100_000 + b"\n```\n"
    if feed.name == "csv":
        deep = b"id,title\n" + b'"' * 100_001 + b"\n"
    loaded = load(str(place({**feed.members(), name: deep}, "tar", tmp_path)), format_name=feed.name, options=TODAY)
    assert loaded.report.read == feed.read
    assert loaded.report.failed == feed.failed + 1


@each_feed
def test_an_oversized_record_is_a_row(feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered instead of writing 16 MiB."""
    limit = 20_000
    for module in ("sources", "osv", "tabular", "kev", "releases"):
        target = f"preventable.readers.{module}"
        for constant in ("MAX_RECORD_BYTES", "MAX_DOCUMENT_BYTES"):
            monkeypatch.setattr(f"{target}.{constant}", limit, raising=False)
    monkeypatch.setattr(sources.Member.read, "__defaults__", (limit,))
    name, _ = broken_member(feed)
    big = b'{"id": "BIG-1", "title": "' + b"x" * (3 * limit) + b'"}\n'
    if feed.name == "csv":
        big = b'id,title\nBIG-1,"' + b"x" * (3 * limit) + b'"\nBIG-2,fine\n'
    for container in ("directory", "tar.gz", "zip"):
        where = place({**feed.members(), name: big}, container, tmp_path / container)
        loaded = load(str(where), format_name=feed.name, options=TODAY)
        assert loaded.report.read >= feed.read
        assert any(name == r.file and "limit" in r.reason for r in loaded.report.rows), loaded.report.rows


DATED: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "cve5": lambda d: (
        "cves/2024/99xxx/CVE-2024-99998.json",
        FEEDS["cve5"].members()["cves/2024/90xxx/CVE-2024-90101.json"]
        .replace(b"CVE-2024-90101", b"CVE-2024-99998").replace(b"2024-01-10T08:30:00.123Z", d.encode()),
    ),
    "osv": lambda d: (
        "zz.json", json.dumps({"schema_version": "1.4.0", "id": "CVE-2024-99998", "published": d}).encode()
    ),
    "rustsec": lambda d: (
        "crates/x/RUSTSEC-2024-9998.md",
        f'```toml\n[advisory]\nid = "CVE-2024-99998"\ndate = "{d}"\n```\n\n# t\n'.encode(),
    ),
    "jsonl": lambda d: ("z.jsonl", json.dumps({"id": "CVE-2024-99998", "title": "t", "published": d}).encode()),
    "csv": lambda d: ("z.csv", f"id,title,published\nCVE-2024-99998,t,{d}\n".encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", DATED)
@pytest.mark.parametrize(
    ("day", "warned"),
    [
        ("2024-03-04T23:30:00-05:00", False),
        ("2031-01-01T00:00:00Z", True),
        ("1970-01-01T00:00:00Z", False),
        ("1969-12-31T00:00:00Z", True),
        ("yesterday", True),
    ],
)
def test_dates(name: str, day: str, warned: bool, tmp_path: Path) -> None:
    """A good instant is taken to UTC; 1970 means unknown; the future and nonsense are unknown, with a warning."""
    member, data = DATED[name](day)
    loaded = load(str(place({member: data}, "directory", tmp_path)), format_name=name, options=TODAY)
    (record,) = loaded.advisories
    assert record.published == (date(2024, 3, 5) if day.startswith("2024") else None)
    assert bool([w for w in loaded.report.warnings if w.record == "CVE-2024-99998"]) == warned


def test_kernel_dates_come_from_published_csv_in_utc(tmp_path: Path) -> None:
    loaded = load(str(FEEDS["kernel_cna"].directory), options=TODAY)
    assert [a.published for a in loaded.advisories] == [date(2024, 2, 27), date(2024, 3, 2), date(2025, 5, 6)]
    members = FEEDS["kernel_cna"].members()
    members["cve/published.csv"] += b"CVE-2024-90002,2031-01-01T00:00:00Z\n"
    late = load(str(place(members, "tar", tmp_path)), options=TODAY)
    assert [w.field for w in late.report.warnings] == ["published"]
    with pytest.raises(RecordError):
        load(str(tmp_path / "feed.tar"), options=TODAY, strict=True)


def test_kernel_pairs_and_files() -> None:
    loaded = load(str(FEEDS["kernel_cna"].directory), options=TODAY)
    first, second, third = loaded.advisories
    assert first.title == "example: fix use-after-free on close"
    assert first.text.startswith("The worker still holds the object.")
    assert [(r.introduced_version, r.fixed_version, r.mainline) for r in first.ranges] == [
        ("5.10", "6.1.70", False), ("5.10", "6.7", True),
    ]  # fmt: skip
    assert first.files == ("drivers/example/core.c", "include/linux/example.h")
    assert (first.severity, first.cvss_score) == ("high", 7.8)
    assert second.ranges[0].introduced_version is None
    assert second.severity is None
    assert not any(r.mainline for r in third.ranges)


def test_a_clone_of_the_kernel_records_is_dated_by_its_history(tmp_path: Path) -> None:
    """Without published.csv the date is that of the commit that added the record, not of a later change."""
    members = FEEDS["kernel_cna"].members()
    del members["cve/published.csv"]
    clone = tmp_path / "vulns"

    def git(*arguments: str, when: str = "2024-02-20T23:30:00-05:00") -> None:
        subprocess.run(
            ["git", "-C", str(clone), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "HOME": str(tmp_path)},
        )

    clone.mkdir()
    git("init", "-q")
    for name, data in members.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes(data)
    git("add", "cve/published/2024")
    git("commit", "-q", "-m", "one")
    git("add", ".")
    git("commit", "-q", "-m", "two", when="2025-05-06T12:00:00+00:00")
    changed = clone / "cve/published/2024/CVE-2024-90001.dyad"
    changed.write_bytes(changed.read_bytes() + b"\n")
    git("commit", "-q", "-a", "-m", "three", when="2025-09-09T12:00:00+00:00")
    loaded = load(str(clone), options=TODAY)
    assert loaded.report.format == "kernel_cna"
    assert loaded.report.digest.startswith("git:")
    assert (loaded.report.read, loaded.report.rejected) == (3, 1)
    assert [a.published for a in loaded.advisories] == [date(2024, 2, 21), date(2024, 2, 21), date(2025, 5, 6)]
    assert fingerprint(str(clone)) == loaded.report.digest


def test_cve5_takes_both_containers_and_says_who() -> None:
    first, second = load(str(FEEDS["cve5"].directory), options=TODAY).advisories
    assert [(c.cwe, c.said_by) for c in first.cwes] == [(20, "cna:example"), (122, "adp:CISA-ADP")]
    assert first.text == "A long header overflows a heap buffer."
    assert first.package == "Example Parser"
    assert (first.ranges[0].introduced_version, first.ranges[0].fixed_version) == ("1.0", "1.2.3")
    assert [(c.cwe, c.said_by) for c in second.cwes] == [(79, "cna:example")]
    assert (second.severity, second.cvss_score) == ("medium", 5.1)
    assert second.ranges[0].introduced_version is None


def test_osv_ranges_cwes_and_withdrawal() -> None:
    double, withdrawn, cookie, heap = load(str(FEEDS["osv"].directory), options=TODAY).advisories
    assert (double.severity, double.package, double.cwes[0].cwe) == ("high", "decoder", 415)
    assert double.ranges[0].introduced_version is None
    assert withdrawn.withdrawn == date(2024, 7, 1)
    assert cookie.ranges[0].introduced_commit is None
    assert cookie.ranges[0].fixed_commit == "3" * 40
    assert (heap.severity, heap.cwes[0].cwe, heap.package) == ("critical", 122, "transfer")
    assert [(r.introduced_version, r.introduced_commit) for r in heap.ranges] == [("7.69.0", None), (None, "1" * 40)]


def test_rustsec_kev_and_releases() -> None:
    old, buffer = load(str(FEEDS["rustsec"].directory), options=TODAY).advisories
    assert (old.informational, buffer.informational) == ("unmaintained", None)
    assert buffer.title == "Out-of-bounds write when a buffer grows"
    assert [r.fixed_version for r in buffer.ranges] == ["0.4.2", "0.3.9"]
    assert (buffer.severity, buffer.aliases, buffer.categories) == ("high", ("CVE-2024-90401",), ("memory-corruption",))
    kev = load(str(FEEDS["kev"].directory), options=TODAY)
    assert kev.marks == {"CVE-2024-90001": date(2024, 5, 30), "CVE-2024-90101": date(2024, 6, 1)}
    releases = load(str(FEEDS["releases"].directory), options=TODAY)
    assert releases.releases["6.8"] == date(2024, 3, 10)
    assert "0.01" not in releases.releases
    assert [r.record for r in releases.report.rows] == ["0.01"]


def test_rows_of_one_value_and_mapped_columns(tmp_path: Path) -> None:
    team = load(f"{FEEDS['jsonl'].directory}/bugs.jsonl#source=team", options=TODAY)
    assert [a.id for a in team.advisories] == ["BUG-1", "BUG-2"]
    table = tmp_path / "t.csv"
    table.write_text("Ref,What,When\nA,broken,2024-01-02\n", encoding="utf-8")
    with pytest.raises(FormatError, match="columns for id"):
        load(str(table))
    mapped = load(str(table), options=Options(columns={"id": "Ref", "title": "What", "published": "When"}))
    assert (mapped.advisories[0].id, mapped.advisories[0].published) == ("A", date(2024, 1, 2))
    with pytest.raises(UsageError, match="no column"):
        load(str(table), options=Options(columns={"id": "Nope"}))
    with pytest.raises(UsageError, match=r"unknown field 'nope'.*component"):
        load(str(table), options=Options(columns={"nope": "Ref"}))
    placed = load(str(table), options=Options(columns={"id": "Ref", "title": "What", "component": "When"}))
    assert placed.advisories[0].package == "2024-01-02"


def test_rows_of_one_value_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No row has nofield=x"):
        load(f"{FEEDS['jsonl'].directory}/bugs.jsonl#nofield=x", options=TODAY)
    with pytest.raises(UsageError, match="this is osv"):
        load(f"{FEEDS['osv'].directory}#source=x", options=TODAY)
    empty = tmp_path / "empty.json"
    empty.touch()
    with pytest.raises(FormatError, match="an empty file"):
        load(str(empty))


def test_a_cve_record_is_known_by_what_it_holds(tmp_path: Path) -> None:
    record = next(p for p in sorted(Path(FEEDS["cve5"].directory).rglob("CVE-*.json")))
    whole = json.loads(record.read_text(encoding="utf-8"))
    late = {"containers": whole.pop("containers"), "padding": "x" * 5000} | whole
    plain = tmp_path / "one.json"
    plain.write_text(json.dumps(late), encoding="utf-8")
    assert load(str(plain), options=TODAY).report.format == "cve5"


def test_kernel_records_without_any_date_are_told(tmp_path: Path) -> None:
    shutil.copytree(FEEDS["kernel_cna"].directory, tmp_path / "cve")
    for table in (tmp_path / "cve").rglob("published.csv"):
        table.unlink()
    found = load(str(tmp_path / "cve"), options=TODAY)
    assert [w.field for w in found.report.warnings][-1] == "published"
    assert not any(a.published for a in found.advisories)
    quoted = load(str(FEEDS["csv"].directory), options=TODAY).advisories
    assert quoted[0].text == 'The entry is freed, then read:\n"stale"'
    assert [c.cwe for c in quoted[2].cwes] == [122, 787]


@each_advisory_feed
def test_duplicates_and_conflicts(feed: Feed, tmp_path: Path) -> None:
    """The same record twice is a duplicate; another text under the same id is a conflict that is told."""
    members = feed.members()
    name = feed.single
    again, other = dict(members), dict(members)
    if feed.name in ("jsonl", "csv"):
        again["z" + name] = members[name]
        other["z" + name] = members[name].replace(b"past the end", b"beyond").replace(b"Wrong colour", b"Odd colour")
    else:
        prefix = "copy/cve/published/2024/" if feed.name == "kernel_cna" else "copy/"
        copied = prefix + Path(name).name
        again[copied] = members[name]
        other[copied] = (
            members[name].replace(b"buffer", b"array").replace(b"on close", b"on open").replace(b"heap", b"stack")
        )
        assert other[copied] != members[name]
    same = load(str(place(again, "zip", tmp_path / "a")), format_name=feed.name, options=TODAY)
    assert (same.report.read, same.report.failed) == (feed.read, feed.failed)
    assert same.report.duplicate == feed.single_read
    conflict = load(str(place(other, "zip", tmp_path / "b")), format_name=feed.name, options=TODAY)
    assert conflict.report.duplicate == feed.single_read
    if feed.name != "kernel_cna":
        assert any("conflicting" in w.reason for w in conflict.report.warnings)
        with pytest.raises(RecordError):
            load(str(tmp_path / "b" / "feed.zip"), format_name=feed.name, options=TODAY, strict=True)


def test_the_later_modified_of_two_records_stays(tmp_path: Path) -> None:
    rows = [
        {"schema_version": "1.4.0", "id": "A-1", "modified": when, "summary": text}
        for when, text in (("2024-05-01T00:00:00Z", "new"), ("2024-04-01T00:00:00Z", "old"))
    ]
    for order in (rows, rows[::-1]):
        path = tmp_path / "list.json"
        path.write_text(json.dumps(order), encoding="utf-8")
        loaded = load(str(path), options=TODAY)
        assert loaded.advisories[0].title == "new"
        assert len(loaded.report.warnings) == 1


@each_feed
@pytest.mark.parametrize("container", ARCHIVES)
def test_a_truncated_archive_is_never_taken_for_a_whole_one(feed: Feed, container: str, tmp_path: Path) -> None:
    """Cut at many places: an ArchiveError or a row that says so; never the silent loss of a record."""
    data = packed(feed.members(), container)
    whole = feed.read + feed.rejected + feed.failed
    path = tmp_path / f"feed.{container}"
    cuts = sorted({*range(1, len(data), max(len(data) // 60, 1)), len(data) - 1, *range(512, len(data), 512)})
    for cut in cuts:
        path.write_bytes(data[:cut])
        try:
            loaded = load(str(path), format_name=feed.name, options=TODAY)
        except PreventableError:
            continue
        assert loaded.report.failed > feed.failed or total(loaded) == whole, f"cut at {cut} of {len(data)}"
        if total(loaded) == whole and loaded.report.failed == feed.failed:
            assert cut >= len(data) - 10_240, f"cut at {cut} of {len(data)}: not noticed"


def encrypted_zip(members: dict[str, bytes]) -> bytes:
    """A zip whose members carry the mark of encryption (the standard library cannot write real ones)."""
    data = bytearray(zip_bytes(members))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


@each_feed
def test_an_encrypted_zip_is_an_error(feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / "feed.zip"
    path.write_bytes(encrypted_zip(feed.members()))
    with pytest.raises(ArchiveError, match="encrypted"):
        load(str(path), format_name=feed.name)


@each_feed
@pytest.mark.parametrize("prefix", ["../", "/", "a/../../", "C:/", "..\\"])
@pytest.mark.parametrize("container", ["tar", "zip"])
def test_paths_that_leave_the_archive_are_rows(feed: Feed, prefix: str, container: str, tmp_path: Path) -> None:
    members = {**feed.members(), prefix + feed.single: feed.members()[feed.single]}
    before = sorted(p for p in tmp_path.rglob("*"))
    loaded = load(str(place(members, container, tmp_path / "x")), format_name=feed.name, options=TODAY)
    assert loaded.report.read == feed.read
    assert loaded.report.failed == feed.failed + 1
    assert any("leaves the archive" in r.reason for r in loaded.report.rows)
    assert sorted(p for p in tmp_path.rglob("*") if p.parent != tmp_path / "x" and p != tmp_path / "x") == before


@each_feed
def test_links_are_not_followed(feed: Feed, tmp_path: Path) -> None:
    buffer = io.BytesIO(tar_bytes(feed.members()))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}-{Path(feed.single).name}")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    path = tmp_path / "feed.tar"
    path.write_bytes(buffer.getvalue())
    loaded = load(str(path), format_name=feed.name, options=TODAY)
    assert (loaded.report.read, loaded.report.failed) == (feed.read, feed.failed + 3)
    directory = place(feed.members(), "directory", tmp_path / "d")
    (directory / f"link-{Path(feed.single).name}").symlink_to("/etc/passwd")
    followed = load(str(directory), format_name=feed.name, options=TODAY)
    assert followed.report.read == feed.read
    zipped = io.BytesIO(zip_bytes(feed.members()))
    with zipfile.ZipFile(zipped, "a") as archive:
        link = zipfile.ZipInfo(f"link-{Path(feed.single).name}")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "feed.zip").write_bytes(zipped.getvalue())
    assert load(str(tmp_path / "feed.zip"), format_name=feed.name, options=TODAY).report.failed == feed.failed + 1


@pytest.mark.parametrize("container", ["tar.gz", "tar.zst", "tar.xz", "zip"])
def test_a_bomb_is_an_error(container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MIN_BOMB_BYTES", 2**20)
    monkeypatch.setattr(sources, "_MAX_RATIO", 100)
    members = {"a.json": b'{"id": "A", "schema_version": "1"}', "b.json": b" " * 2**24}
    path = place(members, container, tmp_path)
    with pytest.raises(ArchiveError, match="bomb"):
        load(str(path), format_name="osv")


@pytest.mark.parametrize("container", ARCHIVES)
def test_too_many_members_are_an_error(container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_MEMBERS", 10)
    members = {f"{i}.json": b'{"id": "A", "schema_version": "1"}' for i in range(12)}
    with pytest.raises(ArchiveError, match="members"):
        load(str(place(members, container, tmp_path)), format_name="osv")


def test_most_bytes_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_EXPANDED_BYTES", 5_000)
    for container in ("tar.gz", "zip"):
        with pytest.raises(ArchiveError, match="bomb"):
            load(str(place(FEEDS["kernel_cna"].members(), container, tmp_path)), options=TODAY)


@each_feed
def test_what_is_not_there_and_what_is_no_feed(feed: Feed, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(str(tmp_path / "none"), format_name=feed.name)
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(FormatError, match="not recognised"):
        load(str(tmp_path / "noise.bin"))


def test_an_unknown_reader_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no reader named"):
        registry.reader_named("nope")


@pytest.mark.parametrize(
    ("name", "member", "data"),
    [
        (
            "osv",
            "a.json",
            b'{"id": "A", "schema_version": "1", "database_specific": {"cwe_ids": ["CWE-x", "CWE-416"]}}',
        ),
        ("jsonl", "a.jsonl", b'{"id": "A", "title": "t", "cwe": ["nonsense", 416]}'),
        ("csv", "a.csv", b"id,title,cwe\nA,t,nonsense;416\n"),
        (
            "cve5",
            "CVE-2024-1234.json",
            b'{"dataType": "CVE_RECORD", "cveMetadata": {"cveId": "CVE-2024-1234"}, "containers": {"cna": {'
            b'"problemTypes": [{"descriptions": [{"cweId": "CWE-nonsense"}, {"cweId": "CWE-416"}]}],'
            b' "descriptions": [{"value": "v"}]}}}',
        ),
    ],
)
def test_what_is_no_cwe_is_a_warning(name: str, member: str, data: bytes, tmp_path: Path) -> None:
    loaded = load(str(place({member: data}, "tar", tmp_path)), format_name=name)
    assert [c.cwe for c in loaded.advisories[0].cwes] == [416]
    assert len(loaded.report.warnings) == 1
