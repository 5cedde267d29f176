"""The fixture feeds, what a reader must find in each, and how they are packed into archives."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

FIXTURES = Path(__file__).parents[1] / "fixtures"
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
CONTAINERS = ("directory", "tar", "tar.gz", "tar.zst", "tar.xz", "zip")


@dataclass(frozen=True)
class Feed:
    """What lies in ``tests/fixtures/<name>`` and what reading it must give."""

    name: str
    read: int
    single: str
    """The member that is a feed of its own, as a plain file."""
    single_read: int
    rejected: int = 0
    failed: int = 0
    ids: tuple[str, ...] = field(default=())

    @property
    def directory(self) -> Path:
        return FIXTURES / self.name

    def members(self) -> dict[str, bytes]:
        """Name inside the feed -> bytes, in order of name."""
        return {
            path.relative_to(self.directory).as_posix(): path.read_bytes()
            for path in sorted(self.directory.rglob("*"))
            if path.is_file()
        }


FEEDS = {
    feed.name: feed
    for feed in (
        Feed(
            "kernel_cna", 3, "cve/published/2024/CVE-2024-90001.json", 1, rejected=1,
            ids=("CVE-2024-90001", "CVE-2024-90002", "CVE-2025-90003"),
        ),
        Feed(
            "cve5", 2, "cves/2024/90xxx/CVE-2024-90101.json", 1, rejected=1, ids=("CVE-2024-90101", "CVE-2024-90102"),
        ),
        Feed(
            "osv", 4, "transfer.json", 2,
            ids=("GHSA-xxxx-test-0001", "TEST-2024-0002", "TRANSFER-CVE-2022-90302", "TRANSFER-CVE-2023-90301"),
        ),
        Feed(
            "rustsec", 2, "crates/tinybuf/RUSTSEC-2024-9001.md", 1, ids=("RUSTSEC-2023-9002", "RUSTSEC-2024-9001"),
        ),
        Feed("kev", 2, "known_exploited_vulnerabilities.json", 2),
        Feed("releases", 3, "linux.json", 3, failed=1),
        Feed("jsonl", 3, "bugs.jsonl", 3, ids=("BUG-1", "BUG-2", "BUG-3")),
        Feed("csv", 3, "bugs.csv", 3, ids=("T-1", "T-2", "T-3")),
    )
}  # fmt: skip


def tar_bytes(members: dict[str, bytes]) -> bytes:
    """A tar archive, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    """A zip archive, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def packed(members: dict[str, bytes], container: str) -> bytes:
    """The members in one of the archive containers."""
    if container == "zip":
        return zip_bytes(members)
    tar = tar_bytes(members)
    if container == "tar.gz":
        return gzip.compress(tar, mtime=0)
    if container == "tar.zst":
        return zstandard.ZstdCompressor(level=3).compress(tar)
    if container == "tar.xz":
        return lzma.compress(tar)
    assert container == "tar"
    return tar


def place(members: dict[str, bytes], container: str, where: Path) -> Path:
    """Put the members into ``where`` in a container and return what to read."""
    where.mkdir(parents=True, exist_ok=True)
    if container == "directory":
        for name, data in members.items():
            path = where / "feed" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return where / "feed"
    path = where / f"feed.{container}"
    path.write_bytes(packed(members, container))
    return path
