"""Masked language modelling plus image-text matching; with ``--itc`` plus image-text contrast.

Source: ManagerTower, appendix A.1. All losses have weight 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import II, DictConfig
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.base import (
    LOSS,
    SHARE,
    Average,
    Criterion,
    Metrics,
    Objective,
    average_loss,
)
from mt_fairseq.criterions.contrastive import (
    CONTRAST_METRICS,
    MATCHING_METRICS,
    itc_loss,
    itc_objective,
    itm_objective,
)
from mt_fairseq.data.batches import MaskedWords, PretrainingBatch
from mt_fairseq.models.two_tower.steps import pretraining

MLM_METRICS: Metrics = {"mlm_loss": LOSS, "mlm_accuracy": SHARE}


@dataclass
class MlmItmConfig(FairseqDataclass):
    itc: bool = II("task.itc")
    global_negatives: bool = II("task.global_negatives")


def mlm_loss_by_text(logits: Tensor, masked: MaskedWords, texts: int) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each text's masked words.

    Args:
        logits: (n, V) of the masked words.
        masked: the true words, and which texts they belong to.
        texts: B.

    Returns:
        (B,) losses, 0 for a text without masked word; and (n,) the cross-entropy of each word.
    """
    by_word = functional.cross_entropy(logits.float(), masked["words"], reduction="none")
    return mean_by_text(by_word, masked["rows"], texts), by_word


def mean_by_text(by_word: Tensor, rows: Tensor, texts: int) -> Tensor:
    """Losses (n,) of words of the texts ``rows`` (n,) -> means (B,), 0 for a text without words."""
    nothing = by_word.new_zeros(texts)
    counts = nothing.index_add(0, rows, torch.ones_like(by_word))
    return nothing.index_add(0, rows, by_word / counts[rows])


def mlm_figures(by_word: Tensor, logits: Tensor, masked: MaskedWords) -> dict[str, Average]:
    """Averages over words: losses (n,), and whether the best of logits (n, V) are the words."""
    words = masked["words"]
    right = (logits.detach().argmax(dim=-1) == words).sum()
    return {
        "mlm_loss": average_loss(by_word.sum(), words.numel()),
        "mlm_accuracy": Average(right, words.numel()),
    }


@register_criterion("mlm_itm", dataclass=MlmItmConfig)
class MlmItmCriterion(Criterion[PretrainingBatch]):
    """Sum over texts of the losses, ``sample_size`` the number of texts.

    fairseq divides the gradients of all processes and accumulated steps by one number. MLM counts
    words and ITM counts texts, so MLM's words are averaged within each text: then N small batches
    give the very loss of one large batch. ``mlm_loss`` is logged per word, as usual. (ITC compares
    the texts of a step, so accumulated steps are not one large batch to it; processes are.)
    """

    METRICS: ClassVar[Metrics] = {**MLM_METRICS, **MATCHING_METRICS, **CONTRAST_METRICS}

    def __init__(self, task: FairseqTask, itc: bool, global_negatives: bool) -> None:
        super().__init__(task)
        self.itc = itc
        self.global_negatives = global_negatives

    def objectives(self, model: torch.nn.Module, sample: PretrainingBatch) -> list[Objective]:
        output = pretraining(
            model,
            **sample["net_input"],
            itc=self.itc,
            global_negatives=self.global_negatives,
            is_dummy=sample.get("is_dummy", False),
        )
        masked, texts = sample["net_input"]["masked_words"], sample["nsentences"]
        by_text, by_word = mlm_loss_by_text(output.mlm_logits, masked, texts)
        found = [
            Objective(by_text.sum(), figures=mlm_figures(by_word, output.mlm_logits, masked)),
            itm_objective(output.itm, texts),
        ]
        if output.itc is not None:
            found.append(itc_objective(output.itc, itc_loss(output.itc), texts))
        return found

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> dict[str, bool]:
        known = super().declared_metrics(cfg)
        absent = () if cfg.task.itc else CONTRAST_METRICS
        return {name: larger for name, larger in known.items() if name not in absent}
