"""Random merge-heavy histories for tests and evaluations: branches, octopus merges, conflicts resolved in every
way, renames, files split in two, reindentation, CRLF flips, missing last newlines. A seed gives the same bytes.
"""

from __future__ import annotations

import difflib
import os
import random
import re
import subprocess
from pathlib import Path

WORDS = ("a", "bb", "ccc", "}", "{", "", "return x;", "if (y)", "for (;;)", "x = %d;", "int v%d;")
IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
Files = dict[str, list[str]]


def git(directory: Path, *arguments: str, stdin: bytes | None = None, **environment: str) -> bytes:
    """Standard output of git in a directory; its failure is the test's failure."""
    return subprocess.run(
        ["git", "-C", str(directory), *arguments],
        input=stdin,
        capture_output=True,
        check=True,
        env={**os.environ, **IDENTITY, **environment},
    ).stdout


class Generator:
    """One random history.

    Args:
        seed: decides everything.
        steps: commits before the open branches are merged into one.
        merge_share: how often a step merges when it can.
    """

    def __init__(self, seed: int, steps: int = 25, merge_share: float = 0.5) -> None:
        self.rng = random.Random(seed)
        self.stream: list[bytes] = []
        self.files: dict[int, Files] = {}
        self.merges = 0
        self._seconds = 1_500_000_000
        start = {f"f{i}.c": [self._line() for _ in range(self.rng.randrange(3, 25))] for i in range(2)}
        heads = [self._commit([], start)]
        for _ in range(steps):
            heads = self._step(heads, merge_share)
        while len(heads) > 1:
            width = 3 if len(heads) > 2 and self.rng.random() < 0.2 else 2
            parents, heads = heads[:width], heads[width:]
            heads.append(self._merge(parents))
        self.tip = heads[0]

    @property
    def commits(self) -> int:
        return len(self.files)

    def write(self, directory: Path) -> None:
        """Create the repository with its work tree."""
        directory.mkdir(parents=True)
        git(directory, "init", "-q", "-b", "main")
        git(directory, "fast-import", "--quiet", stdin=b"\n".join(self.stream))
        git(directory, "reset", "-q", "--hard", f"c{self.tip}")

    def _line(self) -> str:
        word = self.rng.choice(WORDS)
        return " " * self.rng.choice((0, 0, 2, 4)) + (word % self.rng.randrange(30) if "%d" in word else word)

    def _commit(self, parents: list[int], files: Files) -> int:
        mark = len(self.files) + 1
        self._seconds += self.rng.randrange(1, 900_000)
        who = b"A <a@example.org> %d +0000" % self._seconds
        self.stream.append(
            b"commit refs/heads/c%d\nmark :%d\nauthor %b\ncommitter %b\ndata 1\nm" % (mark, mark, who, who)
        )
        self.stream += [(b"merge :%d" if number else b"from :%d") % parent for number, parent in enumerate(parents)]
        self.stream.append(b"deleteall")
        for path, lines in files.items():
            last = "" if not lines or len(lines) % 7 == 3 else "\n"
            data = ("\n".join(lines) + last).encode()
            self.stream.append(b"M 100644 inline %b\ndata %d\n%b" % (path.encode(), len(data), data))
        self.stream.append(b"")
        self.files[mark] = files
        return mark

    def _step(self, heads: list[int], merge_share: float) -> list[int]:
        rng = self.rng
        if len(heads) > 1 and rng.random() < merge_share:
            parents = rng.sample(heads, 2 if rng.random() < 0.85 or len(heads) < 3 else 3)
            mark = self._merge(parents)
            return [head for head in heads if head not in parents or rng.random() < 0.3] + [mark]
        parent = rng.choice(heads[-4:])
        files = dict(self.files[parent])
        name = rng.choice(sorted(files))
        what = rng.random()
        if what < 0.75:
            files[name] = self._mutated(files[name])
        elif what < 0.85:
            lines = files.pop(name)
            files[f"r{rng.randrange(1000)}.c"] = self._mutated(lines) if rng.random() < 0.5 else lines
        elif what < 0.9:
            lines = files.pop(name)
            for number in range(2):
                files[f"s{number}{rng.randrange(1000)}.c"] = self._mutated(lines)
        elif what < 0.95:
            files[f"n{rng.randrange(1000)}.c"] = [self._line() for _ in range(rng.randrange(1, 15))]
        elif len(files) > 1:
            files.pop(name)
        mark = self._commit([parent], files)
        if rng.random() < 0.6:
            heads.remove(parent)
        return [*heads, mark]

    def _merge(self, parents: list[int]) -> int:
        rng = self.rng
        files: Files = {}
        for name in sorted(set().union(*(self.files[p] for p in parents))):
            have = [self.files[p][name] for p in parents if name in self.files[p]]
            if len(have) < len(parents) and rng.random() < 0.3:
                continue
            if all(lines == have[0] for lines in have):
                files[name] = have[0]
            elif rng.random() < 0.2:
                files[name] = rng.choice(have)
            else:
                files[name] = self._resolved(have[0], have[-1])
        self.merges += 1
        return self._commit(parents, files or {"left.c": ["q"]})

    def _resolved(self, ours: list[str], theirs: list[str]) -> list[str]:
        """Both versions put together: ours, theirs, both or something new for every difference."""
        result: list[str] = []
        matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            choice = self.rng.random()
            if kind == "equal" or choice < 0.3:
                result += ours[i1:i2]
            elif choice < 0.6:
                result += theirs[j1:j2]
            elif choice < 0.8:
                result += ours[i1:i2] + theirs[j1:j2]
            else:
                result.append(self._line())
        return self._mutated(result) if self.rng.random() < 0.2 else result or ["z"]

    def _mutated(self, lines: list[str]) -> list[str]:
        rng = self.rng
        lines = list(lines)
        for _ in range(rng.randrange(1, 4)):
            what, at, count = rng.random(), rng.randrange(len(lines) + 1), rng.randrange(1, 4)
            if what < 0.45:
                lines[at:at] = [self._line() for _ in range(count)]
            elif what < 0.65:
                del lines[at : at + count]
            elif what < 0.8:
                lines[at : at + count] = [self._line() for _ in range(count)]
            elif what < 0.95:
                indent = " " * rng.choice((0, 2, 4, 8))
                lines[at : at + count] = [indent + line.strip() for line in lines[at : at + count]]
            else:
                ending = "" if lines and lines[0].endswith("\r") else "\r"
                lines = [line.rstrip("\r") + ending for line in lines]
        return lines or ["z"]


def blame(directory: Path, path: bytes, *options: str, revision: str = "HEAD") -> list[str]:
    """The commit that ``git blame`` names for every line of a file."""
    out = git(directory, "blame", "--porcelain", *options, revision, "--", os.fsdecode(path))
    return [commit.decode() for commit in re.findall(rb"^([0-9a-f]{40,64}) \d+ \d+", out, re.MULTILINE)]
