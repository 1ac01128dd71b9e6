"""Likelihood of answers under ALBEF's decoder, weighted by how many annotators gave them.

Source: ALBEF, section 5 ("VQA"), and its code. The sum over questions of weighted negative
log-likelihoods; ``sample_size`` is the number of questions.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass

from mt_fairseq.criterions.base import SETTING, Average, Criterion, Metrics, Objective
from mt_fairseq.criterions.distillation import answer_losses
from mt_fairseq.data.batches import AnswerBatch
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.steps import answers


@register_criterion("albef_vqa", dataclass=FairseqDataclass)
class AlbefVqaCriterion(Criterion[AnswerBatch]):
    """In training with the momentum model's words as further targets."""

    METRICS: ClassVar[Metrics] = {"alpha": SETTING}

    def objectives(self, model: torch.nn.Module, sample: AnswerBatch) -> list[Objective]:
        if "answer_weights" not in sample:
            raise UserError(
                "a batch of questions without answers has no loss: this split cannot be trained "
                "or validated on; answer it with fairseq-generate"
            )
        output = answers(model, **sample["net_input"])
        tokens = sample["net_input"]["answer_tokens"]
        pad = self.task.source_dictionary.pad()
        by_answer = answer_losses(output.logits, tokens, pad, output.teacher_logits, output.alpha)
        loss = (sample["answer_weights"].to(by_answer) * by_answer).sum()
        questions = sample["nsentences"]
        figures = {"alpha": Average(output.alpha * questions, questions)}
        return [Objective(loss, figures=figures)]
