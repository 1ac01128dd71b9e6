"""Contrast and hard negatives against the reference's, by the functions that training runs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mt_fairseq.criterions.contrastive import itc_loss, itm_loss
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.contrastive import negative_weights, same
from mt_fairseq.modules.gather import JoinedBatch
from mt_fairseq.modules.heads import ContrastiveHead
from mt_fairseq.modules.matching import HardNegatives, contrast_all, match_negatives
from mt_fairseq.modules.outputs import Contrast, ImageStates, TextStates
from tests.convert.golden import BOUND, Golden, difference

TASKS = ["hard_pretrain", "hard_irtr"]


def groups(golden: Golden, task: str) -> Tensor:
    """What says which pairs belong together: the pair's own number, or the image's."""
    return torch.arange(3) if task == "hard_pretrain" else golden.inputs["img_index"]


def contrast(golden: Golden, task: str) -> tuple[TwoTowerModel, TextStates, ImageStates, Contrast]:
    model = golden.model()
    text = model.encode_text(golden.inputs["text_ids"])
    image = model.encode_images(golden.inputs["image"])
    numbers = groups(golden, task)
    batch = JoinedBatch.agree(golden.inputs["text_ids"])
    head = model.heads["itc"]
    assert isinstance(head, ContrastiveHead)
    features = model.contrastive_features(text, image)
    temperature = head.clamped_temperature()
    found = contrast_all(*features, temperature, same(numbers, numbers), batch)
    return model, text, image, found


@pytest.mark.parametrize("task", TASKS)
@torch.no_grad()
def test_contrast_and_sampling_weights(golden: Golden, task: str) -> None:
    outputs = golden.outputs
    _, _, _, result = contrast(golden, task)
    bound = BOUND / outputs["itc.temperature_used"].item()
    for side, logits in (("t2i", result.text_to_image), ("i2t", result.image_to_text)):
        assert difference(logits, outputs[f"{task}.logits_{side}"]) < bound
        reference = outputs[f"{task}.weights_{side}"]
        weights = negative_weights(logits, result.positives).float()
        assert difference(weights, reference / reference.sum(dim=-1, keepdim=True)) < bound
    loss = itc_loss(result).item() / 3
    assert loss == pytest.approx(outputs[f"{task}.itc_loss"].item(), rel=1e-6)


@pytest.mark.parametrize("task", TASKS)
@torch.no_grad()
def test_matching_on_the_references_negatives(golden: Golden, task: str) -> None:
    outputs = golden.outputs
    model, text, image, _ = contrast(golden, task)
    there = torch.ones(3, dtype=torch.bool)
    negatives = HardNegatives(
        outputs[f"{task}.negative_image_of_text"],
        there,
        outputs[f"{task}.negative_text_of_image"],
        there,
    )
    result = match_negatives(model.network, model.heads["itm"], text, image, negatives)
    assert difference(result.logits, outputs[f"{task}.itm_logits"]) < BOUND
    assert torch.equal(result.labels, outputs[f"{task}.itm_labels"])
    loss = itm_loss(result).item() / 3
    assert loss == pytest.approx(outputs[f"{task}.itm_loss"].item(), rel=1e-6)


@torch.no_grad()
def test_a_retrieval_step(golden: Golden) -> None:
    """One forward pass: losses as from its parts, negatives among the true ones."""
    inputs = golden.inputs
    draws = torch.full((3, 2), 0.5, dtype=torch.float64)
    result = golden.model()(
        inputs["text_ids"],
        inputs["image"],
        step="retrieval",
        image_groups=inputs["img_index"],
        draws=draws,
    )
    loss = itc_loss(result.itc).item() / 3
    assert loss == pytest.approx(golden.outputs["hard_irtr.itc_loss"].item(), rel=1e-6)
    matches = golden.outputs["hard_irtr.itm_logits"][:3]
    assert difference(result.itm.logits[:3], matches) < BOUND
    assert result.itm.labels.tolist() == [1] * 3 + [0] * 6
    assert torch.allclose(result.itm.weights, torch.full((9,), 1 / 3))
