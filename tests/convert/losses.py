"""The reference's losses, written out for comparison."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.convert.golden import Golden


def vqa_targets(golden: Golden) -> Tensor:
    """(B, labels) soft targets; a label named twice keeps its last score."""
    config = golden.config
    targets = torch.zeros(config["batch"], config["vqa_labels"])
    pairs = zip(config["vqa_answer_labels"], config["vqa_answer_scores"], strict=True)
    for row, (labels, scores) in enumerate(pairs):
        for label, score in zip(labels, scores, strict=True):
            targets[row, label] = score
    return targets


def vqa(model: TwoTowerModel, golden: Golden) -> tuple[Tensor, Tensor]:
    """Logits, and binary cross-entropy times the number of labels."""
    inputs = golden.inputs
    result = model(inputs["text_ids"], inputs["image"], classification_head_name="vqa")
    targets = vqa_targets(golden)
    loss = F.binary_cross_entropy_with_logits(result.logits, targets) * targets.shape[1]
    return result.logits, loss


def mlm(model: TwoTowerModel, golden: Golden) -> tuple[Tensor, Tensor]:
    inputs = golden.inputs
    result = model(inputs["text_ids_mlm"], inputs["image"], classification_head_name="mlm")
    labels = inputs["text_labels_mlm"]
    loss = F.cross_entropy(result.logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    return result.logits, loss


def snli(model: TwoTowerModel, golden: Golden) -> tuple[Tensor, Tensor]:
    inputs = golden.inputs
    result = model(inputs["text_ids"], inputs["image"], classification_head_name="snli_ve")
    return result.logits, F.cross_entropy(result.logits, inputs["snli_labels"])


def nlvr2(model: TwoTowerModel, golden: Golden) -> tuple[Tensor, Tensor]:
    inputs = golden.inputs
    pair = torch.stack([inputs["image_0"], inputs["image_1"]], dim=1)
    result = model(inputs["text_ids"], pair, classification_head_name="nlvr2")
    return result.logits, F.cross_entropy(result.logits, inputs["nlvr2_labels"])


def itm(model: TwoTowerModel, golden: Golden) -> tuple[Tensor, Tensor]:
    inputs = golden.inputs
    labels = golden.outputs["itm.labels"]
    images = torch.where(labels[:, None, None, None] == 1, inputs["image"], inputs["false_image"])
    result = model(inputs["text_ids"], images, classification_head_name="itm")
    return result.logits, F.cross_entropy(result.logits, labels)


TASKS = {"vqa": vqa, "mlm": mlm, "snli": snli, "nlvr2": nlvr2, "itm": itm}
