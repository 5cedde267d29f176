"""Imports run one way, from the command line down to the errors (see docs/decisions)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "preventable"
LAYERS = {
    "errors": 0,
    "version": 0,
    "progress": 0,
    "collector": 0,
    "termination": 0,
    "plain_text": 0,
    "records": 1,
    "taxonomy": 2,
    "data": 2,
    "readers": 3,
    "stats": 4,
    "code": 4,
    "classify": 4,
    "evidence": 4,
    "studies": 5,
    "report": 6,
    "cli": 7,
    "public": 8,
    "__main__": 8,
    "__init__": 8,
}
SIDE_BY_SIDE = {"stats", "code", "evidence"}


def layer_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            if node.module and node.module.split(".")[0] == "preventable":
                parts = node.module.split(".")
                found.update([parts[1]] if len(parts) > 1 else [a.name for a in node.names])
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("preventable."))
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_run_one_way(path: Path) -> None:
    own = layer_of(path)
    assert own in LAYERS, f"{path}: no layer for {own}; add it to LAYERS and to the design"
    for other in imported(path):
        if other == own or other not in LAYERS:
            continue
        assert LAYERS[other] <= LAYERS[own], f"{path} imports {other}, which lies above it"
        if LAYERS[other] == LAYERS[own]:
            assert own not in SIDE_BY_SIDE or other == "stats", f"{path} imports its neighbour {other}"


def test_no_code_in_package_inits() -> None:
    for path in SRC.rglob("__init__.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr), f"{path}: has code"
