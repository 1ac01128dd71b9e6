"""Image-text contrast plus image-text matching on hard negatives: fine-tuning for retrieval.

Source: ManagerTower, appendix A.2. Both losses have weight 1.
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

from mt_fairseq.criterions.contrastive import (
    CONTRAST_METRICS,
    MATCHING_METRICS,
    contrast_log,
    itc_loss,
    itm_loss,
    log_contrast,
    log_matching,
    matching_log,
)
from mt_fairseq.criterions.logging import SMALLER, Metrics, log_average, total
from mt_fairseq.errors import UserError


@dataclass
class ItcItmConfig(FairseqDataclass):
    global_negatives: bool = II("task.global_negatives")
    false_texts: int = II("task.false_texts")


@register_criterion("itc_itm", dataclass=ItcItmConfig)
class ItcItmCriterion(FairseqCriterion):
    """``sample_size`` is the number of texts; a text's three matching pairs are averaged.

    Texts are contrasted with the images of all processes. With accumulated steps each step is a
    batch of its own: accumulation does not add negatives.
    """

    def __init__(self, task: FairseqTask, global_negatives: bool, false_texts: int) -> None:
        super().__init__(task)
        if false_texts:
            raise UserError(
                f"--false-texts {false_texts}: belong to --criterion itm_ranking, not to itc_itm"
            )
        self.global_negatives = global_negatives

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | int]]:
        output = model(
            **sample["net_input"],
            step="retrieval",
            global_negatives=self.global_negatives,
            is_dummy=sample.get("is_dummy", False),
        )
        itc, itm = itc_loss(output.itc), itm_loss(output.itm)
        loss = itc + itm
        logging_output = {
            "loss": loss.detach(),
            **contrast_log(output.itc, itc),
            **matching_log(output.itm, itm),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["nsentences"],
        }
        return loss, sample["nsentences"], logging_output

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        return {"loss": SMALLER, **CONTRAST_METRICS, **MATCHING_METRICS}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        texts = total(logging_outputs, "nsentences")
        log_average("loss", total(logging_outputs, "loss"), texts)
        log_contrast(logging_outputs, texts)
        log_matching(logging_outputs, texts)
        metrics.log_scalar("nsentences", texts, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
