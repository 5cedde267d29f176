"""Reading indices: what is taken, what is refused, and where messages point."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
import zstandard
from debian.deb822 import Packages, Sources

from preventable.errors import ArchiveError, FormatError
from preventable.readers.debian import decompress, read_index
from preventable.readers.debian_relations import RelationPool

PACKAGES = b"""Package: apt
Version: 3.3.5
Architecture: amd64
Maintainer: A <a@example.org>
Depends: base-passwd (>= 3.6.1) | adduser, sqv (>= 1.3.0),
 libc6 (>= 2.38)
Provides: apt-transport-https (= 3.3.5)
Priority: required
Filename: pool/a.deb
SHA256: 00

Package: doc
Source: apt (3.3.4)
Version: 3.3.5
Architecture: all
Maintainer: A <a@example.org>
Essential: yes
Filename: pool/d.deb
SHA256: 00
"""
SOURCES = b"""Package: apt
Binary: apt,
 doc
Version: 3.3.5
Architecture: any all
Maintainer: A <a@example.org>
Build-Depends: cmake (>= 3.4), sqv (>= 1.3.0) [amd64 arm64] <!pkg.apt.nosqv>, gpgv | sqv
Build-Depends-Indep: doxygen <!nodoc !pkg.apt.nodoxygen>
Directory: pool/apt
"""


def test_packages_as_python_debian_reads_them() -> None:
    pool = RelationPool()
    index = read_index(PACKAGES, "Packages", pool)
    reference = list(Packages.iter_paragraphs(PACKAGES, use_apt_pkg=False))
    assert index.architecture == "amd64"
    assert [b.name for b in index.binaries] == [p["Package"] for p in reference]
    for own, other in zip(index.binaries, reference, strict=True):
        names = [[pool.clause_text(c)] for c in pool.fields[own.depends]]
        wanted = [[" | ".join(_text(a) for a in clause)] for clause in other.relations["depends"]]
        assert names == wanted
    doc = index.binaries[1]
    assert (doc.source, doc.source_version, doc.arch_all, doc.essential) == ("apt", "3.3.4", True, True)
    assert index.binaries[0].priority == "required"


def _text(alternative: dict[str, object]) -> str:
    version = alternative["version"]
    return f"{alternative['name']} ({version[0]} {version[1]})" if version else str(alternative["name"])  # type: ignore[index]


def test_sources_as_python_debian_reads_them() -> None:
    pool = RelationPool()
    index = read_index(SOURCES, "Sources", pool)
    other = next(iter(Sources.iter_paragraphs(SOURCES, use_apt_pkg=False)))
    own = index.sources[0]
    assert (own.name, own.version, own.architecture) == (other["Package"], other["Version"], "any all")
    assert len(pool.fields[own.depends]) == len(other.relations["build-depends"])
    restriction = next(r for r in pool.restrictions if r.arches)
    assert restriction.arches == ("amd64", "arm64")
    assert restriction.profiles == (("!pkg.apt.nosqv",),)


@pytest.mark.parametrize(
    "pack",
    [lzma.compress, gzip.compress, bz2.compress, zstandard.ZstdCompressor().compress, bytes],
    ids=["xz", "gz", "bz2", "zst", "plain"],
)
def test_every_compression_reads_the_same(pack: object) -> None:
    packed = pack(PACKAGES)  # type: ignore[operator]  # one of the callables above
    assert decompress(packed, "Packages") == PACKAGES


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, bz2.compress, zstandard.ZstdCompressor().compress])
def test_a_truncated_stream_is_an_error(pack: object) -> None:
    packed = pack(PACKAGES * 50)  # type: ignore[operator]  # one of the callables above
    with pytest.raises(ArchiveError, match="damaged or truncated"):
        decompress(packed[: len(packed) * 2 // 3], "Packages.xz")


@pytest.mark.parametrize("keep", [0.55, 0.7, 0.9])
def test_a_plain_index_that_was_cut_is_refused(keep: float) -> None:
    data = PACKAGES + b"\n" + PACKAGES.replace(b"apt", b"apt2").replace(b"doc", b"doc2")
    cut = data[: int(len(data) * keep)]
    with pytest.raises(ArchiveError, match="truncated"):
        read_index(cut, "Packages", RelationPool())


def test_syntax_errors_point_at_line_and_field() -> None:
    bad = PACKAGES.replace(b"sqv (>= 1.3.0)", b"sqv (>= 1.3.0")
    index = read_index(bad, "P", RelationPool())
    assert len(index.failed) == 1
    row = index.failed[0]
    assert (row.file, row.record, row.field) == ("P", "apt", "Depends")
    assert row.reason.startswith("line 5: not a relation")


def test_mixed_negation_is_a_syntax_error() -> None:
    bad = SOURCES.replace(b"[amd64 arm64]", b"[amd64 !arm64]")
    assert "mixed" in read_index(bad, "S", RelationPool()).failed[0].reason


def test_policy_violations_are_warnings_and_the_record_stays() -> None:
    index = read_index(PACKAGES.replace(b"Version: 3.3.5", b"Version: v3_5"), "P", RelationPool())
    assert len(index.binaries) == 2
    assert index.warnings[0].field == "Version"
    assert "line 2" in index.warnings[0].reason


def test_missing_version_is_a_failed_row() -> None:
    data = PACKAGES.replace(b"Version: 3.3.5\n", b"", 1)
    index = read_index(data, "P", RelationPool())
    assert [b.name for b in index.binaries] == ["doc"]
    assert index.failed[0].field == "Version"


def test_mixed_kinds_and_architectures_are_refused() -> None:
    with pytest.raises(FormatError, match="mixed in one index"):
        read_index(PACKAGES + b"\n" + SOURCES, "P", RelationPool())
    other = PACKAGES.replace(b"amd64", b"arm64").replace(b"apt", b"xyz")
    with pytest.raises(FormatError, match="an index for amd64 has a record for arm64"):
        read_index(PACKAGES + b"\n" + other, "P", RelationPool())


@pytest.mark.parametrize("data", [b"hello\n", b"\n\n", b"\x00\x01\x02", b"{}\n"])
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_index(data, "x", RelationPool())


def test_duplicates_are_counted_once() -> None:
    index = read_index(PACKAGES + b"\n" + PACKAGES, "P", RelationPool())
    assert (len(index.binaries), index.duplicate) == (2, 2)
