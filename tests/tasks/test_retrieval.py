"""Retrieval and contrastive pre-training: from training to fairseq-validate, and bad options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, CRITERION_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
from omegaconf import OmegaConf

import mt_fairseq.plugin  # noqa: F401
from mt_fairseq.errors import UserError
from tests import support
from tests.support import TINY, logged
from tests.tasks.rank import run

COMMON = ["--batch-size", 6, "--required-batch-size-multiple", 1, "--num-workers", 0,
          "--log-format", "json"]  # fmt: skip
RETRIEVAL = ["--task", "retrieval", "--criterion", "itc_itm"]
RANKING = ["--task", "retrieval", "--criterion", "itm_ranking", "--false-texts", 2]
PRETRAINING = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm", "--itc"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of one square each, two captions a picture that name its colour."""
    folder = tmp_path_factory.mktemp("captions")
    for split, size in {"train": 12, "valid": 6}.items():
        lines = []
        for index in range(size):
            colour = list(support.COLOURS)[index % 3]
            name = f"images/{split}-{index}.png"
            support.draw_square(folder / name, colour, index)
            for text in (f"a {colour} square", f"the square is {colour}"):
                lines.append(json.dumps({"image": name, "text": text}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    support.python("-m", "preprocess", "jsonl", "--raw", folder, "--dest", folder / "bin",
                   "--tokenizer", "sentencepiece", "--vocab-size", 40)  # fmt: skip
    return folder / "bin"


@pytest.fixture(scope="module")
def outputs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pre-training with contrast, fine-tuning from it in both ways, and fairseq-validate."""
    folder = tmp_path_factory.mktemp("runs")
    last = "checkpoint_last.pt"
    train = ["train", data, *TINY, "--warmup-ratio", 0.1, "--no-epoch-checkpoints",
             "--log-interval", 1, *COMMON]  # fmt: skip
    first = folder / "pretrained" / last
    validate = ["validate", data, "--task", "retrieval", *COMMON, "--path"]
    found = run(folder, {
        "pretrained": [*train, *PRETRAINING, "--itm-negatives", "hard", "--max-update", 4,
                       "--save-dir", first.parent],
        "tuned": [*train, *RETRIEVAL, "--max-update", 40, "--save-dir", folder / "tuned",
                  "--finetune-from-model", first, "--train-transform", "square",
                  "--validate-interval", 20],
        "ranked": [*train, *RANKING, "--max-update", 3, "--save-dir", folder / "ranked",
                   "--finetune-from-model", first],
        "validated": [*validate, folder / "tuned" / last],
        "validated ranking": [*validate, folder / "ranked" / last],
    })  # fmt: skip
    return {**found, "folder": str(folder)}


def test_pretraining_with_contrast_logs_three_objectives(outputs: dict[str, str]) -> None:
    (record,) = logged(outputs["pretrained"], "valid")
    names = ("mlm_loss", "itm_loss", "itc_loss")
    total = sum(float(record[f"valid_{name}"]) for name in names[1:])
    assert float(record["valid_loss"]) > total > 0
    assert {"valid_batch_image_r1", "valid_batch_text_r1", "valid_itm_accuracy"} <= set(record)


def test_finetuning_takes_the_contrastive_head_and_learns(outputs: dict[str, str]) -> None:
    assert "left out: mlm head" in outputs["tuned"]
    assert "new:" not in outputs["tuned"]
    losses = [float(record["loss"]) for record in logged(outputs["tuned"], "train_inner")]
    assert len(losses) == 40
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])


def test_validation_gives_the_trainings_numbers(outputs: dict[str, str]) -> None:
    for trained, validated in (("tuned", "validated"), ("ranked", "validated ranking")):
        first = logged(outputs[trained], "valid")[-1]
        again = logged(outputs[validated], "valid")[-1]
        names = [n for n in first if n.endswith(("loss", "accuracy", "r1")) and "best" not in n]
        assert len(names) >= 2
        for name in names:
            assert float(again[name]) == pytest.approx(float(first[name]), abs=2e-3), name


def test_ranking_needs_no_contrast(outputs: dict[str, str]) -> None:
    state = torch.load(f"{outputs['folder']}/ranked/checkpoint_last.pt", weights_only=False)
    heads = {name.split(".")[1] for name in state["model"] if name.startswith("heads.")}
    assert heads == {"itm"}
    assert "left out: itc head, mlm head" in outputs["ranked"]
    accuracy = float(logged(outputs["ranked"], "valid")[-1]["valid_ranking_accuracy"])
    assert 0 <= accuracy <= 100


def build(name: str, criterion: str, data: Path, **options: object) -> Any:
    """Task and criterion as fairseq sets them up before it makes a model."""
    files = {"save_dir": "none", "restore_file": "none", "finetune_from_model": None}
    cfg = OmegaConf.create(
        {
            "common": {"seed": 1},
            "common_eval": {"path": None},
            "dataset": {"train_subset": "train"},
            "checkpoint": files,
            "task": OmegaConf.merge(
                OmegaConf.structured(TASK_DATACLASS_REGISTRY[name]()),
                {"data": str(data), **options},
            ),
            "criterion": OmegaConf.structured(CRITERION_DATACLASS_REGISTRY[criterion]()),
        }
    )
    task = TASK_REGISTRY[name].setup_task(cfg.task)
    CRITERION_REGISTRY[criterion].build_criterion(cfg.criterion, task)
    return task


@pytest.mark.parametrize(
    ("task", "criterion", "options", "words"),
    [
        ("retrieval", "itc_itm", {"false_texts": 3}, "--false-texts 3: belong to --criterion"),
        ("retrieval", "itm_ranking", {}, "say how many, --false-texts 15"),
        ("retrieval", "itm_ranking", {"false_texts": -1}, "--false-texts -1"),
        ("retrieval", "itm_ranking", {"false_texts": 2, "global_negatives": True},
         "--global-negatives: hard negatives belong to"),
        ("vlp_mlm_itm", "mlm_itm", {"itm_negatives": "hard"}, "add --itc"),
        ("vlp_mlm_itm", "mlm_itm", {"itc": True, "global_negatives": True},
         "add --itm-negatives hard"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other(
    task: str, criterion: str, options: dict, words: str, data: Path
) -> None:
    with pytest.raises(UserError, match=words) as raised:
        build(task, criterion, data, **options)
    assert "\n" not in str(raised.value)


def test_options_that_go_together(data: Path) -> None:
    build("retrieval", "itc_itm", data, global_negatives=True)
    build("retrieval", "itm_ranking", data, false_texts=1)
    build("vlp_mlm_itm", "mlm_itm", data, itc=True, itm_negatives="hard", global_negatives=True)


def test_a_single_picture_has_no_negatives(tmp_path: Path) -> None:
    raw = support.write_raw(tmp_path / "raw", {"train": 1, "valid": 1}, with_answers=False)
    support.python("-m", "preprocess", "jsonl", "--raw", raw, "--dest", tmp_path / "bin",
                   "--vocab-size", 40)  # fmt: skip
    with pytest.raises(UserError, match="single image"):
        build("retrieval", "itc_itm", tmp_path / "bin").load_dataset("train")
