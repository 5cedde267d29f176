"""compare, lifetimes and claims from the outside: exit statuses, streams, members of JSON rows."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from preventable.cli.main import main

CASE = """
[compare]
name = "Toy"
regime_start = 2024-01-01
exposure = "exposure.csv"
settle_days = 0

[[pairs]]
id = "p"
title = "P"
overlap = "full"
new = {name = "new", paths = ["lib/*.rs"], exposure = "lib", deployment = "some"}
old = {name = "old", paths = ["lib/*.c"], exposure = "lib", deployment = "all"}

[[claims]]
id = "half"
statement = "Rust has at most half of C's rate"
at_most = 0.5
methodology = "all"
opened = 2026-01-01
primary = true
"""
EXPOSURE = """date,component,language,bucket,lines,unsafe_lines
2023-06-01,lib,C,shipped,500000,0
2023-06-01,lib,Rust,shipped,100000,4000
"""


def osv(name: str, fixed: str, introduced: str) -> dict[str, Any]:
    return {
        "id": name, "modified": "2026-12-31T00:00:00Z", "published": "2026-12-31T00:00:00Z",
        "summary": "out-of-bounds write", "affected": [{"package": {"name": "toy", "ecosystem": "Toy"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": introduced}, {"fixed": fixed}]}]}],
    }  # fmt: skip


def kernel(room: Path, name: str, introduced: str, fixed: str, file: str) -> None:
    year = room / "vulns" / "cve" / "published" / name[4:8]
    year.mkdir(parents=True, exist_ok=True)
    record = {
        "cveMetadata": {"cveID": name, "cveId": name},
        "containers": {"cna": {"title": "t", "descriptions": [{"lang": "en", "value": "a use-after-free"}],
                               "affected": [{"programFiles": [file]}]}},
        "dataType": "CVE_RECORD", "dataVersion": "5.0",
    }  # fmt: skip
    (year / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    (year / f"{name}.dyad").write_text(f"{introduced}:{'a' * 40}:{fixed}:{name[-1] * 40}\n", encoding="utf-8")
    (year / f"{name}.sha1").write_text(name[-1] * 40 + "\n", encoding="utf-8")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    (tmp_path / "preventable.toml").write_text(CASE, encoding="utf-8")
    (tmp_path / "exposure.csv").write_text(EXPOSURE, encoding="utf-8")
    versions = {"1.0": "2020-01-01", "1.1": "2024-06-01", "1.2": "2025-06-01", "1.3": "2026-06-01"}
    document = {"versions": {v: {"name": v, "date": d} for v, d in versions.items()}}
    (tmp_path / "releases.json").write_text(json.dumps(document), encoding="utf-8")
    kernel(tmp_path, "CVE-2024-1001", "1.0", "1.1", "lib/a.rs")
    kernel(tmp_path, "CVE-2024-1002", "1.0", "1.2", "lib/b.c")
    kernel(tmp_path, "CVE-2025-1003", "1.1", "1.3", "lib/c.c")
    published = "cve,published\n" + "".join(
        f"{n},2026-12-01T00:00:00+00:00\n" for n in ("CVE-2024-1001", "CVE-2024-1002", "CVE-2025-1003")
    )
    (tmp_path / "vulns" / "cve" / "published.csv").write_text(published, encoding="utf-8")
    return tmp_path


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(room: Path, *arguments: str) -> Done:
    """The command in this process: a new interpreter per call would make the suite slow."""
    # JSON is written as bytes: the streams need a buffer below them, as real ones have.
    raw = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(one, encoding="utf-8", write_through=True) for one in raw)
    argv = sys.argv
    try:
        sys.argv = ["preventable", *arguments]
        with contextlib.chdir(room), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as leaving:
        return Done(int(leaving.code or 0), *(one.getvalue().decode("utf-8") for one in raw))
    finally:
        sys.argv = argv
    raise AssertionError("main always exits")


def test_compare_prints_rows_with_exact_intervals(room: Path) -> None:
    done = run(room, "compare", "vulns", "releases.json", "--format", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    row = answer["results"][0]
    assert answer["kind"] == "compare"
    assert (row["events_new"], row["events_old"], row["adjustment"]) == (1, 2, "unadjusted")
    assert row["low"] < row["ratio"] < row["high"]
    assert set(answer["caveats"]) >= {"deployment", "detection", "released-only"}
    assert answer["sentences"][0].startswith("The evidence does not decide")


def as_cve5(room: Path, name: str) -> None:
    """The kernel's record as another feed has it, in another format: with files and versions of its own."""
    record = json.loads((room / "vulns" / "cve" / "published" / name[4:8] / f"{name}.json").read_text("utf-8"))
    record["containers"]["cna"]["affected"][0] |= {
        "product": "toy", "versions": [{"version": "1.0", "lessThan": "1.1", "status": "affected", "versionType": "x"}]
    }  # fmt: skip
    record["containers"]["cna"]["problemTypes"] = [{"descriptions": [{"cweId": "CWE-416", "lang": "en"}]}]
    (room / "other").mkdir(exist_ok=True)
    (room / "other" / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize("words", [("compare",), ("compare", "--pairs"), ("lifetimes",), ("claims", "test")])
def test_one_vulnerability_in_two_feeds_is_one_event(room: Path, words: tuple[str, ...]) -> None:
    """By its id in two formats and by an alias in one, as in share; whichever name comes first."""
    for name in ("CVE-2024-1001", "CVE-2024-1002", "CVE-2025-1003"):
        as_cve5(room, name)
    one = osv("CVE-2024-7", "1.2", "1.0")
    again = osv("RUSTSEC-2024-1", "1.2", "1.0") | {"aliases": ["GHSA-7", "CVE-2024-7"]}
    (room / "one.json").write_text(json.dumps(one), encoding="utf-8")
    (room / "again.json").write_text(json.dumps(again), encoding="utf-8")
    words = (*words, "--format", "json")
    run(room, "claims", "new")
    once = run(room, *words, "vulns", "one.json", "releases.json")
    twice = run(room, *words, "vulns", "one.json", "other", "again.json", "releases.json")
    assert (once.returncode, twice.returncode) == (0, 0), twice.stderr
    first, second = json.loads(once.stdout), json.loads(twice.stdout)
    figures = ("events_new", "events_old", "events", "dated", "exposure_new")
    assert [{f: row.get(f) for f in figures} for row in first["results"]] == [
        {f: row.get(f) for f in figures} for row in second["results"]
    ]
    joined = {i["location"]: (i["read"], i["joined"]) for i in second["inputs"] if "joined" in i}
    assert (joined["other"], joined["again.json"], joined["one.json"]) == ((3, 3), (1, 1), (1, 0))
    assert "again.json: 1 of its records are one with an earlier location's" in twice.stderr
    turned = run(room, *words, "again.json", "vulns", "one.json", "other", "releases.json")
    assert [{f: row.get(f) for f in figures} for row in json.loads(turned.stdout)["results"]] == [
        {f: row.get(f) for f in figures} for row in first["results"]
    ]


def test_readings_and_origins_by_another_name_are_of_the_same_record(room: Path) -> None:
    """What was said of RUSTSEC-1 holds when the feed before has it as CVE-1."""
    shutil.rmtree(room / "vulns")
    (room / "one.json").write_text(json.dumps(osv("CVE-2024-7", "1.2", "0")), encoding="utf-8")
    again = osv("RUSTSEC-2024-1", "1.2", "0") | {"aliases": ["CVE-2024-7"]}
    (room / "again.json").write_text(json.dumps(again), encoding="utf-8")
    origin = {"kind": "origin", "fixes": [{"advisory": "RUSTSEC-2024-1", "introduced_date": "2020-01-01"}]}
    (room / "origin.json").write_text(json.dumps(origin), encoding="utf-8")
    case = CASE.replace("settle_days = 0", 'settle_days = 0\nreadings = "readings.toml"')
    (room / "preventable.toml").write_text(case, encoding="utf-8")
    (room / "readings.toml").write_text(
        '[[readings]]\nid = "RUSTSEC-2024-1"\nweakness = "temporal"\nunsafe = "yes"\nreason = "read"\n',
        encoding="utf-8",
    )
    feeds = ("one.json", "again.json", "releases.json", "--format", "json")
    done = run(room, "lifetimes", *feeds, "--origin", "origin.json")
    assert "1 introductions are estimates by origin" in " ".join(json.loads(done.stdout)["sentences"]), done.stderr
    done = run(room, "compare", *feeds)
    assert json.loads(done.stdout)["relabelled"] == {"CVE-2024-7": "spatial → temporal"}, done.stderr


NAMES = ("CVE-2024-1001", "CVE-2024-1002", "CVE-2025-1003")
FIGURES = ("events_new", "events_old", "dated", "left_censored", "exposure_new", "verdict")


def advisories(room: Path, file: str, **more: object) -> None:
    """GitHub's advisories on the kernel's records: what else they say is given."""
    rows = [
        {"id": f"GHSA-{name[-4:]}", "modified": "2026-12-31T00:00:00Z", "aliases": [name], "affected": [], **more}
        for name in NAMES
    ]
    (room / file).write_text(json.dumps(rows), encoding="utf-8")


def affected(kind: str, introduced: str, fixed: str) -> list[dict[str, object]]:
    return [{"ranges": [{"type": kind, "events": [{"introduced": introduced}, {"fixed": fixed}]}]}]


@pytest.mark.parametrize("words", [("compare",), ("compare", "--pairs"), ("lifetimes",), ("claims", "test")])
@pytest.mark.parametrize(
    "more",
    [
        {"affected": affected("GIT", "0", "e" * 40)},
        {"affected": affected("GIT", "d" * 40, "e" * 40)},
        {"affected": affected("ECOSYSTEM", "0", "9.9")},
        {"affected": affected("ECOSYSTEM", "1.0", "1.0")},
        {"withdrawn": "2026-06-01T00:00:00Z", "affected": affected("ECOSYSTEM", "1.0", "1.3")},
    ],
    ids=["commit", "commits", "unknown version", "other version", "withdrawn"],
)
def test_no_other_feed_hides_what_dates_an_event(room: Path, words: tuple[str, ...], more: dict[str, object]) -> None:
    advisories(room, "ghsa.json", **more)
    run(room, "claims", "new")
    words = (*words, "--format", "json")
    once, first, last = (
        run(room, *words, *feeds, "releases.json")
        for feeds in (("vulns",), ("ghsa.json", "vulns"), ("vulns", "ghsa.json"))
    )
    known = [{f: row.get(f) for f in FIGURES} for row in json.loads(once.stdout)["results"]]
    for done in (first, last):
        answer = json.loads(done.stdout)
        assert [{f: row.get(f) for f in FIGURES} for row in answer["results"]] == known, done.stderr
        assert answer["undated"] == {}


def test_a_withdrawn_duplicate_rejects_no_event_that_was_admitted(room: Path) -> None:
    """GitHub withdraws an advisory in favour of the CVE: the claim's event is still one."""
    run(room, "claims", "new")
    run(room, "claims", "test", "vulns", "releases.json")
    advisories(room, "ghsa.json", withdrawn="2026-06-01T00:00:00Z")
    done = run(room, "claims", "test", "ghsa.json", "vulns", "releases.json")
    assert done.returncode == 0, done.stderr
    first, second = [json.loads(line)["body"] for line in (room / "ledger.jsonl").read_text("utf-8").splitlines()[1:]]
    assert [s["id"] for s in first["admitted"]] == ["CVE-2025-1003"]
    assert (second["admitted"], second["rejected"], second["cleaned"]) == ([], [], None)


def test_every_study_tells_of_records_without_a_date_of_publication(room: Path) -> None:
    (room / "vulns" / "cve" / "published.csv").unlink()
    for words in (("compare",), ("lifetimes",), ("claims", "test")):
        run(room, "claims", "new")
        assert "kernel_cna: warning: no publication date" in run(room, *words, "vulns", "releases.json").stderr


def test_what_is_said_by_an_alias_of_two_records_is_told_to_apply_to_neither(room: Path) -> None:
    twins = [osv(name, "1.2", "0") | {"aliases": ["CVE-2024-7"]} for name in ("GHSA-1", "GHSA-2")]
    (room / "twins.json").write_text(json.dumps(twins), encoding="utf-8")
    origin = {"kind": "origin", "fixes": [{"advisory": "CVE-2024-7", "introduced_date": "2020-01-01"}]}
    (room / "origin.json").write_text(json.dumps(origin), encoding="utf-8")
    case = CASE.replace("settle_days = 0", 'settle_days = 0\nreadings = "readings.toml"')
    case = case.replace('paths = ["lib/*.c"]', 'paths = ["lib/*.c"], events = ["CVE-2024-7"]')
    (room / "preventable.toml").write_text(case, encoding="utf-8")
    (room / "readings.toml").write_text(
        '[[readings]]\nid = "CVE-2024-7"\nweakness = "temporal"\nunsafe = "yes"\nreason = "read"\n', encoding="utf-8"
    )
    feeds = ("vulns", "twins.json", "releases.json")
    neither = "by an alias of several records applies to none: CVE-2024-7 is one of GHSA-1 and of GHSA-2"
    assert f"a saved origin {neither}" in run(room, "lifetimes", *feeds, "--origin", "origin.json").stderr
    told = run(room, "compare", "--pairs", *feeds).stderr
    assert f"a hand reading {neither}" in told
    assert f"an event of a pair {neither}" in told


def test_the_ledger_keeps_the_digests_of_two_locations_of_one_name(room: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(room / "vulns", room / name)
    run(room, "claims", "new")
    done = run(room, "claims", "test", "one/cve/published", "two/cve/published", "releases.json")
    assert done.returncode == 0, done.stderr
    data = json.loads((room / "ledger.jsonl").read_text("utf-8").splitlines()[-1])["body"]["data"]
    assert list(data) == ["one/cve/published", "two/cve/published", "releases.json"]


def test_only_who_uses_the_embedded_facts_is_told_of_them(tmp_path: Path) -> None:
    """A command that works on the ledger alone, or stops before, reads no facts."""
    for words in (("log",), ("verify",), ("withdraw", "x", "--reason", "y"), ("test",)):
        done = run(tmp_path, "claims", *words)
        assert done.returncode != 0
        assert "using the embedded facts" not in done.stderr
    assert "no feeds were given: using the embedded facts about Linux" in run(tmp_path, "compare").stderr


def test_pairs_print_one_row_each(room: Path) -> None:
    done = run(room, "compare", "--pairs", "vulns", "releases.json", "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert (row["pair"], row["events_new"], row["events_old"], row["overlap"]) == ("p", 1, 2, "full")


@pytest.mark.parametrize("fmt", ["table", "markdown", "csv"])
def test_no_pair_prints_a_ratio_without_its_deployment(room: Path, fmt: str) -> None:
    case = CASE.replace('"some"', '"a few test machines"').replace('"all"}', '"every device"}')
    (room / "preventable.toml").write_text(case.replace('"new", ', '"new", since = 2026-01-01, '), encoding="utf-8")
    done = run(room, "compare", "--pairs", "vulns", "releases.json", "--format", fmt)
    assert done.returncode == 0, done.stderr
    for words in ("a few test machines", "every device", "new has shipped for 0.4 years only"):
        assert words in done.stdout
    assert ("Caveat: Deployment differs" in done.stdout) == (fmt != "csv")


def test_lifetimes_prints_groups(room: Path) -> None:
    done = run(room, "lifetimes", "vulns", "releases.json", "--format", "json", "--by", "language")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [(r["by"], r["group"], r["dated"]) for r in answer["results"]] == [
        ("all", "everything", 3), ("language", "C", 2), ("language", "Rust", 1),
    ]  # fmt: skip
    assert answer["results"][0]["corrected_mean"] is None


def test_claims_go_from_new_to_verify(room: Path) -> None:
    assert run(room, "claims", "new", "vulns", "releases.json").returncode == 0
    done = run(room, "claims", "test", "vulns", "releases.json", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["results"]
    members = ("claim", "events_new", "events_old", "exposure_new", "exposure_old", "e_value", "low", "high", "verdict")
    assert all(set(members) <= set(row) for row in rows)
    (live,) = [r for r in rows if not r["descriptive"]]
    (before,) = [r for r in rows if r["descriptive"]]
    assert (live["events_old"], live["verdict"]) == (1, "open")
    assert (before["events_new"], before["events_old"], before["verdict"]) == (1, 1, None)
    assert run(room, "claims", "verify").returncode == 0
    assert "half" in run(room, "claims", "log", "--format", "csv").stdout


def test_verify_notices_an_edit_and_a_foreign_head(room: Path) -> None:
    run(room, "claims", "new", "vulns", "releases.json")
    run(room, "claims", "test", "vulns", "releases.json")
    ledger = room / "ledger.jsonl"
    head = json.loads(ledger.read_text(encoding="utf-8").splitlines()[-1])["digest"]
    assert run(room, "claims", "verify", "--head", head).returncode == 0
    assert run(room, "claims", "verify", "--head", "sha256:other").returncode == 1
    copy = room / "copy.jsonl"
    copy.write_bytes(ledger.read_bytes())
    ledger.write_text(ledger.read_text(encoding="utf-8").replace('"open"', '"supported"'), encoding="utf-8")
    assert run(room, "claims", "verify", "--copy", "copy.jsonl").returncode == 1
    assert run(room, "claims", "test", "vulns", "releases.json").returncode == 3


def test_verify_compares_with_a_revision(room: Path) -> None:
    run(room, "claims", "new", "vulns", "releases.json")
    git = ["git", "-C", str(room), "-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "ledger.jsonl"], check=True)
    subprocess.run([*git, "commit", "-qm", "Open"], check=True)
    run(room, "claims", "test", "vulns", "releases.json")
    assert run(room, "claims", "verify", "--revision", "HEAD").returncode == 0
    (room / "ledger.jsonl").write_text("", encoding="utf-8")
    assert run(room, "claims", "verify", "--revision", "HEAD").returncode == 1


def _ssh_signed(room: Path) -> None:
    """A ledger, its copy, an ssh key, the signature of the copy and the file of allowed signers."""
    run(room, "claims", "new", "vulns", "releases.json")
    (room / "copy.jsonl").write_bytes((room / "ledger.jsonl").read_bytes())
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(room / "key")]
    subprocess.run(make, check=True, capture_output=True)
    sign = ["ssh-keygen", "-Y", "sign", "-f", str(room / "key"), "-n", "preventable", str(room / "copy.jsonl")]
    subprocess.run(sign, check=True, capture_output=True)
    public = (room / "key.pub").read_text(encoding="utf-8")
    (room / "signers").write_text(f"keeper {public}", encoding="utf-8")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen makes and checks the signature")
def test_verify_checks_an_ssh_signature_of_the_copy(room: Path) -> None:
    _ssh_signed(room)
    signed = ("claims", "verify", "--copy", "copy.jsonl", "--signature", "copy.jsonl.sig")
    done = run(room, *signed, "--signers", "signers", "--signer", "keeper", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["trusted"]) == (0, True), done.stderr
    assert run(room, *signed).returncode == 2  # who may sign is not said
    assert run(room, *signed, "--signers", "signers", "--signer", "somebody").returncode == 3
    assert run(room, "claims", "verify", "--signature", "copy.jsonl.sig").returncode == 2
    assert run(room, *signed[:-1], "absent.sig", "--signers", "signers").returncode == 3
    with (room / "copy.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    done = run(room, *signed, "--signers", "signers", "--signer", "keeper")
    assert done.returncode == 3
    assert "does not hold" in done.stderr


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg makes and checks the signature")
def test_verify_checks_a_gpg_signature_of_the_copy(
    room: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    run(room, "claims", "new", "vulns", "releases.json")
    (room / "copy.jsonl").write_bytes((room / "ledger.jsonl").read_bytes())
    gpg = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "keeper@example.org"], check=True, capture_output=True)
    subprocess.run([*gpg, "--detach-sign", str(room / "copy.jsonl")], check=True, capture_output=True)
    try:
        signed = ("claims", "verify", "--copy", "copy.jsonl", "--signature", "copy.jsonl.sig")
        assert run(room, *signed).returncode == 0
        with (room / "copy.jsonl").open("a", encoding="utf-8") as stream:
            stream.write("\n")
        assert run(room, *signed).returncode == 3
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, capture_output=True)


def test_verify_compares_with_a_head_and_with_a_copy(room: Path) -> None:
    run(room, "claims", "new", "vulns", "releases.json")
    (room / "copy.jsonl").write_bytes((room / "ledger.jsonl").read_bytes())
    assert run(room, "claims", "verify", "--copy", "copy.jsonl").returncode == 0
    assert run(room, "claims", "verify", "--copy", "copy.jsonl", "--head", "sha256:other").returncode == 1


def test_a_claim_cannot_be_changed_after_its_opening(room: Path) -> None:
    run(room, "claims", "new", "vulns", "releases.json")
    case = room / "preventable.toml"
    case.write_text(CASE.replace("at_most = 0.5", "at_most = 0.9"), encoding="utf-8")
    done = run(room, "claims", "test", "vulns", "releases.json")
    assert done.returncode == 2
    assert "half" in done.stderr


@pytest.mark.parametrize("more", [(), ("--ledger", "ledger.jsonl"), ("--case", "preventable.toml")])
def test_verify_tells_of_a_claim_changed_in_the_case(room: Path, more: tuple[str, ...]) -> None:
    run(room, "claims", "new", "vulns", "releases.json")
    assert run(room, "claims", "verify", *more).returncode == 0
    (room / "preventable.toml").write_text(CASE.replace("at_most = 0.5", "at_most = 0.9"), encoding="utf-8")
    done = run(room, "claims", "verify", *more, "--format", "json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["holds"] is False
    assert answer["results"] == [{"line": 1, "what": "half was changed in the case file after it was opened"}]


def test_an_emptied_ledger_does_not_hold(room: Path) -> None:
    (room / "ledger.jsonl").write_text("", encoding="utf-8")
    done = run(room, "claims", "verify", "--format", "json")
    assert done.returncode == 1
    assert "the case names 1 claims" in json.loads(done.stdout)["results"][0]["what"]
    assert "holds" not in done.stderr


def test_a_claim_that_was_never_opened_is_not_open(room: Path) -> None:
    done = run(room, "claims", "test", "vulns", "releases.json", "--format", "json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert [r["verdict"] for r in answer["results"]] == ["not opened", None]
    assert "is not opened" in answer["sentences"][0]
    assert not (room / "ledger.jsonl").exists()


def test_a_withdrawn_claim_keeps_its_reason(room: Path) -> None:
    run(room, "claims", "new", "vulns", "releases.json")
    assert run(room, "claims", "withdraw", "half", "--reason", "too vague").returncode == 0
    done = run(room, "claims", "test", "vulns", "releases.json", "--format", "json")
    (row,) = json.loads(done.stdout)["results"]
    assert (row["verdict"], row["reason"]) == ("withdrawn", "too vague")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("compare", "nowhere.json"), 3, "nowhere.json"),
        (("compare", "releases.json"), 3, "no advisory"),
        (("compare", "vulns", "--case", "absent.toml"), 2, "absent.toml"),
        (("compare", "vulns", "releases.json", "--exposure", "absent.csv"), 3, "absent.csv"),
        (("compare", "vulns", "releases.json", "--tree", "."), 2, "--pairs"),
        (("claims", "verify", "--ledger", "absent.jsonl"), 3, "absent.jsonl"),
        (("claims", "log"), 3, "there is no ledger"),
        (("claims", "withdraw", "no", "--reason", "x"), 2, "no open claim"),
        (("lifetimes", "osv.json"), 3, "dated"),
    ],
)
def test_what_cannot_be_done_is_said(room: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    (room / "osv.json").write_text(json.dumps([osv("X-1", "9.9", "9.8")]), encoding="utf-8")
    done = run(room, *arguments)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_misspelt_key_is_named(room: Path) -> None:
    (room / "preventable.toml").write_text(CASE.replace("settle_days", "setle_days"), encoding="utf-8")
    done = run(room, "compare", "vulns", "releases.json")
    assert done.returncode == 2
    assert "settle_days" in done.stderr


def test_the_embedded_case_needs_no_file(tmp_path: Path) -> None:
    done = run(tmp_path, "compare", "--format", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    ids = {r["id"] for r in answer["new_side"]}
    assert "CVE-2025-68260" in ids
    assert len(ids) == 4
    assert done.stdout == run(tmp_path, "compare", "--format", "json").stdout


def test_the_embedded_case_is_the_example() -> None:
    root = Path(__file__).parents[2]
    example = (root / "examples/linux/preventable.toml").read_text(encoding="utf-8")
    embedded = (root / "src/preventable/data/linux/case.toml").read_text(encoding="utf-8")
    first = example[example.index("[compare]") : example.index("[[claims]]")]
    assert embedded[embedded.index("[compare]") :].strip() == first.strip()


def test_the_shipped_ledger_holds(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = run(tmp_path, "claims", "verify", "--case", str(root / "examples/linux/preventable.toml"))
    assert done.returncode == 0, done.stdout


def test_saved_census_and_lineage_give_exposure_and_age(room: Path) -> None:
    def saved(name: str, kind: str, rows: list[dict[str, object]]) -> None:
        (room / name).write_text(json.dumps({"kind": kind, "results": rows}), encoding="utf-8")

    saved("census.json", "census", [
        {"component": "lib", "language": "C", "bucket": "code", "code": 500000, "unsafe_lines": None},
        {"component": "lib", "language": "Rust", "bucket": "code", "code": 100000, "unsafe_lines": 4000},
        {"component": "lib", "language": "C Header", "bucket": "vendored", "code": 9, "unsafe_lines": None},
    ])  # fmt: skip
    saved("lineage.json", "lineage", [
        {"snapshot": "2024-01-01", "cohort": f"{year}Q1", "language": language, "component": "lib", "lines": 1000}
        for year in (2020, 2024) for language in ("C", "Rust")
    ])  # fmt: skip
    done = run(
        room, "compare", "vulns", "releases.json", "--format", "json", "--exposure", "2023-06-01=census.json",
        "--cohorts", "lineage.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    plain = json.loads(run(room, "compare", "vulns", "releases.json", "--format", "json").stdout)
    assert answer["results"][0]["exposure_old"] == plain["results"][0]["exposure_old"]
    matched = answer["results"][-1]
    assert (matched["adjustment"], matched["events_new"], matched["events_old"]) == ("age-matched", 1, 2)
    undated = run(room, "compare", "vulns", "releases.json", "--exposure", "census.json")
    assert undated.returncode == 3
    assert "DATE=" in undated.stderr


def test_a_saved_origin_dates_what_the_records_do_not_tell(room: Path) -> None:
    kernel(room, "CVE-2025-1004", "0", "1.3", "lib/d.c")
    fixes = [{"advisory": "CVE-2025-1004", "introduced_date": "2025-06-01"}]
    (room / "origin.json").write_text(json.dumps({"kind": "origin", "fixes": fixes}), encoding="utf-8")
    feeds = ("vulns", "releases.json", "--format", "json", "--by", "language")
    without = json.loads(run(room, "lifetimes", *feeds).stdout)["results"][0]
    answer = json.loads(run(room, "lifetimes", *feeds, "--origin", "origin.json").stdout)
    assert (without["dated"], without["unknown_introduction"]) == (3, 1)
    assert (answer["results"][0]["dated"], answer["results"][0]["unknown_introduction"]) == (4, 0)
    assert "1 introductions are estimates" in answer["sentences"][-1]
    assert run(room, "lifetimes", *feeds, "--origin", "absent.json").returncode == 3
