"""Binary cross-entropy over the answer classes.

Source: ManagerTower, appendix A.2; the scale is the reference code's: the mean over all elements
times the number of classes, hence the sum over classes averaged over questions.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.logging import LARGER, SMALLER, Metrics, log_average, total


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
class VqaCriterion(FairseqCriterion):
    """``sample_size`` is the number of questions, so that any split of a batch adds up to it."""

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | int]]:
        logits = model(**sample["net_input"], classification_head_name="vqa").logits
        scores = sample["answer_scores"]
        loss = vqa_loss(logits, scores)
        logging_output = {
            "loss": loss.detach(),
            "vqa_score": vqa_score(logits.detach(), scores),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["nsentences"],
        }
        return loss, sample["nsentences"], logging_output

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        return {"loss": SMALLER, "vqa_score": LARGER}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        questions = total(logging_outputs, "nsentences")
        log_average("loss", total(logging_outputs, "loss"), questions)
        log_average("vqa_score", 100 * total(logging_outputs, "vqa_score"), questions)
        metrics.log_scalar("nsentences", questions, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
