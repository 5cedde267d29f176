"""Records that several architectures' indices repeat are read once and come out the same."""

from __future__ import annotations

from preventable.readers.debian import Common, read_index
from preventable.readers.debian_relations import RelationPool


def _index(arch: str, extra: str = "") -> bytes:
    def stanza(i: int) -> str:
        own = "all" if i % 2 else arch
        return (
            f"Package: p{i}\nVersion: {i}\nArchitecture: {own}\nDepends: p{i + 1} (>= {i}), q{i} | r\n"
            f"Filename: {own if own == 'all' else arch + str(i)}\n"
        )

    return "\n".join([*(stanza(i) for i in range(400)), *([extra] if extra else [])]).encode()


def test_shared_records_give_the_same_index() -> None:
    pool, plain = RelationPool(), RelationPool()
    common = Common()
    for arch in ("amd64", "arm64", "s390x"):
        told = common.read(_index(arch), arch, pool, arch)
        assert told == read_index(_index(arch), arch, plain, architecture=arch)
    assert pool.clause_source == plain.clause_source


def test_an_index_with_faults_is_left_to_the_reader_that_knows_line_numbers() -> None:
    pool, common = RelationPool(), Common()
    assert common.read(_index("amd64"), "a", pool, "amd64") is not None
    broken = _index("arm64", "Package: z\nVersion: 1\nArchitecture: all\nDepends: ((\nFilename: x\n")
    assert common.read(broken, "b", pool, "arm64") is None
    twice = _index("arm64", "Package: p1\nVersion: 1\nArchitecture: all\nDepends: x\nFilename: x\n")
    assert common.read(twice, "b", pool, "arm64") is None


def test_a_small_index_is_read_in_the_usual_way() -> None:
    text = b"Package: a\nVersion: 1\nArchitecture: all\nFilename: x\n"
    assert Common().read(text, "a", RelationPool(), None) is None


def _laid_out(arch: str, size: int, last: str = "") -> bytes:
    """Records as an archive writes them: what differs between architectures is size, name and digests."""
    return "\n".join(
        f"Package: p{i}\nVersion: 1\nInstalled-Size: {size + i}\nMaintainer: x\nArchitecture: {arch}\n"
        f"Depends: q{i if i % 3 else arch}\nFilename: pool/p{i}_{arch}.deb\nSize: {size}\nSHA256: {size}{i}\n{last}"
        for i in range(400)
    ).encode()


def test_records_that_differ_in_size_and_file_only_are_read_once() -> None:
    pool, plain, common = RelationPool(), RelationPool(), Common()
    first = common.read(_laid_out("amd64", 1), "amd64", pool, "amd64")
    second = common.read(_laid_out("arm64", 2), "arm64", pool, "arm64")
    assert first == read_index(_laid_out("amd64", 1), "amd64", plain, architecture="amd64")
    assert second == read_index(_laid_out("arm64", 2), "arm64", plain, architecture="arm64")
    assert first is not None
    assert second is not None
    assert second.binaries[1] is first.binaries[1]
    assert second.binaries[0] is not first.binaries[0]


def test_fields_after_the_file_are_not_taken_for_granted() -> None:
    pool, plain, common = RelationPool(), RelationPool(), Common()
    common.read(_laid_out("amd64", 1, "Conflicts: amd\n"), "amd64", pool, "amd64")
    told = common.read(_laid_out("arm64", 2, "Conflicts: arm\n"), "arm64", pool, "arm64")
    wanted = read_index(_laid_out("arm64", 2, "Conflicts: arm\n"), "arm64", plain, architecture="arm64")
    assert told is not None
    assert [pool.fields[b.conflicts] for b in told.binaries] != [pool.fields[0]] * 400
    assert [[pool.clause_source[c] for c in pool.fields[b.conflicts]] for b in told.binaries] == [
        [plain.clause_source[c] for c in plain.fields[b.conflicts]] for b in wanted.binaries
    ]
