"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of reference tensors and real data beside the checkout; skips without it."""
    folder = Path(os.environ.get("MT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder of reference data (set MT_SHARED to it)")
    return folder
