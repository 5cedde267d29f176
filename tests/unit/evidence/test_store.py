"""The store after a run that died at any step: the old evidence or none, never a mix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from preventable.errors import OutputError
from preventable.evidence.store import load_evidence, replace_file, save_evidence
from preventable.evidence.tables import SCHEMA, Evidence
from support.evidence import evidence, record

OLD, NEW = "a" * 64, "b" * 64


def tables(identity: str) -> Evidence:
    return evidence([record(identity, "spatial", fixed=date(2024, 1, 2), files=("a/b.c",))])


def ids(found: Evidence | None) -> list[str] | None:
    return None if found is None else found.advisories["id"].to_list()


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save_evidence(tables("A"), tmp_path, OLD)
    found = load_evidence(tmp_path, OLD)
    assert found is not None
    for name in SCHEMA:
        assert found.table(name).equals(tables("A").table(name))
    assert found.reports == tables("A").reports
    assert load_evidence(tmp_path, NEW) is None
    assert load_evidence(tmp_path / "none", OLD) is None


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("death", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("again", [NEW, OLD])
def test_killed_at_any_step(
    step: int, death: type[BaseException], again: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_evidence(tables("A"), tmp_path, OLD)
    left = [step]

    def dying(real):  # type: ignore[no-untyped-def]
        def call(*arguments: object, **more: object) -> object:
            if left[0] == 0:
                left[0] -= 1
                raise death("killed")
            left[0] -= 1
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(pl.DataFrame, "write_parquet", dying(pl.DataFrame.write_parquet))
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr("os.fsync", dying(lambda _handle: None))
        try:
            save_evidence(tables("B"), tmp_path, again)
            finished = True
        except (KeyboardInterrupt, OutputError):
            finished = False
    old, new = ids(load_evidence(tmp_path, OLD)), ids(load_evidence(tmp_path, NEW))
    if again == NEW:
        assert (old, new) in ([(["A"], None), (None, ["B"])])
        assert finished == (new == ["B"])
    else:
        assert old in (["A"], ["B"], None)
        assert new is None
    save_evidence(tables("C"), tmp_path, NEW)
    assert ids(load_evidence(tmp_path, NEW)) == ["C"]
    assert len(list(tmp_path.glob("evidence-*"))) == 1
    assert not list(tmp_path.glob("writing-*"))


@pytest.mark.parametrize("name", SCHEMA)
@pytest.mark.parametrize("damage", ["cut", "gone", "noise", "other columns", "another number of rows"])
def test_a_damaged_table_is_no_evidence(name: str, damage: str, tmp_path: Path) -> None:
    save_evidence(tables("A"), tmp_path, OLD)
    path = next(tmp_path.glob("evidence-*")) / f"{name}.parquet"
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "gone":
        path.unlink()
    elif damage == "noise":
        path.write_bytes(b"noise" * 100)
    elif damage == "other columns":
        pl.DataFrame({"x": [1]}).write_parquet(path)
    else:
        frame = pl.read_parquet(path)
        one_more = pl.DataFrame({column: [None] for column in frame.columns}, schema=frame.schema)
        (frame.head(0) if frame.height else one_more).write_parquet(path)
    assert load_evidence(tmp_path, OLD) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"store_version": 1}'])
def test_a_damaged_manifest_is_no_evidence(text: str, tmp_path: Path) -> None:
    save_evidence(tables("A"), tmp_path, OLD)
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    assert load_evidence(tmp_path, OLD) is None


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    replace_file(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damaged", [False, True])
def test_runs_that_save_the_same_at_once_do_not_disturb_each_other(damaged: bool, tmp_path: Path) -> None:
    for _ in range(5):
        if damaged:
            save_evidence(tables("A"), tmp_path, OLD)
            next(tmp_path.glob("evidence-*/advisories.parquet")).write_bytes(b"no table")
        with ThreadPoolExecutor(8) as runs:
            list(runs.map(lambda _: save_evidence(tables("A"), tmp_path, OLD), range(16)))  # raises what a run raises
        assert ids(load_evidence(tmp_path, OLD)) == ["A"]
        assert len(list(tmp_path.glob("evidence-*"))) == 1
        assert not list(tmp_path.glob("writing-*"))
