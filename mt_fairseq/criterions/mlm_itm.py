"""Masked language modelling plus image-text matching.

Source: ManagerTower, appendix A.1. Both losses have weight 1.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.logging import log_average, total


def mlm_loss_by_text(logits: Tensor, words: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each text's masked words.

    Args:
        logits: (n, V) at the masked positions, in row-major order of ``positions``.
        words: (n,) the true words.
        positions: (B, T) bool.

    Returns:
        (B,) losses, 0 for a text without masked word; and (n,) the cross-entropy of each word.
    """
    by_word = functional.cross_entropy(logits.float(), words, reduction="none")
    counts = positions.sum(dim=1)
    rows = positions.nonzero()[:, 0]
    by_text = by_word.new_zeros(len(positions)).index_add(0, rows, by_word / counts[rows])
    return by_text, by_word


@register_criterion("mlm_itm", dataclass=FairseqDataclass)
class MlmItmCriterion(FairseqCriterion):
    """Sum over texts of MLM's and ITM's loss, ``sample_size`` the number of texts.

    fairseq divides the gradients of all processes and accumulated steps by one number. MLM counts
    words and ITM counts texts, so MLM's words are averaged within each text: then N small batches
    give the very loss of one large batch. ``mlm_loss`` is logged per word, as usual.
    """

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | int]]:
        output = model(**sample["net_input"])
        positions = sample["net_input"]["masked_positions"]
        words = sample["target"][positions]
        by_text, by_word = mlm_loss_by_text(output.mlm_logits, words, positions)
        labels = sample["itm_labels"]
        itm_loss = functional.cross_entropy(output.itm_logits.float(), labels, reduction="sum")
        loss = by_text.sum() + itm_loss
        logging_output = {
            "loss": loss.detach(),
            "mlm_loss": by_word.detach().sum(),
            "mlm_correct": (output.mlm_logits.argmax(dim=-1) == words).sum(),
            "mlm_words": words.numel(),
            "itm_loss": itm_loss.detach(),
            "itm_correct": (output.itm_logits.argmax(dim=-1) == labels).sum(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["nsentences"],
        }
        return loss, sample["nsentences"], logging_output

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        texts = total(logging_outputs, "nsentences")
        words = total(logging_outputs, "mlm_words")
        log_average("loss", total(logging_outputs, "loss"), texts)
        log_average("mlm_loss", total(logging_outputs, "mlm_loss"), words)
        log_average("mlm_accuracy", 100 * total(logging_outputs, "mlm_correct"), words)
        log_average("itm_loss", total(logging_outputs, "itm_loss"), texts)
        log_average("itm_accuracy", 100 * total(logging_outputs, "itm_correct"), texts)
        metrics.log_scalar("nsentences", texts, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
