"""Binary cross-entropy over the answer classes.

Source: ManagerTower, appendix A.2; the scale is the reference code's: the mean over all elements
times the number of classes, hence the sum over classes averaged over questions.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.base import SHARE, Average, Criterion, Metrics, Objective
from mt_fairseq.data.batches import VqaBatch


def vqa_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Sum over questions of the cross-entropy summed over classes.

    Args:
        logits: (B, C).
        scores: (B, C) soft scores in [0, 1].
    """
    return functional.binary_cross_entropy_with_logits(
        logits.float(), scores.float(), reduction="sum"
    )


def vqa_score(logits: Tensor, scores: Tensor) -> Tensor:
    """Sum over questions of the score of the answer ranked first; logits and scores (B, C)."""
    return scores.gather(1, logits.argmax(dim=1, keepdim=True)).sum()


@register_criterion("vqa", dataclass=FairseqDataclass)
class VqaCriterion(Criterion[VqaBatch]):
    """``sample_size`` is the number of questions, so that any split of a batch adds up to it."""

    METRICS: ClassVar[Metrics] = {"vqa_score": SHARE}

    def objectives(self, model: torch.nn.Module, sample: VqaBatch) -> list[Objective]:
        logits = model(**sample["net_input"], classification_head_name="vqa").logits
        scores = sample["answer_scores"]
        score = Average(vqa_score(logits.detach(), scores), sample["nsentences"])
        return [Objective(vqa_loss(logits, scores), figures={"vqa_score": score})]
