"""From the indices of a snapshot to models, one architecture at a time over one pool of relations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from preventable.errors import FormatError, RecordError
from preventable.readers.debian import BinaryPackage, Common, Index, SourcePackage, read_index
from preventable.readers.debian_architecture import nearest
from preventable.readers.debian_archive import IndexFile, Snapshot
from preventable.readers.debian_relations import RelationPool
from preventable.records import FailedRow
from preventable.studies.ports import storage
from preventable.studies.ports.conflicts import Baseline, Installer, settle_baseline, start
from preventable.studies.ports.model import Policy, PoolArrays, build_model
from preventable.studies.ports.storage import Prepared
from preventable.studies.ports.tables import BinaryTable, SourceTable
from preventable.studies.ports.witnesses import Survey, Witnesses


class Workshop:
    """Makes the models of one snapshot; reads its indices once, and only if the cache lacks something.

    Args:
        snapshot: the indices.
        policy: how build dependencies are read.
        folder: the cache; ``None`` for no cache.
        conflicts: find what conflicts break, too.
        strict: a record that cannot be read is an error.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        policy: Policy,
        folder: Path | None,
        *,
        conflicts: bool = True,
        strict: bool = False,
    ) -> None:
        self.snapshot = snapshot
        self.policy = policy
        self.folder = folder
        self.conflicts = conflicts
        self.strict = strict
        self.pool = RelationPool()
        self._arrays = PoolArrays(self.pool)
        self._sources: list[Index] | None = None
        self._source_packages: list[SourcePackage] = []
        self._common = Common() if len(snapshot.packages) > 1 else None
        self._known: tuple[SourceTable, BinaryTable] | None = None
        self._read_before: dict[str, Index] = {}

    def sources(self) -> list[Index]:
        """The indices of sources, read on first use."""
        if self._sources is None:
            if not self.snapshot.sources:
                raise FormatError(
                    f"no index of sources for {self.snapshot.suite}",
                    hint="Give a Sources file too: without it nothing is known about building",
                )
            self._sources = [self._read(f, "Sources") for f in self.snapshot.sources]
        return self._sources

    def source_packages(self) -> list[SourcePackage]:
        """Every source stanza, each version once."""
        if not self._source_packages:
            merged = {(s.name, s.version): s for index in self.sources() for s in index.sources}
            self._source_packages = list(merged.values())
        return self._source_packages

    def _tables(self) -> tuple[SourceTable, BinaryTable]:
        if self._known is None:
            sources = SourceTable(self.pool, self.source_packages())
            self._known = sources, BinaryTable(self.pool, sources)
        return self._known

    def warm(self, architecture: str) -> None:
        """Read what all architectures share, and one of them, before processes are forked.

        Nothing is read for an architecture whose model the cache has.
        """
        files, key = self._inputs(architecture)
        if self.folder is not None and storage.has(self.folder, key):
            return
        self.sources()
        for file in files:
            arch = None if file.architecture == "all" else architecture
            self._read_before[file.digest] = self._read(file, "Packages", arch)
        _, packages = self._tables()
        for index in self._read_before.values():
            packages.rows(index.binaries)
        self._arrays.grow()

    def _inputs(self, arch: str) -> tuple[list[IndexFile], str]:
        """The indices of an architecture, and the name of its model in the cache."""
        files = [*self.snapshot.packages.get(arch, ()), *self.snapshot.packages.get("all", ())]
        digests = [f.digest for f in (*self.snapshot.sources, *files)]
        key = storage.key_of(self.snapshot.suite, arch, self.policy, digests, conflicts=self.conflicts)
        return files, key

    def prepare(self, architectures: Sequence[str]) -> Iterator[Prepared]:
        """The model of each architecture, from the cache or made now."""
        for arch in architectures:
            files, key = self._inputs(arch)
            if self.folder is not None:
                found = storage.load(self.folder, key)
                if found is not None:
                    self._complain(found.failed)
                    yield found
                    continue
            prepared = self._make(arch, files)
            if self.folder is not None:
                storage.save(self.folder, key, prepared)
            yield prepared

    def _make(self, arch: str, files: Sequence[IndexFile]) -> Prepared:
        of_sources = self.sources()
        of_packages = [self._read(f, "Packages", None if f.architecture == "all" else arch) for f in files]
        binaries = of_packages[0].binaries
        if len(of_packages) > 1:
            merged: dict[tuple[str, str, bool], BinaryPackage] = {}
            for index in of_packages:
                for b in index.binaries:
                    merged.setdefault((b.name, b.version, b.arch_all), b)
            binaries = list(merged.values())
        model = build_model(self.snapshot.suite, arch, binaries, self._tables(), self._arrays, self.policy)
        if self.conflicts:
            with Installer(model) as installer:
                baseline = settle_baseline(model, Witnesses(model), installer)
        else:
            none = np.zeros(0, np.int32)
            baseline = Baseline(start(model), Survey(none, [], none), none, model.requires.none())
        failed = tuple(row for index in (*of_sources, *of_packages) for row in index.failed)
        warnings = tuple(row for index in (*of_sources, *of_packages) for row in index.warnings)
        duplicate = sum(i.duplicate for i in (*of_sources, *of_packages))
        return Prepared(model, baseline, failed, warnings, duplicate, self._odd_profiles())

    def _odd_profiles(self) -> tuple[str, ...]:
        """A note for each active profile that no relation of the indices names: most likely a slip."""
        groups = (group for restriction in self.pool.restrictions for group in restriction.profiles)
        named = {term.removeprefix("!") for group in groups for term in group}
        out = []
        for profile in self.policy.profiles:
            if profile not in named:
                near = nearest(profile, sorted(named))
                out.append(
                    f"no relation in the indices of {self.snapshot.suite} names the build profile {profile!r}: "
                    "it changes nothing" + (f" (nearest: {', '.join(near)})" if near else "")
                )
        return tuple(out)

    def _read(self, file: IndexFile, kind: str, arch: str | None = None) -> Index:
        if file.digest in self._read_before:
            return self._read_before.pop(file.digest)
        data, index = file.plain(), None
        if self._common is not None and kind == "Packages":
            index = self._common.read(data, file.name, self.pool, arch)
        if index is None:
            index = read_index(data, file.name, self.pool, architecture=arch)
        if index.kind != kind:
            raise FormatError(f"an index of {index.kind} where one of {kind} was expected", file=file.name)
        self._complain(index.failed)
        return index

    def _complain(self, failed: Sequence[FailedRow]) -> None:
        if self.strict and failed:
            row = failed[0]
            raise RecordError(row.reason, file=row.file, record=row.record, field=row.field)
