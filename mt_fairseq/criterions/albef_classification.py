"""Cross-entropy of classes with distillation: ALBEF's fine-tuning on SNLI-VE and NLVR2."""

from __future__ import annotations

from typing import Any, ClassVar

from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor

from mt_fairseq.criterions.base import SETTING, Average, Metrics
from mt_fairseq.criterions.classification import ClassificationCriterion
from mt_fairseq.criterions.distillation import distilled_cross_entropy
from mt_fairseq.data.batches import ClassificationBatch
from mt_fairseq.errors import UserError
from mt_fairseq.modules.albef.outputs import DistilledOutput


@register_criterion("albef_classification", dataclass=FairseqDataclass)
class AlbefClassificationCriterion(ClassificationCriterion):
    """(1 - alpha) cross-entropy + alpha soft cross-entropy against the momentum model's classes."""

    METRICS: ClassVar[Metrics] = {**ClassificationCriterion.METRICS, "alpha": SETTING}

    def loss(self, output: Any, labels: Tensor) -> Tensor:
        if not isinstance(output, DistilledOutput):
            raise UserError(
                "--criterion albef_classification distils from a momentum model, which only "
                "--arch albef_* has; take --criterion classification"
            )
        assert output.logits is not None
        return distilled_cross_entropy(
            output.logits, labels, output.teacher_logits, output.alpha
        ).sum()

    def further_figures(self, output: Any, sample: ClassificationBatch) -> dict[str, Average]:
        """The weight of the momentum model's classes."""
        samples = sample["nsentences"]
        return {"alpha": Average(output.alpha * samples, samples)}
