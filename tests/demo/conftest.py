"""A small world for all tests of the demonstration."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.world.write import WorldConfig, write_world

SMALL = WorldConfig(seed=3, train=60, held_out=16, questions=6)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "world"
    assert write_world(out, SMALL, lambda *_: None)
    return out
