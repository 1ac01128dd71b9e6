"""Data-bins and checkpoints that the commands are tried on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mt_fairseq import evaluate
from tests import support

SIZES = {"train": 12, "valid": 9, "test": 5}


def preprocess(raw: Path, dest: Path, *args: object) -> Path:
    support.python("-m", "preprocess", "jsonl", "--raw", raw, "--dest", dest, *args)
    return dest


@pytest.fixture(scope="session")
def raw_questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw questions with ids; those of the test split have no answers and fall in number."""
    raw = support.write_raw(tmp_path_factory.mktemp("questions"), SIZES)
    for number, split in enumerate(SIZES):
        path = raw / f"{split}.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for row, record in enumerate(records):
            record["id"] = 1000 * number + 500 - row
            if split == "test":
                del record["answers"]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return raw


@pytest.fixture(scope="session")
def question_bin(raw_questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return preprocess(
        raw_questions, tmp_path_factory.mktemp("bin") / "vqa",
        "--tokenizer", "sentencepiece", "--vocab-size", 60, "--min-answer-count", 1,
    )  # fmt: skip


@pytest.fixture(scope="session")
def picture_bin(question_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captions, with the tokenizer of the questions."""
    folder = tmp_path_factory.mktemp("captions")
    raw = support.write_raw(folder / "raw", {"train": 12, "valid": 6}, with_answers=False)
    return preprocess(raw, folder / "bin", "--tokenizer", question_bin)


def train_elsewhere(data: Path, folder: Path, *args: object) -> Path:
    """A checkpoint whose data-bin is gone: everything must come from the checkpoint itself."""
    copy = folder / "gone"
    shutil.copytree(data, copy)
    support.train(copy, folder / "save", *args, "--max-update", 6, "--warmup-ratio", 0.1)
    shutil.rmtree(copy)
    return folder / "save"


@pytest.fixture(scope="session")
def vqa_checkpoint(question_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a VQA model."""
    return train_elsewhere(
        question_bin, tmp_path_factory.mktemp("vqa"), "--task", "vqa", "--criterion", "vqa"
    )


@pytest.fixture(scope="session")
def pretrained_checkpoint(picture_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pre-trained model."""
    return train_elsewhere(
        picture_bin, tmp_path_factory.mktemp("pretrained"),
        "--task", "vlp_mlm_itm", "--criterion", "mlm_itm",
    )  # fmt: skip


@pytest.fixture(scope="session")
def vqa_results(
    vqa_checkpoint: Path, question_bin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What ``python -m mt_fairseq.evaluate`` wrote."""
    out = tmp_path_factory.mktemp("results") / "vqa"
    assert not evaluate.main(
        [str(vqa_checkpoint), str(question_bin), "--out", str(out), "--cpu", "--num-workers", "0"]
    )
    return out
