"""Cross-entropy over the classes of the task's head.

Source: ManagerTower, appendix A.2 (SNLI-VE and NLVR2).
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
from mt_fairseq.data.classification_dataset import UNKNOWN


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over samples of the cross-entropy; a label of -1 counts nothing.

    Args:
        logits: (B, C).
        labels: (B,) classes.
    """
    return functional.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=UNKNOWN)


@register_criterion("classification", dataclass=FairseqDataclass)
class ClassificationCriterion(FairseqCriterion):
    """``sample_size`` is the number of samples with a label, so that any split of a batch adds up.

    In training all samples have one (the task sees to it); in validation others are not scored.
    """

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | int]]:
        labels = sample["labels"]
        output = model(**sample["net_input"], classification_head_name=self.task.name)
        loss = self.loss(output, labels)
        logging_output = {
            "loss": loss.detach(),
            "correct": output.logits.detach().argmax(dim=1).eq(labels).sum(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["labelled"],
            **self.further_log(output, sample["nsentences"]),
        }
        return loss, sample["labelled"], logging_output

    def loss(self, output: Any, labels: Tensor) -> Tensor:
        """The sum over samples of a batch's loss."""
        return classification_loss(output.logits, labels)

    def further_log(self, output: Any, samples: int) -> dict[str, float]:
        """Sums over samples of what else is logged; nothing here."""
        return {}

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        return {"loss": SMALLER, "accuracy": LARGER}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        samples = total(logging_outputs, "sample_size")
        log_average("loss", total(logging_outputs, "loss"), samples)
        log_average("accuracy", 100 * total(logging_outputs, "correct"), samples)
        metrics.log_scalar("nsentences", total(logging_outputs, "nsentences"), 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
