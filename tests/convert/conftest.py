from __future__ import annotations

from pathlib import Path

import pytest

from tests import support
from tests.convert.golden import FOLDERS, Golden, load_golden
from tests.data.conftest import roberta_folder  # noqa: F401  a fixture, known by its name


@pytest.fixture(params=FOLDERS)
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Golden:
    return load_golden(shared_dir / "golden" / request.param)


@pytest.fixture(scope="session")
def trained(vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny ManagerTower after two updates, validated once."""
    folder = tmp_path_factory.mktemp("trained") / "save"
    support.train(
        vqa_bin, folder, "--task", "vqa", "--criterion", "vqa", "--max-update", 2,
        "--warmup-ratio", 0.5,
    )  # fmt: skip
    return folder
