"""Cross-entropy over the classes of the task's head.

Source: ManagerTower, appendix A.2 (SNLI-VE and NLVR2).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.base import SHARE, Average, Criterion, Metrics, Objective
from mt_fairseq.data.batches import ClassificationBatch
from mt_fairseq.data.classification_dataset import UNKNOWN


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over samples of the cross-entropy; a label of -1 counts nothing.

    Args:
        logits: (B, C).
        labels: (B,) classes.
    """
    return functional.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=UNKNOWN)


@register_criterion("classification", dataclass=FairseqDataclass)
class ClassificationCriterion(Criterion[ClassificationBatch]):
    """``sample_size`` is the number of samples with a label, so that any split of a batch adds up.

    In training all samples have one (the task sees to it); in validation others are not scored.
    """

    METRICS: ClassVar[Metrics] = {"accuracy": SHARE}

    def objectives(self, model: torch.nn.Module, sample: ClassificationBatch) -> list[Objective]:
        output = model(**sample["net_input"], classification_head_name=self.task.name)
        labels = sample["labels"]
        correct = output.logits.detach().argmax(dim=1).eq(labels).sum()
        figures = {
            "accuracy": Average(correct, sample["labelled"]),
            **self.further_figures(output, sample),
        }
        return [Objective(self.loss(output, labels), figures=figures)]

    def sample_size(self, sample: ClassificationBatch) -> int:
        return sample["labelled"]

    def loss(self, output: Any, labels: Tensor) -> Tensor:
        """The sum over samples of a batch's loss."""
        return classification_loss(output.logits, labels)

    def further_figures(self, output: Any, sample: ClassificationBatch) -> dict[str, Average]:
        """What else is logged; nothing here."""
        return {}
