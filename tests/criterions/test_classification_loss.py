"""Cross-entropy over classes, by hand and against the reference's losses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from mt_fairseq.criterions.classification import ClassificationCriterion, classification_loss
from tests.convert.golden import BOUND, FOLDERS, difference, load_golden

LABELS = {"snli_ve": "snli", "nlvr2": "nlvr2"}


def test_samples_without_a_label_count_nothing() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3), torch.tensor([2, -1, 0, -1])
    known = functional.cross_entropy(logits[[0, 2]], labels[[0, 2]], reduction="sum")
    assert classification_loss(logits, labels).item() == pytest.approx(known.item())
    assert classification_loss(logits, torch.full((4,), -1)).item() == 0


def run(model: Any, task: str, sample: dict[str, Any]) -> tuple[torch.Tensor, int, dict[str, Any]]:
    criterion = ClassificationCriterion(SimpleNamespace(name=task))
    count = int((sample["labels"] >= 0).sum())
    whole = {"ntokens": 1, "nsentences": len(sample["labels"]), "labelled": count, **sample}
    return criterion(model, whole)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("task", LABELS)
@torch.no_grad()
def test_loss_and_logits_are_the_reference_s(folder: str, task: str, shared_dir: Any) -> None:
    golden = load_golden(shared_dir / "golden" / folder)
    inputs, name = golden.inputs, LABELS[task]
    images = inputs["image"][:, None]
    if task == "nlvr2":
        images = torch.stack([inputs["image_0"], inputs["image_1"]], dim=1)
    net_input = {"src_tokens": inputs["text_ids"], "images": images}
    labels = inputs[f"{name}_labels"]
    model = golden.model().eval()
    logits = model(**net_input, classification_head_name=task).logits
    assert difference(logits, golden.outputs[f"{name}.logits"]) < BOUND
    loss, size, logged = run(model, task, {"net_input": net_input, "labels": labels})
    assert loss.item() / size == pytest.approx(golden.outputs[f"{name}.loss"].item(), rel=1e-6)
    right = golden.outputs[f"{name}.logits"].argmax(dim=1) == labels
    assert int(logged["accuracy"]) == int(right.sum())
    # one sample after the other adds up to the batch
    parts = [
        run(model, task, {"net_input": {k: v[i : i + 1] for k, v in net_input.items()},
                          "labels": labels[i : i + 1]})
        for i in range(len(labels))
    ]  # fmt: skip
    assert sum(part[0].item() for part in parts) == pytest.approx(loss.item(), rel=1e-5)
    assert sum(part[1] for part in parts) == size == len(labels)
