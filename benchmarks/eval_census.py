"""Accuracy of the census on a Linux 7.2 tree: lines against scc, unsafe Rust against a comment-stripping count.

Input: ``PREVENTABLE_LINUX_TREE`` or an argument. Nothing was tuned on the tree. Differences over 1% are explained in
docs/census.md.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from preventable.code.census import take_census
from preventable.code.trees import open_source

PATTERNS = {
    "unsafe_blocks": r"\bunsafe\s*\{",
    "unsafe_functions": r'\bunsafe\s+(?:extern\s+"[^"]*"\s+)?fn\b',
    "unsafe_impls": r"\bunsafe\s+impl\b",
    "unsafe_traits": r"\bunsafe\s+(?:auto\s+)?trait\b",
}


def run(tree: str | None = None) -> list[dict[str, Any]]:
    """Rows {name, measured, witness, difference}."""
    tree = tree or os.environ.get("PREVENTABLE_LINUX_TREE")
    if not tree or not Path(tree).is_dir():
        print("skipped: name a Linux source tree (PREVENTABLE_LINUX_TREE)", file=sys.stderr)
        return []
    census = take_census(open_source(tree), keep_files=True)
    rows = _lines(census.rows, tree)
    files = [f for f in census.files or [] if f["language"] == "Rust" and f["bucket"] != "vendored"]
    for part, chosen in (("Rust", files), ("Rust in drivers/", [f for f in files if f["path"].startswith("drivers/")])):
        texts = {f["path"]: _strip(Path(tree, f["path"]).read_text(encoding="utf-8")) for f in chosen}
        rows.append(_row(f"{part}: files", len(chosen), len(texts)))
        non_blank = sum(sum(1 for line in text.split("\n") if line.strip()) for text in texts.values())
        rows.append(_row(f"{part}: lines of code", sum(f["code"] for f in chosen), non_blank))
        for name, pattern in PATTERNS.items():
            own = sum((f[name] or 0) for f in chosen)
            macro = sum((f[f"macro_{name}"] or 0) for f in chosen)
            witness = sum(len(re.findall(pattern, text)) for text in texts.values())
            rows.append(_row(f"{part}: {name}, outside macro bodies", own, witness))
            rows.append(_row(f"{part}: {name}, with macro bodies", own + macro, witness))
        for f in chosen:
            if f["indeterminate"]:
                missed = {n: len(re.findall(p, texts[f["path"]])) for n, p in PATTERNS.items()}
                print(f"indeterminate: {f['path']}: {f['indeterminate']}; the count by words there: {missed}")
    return rows


def _lines(rows: Any, tree: str) -> list[dict[str, Any]]:
    scc = shutil.which("scc") or str(Path(sys.executable).with_name("scc"))
    command = [scc, "--no-gitignore", "--no-ignore", "--no-cocomo", "-c", "-f", "csv", tree]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = {row["Language"]: int(row["Code"]) for row in csv.DictReader(io.StringIO(out))}
    result = []
    for language in ("C", "C Header", "Rust", "Assembly", "Python", "Shell"):
        names = [
            row for row in map(msgspec.structs.asdict, rows) if row["language"] in (language, f"GNU Style {language}")
        ]
        result.append(_row(f"{language}: lines of code", sum(r["code"] or 0 for r in names), theirs.get(language, 0)))
    return result


def _strip(text: str) -> str:
    return re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.S))


def _row(name: str, measured: int, witness: int) -> dict[str, Any]:
    difference = f"{100 * (measured / witness - 1):+.2f}%" if witness else "–"
    return {"name": name, "measured": measured, "witness": witness, "difference": difference}


if __name__ == "__main__":
    for result in run(*sys.argv[1:2]):
        print(f"{result['name']:52} {result['measured']:>12,} {result['witness']:>12,} {result['difference']:>9}")
