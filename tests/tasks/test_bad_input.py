"""A user's mistake at fairseq's own commands ends in one clear line, before the long work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests import support
from tests.support import python, train

PRETRAIN = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm"]
VQA = ["--task", "vqa", "--criterion", "vqa"]
STEP = ["--max-update", 1, "--warmup-updates", 0]


@pytest.fixture(scope="module")
def checkpoint(vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VQA checkpoint after one update."""
    folder = tmp_path_factory.mktemp("checkpoint")
    train(vqa_bin, folder, *VQA, *STEP)
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def other_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data-bin whose tokenizer and answers are its own."""
    folder = tmp_path_factory.mktemp("other")
    raw = support.write_raw(folder / "raw", {"train": 4, "valid": 2})
    for split in ("train", "valid"):
        text = (raw / f"{split}.jsonl").read_text()
        (raw / f"{split}.jsonl").write_text(text.replace("square", "box").replace("grey", "dark"))
    python(
        "-m", "preprocess", "jsonl", "--raw", raw, "--dest", folder / "bin",
        "--tokenizer", "sentencepiece", "--vocab-size", 40, "--min-answer-count", 1,
    )  # fmt: skip
    return folder / "bin"


def error_line(done) -> str:
    """The last line of a command that failed, which must be a plain error and no traceback."""
    assert done.returncode not in (0, None), done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: "), done.stderr
    return line


def test_data_bin_that_does_not_exist(tmp_path: Path) -> None:
    done = train(tmp_path / "nothing", tmp_path, *VQA, *STEP, check=False)
    assert str(tmp_path / "nothing") in error_line(done)


def test_task_without_answers(caption_bin: Path, tmp_path: Path) -> None:
    line = error_line(train(caption_bin, tmp_path, *VQA, *STEP, check=False))
    assert "answer classes" in line


def test_unknown_split(vqa_bin: Path, tmp_path: Path) -> None:
    done = train(vqa_bin, tmp_path, *VQA, *STEP, "--valid-subset", "validation", check=False)
    line = error_line(done)
    assert "validation" in line
    assert "valid, " in line or "train" in line


def test_tokenizer_that_does_not_fit_the_checkpoint(
    checkpoint: Path, other_bin: Path, tmp_path: Path
) -> None:
    done = train(other_bin, tmp_path, *VQA, *STEP, "--finetune-from-model", checkpoint, check=False)
    line = error_line(done)
    assert "tokenizer" in line
    assert "--tokenizer" in line


def test_labels_that_do_not_fit_the_checkpoint(
    checkpoint: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "bin"
    shutil.copytree(vqa_bin, changed)
    labels = (changed / "dict.label.txt").read_text().splitlines()
    (changed / "dict.label.txt").write_text("\n".join(reversed(labels)) + "\n")
    done = support.fairseq("generate", changed, "--task", "vqa", "--path", checkpoint,
                           "--gen-subset", "valid", "--batch-size", 4, check=False)  # fmt: skip
    assert "answer classes" in error_line(done)


def test_checkpoint_of_another_architecture(
    checkpoint: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    done = train(
        vqa_bin, tmp_path, *VQA, *STEP, "--finetune-from-model", checkpoint,
        "--num-cross-modal-layers", 1, check=False,
    )  # fmt: skip
    assert "cross" in error_line(done)


def test_truncated_checkpoint(checkpoint: Path, vqa_bin: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(checkpoint.read_bytes()[:5000])
    done = train(vqa_bin, tmp_path, *VQA, *STEP, "--finetune-from-model", broken, check=False)
    assert "broken.pt" in error_line(done)


def test_checkpoint_that_does_not_exist(vqa_bin: Path, tmp_path: Path) -> None:
    done = train(vqa_bin, tmp_path, *VQA, *STEP, "--finetune-from-model", "gone.pt", check=False)
    assert "gone.pt" in error_line(done)


def test_checkpoint_of_another_program(vqa_bin: Path, tmp_path: Path) -> None:
    alien = tmp_path / "alien.pt"
    torch.save({"state_dict": {}}, alien)
    done = train(vqa_bin, tmp_path, *VQA, *STEP, "--finetune-from-model", alien, check=False)
    assert "alien.pt" in error_line(done)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--image-size", "12y"), ("--image-size", "33"), ("--max-text-len", "2"),
     ("--train-transform", "sepia"), ("--mask-prob", "1.5")],
)  # fmt: skip
def test_option_out_of_range(option: str, value: str, caption_bin: Path, tmp_path: Path) -> None:
    done = train(caption_bin, tmp_path, *PRETRAIN, *STEP, option, value, check=False)
    line = error_line(done)
    assert option in line or value in line


def test_texts_that_are_cut_are_counted(vqa_bin: Path, tmp_path: Path) -> None:
    done = train(vqa_bin, tmp_path, *VQA, *STEP, "--max-text-len", 6)
    lines = [line for line in done.stdout.splitlines() if "--max-text-len 6 and are cut" in line]
    assert sum("of split train" in line for line in lines) == 1, done.stdout


def test_single_picture_cannot_be_mismatched(tmp_path: Path) -> None:
    raw = support.write_raw(tmp_path / "raw", {"train": 1, "valid": 1}, with_answers=False)
    python("-m", "preprocess", "jsonl", "--raw", raw, "--dest", tmp_path / "bin",
           "--vocab-size", 40)  # fmt: skip
    done = train(tmp_path / "bin", tmp_path, *PRETRAIN, *STEP, check=False)
    assert "picture" in error_line(done)


def test_wrong_user_dir(vqa_bin: Path, tmp_path: Path) -> None:
    call = support.fairseq_arguments(
        "train", [vqa_bin, "--user-dir", tmp_path / "user_dirr", "--task", "vqa"]
    )
    done = python(*call, check=False)
    assert done.returncode
    assert "user_dirr" in done.stderr.strip().splitlines()[-1]
