"""Indices by ``suite:architecture`` from the mirror that this machine's APT is configured with.

Nothing about a mirror is written here: ``apt-get indextargets`` names the archives, ``apt-config`` the
proxy. Every index is checked against the suite's Release file and kept in the cache directory by its digest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import msgspec

from preventable.errors import ArchiveError, InputError, UsageError
from preventable.readers.debian_release import Release, check_digest, read_release

_TIMEOUT_SECONDS = 60
_TRIES = 3
_FRESH_SECONDS = 900


def _path(kind: type, value: str) -> Path:
    if kind is not Path:
        raise NotImplementedError(f"no way to read a {kind}")
    return Path(value)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Repository(msgspec.Struct, frozen=True):
    """An archive from APT's configuration."""

    uri: str
    keyring: Path | None = None
    proxy: str | None = None


def configured_repositories() -> list[Repository]:
    """The archives that APT knows, in its order.

    Raises:
        InputError: there is no APT here, or it names no archive.
    """
    if shutil.which("apt-get") is None:
        raise InputError(
            "suite:architecture needs the APT configuration of a Debian machine",
            hint="Give files or a directory instead (--archive DIR, --sources FILE --packages FILE)",
        )
    listed = _ask(["apt-get", "indextargets", "--format", "$(REPO_URI)\t$(SIGNED_BY)", "Created-By: Packages"])
    proxies = dict(
        line.split(" ", 1)
        for line in _ask(["apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy"]).splitlines()
        if " " in line
    )
    found: list[Repository] = []
    for line in dict.fromkeys(listed.splitlines()):
        uri, _, signed_by = line.partition("\t")
        if not uri.startswith(("http://", "https://", "file:", "copy:")):
            continue
        scheme = uri.split(":", 1)[0]
        proxy = proxies.get(f"Acquire::{scheme}::Proxy", "").strip('"; ') or None
        ring = Path(signed_by) if signed_by.startswith("/") and Path(signed_by).is_file() else None
        found.append(Repository(uri if uri.endswith("/") else uri + "/", ring, proxy))
    found = list(dict.fromkeys(found))
    if not found:
        # APT names the indices of an archive once it has the archive's Release file, or when told to go without.
        if _ask(["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)"]).strip():
            raise InputError(
                "APT has no lists yet, which say what the archives in its configuration hold",
                hint="Run apt-get update first, or give files or a directory instead",
            )
        raise InputError("APT's configuration names no archive", hint="Give files or a directory instead")
    return found


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{command[0]} failed: {error}") from error
    return done.stdout


class _RefusedError(InputError):
    """The mirror answers, but does not give what it may well have: 403, 407, 429 …"""


class Mirror:
    """Finds and fetches the indices of suites.

    Args:
        repositories: where to look, in order; APT's by default.
        folder: where fetched indices are kept by digest; ``None`` keeps nothing.
    """

    def __init__(self, repositories: list[Repository] | None = None, folder: Path | None = None) -> None:
        self._given = repositories
        self.folder = folder
        self._releases: dict[tuple[str, str], Release | None] = {}

    @functools.cached_property
    def repositories(self) -> list[Repository]:
        """The archives given, or APT's."""
        return configured_repositories() if self._given is None else self._given

    def release(self, suite: str, architecture: str | None = None) -> tuple[Repository, Release]:
        """The first archive that has the suite (and, if given, the architecture in it).

        Raises:
            UsageError: no archive has it.
            InputError: no archive gives it, and one refuses to say.
        """
        noted = self._noted(suite, architecture)
        if noted:
            return noted
        seen: list[str] = []
        refused: _RefusedError | None = None
        for repository in self.repositories:
            key = (repository.uri, suite)
            if key not in self._releases:
                try:
                    data = self._get(repository, f"dists/{suite}/InRelease")
                except _RefusedError as error:
                    refused = refused or error  # another archive may have it
                    continue
                self._releases[key] = (
                    read_release(data, f"{suite}/InRelease", keyring=repository.keyring) if data else None
                )
            release = self._releases[key]
            if release is None:
                continue
            if architecture is None or architecture in release.architectures:
                self._note(suite, architecture, repository, release)
                return repository, release
            seen.extend(release.architectures)
        if refused:
            raise refused
        if seen:
            raise UsageError(
                f"{suite} has no architecture {architecture}: it has {' '.join(sorted(set(seen)))}",
                hint="Give files for it, or configure an archive that has it in APT",
            )
        raise UsageError(f"no archive that APT is configured with has a suite {suite!r}")

    def _note_file(self, suite: str, architecture: str | None) -> Path | None:
        if self.folder is None or self._given is not None:
            return None
        return self.folder / f"release-{_sha256(f'{suite} {architecture}'.encode())[:32]}"

    def _noted(self, suite: str, architecture: str | None) -> tuple[Repository, Release] | None:
        """A Release file that was fetched and verified minutes ago: one snapshot serves several questions."""
        file = self._note_file(suite, architecture)
        if file is None:
            return None
        try:
            if not 0 <= time.time() - file.stat().st_mtime < _FRESH_SECONDS:
                return None
            return msgspec.msgpack.decode(file.read_bytes(), type=tuple[Repository, Release], dec_hook=_path)
        except (OSError, msgspec.MsgspecError):
            return None

    def _note(self, suite: str, architecture: str | None, repository: Repository, release: Release) -> None:
        file = self._note_file(suite, architecture)
        if file is not None:
            self._keep(file.name, msgspec.msgpack.encode((repository, release), enc_hook=str))

    def has(self, suite: str, architecture: str) -> bool:
        """Does any archive have an index of packages for the architecture?"""
        try:
            self.release(suite, architecture)
        except UsageError:
            return False
        return True

    def index(self, suite: str, path: str, architecture: str | None = None) -> tuple[bytes, str, str] | None:
        """Fetch ``path`` (without compression suffix) of a suite.

        Returns:
            The bytes as published, the name used in messages, how they were checked; ``None`` if the suite
            does not list the index.
        """
        repository, release = self.release(suite, architecture)
        for suffix in (".xz", ".gz", ".zst", ""):
            known = release.digests.get(path + suffix)
            if known is None:
                continue
            name = f"{suite}/{path}{suffix}"
            data = self._kept(known[0])
            if data is None:
                folder = f"dists/{suite}/{Path(path).parent}"
                if release.by_hash:
                    data = self._get(repository, f"{folder}/by-hash/SHA256/{known[0]}")
                if data is None:
                    data = self._get(repository, f"dists/{suite}/{path}{suffix}")
                if data is None:
                    raise ArchiveError(
                        "listed in the Release file but not on the mirror", file=name, hint="Try again later"
                    )
                said = check_digest(len(data), _sha256(data), name, path + suffix, release)
                self._keep(known[0], data)
            else:
                said = check_digest(len(data), _sha256(data), name, path + suffix, release)
            return data, name, said
        return None

    def _kept(self, digest: str) -> bytes | None:
        if self.folder is None:
            return None
        try:
            return (self.folder / digest).read_bytes()
        except OSError:
            return None

    def _keep(self, digest: str, data: bytes) -> None:
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            Path(name).replace(self.folder / digest)

    def _get(self, repository: Repository, path: str) -> bytes | None:
        uri = repository.uri.replace("copy:", "file:", 1) + urllib.parse.quote(path)
        proxies = {"http": repository.proxy, "https": repository.proxy} if repository.proxy else None
        opener = urllib.request.build_opener(*([urllib.request.ProxyHandler(proxies)] if proxies else []))
        last: Exception | None = None
        for _ in range(_TRIES):
            try:
                with opener.open(uri, timeout=_TIMEOUT_SECONDS) as answer:
                    data: bytes = answer.read()
                    return data
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (404, 410):
                    return None
                if error.code < 500:
                    raise _RefusedError(
                        f"the mirror refuses with status {error.code} ({error.reason})",
                        file=path,
                        hint="Check APT's proxy and the archive's access, or give files instead",
                    ) from error
                last = error
            except urllib.error.URLError as error:
                if isinstance(error.reason, FileNotFoundError) or uri.startswith("file:"):
                    return None
                last = error
            except (OSError, TimeoutError) as error:
                last = error
        raise InputError(
            f"the mirror does not answer ({last})", file=path, hint="Try again, or give files instead"
        ) from last
