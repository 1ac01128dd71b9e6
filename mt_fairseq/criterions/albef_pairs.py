"""Cross-entropy of which of two images a text describes: ALBEF's task before NLVR2."""

from __future__ import annotations

from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass

from mt_fairseq.criterions.base import SHARE, Criterion, Metrics, Objective
from mt_fairseq.criterions.contrastive import itm_loss, matching_accuracy
from mt_fairseq.data.batches import DrawnBatch
from mt_fairseq.models.albef.steps import pairs


@register_criterion("albef_pairs", dataclass=FairseqDataclass)
class AlbefPairsCriterion(Criterion[DrawnBatch]):
    """A sum over texts; a text without other images in its batch counts nothing."""

    METRICS: ClassVar[Metrics] = {"accuracy": SHARE}

    def objectives(self, model: torch.nn.Module, sample: DrawnBatch) -> list[Objective]:
        output = pairs(model, **sample["net_input"])
        return [Objective(itm_loss(output), figures={"accuracy": matching_accuracy(output)})]
