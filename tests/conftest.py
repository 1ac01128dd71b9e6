"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import support

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of reference tensors and real data beside the checkout; skips without it."""
    folder = Path(os.environ.get("MT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder of reference data (set MT_SHARED to it)")
    return folder


@pytest.fixture(scope="session")
def vqa_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data-bin of 20 + 7 questions about coloured squares, made by ``python -m preprocess``."""
    folder = tmp_path_factory.mktemp("vqa")
    raw = support.write_raw(folder / "raw", {"train": 20, "valid": 7})
    support.python(
        "-m", "preprocess", "jsonl", "--raw", raw, "--dest", folder / "bin",
        "--tokenizer", "sentencepiece", "--vocab-size", 60, "--min-answer-count", 1,
    )  # fmt: skip
    return folder / "bin"


@pytest.fixture(scope="session")
def caption_bin(vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data-bin of 20 + 7 captions with the tokenizer of ``vqa_bin``."""
    folder = tmp_path_factory.mktemp("captions")
    raw = support.write_raw(folder / "raw", {"train": 20, "valid": 7}, with_answers=False)
    support.python(
        "-m", "preprocess", "jsonl", "--raw", raw, "--dest", folder / "bin",
        "--tokenizer", vqa_bin,
    )  # fmt: skip
    return folder / "bin"
