"""Models on disk, so that a second question about the same snapshot need not read the indices again.

A file is named by the digest of everything that goes into a model: the indices' digests, architecture,
policy and the version of the methods. It is written beside and moved into place, and one that cannot be
read is as good as none. Nothing in it is executed when it is read (MessagePack, arrays as bytes).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import platformdirs

from preventable.records import METHOD_VERSION, FailedRow
from preventable.studies.ports.conflicts import Baseline
from preventable.studies.ports.fixpoint import Propagation
from preventable.studies.ports.model import ArchiveModel, Policy
from preventable.studies.ports.rows import Rows
from preventable.studies.ports.texts import Texts
from preventable.studies.ports.witnesses import Survey

_FORMAT = 4
_NAMES = [
    "bin_name",
    "bin_version",
    "bin_source_name",
    "bin_priority",
    "src_name",
    "src_version",
    "src_people",
    "clause_text",
]
_SELDOM = {"bin_version", "src_version", "src_people", "clause_text"}
"""Of these few items are asked for, if any."""
_ARRAYS = ["bin_source", "bin_all", "bin_stale", "bin_essential", "src_newest", "src_any"]
_ROWS = ["requires", "candidates", "conflicts"]


class Prepared(msgspec.Struct, frozen=True):
    """A model with its baseline, and what could not be read of the indices it was made from."""

    model: ArchiveModel
    baseline: Baseline
    failed: tuple[FailedRow, ...]
    warnings: tuple[FailedRow, ...]
    duplicate: int
    notes: tuple[str, ...] = ()
    """What is odd about the policy, seen from these indices."""


def cache_folder() -> Path:
    """Where models and fetched indices are kept."""
    return platformdirs.user_cache_path("preventable") / "debian"


def key_of(suite: str, architecture: str, policy: Policy, digests: Sequence[str], *, conflicts: bool) -> str:
    """The name of the file for a model."""
    parts = [
        str(_FORMAT),
        METHOD_VERSION,
        suite,
        architecture,
        repr(policy),
        str(conflicts),
        *sorted(digests),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def has(folder: Path, key: str) -> bool:
    """Is there a model of that name?"""
    return (folder / f"{key}.model").is_file()


def save(folder: Path, key: str, prepared: Prepared) -> None:
    """Write a model; a full or read-only disk is no error, since the cache is only a convenience."""
    model, base = prepared.model, prepared.baseline
    distinct = {bits: i for i, bits in enumerate(dict.fromkeys(base.survey.reach))}
    arrays: dict[str, Any] = {name: getattr(model, name) for name in _ARRAYS}
    for name in _ROWS:
        rows: Rows = getattr(model, name)
        arrays[f"{name}.starts"], arrays[f"{name}.values"] = rows.starts, rows.values
    state = base.state
    for name in ("dead", "left", "cause", "when"):
        arrays[f"state.{name}"] = getattr(state, name)
    for name, rows in (("need_of", state.need_of), ("offer_of", state.offer_of), ("proofs", base.proofs)):
        arrays[f"{name}.starts"], arrays[f"{name}.values"] = rows.starts, rows.values
    arrays["choice"], arrays["proved"] = base.survey.choice, base.proved
    arrays["reach"] = np.fromiter((distinct[b] for b in base.survey.reach), np.int32, len(base.survey.reach))
    document = {
        "format": _FORMAT,
        "suite": model.suite,
        "architecture": model.architecture,
        "policy": msgspec.to_builtins(model.policy),
        "build_essential": model.build_essential,
        "round": state.round,
        "duplicate": prepared.duplicate,
        "notes": list(prepared.notes),
        "failed": msgspec.to_builtins(prepared.failed),
        "warnings": msgspec.to_builtins(prepared.warnings),
        # Names never hold a newline: they are single-line fields.
        "names": {name: Texts.of(getattr(model, name)).joined for name in _NAMES},
        "arrays": {name: [a.dtype.str, a.tobytes()] for name, a in arrays.items()},
        "bits": [bits.to_bytes((bits.bit_length() + 7) // 8, "little") for bits in distinct],
    }
    import tempfile  # noqa: PLC0415  (slow: only to write)

    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".model-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(msgspec.msgpack.encode(document))
            Path(name).replace(folder / f"{key}.model")
        except OSError:
            Path(name).unlink(missing_ok=True)


def load(folder: Path, key: str) -> Prepared | None:
    """Read a model back, or ``None`` if there is none that can be used."""
    try:
        # Files here are replaced, never changed, so that one may be read where it lies.
        with (folder / f"{key}.model").open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as raw:
            document = msgspec.msgpack.decode(raw)
        if document["format"] != _FORMAT:
            return None
        arrays = {name: np.frombuffer(raw, dtype=np.dtype(kind)) for name, (kind, raw) in document["arrays"].items()}
        counts = {
            "bin": len(arrays["bin_all"]),
            "src": len(arrays["src_any"]),
            "cla": len(arrays["candidates.starts"]) - 1,
        }
        names = {
            name: Texts(joined, counts[name[:3]]) if name in _SELDOM else Texts(joined, counts[name[:3]]).items
            for name, joined in document["names"].items()
        }

        def rows(name: str) -> Rows:
            return Rows(arrays[f"{name}.starts"], arrays[f"{name}.values"])

        members: dict[str, Any] = {
            "suite": document["suite"],
            "architecture": document["architecture"],
            "policy": msgspec.convert(document["policy"], Policy),
            "build_essential": document["build_essential"],
            **names,
            **{name: arrays[name] for name in _ARRAYS},
            **{name: rows(name) for name in _ROWS},
        }
        model = ArchiveModel(**members)
        state = Propagation(model, rows("need_of"), rows("offer_of"))
        for name in ("dead", "left", "cause", "when"):
            setattr(state, name, arrays[f"state.{name}"].copy())
        state.round = document["round"]
        bits = [int.from_bytes(raw, "little") for raw in document["bits"]]
        reach = [bits[i] for i in arrays["reach"].tolist()]
        survey = Survey(arrays["choice"], reach, np.zeros(0, np.int32))
        return Prepared(
            model,
            Baseline(state, survey, arrays["proved"], rows("proofs")),
            msgspec.convert(document["failed"], tuple[FailedRow, ...]),
            msgspec.convert(document["warnings"], tuple[FailedRow, ...]),
            document["duplicate"],
            tuple(document["notes"]),
        )
    except (OSError, msgspec.MsgspecError, KeyError, ValueError, TypeError, IndexError):
        return None
