"""Image-text contrast plus image-text matching on hard negatives: fine-tuning for retrieval.

Source: ManagerTower, appendix A.2. Both losses have weight 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import II

from mt_fairseq.criterions.base import Criterion, Metrics, Objective
from mt_fairseq.criterions.contrastive import (
    CONTRAST_METRICS,
    MATCHING_METRICS,
    itc_loss,
    itc_objective,
    itm_objective,
)
from mt_fairseq.data.batches import DrawnBatch
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.steps import retrieval


@dataclass
class ItcItmConfig(FairseqDataclass):
    global_negatives: bool = II("task.global_negatives")
    false_texts: int = II("task.false_texts")


@register_criterion("itc_itm", dataclass=ItcItmConfig)
class ItcItmCriterion(Criterion[DrawnBatch]):
    """``sample_size`` is the number of texts; a text's three matching pairs are averaged.

    Texts are contrasted with the images of all processes. With accumulated steps each step is a
    batch of its own: accumulation does not add negatives.
    """

    METRICS: ClassVar[Metrics] = {**CONTRAST_METRICS, **MATCHING_METRICS}

    def __init__(self, task: FairseqTask, global_negatives: bool, false_texts: int) -> None:
        super().__init__(task)
        if false_texts:
            raise UserError(
                f"--false-texts {false_texts}: belong to --criterion itm_ranking, not to itc_itm"
            )
        self.global_negatives = global_negatives

    def objectives(self, model: torch.nn.Module, sample: DrawnBatch) -> list[Objective]:
        output = retrieval(
            model,
            **sample["net_input"],
            global_negatives=self.global_negatives,
            is_dummy=sample.get("is_dummy", False),
        )
        texts = sample["nsentences"]
        itc = itc_objective(output.itc, itc_loss(output.itc), texts)
        return [itc, itm_objective(output.itm, texts)]
