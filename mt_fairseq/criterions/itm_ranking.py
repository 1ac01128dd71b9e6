"""Image-text matching alone: the true text against random false ones.

Source: METER's fine-tuning for retrieval: in its code 15 false texts an image and one score a
pair, which starts as the matching head's row for a match. Here that row itself is trained, so that
ranking needs no head of its own.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import II
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.base import SHARE, Average, Criterion, Metrics, Objective
from mt_fairseq.data.batches import ImageTextBatch
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.steps import ranking


@dataclass
class ItmRankingConfig(FairseqDataclass):
    false_texts: int = II("task.false_texts")


def ranking_loss(scores: Tensor) -> Tensor:
    """Cross-entropy of column 0 among the columns of (B, n), summed over images."""
    target = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return functional.cross_entropy(scores.float(), target, reduction="sum")


@register_criterion("itm_ranking", dataclass=ItmRankingConfig)
class ItmRankingCriterion(Criterion[ImageTextBatch]):
    """``sample_size`` is the number of images with their texts."""

    METRICS: ClassVar[Metrics] = {"ranking_accuracy": SHARE}

    def __init__(self, task: FairseqTask, false_texts: int) -> None:
        super().__init__(task)
        if not false_texts:
            raise UserError(
                "--criterion itm_ranking ranks each image's text among false ones: "
                "say how many, --false-texts 15"
            )

    def objectives(self, model: torch.nn.Module, sample: ImageTextBatch) -> list[Objective]:
        scores = ranking(model, **sample["net_input"]).scores
        first = (scores.argmax(dim=-1) == 0).sum()
        figures = {"ranking_accuracy": Average(first, sample["nsentences"])}
        return [Objective(ranking_loss(scores), figures=figures)]
