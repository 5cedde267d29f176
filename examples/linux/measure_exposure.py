"""Measure lines of code by component, language and bucket in Linux source archives: the exposure facts.

    python examples/linux/measure_exposure.py linux-releases.json 6.12=linux_6.12.8.orig.tar.xz > exposure.csv

Each archive is a Debian `linux_*.orig.tar.xz` (kernel.org's tree without non-free files) of a stable
release; it stands for the mainline release X.Y that it began from, and its lines are dated by that release.
Lines are code lines (neither blank nor comment) as counted by `scc`, which must be on the PATH. Nothing of
the archives is kept: files are written to a temporary directory, counted and removed.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path, PurePosixPath

LANGUAGES = {".c": "C", ".h": "header", ".rs": "Rust", ".S": "assembly"}
NOT_SHIPPED = ("tools/", "scripts/", "samples/", "Documentation/", "usr/", "debian/")
VENDORED = ("rust/alloc/", "rust/proc-macro2/", "rust/quote/", "rust/syn/", "lib/zstd/", "scripts/dtc/")
TEST = re.compile(r"(^|/)(tests?|selftests?|kunit)(/|$)|(_|-)(kunit|test|selftest)s?(_|\.|-)")
GENERATED = re.compile(r"/asic_reg/|^drivers/gpu/drm/amd/include/|\.mod\.c$|^drivers/gpu/drm/msm/registers/")
PAIRS = {
    "pair/binder-c": re.compile(r"^drivers/android/(binder|binder_alloc|binderfs|binder_netlink|dbitmap)[^/]*\.[ch]$"),
    "pair/binder-rust": re.compile(r"^drivers/android/binder/"),
    "pair/nova": re.compile(r"^drivers/gpu/(nova-core|drm/nova)/"),
    "pair/nouveau": re.compile(r"^drivers/gpu/drm/nouveau/"),
    "pair/rnull": re.compile(r"^drivers/block/rnull(/|\.rs$)"),
    "pair/null_blk": re.compile(r"^drivers/block/null_blk/"),
    "pair/tyr": re.compile(r"^drivers/gpu/drm/tyr/"),
    "pair/panthor": re.compile(r"^drivers/gpu/drm/panthor/"),
    "pair/ashmem-c": re.compile(r"^drivers/staging/android/ashmem\.[ch]$"),
}


def bucket_of(path: str) -> str:
    if path.startswith(VENDORED):
        return "vendored"
    if path.startswith(NOT_SHIPPED):
        return "not shipped"
    if TEST.search(path):
        return "test"
    return "generated" if GENERATED.search(path) else "shipped"


def component_of(path: str) -> str:
    parts = PurePosixPath(path).parts
    return "/".join(parts[:2]) if parts[0] in ("drivers", "net", "fs") and len(parts) > 2 else parts[0]


def measure(archive: Path) -> Counter[tuple[str, str, str]]:
    lines: Counter[tuple[str, str, str]] = Counter()
    with tempfile.TemporaryDirectory() as room:
        with tarfile.open(archive, "r|xz") as tar:
            for member in tar:
                path = member.name.split("/", 1)[-1]
                if member.isfile() and PurePosixPath(path).suffix in LANGUAGES:
                    target = Path(room, path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source = tar.extractfile(member)
                    assert source is not None
                    target.write_bytes(source.read())
        counted = subprocess.run(
            [
                "scc",
                "--no-config",
                "--no-gitignore",
                "--no-ignore",
                "--no-complexity",
                "--no-cocomo",
                "--by-file",
                "--format",
                "json",
                ".",
            ],
            cwd=room,
            check=True,
            capture_output=True,
        ).stdout
        for language in json.loads(counted):
            for file in language["Files"]:
                path = file["Location"].removeprefix("./")
                key = LANGUAGES[PurePosixPath(path).suffix]
                lines[component_of(path), key, bucket_of(path)] += file["Code"]
                for pair, pattern in PAIRS.items():
                    if pattern.search(path):
                        lines[pair, key, bucket_of(path)] += file["Code"]
    return lines


def main(releases: str, *pairs: str) -> None:
    dates = json.loads(Path(releases).read_text(encoding="utf-8"))["versions"]
    measured = {}
    for pair in pairs:
        version, archive = pair.split("=", 1)
        measured[version] = measure(Path(archive))
        print(version, sum(measured[version].values()), file=sys.stderr)
    total: Counter[str] = Counter()
    has_rust = set()
    for lines in measured.values():
        for (component, language, _), count in lines.items():
            total[component] += count
            if language == "Rust":
                has_rust.add(component)
    # A component of its own if it has Rust anywhere or at least 1% of all lines; else its directory's rest.
    own = {c for c, n in total.items() if c in has_rust or n >= 0.01 * sum(total.values()) or c in PAIRS}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["date", "version", "component", "language", "bucket", "lines"])
    for version, lines in measured.items():
        rows: Counter[tuple[str, str, str]] = Counter()
        for (component, language, bucket), count in lines.items():
            name = component if component in own or "/" not in component else component.split("/")[0] + "/other"
            rows[name, language, bucket] += count
        for key in sorted(rows):
            writer.writerow([dates[version]["date"], version, *key, rows[key]])


if __name__ == "__main__":
    main(*sys.argv[1:])
