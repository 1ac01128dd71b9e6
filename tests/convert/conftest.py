from __future__ import annotations

from pathlib import Path

import pytest

from tests.convert.golden import FOLDERS, Golden, load_golden


@pytest.fixture(params=FOLDERS)
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Golden:
    return load_golden(shared_dir / "golden" / request.param)
