"""ALBEF's objectives on aligned texts and images: pre-training and retrieval.

Source: ALBEF, sections 3.2 and 3.3 (equations 1 to 7). All losses have weight 1; each is a sum over
samples, ``sample_size`` their number. MLM's words are averaged within each text (the reference
averages over all words of a process's batch), so that no result depends on how batches are split.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import DictConfig

from mt_fairseq.criterions.base import (
    SETTING,
    SHARE,
    Average,
    Criterion,
    Metrics,
    Objective,
)
from mt_fairseq.criterions.contrastive import (
    CONTRAST_METRICS,
    MATCHING_METRICS,
    itc_objective,
    itm_objective,
)
from mt_fairseq.criterions.distillation import distilled_cross_entropy, distilled_itc_loss
from mt_fairseq.criterions.mlm_itm import MLM_METRICS, mean_by_text, mlm_figures
from mt_fairseq.data.batches import AlignmentBatch, DrawnBatch, MaskedWords
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.steps import alignment
from mt_fairseq.modules.albef.outputs import AlignmentOutput
from mt_fairseq.modules.outputs import Matching

DISTILLED = ("itc", "mlm")
OBJECTIVE_METRICS: dict[str, Metrics] = {
    "itc": CONTRAST_METRICS,
    "itm": {**MATCHING_METRICS, "itm_ranked": SHARE},
    "mlm": MLM_METRICS,
}


@torch.no_grad()
def ranked(matching: Matching) -> Average:
    """How many of the drawn negatives match less than their true pair.

    Unlike accuracy it hangs on no threshold, which hard negatives shift: 50 % are ranked right
    without looking. Equal scores count half.
    """
    logits = matching.logits.float()  # before the difference, which half precision rounds
    true, *negatives = (logits[:, 1] - logits[:, 0]).chunk(3)
    margins = torch.cat([true - negative for negative in negatives])
    exists = (matching.weights[len(true) :] > 0).float()
    return Average((exists * (margins.sign() + 1) / 2).sum(), exists.sum())


def aligned(output: AlignmentOutput, distil: bool, texts: int) -> list[Objective]:
    """Contrast and matching, as far as the model has their heads.

    Args:
        output: what the step gives.
        distil: whether contrast also learns from the momentum model.
        texts: B.
    """
    found: list[Objective] = []
    if output.itc is not None:
        loss = distilled_itc_loss(output.itc, output.alpha if distil else 0.0)
        found.append(itc_objective(output.itc, loss, texts))
    if output.itm is not None:
        found.append(itm_objective(output.itm, texts))
        found[-1].figures["itm_ranked"] = ranked(output.itm)
    return found


@dataclass
class AlbefPretrainCriterionConfig(FairseqDataclass):
    random_negatives: bool = field(
        default=False,
        metadata={"help": "draw ITM's negatives evenly from the batch, not by similarity"},
    )
    distilled: str = field(
        default=",".join(DISTILLED),
        metadata={
            "help": "which of itc and mlm learn from the momentum model too (ablations: itc)"
        },
    )


@register_criterion("albef_pretrain", dataclass=AlbefPretrainCriterionConfig)
class AlbefPretrainCriterion(Criterion[AlignmentBatch]):
    """ITC, MLM and ITM, each as far as ``--objectives`` names it."""

    METRICS: ClassVar[Metrics] = {
        **OBJECTIVE_METRICS["itc"],
        **OBJECTIVE_METRICS["itm"],
        **OBJECTIVE_METRICS["mlm"],
        "alpha": SETTING,
    }

    def __init__(self, task: FairseqTask, random_negatives: bool, distilled: str) -> None:
        names = tuple(name for name in distilled.split(",") if name)
        if set(names) - set(DISTILLED):
            raise UserError(
                f"--distilled {distilled}: give itc, mlm, both with a comma, or nothing"
            )
        super().__init__(task)
        self.distilled = names
        self.random_negatives = random_negatives

    def objectives(self, model: torch.nn.Module, sample: AlignmentBatch) -> list[Objective]:
        inputs, texts = sample["net_input"], sample["nsentences"]
        output = alignment(
            model,
            **inputs,
            random_negatives=self.random_negatives,
            teach_mlm="mlm" in self.distilled,
            is_dummy=sample.get("is_dummy", False),
        )
        found = aligned(output, "itc" in self.distilled, texts)
        if output.mlm_logits is not None:
            found.append(masked_words_objective(output, inputs["masked_words"], texts))
        found[0].figures["alpha"] = Average(output.alpha * texts, texts)
        return found

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> dict[str, bool]:
        known = super().declared_metrics(cfg)
        chosen = cfg.task.get("objectives", ",".join(OBJECTIVE_METRICS)).split(",")
        others = OBJECTIVE_METRICS.keys() - chosen
        absent = {metric for name in others for metric in OBJECTIVE_METRICS[name]}
        return {name: larger for name, larger in known.items() if name not in absent}


def masked_words_objective(output: AlignmentOutput, masked: MaskedWords, texts: int) -> Objective:
    """Sum over texts of the mean over their masked words."""
    assert output.mlm_logits is not None
    by_word = distilled_cross_entropy(
        output.mlm_logits, masked["words"], output.mlm_teacher_logits, output.alpha
    )
    figures = mlm_figures(by_word, output.mlm_logits, masked)
    return Objective(mean_by_text(by_word, masked["rows"], texts).sum(), figures=figures)


@register_criterion("albef_retrieval", dataclass=FairseqDataclass)
class AlbefRetrievalCriterion(Criterion[DrawnBatch]):
    """ITC with several positives and soft targets, and ITM with hard negatives."""

    METRICS: ClassVar[Metrics] = {
        **OBJECTIVE_METRICS["itc"],
        **OBJECTIVE_METRICS["itm"],
        "alpha": SETTING,
    }

    def objectives(self, model: torch.nn.Module, sample: DrawnBatch) -> list[Objective]:
        is_dummy, texts = sample.get("is_dummy", False), sample["nsentences"]
        output = alignment(model, **sample["net_input"], is_dummy=is_dummy)
        found = aligned(output, distil=True, texts=texts)
        found[0].figures["alpha"] = Average(output.alpha * texts, texts)
        return found
