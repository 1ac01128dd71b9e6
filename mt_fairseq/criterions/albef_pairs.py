"""Cross-entropy of which of two pictures a text describes: ALBEF's task before NLVR2."""

from __future__ import annotations

from typing import Any

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from omegaconf import DictConfig
from torch import Tensor

from mt_fairseq.criterions.contrastive import itm_loss, matching_log
from mt_fairseq.criterions.logging import LARGER, SMALLER, Metrics, log_average, total


@register_criterion("albef_pairs", dataclass=FairseqDataclass)
class AlbefPairsCriterion(FairseqCriterion):
    """A sum over texts; a text without other pictures in its batch counts nothing."""

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        output = model(**sample["net_input"], step="pairs")
        loss = itm_loss(output)
        log = matching_log(output, loss)
        return (
            loss,
            sample["nsentences"],
            {
                "loss": log["itm_loss"],
                "correct": log["itm_correct"],
                "pairs": log["itm_pairs"],
                "ntokens": sample["ntokens"],
                "nsentences": sample["nsentences"],
                "sample_size": sample["nsentences"],
            },
        )

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        return {"loss": SMALLER, "accuracy": LARGER}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        texts = total(logging_outputs, "nsentences")
        log_average("loss", total(logging_outputs, "loss"), texts)
        correct, pairs = (total(logging_outputs, name) for name in ("correct", "pairs"))
        log_average("accuracy", 100 * correct, pairs)
        metrics.log_scalar("nsentences", texts, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
