"""Likelihood of answers under ALBEF's decoder, weighted by how many annotators gave them.

Source: ALBEF, section 5 ("VQA"), and its code. The sum over questions of weighted negative
log-likelihoods; ``sample_size`` is the number of questions.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from omegaconf import DictConfig
from torch import Tensor

from mt_fairseq.criterions.distillation import answer_losses
from mt_fairseq.criterions.logging import SMALLER, Metrics, log_average, total
from mt_fairseq.errors import UserError


@register_criterion("albef_vqa", dataclass=FairseqDataclass)
class AlbefVqaCriterion(FairseqCriterion):
    """In training with the momentum model's words as further targets."""

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        if "answer_weights" not in sample:
            raise UserError(
                "a batch of questions without answers has no loss: this split cannot be trained "
                "or validated on; answer it with fairseq-generate"
            )
        output = model(**sample["net_input"], step="answers")
        tokens = sample["net_input"]["answer_tokens"]
        pad = self.task.source_dictionary.pad()
        by_answer = answer_losses(output.logits, tokens, pad, output.teacher_logits, output.alpha)
        loss = (sample["answer_weights"].to(by_answer) * by_answer).sum()
        log = {
            "loss": loss.detach(),
            "alpha": output.alpha * sample["nsentences"],
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["nsentences"],
        }
        return loss, sample["nsentences"], log

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        return {"loss": SMALLER}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        questions = total(logging_outputs, "nsentences")
        for name in ("loss", "alpha"):
            log_average(name, total(logging_outputs, name), questions)
        metrics.log_scalar("nsentences", questions, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
