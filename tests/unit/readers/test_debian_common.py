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
