"""ALBEF's objectives on aligned texts and images: pre-training and retrieval.

Source: ALBEF, sections 3.2 and 3.3 (equations 1 to 7). All losses have weight 1; each is a sum over
samples, ``sample_size`` their number. MLM's words are averaged within each text (the reference
averages over all words of a process's batch), so that no result depends on how batches are split.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask
from omegaconf import DictConfig
from torch import Tensor

from mt_fairseq.criterions.contrastive import (
    CONTRAST_METRICS,
    MATCHING_METRICS,
    contrast_log,
    itm_loss,
    log_contrast,
    log_matching,
    matching_log,
)
from mt_fairseq.criterions.distillation import distilled_cross_entropy, distilled_itc_loss
from mt_fairseq.criterions.logging import LARGER, SMALLER, Metrics, log_average, total
from mt_fairseq.criterions.mlm_itm import mean_by_text
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.steps import AlignmentOutput
from mt_fairseq.modules.outputs import Matching

DISTILLED = ("itc", "mlm")
OBJECTIVE_METRICS: dict[str, Metrics] = {
    "itc": CONTRAST_METRICS,
    "itm": {**MATCHING_METRICS, "itm_ranked": LARGER},
    "mlm": {"mlm_loss": SMALLER, "mlm_accuracy": LARGER},
}
Sample = dict[str, Any]
Log = dict[str, Any]


@torch.no_grad()
def ranking_log(matching: Matching) -> dict[str, Tensor]:
    """Of the drawn negatives, how many there are and how many match less than their true pair.

    Unlike accuracy it hangs on no threshold, which hard negatives shift: 50 % are ranked right
    without looking. Equal scores count half.
    """
    logits = matching.logits.float()  # before the difference, which half precision rounds
    true, *negatives = (logits[:, 1] - logits[:, 0]).chunk(3)
    margins = torch.cat([true - negative for negative in negatives])
    exists = (matching.weights[len(true) :] > 0).float()
    return {
        "itm_ranked": (exists * (margins.sign() + 1) / 2).sum(),
        "itm_negatives": exists.sum(),
    }


class AlbefCriterion(FairseqCriterion):
    """The sum of the objectives that the model has heads for.

    Args:
        task: the task.
        distilled: objectives that also learn from the momentum model.
    """

    def __init__(self, task: FairseqTask, distilled: tuple[str, ...]) -> None:
        super().__init__(task)
        self.distilled = distilled

    def step_options(self) -> dict[str, Any]:
        """What the model's step is told beside the batch."""
        return {}

    def forward(
        self, model: torch.nn.Module, sample: Sample, reduce: bool = True
    ) -> tuple[Tensor, int, Log]:
        output = model(
            **sample["net_input"],
            step="alignment",
            is_dummy=sample.get("is_dummy", False),
            **self.step_options(),
        )
        losses: list[Tensor] = []
        log: Log = {"alpha": output.alpha * sample["nsentences"]}
        if output.itc is not None:
            alpha = output.alpha if "itc" in self.distilled else 0.0
            losses.append(distilled_itc_loss(output.itc, alpha))
            log.update(contrast_log(output.itc, losses[-1]))
        if output.itm is not None:
            losses.append(itm_loss(output.itm))
            log.update(matching_log(output.itm, losses[-1]))
            log.update(ranking_log(output.itm))
        if output.mlm_logits is not None:
            losses.append(self.mlm(output, sample, log))
        loss = torch.stack(losses).sum()
        for name in ("ntokens", "nsentences"):
            log[name] = sample[name]
        return (
            loss,
            sample["nsentences"],
            {
                **log,
                "loss": loss.detach(),
                "sample_size": sample["nsentences"],
            },
        )

    def mlm(self, output: AlignmentOutput, sample: Sample, log: Log) -> Tensor:
        """Sum over texts of the mean over their masked words."""
        assert output.mlm_logits is not None
        positions = sample["net_input"]["masked_positions"]
        words = sample["target"][positions]
        by_word = distilled_cross_entropy(
            output.mlm_logits, words, output.mlm_teacher_logits, output.alpha
        )
        log["mlm_loss"] = by_word.detach().sum()
        log["mlm_correct"] = (output.mlm_logits.argmax(dim=-1) == words).sum()
        log["mlm_words"] = words.numel()
        return mean_by_text(by_word, positions).sum()

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> Metrics:
        """What a best checkpoint can be chosen by; ``cfg`` is the whole run's."""
        found = {"loss": SMALLER}
        for name in cfg.task.get("objectives", "itc,itm").split(","):
            found |= OBJECTIVE_METRICS.get(name, {})
        return found

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[Log]) -> None:
        samples = total(logging_outputs, "nsentences")
        log_average("loss", total(logging_outputs, "loss"), samples)
        present = {name for output in logging_outputs for name in output}
        if "itc_loss" in present:
            log_contrast(logging_outputs, samples)
        if "itm_loss" in present:
            log_matching(logging_outputs, samples)
            negatives = total(logging_outputs, "itm_negatives")
            log_average("itm_ranked", 100 * total(logging_outputs, "itm_ranked"), negatives)
        if "mlm_loss" in present:
            words = total(logging_outputs, "mlm_words")
            log_average("mlm_loss", total(logging_outputs, "mlm_loss"), words)
            log_average("mlm_accuracy", 100 * total(logging_outputs, "mlm_correct"), words)
        log_average("alpha", total(logging_outputs, "alpha"), samples)
        metrics.log_scalar("nsentences", samples, 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


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
class AlbefPretrainCriterion(AlbefCriterion):
    """ITC, MLM and ITM, each as far as ``--objectives`` names it."""

    def __init__(self, task: FairseqTask, random_negatives: bool, distilled: str) -> None:
        names = tuple(name for name in distilled.split(",") if name)
        if set(names) - set(DISTILLED):
            raise UserError(
                f"--distilled {distilled}: give itc, mlm, both with a comma, or nothing"
            )
        super().__init__(task, names)
        self.random_negatives = random_negatives

    def step_options(self) -> dict[str, Any]:
        return {
            "random_negatives": self.random_negatives,
            "teach_mlm": "mlm" in self.distilled,
        }


@register_criterion("albef_retrieval", dataclass=FairseqDataclass)
class AlbefRetrievalCriterion(AlbefCriterion):
    """ITC with several positives and soft targets, and ITM with hard negatives."""

    def __init__(self, task: FairseqTask) -> None:
        super().__init__(task, ("itc",))
