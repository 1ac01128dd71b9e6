"""Imports run downwards only and in no circle, so that parts can be used alone.

Imports inside functions and under TYPE_CHECKING count as any other.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.support import ROOT

# a room may import itself and what stands under it
FLOORS = {
    "kernels": 0,
    "modules": 1,
    "data": 2,
    "optim": 2,
    "models": 3,
    "criterions": 4,
    "evaluation": 4,
    "tasks": 5,
    "analysis": 6,
    "convert": 6,  # writes whole checkpoints, the task's part included
    "demo": 6,
    "doctor": 6,
    "plan": 6,
    "cli": 7,
}
NO_FAIRSEQ = ("kernels", "modules")
FILES = sorted((ROOT / "mt_fairseq").rglob("*.py"))
# what still breaks the rule; nothing may be added
CLIMBS = {"mt_fairseq.tasks.weights_log": "analysis"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def imported(path: Path) -> frozenset[str]:
    """Full names of all modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: write imports in full"
            # `from package import name`: the name is a module if there is such a file
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update(inner & MODULES.keys() or {node.module})
    return frozenset(names)


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "mt_fairseq" and len(parts) > 1 else ""


def test_every_room_has_its_floor() -> None:
    places = [path.relative_to(ROOT).parts for path in FILES]
    rooms = {parts[1] for parts in places if len(parts) > 2}
    assert rooms - FLOORS.keys() == {"mt_user_dir", "run_checks"}
    assert FLOORS.keys() <= rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    own = room(module_name(path))
    names = imported(path)
    assert not [name for name in names if name.split(".")[0] == "preprocess"]
    if own in NO_FAIRSEQ:
        assert not [name for name in names if name.split(".")[0] == "fairseq"]
    if own in FLOORS:
        above = {room(name) for name in names if FLOORS.get(room(name), -1) > FLOORS[own]}
        allowed = {CLIMBS[module_name(path)]} if module_name(path) in CLIMBS else set()
        assert above == allowed, f"{path.name} imports {above}"


def circles() -> list[set[str]]:
    """Groups of files that import one another, at whatever distance."""
    reached = {name: {other for other in imported(path) if other in MODULES} - {name}
               for name, path in MODULES.items()}  # fmt: skip
    grown = True
    while grown:
        grown = False
        for others in reached.values():
            further = set().union(*(reached[other] for other in others)) - others
            if further:
                others |= further
                grown = True
    groups = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in reached
        if name in reached[name]
    }
    return sorted((set(group) for group in groups), key=sorted)


def test_no_files_import_one_another() -> None:
    assert not circles()
