"""Where indices come from: Release digests, signatures, directories, and a mirror on the loopback."""

from __future__ import annotations

import datetime
import hashlib
import lzma
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from preventable.errors import ArchiveError, FormatError, InputError, UsageError
from preventable.readers import debian_architecture, debian_release
from preventable.readers.debian_archive import (
    DigestMemo,
    check_architecture,
    from_directory,
    from_files,
    from_mirror,
)
from preventable.readers.debian_mirror import Mirror, Repository, configured_repositories
from preventable.readers.debian_relations import Restriction

PACKAGES = b"Package: a\nVersion: 1\nArchitecture: amd64\nFilename: x\n"
SOURCES = b"Package: a\nBinary: a\nVersion: 1\nArchitecture: any\nDirectory: x\n"


def make_mirror(root: Path, suite: str = "sid", *, by_hash: bool = True) -> Path:
    """A mirror's tree with one suite; the Release file lists the right digests."""
    base = root / "dists" / suite
    lines = []
    for path, data in (
        ("main/source/Sources.xz", lzma.compress(SOURCES)),
        ("main/binary-amd64/Packages.xz", lzma.compress(PACKAGES)),
    ):
        file = base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(data).hexdigest()
        file.write_bytes(data)
        if by_hash:
            (file.parent / "by-hash" / "SHA256").mkdir(parents=True)
            (file.parent / "by-hash" / "SHA256" / digest).write_bytes(data)
        lines.append(f" {digest} {len(data)} {path}")
    text = [
        "Origin: Test",
        f"Suite: {suite}",
        f"Codename: {suite}",
        "Date: Fri, 30 Oct 2026 08:08:01 UTC",
        "Architectures: all amd64",
        "Components: main",
        f"Acquire-By-Hash: {'yes' if by_hash else 'no'}",
        "SHA256:",
        *lines,
    ]
    (base / "InRelease").write_text("\n".join(text) + "\n", encoding="utf-8")
    return base


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    make_mirror(tmp_path)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_directory_is_checked_against_its_release_file(tmp_path: Path) -> None:
    make_mirror(tmp_path)
    snapshot = from_directory(tmp_path, None, [])[0]
    assert snapshot.suite == "sid"
    assert snapshot.date is not None
    assert snapshot.date.isoformat() == "2026-10-30"
    assert all(f.checked.startswith("matches") for f in (*snapshot.sources, *snapshot.packages["amd64"]))
    assert snapshot.signature.startswith("not signed")


def test_an_unsigned_or_expired_release_file_is_a_warning(tmp_path: Path) -> None:
    file = make_mirror(tmp_path) / "InRelease"
    text = file.read_text(encoding="utf-8")
    file.write_text("Valid-Until: Fri, 06 Nov 2026 08:08:01 UTC\n" + text, encoding="utf-8")
    snapshot = from_directory(tmp_path, None, [])[0]
    expired = datetime.date(2026, 11, 7)
    assert [(r.file, r.record, r.field) for r in snapshot.warnings(expired)] == [
        ("sid", "Release", "signature"),
        ("sid", "Release", "Valid-Until"),
    ]
    assert [r.reason for r in snapshot.warnings(datetime.date(2026, 11, 6))] == [
        "not signed: no InRelease and no Release.gpg"
    ]
    snapshot.signature = "signed by ABC (keyring x)"
    assert [r.reason for r in snapshot.warnings(expired)] == [
        "valid until 2026-11-06 only: the indices may be out of date"
    ]
    assert from_files([], "x").warnings() == [], "loose files have no Release file to doubt"


def test_a_digest_that_does_not_match_is_an_error(tmp_path: Path) -> None:
    base = make_mirror(tmp_path)
    file = base / "main/binary-amd64/Packages.xz"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    debian_archive_cache_clear()
    with pytest.raises(ArchiveError, match="the SHA-256 is"):
        from_directory(tmp_path, None, [])
    file.write_bytes(bytes(data[:-9]))
    with pytest.raises(ArchiveError, match="truncated, or of another snapshot"):
        from_directory(tmp_path, None, [])


def debian_archive_cache_clear() -> None:
    from preventable.readers import debian_archive  # noqa: PLC0415  (reset between tests)

    debian_archive._RELEASES.clear()


@pytest.mark.parametrize(
    "udebs",
    [
        "dists/sid/main/debian-installer/binary-amd64/Packages",
        "host_dists_sid_main_debian-installer_binary-amd64_Packages",
    ],
)
def test_the_installers_packages_are_left_out(udebs: str, tmp_path: Path) -> None:
    base = make_mirror(tmp_path)
    file = tmp_path / udebs
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(PACKAGES.replace(b"Package: a", b"Package: a-udeb"))
    snapshot = from_directory(tmp_path, None, [])[0]
    assert [f.name for f in snapshot.packages["amd64"]] == [str(base / "main/binary-amd64/Packages.xz")]


def test_indices_in_lz4_are_named_not_skipped(tmp_path: Path) -> None:
    """APT keeps its lists so in containers; it writes them plain when told to."""
    make_mirror(tmp_path)
    lists = tmp_path / "lists"
    lists.mkdir()
    packed = lists / "host_dists_sid_main_binary-amd64_Packages.lz4"
    packed.write_bytes(b"\x04\x22\x4d\x18 and more")
    for folder in (lists, tmp_path):
        for suite in (None, "sid"):
            with pytest.raises(
                InputError, match=r"lz4, which is not read: host_dists_sid_main_binary-amd64_P.*GzipIndex"
            ):
                from_directory(folder, suite, ["amd64"])
    with pytest.raises(FormatError, match="lz4, which is not read"):
        from_files([packed], "x")
    assert from_directory(tmp_path, None, ["i386"])[0].packages == {}, "not the architecture that was asked for"
    packed.with_suffix("").write_bytes(PACKAGES)
    assert len(from_directory(lists, "sid", ["amd64"])[0].packages["amd64"]) == 1


def test_a_suite_that_a_directory_lacks_is_named(tmp_path: Path) -> None:
    make_mirror(tmp_path)
    with pytest.raises(UsageError, match="it has sid"):
        from_directory(tmp_path, "trixie", [])


def test_from_a_mirror(served: tuple[str, Path], tmp_path: Path) -> None:
    uri, _ = served
    mirror = Mirror([Repository(uri)], tmp_path / "cache")
    snapshot = from_mirror("sid", ["amd64", "hppa"], ["main"], lambda: mirror)
    assert [f.plain() for f in snapshot.packages["amd64"]] == [PACKAGES]
    assert snapshot.sources[0].checked.startswith("matches the SHA-256")
    assert "hppa" in snapshot.missing
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_mirror_without_the_suite_or_component(served: tuple[str, Path]) -> None:
    mirror = Mirror([Repository(served[0])])
    with pytest.raises(UsageError, match="has a suite 'nosuch'"):
        from_mirror("nosuch", [], ["main"], lambda: mirror)
    with pytest.raises(UsageError, match="no component 'contrib'"):
        from_mirror("sid", [], ["contrib"], lambda: mirror)


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """Starts mirrors that answer everything with one status."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_error(status)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403, 407, 429])
def test_a_mirror_that_refuses_is_not_one_that_lacks_the_suite(status: int, answering: Callable[[int], str]) -> None:
    mirror = Mirror([Repository(answering(status))])
    with pytest.raises(InputError, match=f"refuses with status {status}"):
        mirror.release("sid")
    with pytest.raises(InputError, match=f"refuses with status {status}"):
        mirror.has("sid", "amd64")


@pytest.mark.parametrize("status", [404, 410])
def test_a_mirror_that_lacks_the_suite(status: int, answering: Callable[[int], str]) -> None:
    with pytest.raises(UsageError, match="has a suite 'sid'"):
        Mirror([Repository(answering(status))]).release("sid")


def test_an_archive_that_refuses_does_not_hide_another(
    served: tuple[str, Path], answering: Callable[[int], str]
) -> None:
    mirror = Mirror([Repository(answering(403)), Repository(served[0])])
    assert mirror.release("sid")[1].suite == "sid"
    assert mirror.has("sid", "amd64")


@pytest.mark.parametrize(
    ("without_release", "message"),
    [("http://mirror.example/", "APT has no lists yet.*apt-get update"), ("", "names no archive")],
)
def test_apt_without_lists(without_release: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for APT that names archives only when told to go without their Release files."""
    for name in ("apt-get", "apt-config"):
        tool = tmp_path / name
        tool.write_text(
            f'#!/bin/sh\ncase "$*" in *--no-release-info*) echo "{without_release}" ;; esac\n', encoding="utf-8"
        )
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(InputError) as caught:
        configured_repositories()
    assert re.search(message, str(caught.value))


def test_a_mirror_whose_index_was_altered(served: tuple[str, Path]) -> None:
    uri, root = served
    for file in (root / "dists/sid/main/binary-amd64").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-4] + b"xxxx")
    with pytest.raises(ArchiveError, match="SHA-256"):
        from_mirror("sid", ["amd64"], ["main"], lambda: Mirror([Repository(uri)]))


def test_a_signature_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """gpgv's verdict decides; here a stand-in for gpgv that says BADSIG."""
    tool = tmp_path / "gpgv"
    tool.write_text("#!/bin/sh\necho '[GNUPG:] BADSIG 00 x'\nexit 1\n", encoding="utf-8")
    tool.chmod(0o755)
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(b"x")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(InputError, match="does not fit"):
        debian_release.read_release(CLEAR_SIGNED, "InRelease", keyring=ring)


DIGEST = "0123456789abcdef" * 4
RELEASE_TEXT = f"Suite: sid\n- odd: x\nSHA256:\n {DIGEST} 1 main/source/Sources.xz\n".encode()
CLEAR_SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    + RELEASE_TEXT.replace(b"- odd", b"- - odd")
    + b"-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
)
EVIL = (
    b"x-----BEGIN PGP SIGNED MESSAGE-----\n\nSuite: evil\nSHA256:\n "
    + DIGEST[::-1].encode()
    + b" 1 main/source/Sources.xz\nEnd: x-----BEGIN PGP SIGNATURE-----\n\n"
)
ALTERED = {
    "text before the message": lambda good: EVIL + good,
    "text after the message": lambda good: good + b"Suite: evil\n",
    "two messages": lambda good: EVIL[1:] + good,
    "a message twice": lambda good: good + good,
    "a mark that is not escaped": lambda good: good.replace(
        b"\nSHA256:", b"\n-----BEGIN PGP SIGNATURE-----\nSHA256:", 1
    ),
    "no signature": lambda good: good.partition(b"-----BEGIN PGP SIGNATURE")[0],
}


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """A keyring with one fresh key, whose home is the folder of the keyring."""
    if shutil.which("gpg") is None or shutil.which("gpgv") is None:
        pytest.skip("needs gpg and gpgv")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    gpg(home, "--passphrase", "", "--quick-generate-key", "test@example.org", "ed25519", "sign")
    (home / "ring.gpg").write_bytes(gpg(home, "--export"))
    return home / "ring.gpg"


def gpg(home: Path, *arguments: str, text: bytes = b"") -> bytes:
    return subprocess.run(
        ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", *arguments],
        input=text,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout


def test_only_what_the_signature_covers_is_read(ring: Path) -> None:
    good = gpg(ring.parent, "--clear-sign", text=RELEASE_TEXT)
    release = debian_release.read_release(good, "InRelease", keyring=ring)
    assert release.signature.startswith("signed by")
    assert (release.suite, release.digests) == ("sid", {"main/source/Sources.xz": (DIGEST, 1)})
    for what, alter in ALTERED.items():
        with pytest.raises(InputError, match=r"not signed stands before|not one signed message"):
            debian_release.read_release(alter(good), what, keyring=ring)
    with pytest.raises(InputError, match="does not fit"):
        debian_release.read_release(good.replace(b"Suite: sid", b"Suite: six"), "InRelease", keyring=ring)


def test_the_text_that_gpgv_verified_is_read(ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were our reading of the message to differ from gpgv's, gpgv's would count."""
    good = gpg(ring.parent, "--clear-sign", text=RELEASE_TEXT)
    monkeypatch.setattr(debian_release, "_signed_text", lambda _data, _file: RELEASE_TEXT.replace(b"sid", b"evil"))
    assert debian_release.read_release(good, "InRelease", keyring=ring).suite == "sid"


def test_a_detached_signature_covers_the_whole_file(ring: Path) -> None:
    signature = gpg(ring.parent, "--detach-sign", text=RELEASE_TEXT)
    release = debian_release.read_release(RELEASE_TEXT, "Release", keyring=ring, signature=signature)
    assert release.signature.startswith("signed by")
    with pytest.raises(InputError, match="does not fit"):
        debian_release.read_release(RELEASE_TEXT + b"X: y\n", "Release", keyring=ring, signature=signature)


@pytest.mark.parametrize("what", ALTERED)
def test_unsigned_text_is_refused_without_gpgv_too(what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    release = debian_release.read_release(CLEAR_SIGNED, "InRelease")
    assert release.signature.startswith("not checked: no gpgv")
    assert (release.suite, release.digests) == ("sid", {"main/source/Sources.xz": (DIGEST, 1)})
    with pytest.raises(InputError, match=r"not signed stands before|not one signed message"):
        debian_release.read_release(ALTERED[what](CLEAR_SIGNED), "InRelease")


def test_unknown_architectures_get_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="amd64"):
        check_architecture("amd46")
    assert check_architecture("hppa") == "hppa"
    assert debian_architecture.tuple_of("x32") == ("x32", "gnu", "linux", "amd64")


LINUX_NAMES = ("amd64", "armhf", "armel", "arm", "x32", "i386", "riscv64", "mips64el", "powerpcspe", "mipsn32")
OTHER_NAMES = ("hurd-amd64", "musl-linux-amd64", "kfreebsd-i386", "uclibc-linux-armel")
SPELLED_OUT = (
    *(f"linux-{name}" for name in (*LINUX_NAMES, *OTHER_NAMES)),
    "linux-any",
    "gnu-linux-amd64",
    "gnu-amd64",
    "base-gnu-linux-amd64",
    "linux-linux-amd64",
    "linux-nosuch",
    "linux-",
    "linux",
)


@pytest.mark.parametrize("architecture", LINUX_NAMES)
def test_a_linux_name_may_be_spelled_out(architecture: str) -> None:
    matches = debian_architecture.matches
    assert matches(architecture, f"linux-{architecture}")
    assert not matches(architecture, "linux-arm64")
    assert not matches(f"hurd-{architecture}", f"linux-{architecture}")
    assert debian_architecture.field_matches(architecture, f"linux-arm64 linux-{architecture}")
    assert debian_architecture.tuple_of(f"linux-{architecture}") is None, "not a name to ask for"


def test_a_linux_name_may_be_spelled_out_in_a_restriction() -> None:
    plain, negated = Restriction(arches=("linux-arm64", "linux-amd64")), Restriction(arches=("!linux-amd64",))
    assert plain.holds("amd64", set())
    assert not negated.holds("amd64", set())
    assert not plain.holds("hurd-amd64", set())
    assert negated.holds("hurd-amd64", set())


@pytest.mark.skipif(shutil.which("dpkg-architecture") is None, reason="needs dpkg-architecture (package dpkg-dev)")
@pytest.mark.parametrize("architecture", ["amd64", "armhf", "x32", "hurd-amd64", "musl-linux-amd64"])
def test_names_match_as_dpkg_matches_them(architecture: str) -> None:
    for term in (*SPELLED_OUT, *LINUX_NAMES, *OTHER_NAMES):
        done = subprocess.run(
            ["dpkg-architecture", f"-a{architecture}", "-i", term], capture_output=True, check=False, timeout=60
        )
        assert debian_architecture.matches(architecture, term) == (done.returncode == 0), term


def test_files_are_told_apart_by_content(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(SOURCES)
    (tmp_path / "two").write_bytes(PACKAGES)
    snapshot = from_files([tmp_path / "one", tmp_path / "two"], "x")
    assert [f.kind for f in snapshot.sources] == ["Sources"]
    assert list(snapshot.packages) == ["amd64"]


def test_the_digest_memo_notices_changes(tmp_path: Path) -> None:
    import os  # noqa: PLC0415  (only here)

    file = tmp_path / "Packages"
    file.write_bytes(PACKAGES)
    os.utime(file, ns=(10**18, 10**18))
    memo = DigestMemo(tmp_path / "memo")
    first = from_files([file], "x", memo=memo)
    memo.save()
    again = DigestMemo(tmp_path / "memo")
    assert again.get(file) is not None
    assert from_files([file], "x", memo=again).packages["amd64"][0].digest == first.packages["amd64"][0].digest
    file.write_bytes(PACKAGES.replace(b"Version: 1", b"Version: 2"))
    assert again.get(file) is None
