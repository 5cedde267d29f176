"""Lineage against ``git blame``, line by line: generated merge-heavy histories, and a real repository.

    python benchmarks/eval_lineage.py --generated 500
    python benchmarks/eval_lineage.py --generated 200 --ignored 3
    python benchmarks/eval_lineage.py --repo PATH [--files N] [--glob 'lib/*.[ch]' --glob 'src/*.[ch]']
                                      [--exact] [--kept DIRECTORY] [--processes N]

With ``--kept`` what git blame said is kept in a directory and read from there the next time.

Like options: last touched against ``git blame``, substantive against ``git blame -w``. With ``--ignored N`` so many
commits, drawn by lot among those that change lines and are no merges, are ignored by both (``git blame --ignore-rev``);
on a real repository with ``--ignore ID``, which may be repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generated_histories import Generator, blame, git
from preventable.code.history.commits import read_commits
from preventable.code.history.gitcall import Repository
from preventable.code.history.replay import Replay
from preventable.code.history.tree import UNKNOWN, FileLines
from preventable.stats.prevalence import wilson

AGES = (("last_touched", ()), ("substantive", ("-w",)))


def asked(path: Path, name: bytes, options: tuple[str, ...], revision: str, kept: Path | None) -> list[str]:
    """What ``git blame`` says, from the directory of what it said before if it is there."""
    if kept is None:
        return blame(path, name, *options, revision=revision)
    key = hashlib.sha256(b"\0".join((revision.encode(), *(o.encode() for o in options), name))).hexdigest()
    file = kept / key
    if not file.exists():
        file.write_text("\n".join(blame(path, name, *options, revision=revision)))
    return file.read_text().split()


def compare(
    path: Path,
    files: list[tuple[bytes, FileLines]],
    ids: list[str],
    kept: Path | None = None,
    processes: int = 2,
    ignored: Sequence[str] = (),
) -> list[tuple[str, bytes, int, str, str]]:
    """Differences as (age, path, line, blame's commit, ours)."""

    def one(item: tuple[bytes, FileLines]) -> list[tuple[str, bytes, int, str, str]]:
        name, lines = item
        found = []
        for (age, options), ours in zip(AGES, lines, strict=True):
            if options:
                options = (*options, *(f"--ignore-rev={commit}" for commit in ignored))  # noqa: PLW2901
            theirs = asked(path, name, options, ids[-1], kept)
            assert len(theirs) == len(ours), (name, len(theirs), len(ours))
            for number, (index, commit) in enumerate(zip(ours, theirs, strict=True), 1):
                mine = ids[index] if index != UNKNOWN else "unknown"
                if mine != commit:
                    found.append((age, name, number, commit, mine))
        return found

    with ThreadPoolExecutor(processes) as pool:
        return [difference for part in pool.map(one, files) for difference in part]


def replayed(
    path: Path, *, exact: bool | None = None, ignored: Sequence[str] = ()
) -> tuple[list[tuple[bytes, FileLines]], list[str], Replay]:
    """All files with their lines, and the ids of the commits."""
    repository = Repository(path)
    commits = read_commits(repository)
    replay = Replay(repository, commits, exact=exact, ignored=ignored)
    tree = replay.run()
    ids = [commits.id(i) for i in range(len(commits))]
    listed = git(path, "ls-tree", "-r", "-z", ids[-1]).split(b"\0")
    names = {line.partition(b"\t")[2] for line in listed if line.startswith(b"100")}
    here = {tree.paths.names[number] for number, _ in tree.items()}
    assert names == here, f"files that differ from those of git: {sorted(names ^ here)[:5]}"
    return sorted(tree.files()), ids, replay


def generated(count: int, first: int = 0, ignored: int = 0) -> int:
    """Compare generated histories; the number of differing lines."""
    concerned = 0
    lines = bad = commits = merges = 0
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(first, first + count):
            history = Generator(seed)
            path = Path(scratch) / str(seed)
            history.write(path)
            changing = git(path, "log", "--no-merges", "--format=%H", "--diff-filter=M").decode().split()
            chosen = random.Random(seed).sample(changing, min(ignored, len(changing)))
            files, ids, replay = replayed(path, ignored=chosen)
            assert not replay.unknown_files, (seed, replay.unknown_files)
            differences = compare(path, files, ids, ignored=chosen)
            numbers = {ids.index(commit) for commit in chosen}
            for _, plain in files:
                concerned += sum(a in numbers or a != b for a, b in zip(plain.touched, plain.substantive, strict=True))
            commits, merges = commits + history.commits, merges + history.merges
            lines += sum(len(f.touched) for _, f in files)
            bad += len(differences)
            for difference in differences[:3]:
                print(f"seed {seed}: {difference}")
    print(f"{count} histories, {commits:,} commits, {merges / commits:.1%} merges, {lines:,} lines at both ages")
    print(f"lines that differ from git blame or git blame -w: {bad}")
    if ignored:
        same = wilson(concerned - min(bad, concerned), concerned)
        print(
            f"{concerned:,} lines are older by the substantive age or of an ignored commit: "
            f"{same.value:.1%} of them as git blame -w --ignore-rev (95% {same.low:.1%} to {same.high:.1%})"
        )
    return bad


def real(
    path: Path,
    globs: list[str],
    sample: int | None,
    kept: Path | None,
    processes: int,
    exact: bool | None,
    ignored: Sequence[str],
) -> None:
    """Compare a real repository and say where and why lines differ."""
    files, ids, _ = replayed(path, exact=exact, ignored=ignored)
    files = [f for f in files if any(fnmatch(f[0].decode("utf-8", "replace"), g) for g in globs)]
    if sample:
        files = random.Random(1).sample(files, min(sample, len(files)))
    total = sum(len(f.touched) for _, f in files)
    differences = compare(path, files, ids, kept, processes, ignored)
    print(f"{len(files)} files, {total:,} lines of {ids[-1][:12]}")
    for age, _ in AGES:
        mine = [d for d in differences if d[0] == age]
        same = wilson(total - len(mine), total)
        print(f"{age}: {same.value:.4%} the same (95% {same.low:.4%} to {same.high:.4%}), {len(mine)} lines differ")
        by_file: dict[bytes, int] = {}
        for _, name, *_rest in mine:
            by_file[name] = by_file.get(name, 0) + 1
        for name, count in sorted(by_file.items(), key=lambda i: -i[1])[:15]:
            example = next(d for d in mine if d[1] == name)
            print(f"  {name.decode()}: {count}; line {example[2]}: blame {example[3][:10]}, ours {example[4][:10]}")


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generated", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--ignored", type=int, default=0)
    parser.add_argument("--ignore", action="append", default=[])
    parser.add_argument("--repo", type=Path)
    parser.add_argument("--glob", action="append")
    parser.add_argument("--files", type=int)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--exact", action="store_true", default=None)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if not options.generated and not options.repo:
        print("nothing to evaluate: give --generated N or --repo PATH", file=sys.stderr)
        sys.exit(2)
    if options.generated:
        generated(options.generated, options.first, options.ignored)
    if options.repo:
        globs = options.glob or ["lib/*.[ch]", "src/*.[ch]"]
        assert all(re.search(r"\S", g) for g in globs)
        real(options.repo, globs, options.files, options.kept, options.processes, options.exact, options.ignore)


if __name__ == "__main__":
    main()
