"""Answers do not depend on what was read beside them, in one process or in several."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from tests.unit.studies.debian_archive_fixture import BUILD_ESSENTIAL, binary, source

from preventable.readers.debian_archive import Snapshot, from_files
from preventable.studies.ports import survey as module
from preventable.studies.ports.model import Policy
from preventable.studies.ports.survey import survey
from preventable.studies.ports.terms import Question
from preventable.studies.ports.texts import Texts

ARCHES = ("amd64", "arm64", "riscv64")


def _archive(folder: Path) -> Path:
    draw = random.Random(7)
    names = [f"p{i}" for i in range(60)]
    sources = [source("base")]
    stanzas: dict[str, list[str]] = {a: [BUILD_ESSENTIAL.replace("amd64", a)] for a in ARCHES}
    for name in names:
        needs = f"{draw.choice(names)}, {draw.choice(names)} | {draw.choice(names)}"
        sources.append(source(name, needs))
        for arch in ARCHES:
            run = ", ".join(draw.sample(names, draw.randint(0, 1)))
            stanzas[arch].append(binary(name, run, arch=arch))
    (folder / "Sources").write_text("\n\n".join(sources) + "\n")
    for arch, own in stanzas.items():
        draw.shuffle(own)
        (folder / f"Packages_{arch}").write_text("\n\n".join(own) + "\n")
    return folder


def _snapshot(folder: Path, arches: tuple[str, ...]) -> Snapshot:
    return from_files([folder / "Sources", *(folder / f"Packages_{a}" for a in arches)], "files")


def test_alone_together_and_in_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _archive(tmp_path)
    question = Question(remove=("p1", "p2"), reasons=True)
    alone = [survey([_snapshot(folder, (a,))], [], Policy(), None, question).answers[0] for a in ARCHES]
    together = survey([_snapshot(folder, ARCHES)], [], Policy(), None, question, workers=1).answers
    monkeypatch.setattr(module, "_WORTH_A_PROCESS_BYTES", 1)
    forked = survey([_snapshot(folder, ARCHES)], [], Policy(), None, question, workers=2).answers
    wanted = [msgspec.to_builtins(a) for a in alone]
    assert wanted[0]["reasons"]
    assert [msgspec.to_builtins(a) for a in together] == wanted
    assert [msgspec.to_builtins(a) for a in forked] == wanted


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("items", [[], [""], ["a"], ["a", "b1", "ab", "", "b"]])
def test_texts_are_a_sequence(items: list[str], split: bool) -> None:
    texts = Texts("\n".join(items), len(items))
    if split:
        assert texts.items == items
    for prefix in ("a", "b", "ab", "z"):
        assert texts.beginning(prefix) == [(i, t) for i, t in enumerate(items) if t.startswith(prefix)]
    assert list(texts) == items
    assert len(texts) == len(items)
