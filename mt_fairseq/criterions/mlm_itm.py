"""Masked language modelling plus image-text matching; with ``--itc`` plus image-text contrast.

Source: ManagerTower, appendix A.1. All losses have weight 1.
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
from torch.nn import functional

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
from mt_fairseq.criterions.logging import LARGER, SMALLER, Metrics, log_average, total


@dataclass
class MlmItmConfig(FairseqDataclass):
    itc: bool = II("task.itc")
    global_negatives: bool = II("task.global_negatives")


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
    return mean_by_text(by_word, positions), by_word


def mean_by_text(by_word: Tensor, positions: Tensor) -> Tensor:
    """Losses (n,) at ``positions`` (B, T) bool -> each text's mean (B,), 0 where there is none."""
    counts = positions.sum(dim=1)
    rows = positions.nonzero()[:, 0]
    return by_word.new_zeros(len(positions)).index_add(0, rows, by_word / counts[rows])


@register_criterion("mlm_itm", dataclass=MlmItmConfig)
class MlmItmCriterion(FairseqCriterion):
    """Sum over texts of the losses, ``sample_size`` the number of texts.

    fairseq divides the gradients of all processes and accumulated steps by one number. MLM counts
    words and ITM counts texts, so MLM's words are averaged within each text: then N small batches
    give the very loss of one large batch. ``mlm_loss`` is logged per word, as usual. (ITC compares
    the texts of a step, so accumulated steps are not one large batch to it; processes are.)
    """

    def __init__(self, task: FairseqTask, itc: bool, global_negatives: bool) -> None:
        super().__init__(task)
        self.itc = itc
        self.global_negatives = global_negatives

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | int]]:
        output = model(
            **sample["net_input"],
            step="pretraining",
            itc=self.itc,
            global_negatives=self.global_negatives,
            is_dummy=sample.get("is_dummy", False),
        )
        positions = sample["net_input"]["masked_positions"]
        words = sample["target"][positions]
        by_text, by_word = mlm_loss_by_text(output.mlm_logits, words, positions)
        itm = itm_loss(output.itm)
        loss = by_text.sum() + itm
        logging_output = {
            "mlm_loss": by_word.detach().sum(),
            "mlm_correct": (output.mlm_logits.argmax(dim=-1) == words).sum(),
            "mlm_words": words.numel(),
            **matching_log(output.itm, itm),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": sample["nsentences"],
        }
        if output.itc is not None:
            itc = itc_loss(output.itc)
            loss = loss + itc
            logging_output.update(contrast_log(output.itc, itc))
        logging_output["loss"] = loss.detach()
        return loss, sample["nsentences"], logging_output

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        masked_words = {"mlm_loss": SMALLER, "mlm_accuracy": LARGER}
        contrast = CONTRAST_METRICS if cfg.task.itc else {}
        return {"loss": SMALLER, **masked_words, **MATCHING_METRICS, **contrast}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        texts = total(logging_outputs, "nsentences")
        words = total(logging_outputs, "mlm_words")
        log_average("loss", total(logging_outputs, "loss"), texts)
        log_average("mlm_loss", total(logging_outputs, "mlm_loss"), words)
        log_average("mlm_accuracy", 100 * total(logging_outputs, "mlm_correct"), words)
        log_matching(logging_outputs, texts)
        if any("itc_loss" in output for output in logging_outputs):
            log_contrast(logging_outputs, texts)
        metrics.log_scalar("nsentences", texts, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
