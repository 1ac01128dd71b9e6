"""Two tiny trained models, and the small data that they were trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import support

SHORT = ("--max-update", 6, "--warmup-ratio", 0.1)
LOG_INTERVAL = 3


@pytest.fixture(scope="session")
def vqa_run(vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``save/``, a VQA model with AAUE managers, and its TensorBoard in ``tb/``."""
    folder = tmp_path_factory.mktemp("vqa-run")
    support.train(
        vqa_bin, folder / "save", "--task", "vqa", "--criterion", "vqa", *SHORT,
        "--log-weights-interval", LOG_INTERVAL, "--tensorboard-logdir", folder / "tb",
        "--update-freq", 2,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def vqa_checkpoint(vqa_run: Path) -> Path:
    """The checkpoint of ``vqa_run``."""
    return vqa_run / "save" / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def caption_checkpoint(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-trained model with SAE managers; heads mlm and itm."""
    folder = tmp_path_factory.mktemp("caption-run")
    support.train(
        caption_bin, folder, "--task", "vlp_mlm_itm", "--criterion", "mlm_itm",
        "--manager-type", "sae", *SHORT,
    )  # fmt: skip
    return folder / "checkpoint_last.pt"
