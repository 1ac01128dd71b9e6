"""Entailment, pairs of pictures and retrieval by command with ALBEF."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mt_fairseq.criterions.albef_classification import AlbefClassificationCriterion
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.modules.outputs import TwoTowerOutput
from tests.albef import small
from tests.albef.test_pretraining import OPTIONS as PRETRAINING
from tests.support import logged
from tests.tasks.classification import demonstration_bins
from tests.tasks.rank import run

MODEL = [
    *PRETRAINING[4 : PRETRAINING.index("--disable-validation")], "--disable-validation",
    "--log-format", "json", "--log-interval", 1, "--batch-size", 5, "--max-update", 8,
]  # fmt: skip
EVALUATION = ["--gen-subset", "valid", "--batch-size", 8, "--num-workers", 0]
CRITERIONS = {
    "snli_ve": "albef_classification",
    "nlvr2": "albef_classification",
    "retrieval": "albef_retrieval",
}
SCORERS = {"snli_ve": "accuracy", "nlvr2": "accuracy", "retrieval": "recall"}


@pytest.fixture(scope="module")
def bins(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("classes")
    return {**demonstration_bins(folder), "retrieval": caption_bin}


@pytest.fixture(scope="module")
def outputs(
    bins: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """The folder of checkpoints, and what training and generation of each task printed."""
    folder = tmp_path_factory.mktemp("albef")
    commands = {}
    for task, data in bins.items():
        queue = ["--queue-size", 10] if task == "retrieval" else []
        commands[f"{task} train"] = [
            "train", data, "--task", task, "--criterion", CRITERIONS[task], *MODEL, *queue,
            "--save-dir", folder / task,
        ]  # fmt: skip
        commands[f"{task} generate"] = [
            "generate", data, "--task", task, "--path", folder / task / "checkpoint_last.pt",
            "--scoring", SCORERS[task], *EVALUATION,
        ]  # fmt: skip
    return folder, run(folder, commands)


@pytest.mark.parametrize("task", list(CRITERIONS))
def test_trains_with_its_momentum_model(task: str, outputs: tuple[Path, dict[str, str]]) -> None:
    records = logged(outputs[1][f"{task} train"], "train_inner")
    assert len(records) == 8
    if task == "retrieval":
        assert float(records[0]["alpha"]) == 0 and float(records[-1]["alpha"]) == 0.4
    saved = torch.load(outputs[0] / task / "checkpoint_last.pt", weights_only=False)["model"]
    heads = {name.split(".")[2] for name in saved if name.startswith("twin.heads.")}
    assert heads == ({"itc"} if task == "retrieval" else {task})
    own, teacher = (saved[f"{side}network.fusion.layers.0.up.weight"] for side in ("", "twin."))
    assert not torch.equal(own, teacher)
    assert torch.allclose(own, teacher, atol=0.02)


@pytest.mark.parametrize("task", list(CRITERIONS))
def test_generates(task: str, outputs: tuple[Path, dict[str, str]], bins: dict[str, Path]) -> None:
    lines = outputs[1][f"{task} generate"].splitlines()
    assert any(line.startswith("Generate valid") for line in lines)
    queries = {line.split("\t")[0] for line in lines if line.startswith("H-")}
    samples = len(DataBin(bins[task]).split("valid"))
    assert len(queries) == (2 * samples if task == "retrieval" else samples)


@pytest.mark.parametrize("training", [True, False])
def test_loss_of_classes(training: bool) -> None:
    """(1 - alpha) cross-entropy + alpha soft cross-entropy; a label of -1 counts nothing."""
    torch.manual_seed(0)
    model = small.build({"snli_ve": 3}, twin=True, constant_alpha=True).train(training)
    assert model.twin is not None
    with torch.no_grad():
        model.twin.heads["snli_ve"].out.weight.normal_()
    batch = small.batch(3, seed=1)
    labels = torch.tensor([2, -1, 0])
    inputs = {name: batch[name] for name in ("src_tokens", "images")}
    sample = {"net_input": inputs, "labels": labels, "ntokens": 9, "nsentences": 3, "labelled": 2}
    criterion = AlbefClassificationCriterion(SimpleNamespace(name="snli_ve"))
    output = model(**inputs, classification_head_name="snli_ve")
    logs = output.logits.log_softmax(-1)
    alpha = 0.4 if training else 0.0
    expected = torch.zeros(())
    for row in (0, 2):
        hard = logs[row, labels[row]]
        soft = output.teacher_logits[row].softmax(-1) @ logs[row] if training else 0
        expected -= (1 - alpha) * hard + alpha * soft
    loss, size, log = criterion(model, sample)
    assert size == log["sample_size"] == 2
    torch.testing.assert_close(loss, expected)


def test_other_models_have_no_momentum_model() -> None:
    criterion = AlbefClassificationCriterion(SimpleNamespace(name="snli_ve"))
    plain = TwoTowerOutput(torch.zeros(2, 3, 4), None, torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(UserError, match="momentum model, which only --arch albef_"):
        criterion.loss(plain, torch.tensor([0, 1]))
