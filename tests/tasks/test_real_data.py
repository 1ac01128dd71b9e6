"""The real COCO and VQA v2 subset through preprocessing, both trainings and fairseq-generate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import fairseq, python, train

STEPS = ["--max-update", 3, "--warmup-updates", 1, "--max-text-len", 24, "--disable-validation"]


@pytest.mark.slow
def test_real_photographs_and_questions(shared_dir: Path, tmp_path: Path) -> None:
    data = shared_dir / "data"
    captions, questions = tmp_path / "coco", tmp_path / "vqa"
    python("-m", "preprocess", "coco", "--raw", data / "coco", "--dest", captions,
           "--vocab-size", 500, "--resize", 64)  # fmt: skip
    python(
        "-m", "preprocess", "vqav2", "--raw", data / "vqav2", "--image-root", data / "coco",
        "--dest", questions, "--tokenizer", captions, "--on-error", "skip", "--resize", 64,
        "--answer-list", data / "vqav2_answers" / "trainval_ans2label.json",
    )  # fmt: skip
    train(captions, tmp_path / "pre", "--task", "vlp_mlm_itm", "--criterion", "mlm_itm", *STEPS)
    train(questions, tmp_path / "tuned", "--task", "vqa", "--criterion", "vqa", *STEPS,
          "--finetune-from-model", tmp_path / "pre" / "checkpoint_last.pt")  # fmt: skip
    done = fairseq(
        "generate", questions, "--task", "vqa", "--gen-subset", "train", "--batch-size", 8,
        "--path", tmp_path / "tuned" / "checkpoint_last.pt", "--scoring", "vqa_accuracy",
    )  # fmt: skip
    answered = [line for line in done.stdout.splitlines() if line.startswith("H-")]
    assert len(answered) == 37  # the questions whose photograph is in the subset
    assert "over 37 questions" in done.stdout
