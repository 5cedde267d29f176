"""Measure lines of code by component, language and bucket in Linux source archives: the exposure facts.

    python examples/linux/measure_exposure.py linux-releases.json 6.12=linux_6.12.8.orig.tar.xz > exposure.csv

Each archive is a Debian `linux_*.orig.tar.xz` (kernel.org's tree without non-free files) of a stable
release; it stands for the mainline release X.Y that it began from, and its lines are dated by that release.
Lines are code lines (neither blank nor comment), counted as by `preventable census`; unsafe_lines are those
inside unsafe code of Rust. Nothing of the archives is kept: files are written to a temporary directory,
counted and removed.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path, PurePosixPath

from preventable.code.counting import count_files
from preventable.code.unsafe_rust import measure_rust

Counts = dict[tuple[str, str, str], tuple[int, int]]

LANGUAGES = {".c": "C", ".h": "header", ".rs": "Rust", ".S": "assembly"}
NOT_SHIPPED = ("tools/", "scripts/", "samples/", "Documentation/", "usr/", "debian/")
VENDORED = (
    "rust/alloc/",
    "rust/proc-macro2/",
    "rust/quote/",
    "rust/syn/",
    "rust/zerocopy/",
    "rust/zerocopy-derive/",
    "lib/zstd/",
    "scripts/dtc/",
)
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


def measure(archive: Path) -> Counts:
    """Lines, and lines inside unsafe code of Rust, of one archive."""
    lines: Counts = {}
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
        paths = sorted(str(p) for p in Path(room).rglob("*") if p.is_file())
        for name, counts in count_files(paths).items():
            path = name.removeprefix(room).lstrip("/")
            language = LANGUAGES[PurePosixPath(path).suffix]
            unsafe = 0
            if language == "Rust":
                facts = measure_rust(Path(name).read_bytes())
                if facts.counts is None:
                    print(f"{path}: {facts.indeterminate}", file=sys.stderr)
                else:
                    unsafe = facts.counts.unsafe_lines
            places = [component_of(path), *(p for p, pattern in PAIRS.items() if pattern.search(path))]
            for place in places:
                before = lines.get((place, language, bucket_of(path)), (0, 0))
                lines[place, language, bucket_of(path)] = (before[0] + counts.code, before[1] + unsafe)
    return lines


def main(releases: str, *pairs: str) -> None:
    dates = json.loads(Path(releases).read_text(encoding="utf-8"))["versions"]
    measured = {}
    for pair in pairs:
        version, archive = pair.split("=", 1)
        measured[version] = measure(Path(archive))
        print(version, sum(n for n, _ in measured[version].values()), file=sys.stderr)
    total: Counter[str] = Counter()
    has_rust = set()
    for lines in measured.values():
        for (component, language, _), (count, _unsafe) in lines.items():
            total[component] += count
            if language == "Rust":
                has_rust.add(component)
    # A component of its own if it has Rust anywhere or at least 1% of all lines; else its directory's rest.
    own = {c for c, n in total.items() if c in has_rust or n >= 0.01 * sum(total.values()) or c in PAIRS}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["date", "version", "component", "language", "bucket", "lines", "unsafe_lines"])
    for version, lines in measured.items():
        rows: Counts = {}
        for (component, language, bucket), (count, unsafe) in lines.items():
            name = component if component in own or "/" not in component else component.split("/")[0] + "/other"
            before = rows.get((name, language, bucket), (0, 0))
            rows[name, language, bucket] = (before[0] + count, before[1] + unsafe)
        for key, (count, unsafe) in sorted(rows.items()):
            writer.writerow([dates[version]["date"], version, *key, count, unsafe])


if __name__ == "__main__":
    main(*sys.argv[1:])
