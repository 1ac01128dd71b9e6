"""Imports run downwards only, as the layout promises, so that parts can be used alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import ROOT

# a room may import itself and what stands under it
FLOORS = {
    "modules": 0,
    "data": 1,
    "optim": 1,
    "models": 2,
    "criterions": 3,
    "evaluation": 3,
    "tasks": 4,
    "convert": 5,  # writes whole checkpoints, the task's part included
}
FILES = sorted((ROOT / "mt_fairseq").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "mt_fairseq" and len(parts) > 1 else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names = imported(path)
    assert not [name for name in names if name.split(".")[0] == "preprocess"]
    if own == "modules":
        assert not [name for name in names if name.split(".")[0] == "fairseq"]
    if own in FLOORS:
        above = [name for name in names if FLOORS.get(room(name), -1) > FLOORS[own]]
        assert not above, f"{path.name} imports {above}"
