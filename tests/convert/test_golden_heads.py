"""Task heads, losses and gradients against the reference's."""

from __future__ import annotations

import pytest
import torch

from mt_fairseq.data.batches import masked_words
from tests.convert.golden import BOUND, Golden, difference
from tests.convert.losses import TASKS, vqa_targets


@pytest.mark.parametrize("task", TASKS)
@torch.no_grad()
def test_logits_and_loss(golden: Golden, task: str) -> None:
    logits, loss = TASKS[task](golden.model(), golden)
    assert difference(logits, golden.outputs[f"{task}.logits"]) < BOUND
    assert loss.item() == pytest.approx(golden.outputs[f"{task}.loss"].item(), rel=1e-6)


@torch.no_grad()
def test_pairs_of_images(golden: Golden) -> None:
    pair = torch.stack([golden.inputs["image_0"], golden.inputs["image_1"]], dim=1)
    pooled = golden.model()(golden.inputs["text_ids"], pair).pooled
    reference = [golden.outputs[f"nlvr2.cls_feats_{k}"] for k in (0, 1)]
    assert difference(pooled, torch.cat(reference, dim=1)) < BOUND


def test_vqa_targets(golden: Golden) -> None:
    assert torch.equal(vqa_targets(golden), golden.outputs["vqa.targets"])


@torch.no_grad()
def test_pretraining_step_gives_the_same_logits(golden: Golden) -> None:
    """One vision pass for both objectives, the text half alone for MLM: nothing changes."""
    inputs, outputs = golden.inputs, golden.outputs
    positions = inputs["text_labels_mlm"] != -100
    labels = outputs["itm.labels"]
    result = golden.model()(
        inputs["text_ids"],
        torch.cat([inputs["image"], inputs["false_image"]]),
        step="pretraining",
        masked_tokens=inputs["text_ids_mlm"],
        masked_words=masked_words(inputs["text_ids"], positions),
        image_index=torch.arange(len(labels)) + len(labels) * (1 - labels),
    )
    assert difference(result.mlm_logits, outputs["mlm.logits"][positions]) < BOUND
    assert difference(result.itm.logits, outputs["itm.logits"]) < BOUND


@torch.no_grad()
def test_contrastive_features(golden: Golden) -> None:
    model = golden.model()
    text = model.encode_text(golden.inputs["text_ids"])
    image = model.encode_images(golden.inputs["image"])
    text_features, image_features = model.contrastive_features(text, image)
    assert difference(text_features, golden.outputs["itc.text"]) < BOUND
    assert difference(image_features, golden.outputs["itc.image"]) < BOUND
    temperature = model.heads["itc"].clamped_temperature()
    assert difference(temperature, golden.outputs["itc.temperature_used"]) == 0


@pytest.mark.parametrize("task", ["vqa", "mlm"])
def test_gradients(golden: Golden, task: str) -> None:
    model = golden.model()
    TASKS[task](model, golden)[1].backward()
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
    compared = 0
    for name, expected in golden.json("grads.json")[task].items():
        if name not in golden.places:
            assert expected is None, f"{name} is left out, but has a gradient"
            continue
        ours = golden.as_official(name, gradients)
        norm, first, last = expected or (0.0, 0.0, 0.0)
        scale = max(1.0, norm)
        assert ours.norm().item() == pytest.approx(norm, abs=2 * BOUND * scale), name
        assert ours[0].item() == pytest.approx(first, abs=BOUND * scale), name
        assert ours[-1].item() == pytest.approx(last, abs=BOUND * scale), name
        compared += expected is not None
    assert compared > 200
