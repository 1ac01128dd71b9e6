from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.albef.golden import Golden


@pytest.fixture
def golden(shared_dir: Path) -> Callable[[str, str], Golden]:
    """``golden(folder, kind)``: one folder of ALBEF's reference tensors."""
    return lambda folder, kind: Golden(shared_dir / "golden_albef" / folder, kind)
