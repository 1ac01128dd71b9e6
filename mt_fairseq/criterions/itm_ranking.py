"""Image-text matching alone: the true text against random false ones.

Source: METER's fine-tuning for retrieval: in its code 15 false texts an image and one score a
pair, which starts as the matching head's row for a match. Here that row itself is trained, so that
ranking needs no head of its own.
"""

from dataclasses import dataclass
from typing import Any

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import II, DictConfig
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.logging import LARGER, SMALLER, Metrics, log_average, total
from mt_fairseq.errors import UserError


@dataclass
class ItmRankingConfig(FairseqDataclass):
    false_texts: int = II("task.false_texts")


def ranking_loss(scores: Tensor) -> Tensor:
    """Cross-entropy of column 0 among the columns of (B, n), summed over images."""
    target = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return functional.cross_entropy(scores.float(), target, reduction="sum")


@register_criterion("itm_ranking", dataclass=ItmRankingConfig)
class ItmRankingCriterion(FairseqCriterion):
    """``sample_size`` is the number of images with their texts."""

    def __init__(self, task: FairseqTask, false_texts: int) -> None:
        super().__init__(task)
        if not false_texts:
            raise UserError(
                "--criterion itm_ranking ranks each picture's text among false ones: "
                "say how many, --false-texts 15"
            )

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | int]]:
        scores = model(**sample["net_input"], step="ranking").scores
        loss = ranking_loss(scores)
        logging_output = {
            "loss": loss.detach(),
            "ranked_first": (scores.argmax(dim=-1) == 0).sum(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["nsentences"],
        }
        return loss, sample["nsentences"], logging_output

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        return {"loss": SMALLER, "ranking_accuracy": LARGER}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        images = total(logging_outputs, "nsentences")
        log_average("loss", total(logging_outputs, "loss"), images)
        log_average("ranking_accuracy", 100 * total(logging_outputs, "ranked_first"), images)
        metrics.log_scalar("nsentences", images, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
