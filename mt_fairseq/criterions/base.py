"""What all criterions share: a criterion names its objectives, and the rest follows from them.

Summing, logging and reduction stand here once. Numbers stay tensors until they are logged, so
that a step waits for the device only then; logged numbers are plain floats, since a NumPy number
would make checkpoints unreadable for the safe loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion
from omegaconf import DictConfig
from torch import Tensor

COUNT = "_count"  # behind a figure's name in a logging output: what its sum is divided by
Batch = TypeVar("Batch", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Average:
    """A figure of a batch as a sum and its count, so that batches and processes add up."""

    total: Tensor | float
    count: Tensor | float


@dataclass(frozen=True)
class Objective:
    """One of the losses that a criterion adds up, and what is logged beside it.

    Attributes:
        loss: () with gradient, summed over the samples of the batch.
        weight: what the loss is multiplied by before it is added.
        figures: averages by the names of the criterion's ``METRICS``.
    """

    loss: Tensor
    weight: float = 1.0
    figures: dict[str, Average] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """How a figure is logged.

    Attributes:
        larger: whether larger is better; None for one that no checkpoint is chosen by.
        percent: the average is a share, logged in percent.
    """

    larger: bool | None = False
    percent: bool = False


LOSS = Metric()
SHARE = Metric(larger=True, percent=True)
SETTING = Metric(larger=None)
Metrics = Mapping[str, Metric]


def average_loss(loss: Tensor, count: Tensor | float) -> Average:
    """A loss as a figure, without its gradient."""
    return Average(loss.detach(), count)


class Criterion(FairseqCriterion, Generic[Batch]):
    """The weighted sum of objectives; ``Batch`` is the kind of batch that the criterion reads.

    A subclass has ``METRICS``, all figures that it may log, in the order of the log line, and
    ``objectives``. ``loss``, the sum of the objectives per ``sample_size``, is always logged.
    """

    METRICS: ClassVar[Metrics] = {}

    def objectives(self, model: torch.nn.Module, sample: Batch) -> list[Objective]:
        """Run the model on a batch: at least one objective."""
        raise NotImplementedError

    def sample_size(self, sample: Batch) -> int:
        """What fairseq divides gradients by, summed over processes and accumulated steps."""
        return int(sample["nsentences"])

    def forward(
        self, model: torch.nn.Module, sample: Batch, reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Tensor | float]]:
        """fairseq's (loss, sample size, logging output)."""
        first, *others = self.objectives(model, sample)
        loss = first.weight * first.loss
        for other in others:
            loss = loss + other.weight * other.loss
        size = self.sample_size(sample)
        log: dict[str, Tensor | float] = {
            "loss": _wide(loss.detach()),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": size,
        }
        for objective in (first, *others):
            for name, average in objective.figures.items():
                log[name], log[name + COUNT] = _wide(average.total), _wide(average.count)
        return loss, size, log

    @classmethod
    def declared_metrics(cls, cfg: DictConfig) -> dict[str, bool]:
        """What a best checkpoint can be chosen by, and whether larger is better.

        Args:
            cfg: the whole run's configuration, on which the objectives may depend.
        """
        figures = cls.METRICS.items()
        known = {name: metric.larger for name, metric in figures if metric.larger is not None}
        return {"loss": False, **known}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log all figures that the batches have."""
        log_average("loss", total(logging_outputs, "loss"), total(logging_outputs, "sample_size"))
        for name, metric in cls.METRICS.items():
            scale = 100 if metric.percent else 1
            count = total(logging_outputs, name + COUNT)
            log_average(name, scale * total(logging_outputs, name), count)
        metrics.log_scalar("nsentences", total(logging_outputs, "nsentences"), 0, round=1)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """They are sums and counts alone."""
        return True


def _wide(number: Tensor | float) -> Tensor | float:
    """Half precision has no place for the sums of many batches."""
    if isinstance(number, Tensor) and number.is_floating_point() and number.itemsize < 4:
        return number.float()
    return number


def total(logging_outputs: list[dict[str, Any]], key: str) -> float:
    """The sum of one entry over micro-batches and processes."""
    return float(sum(float(output.get(key, 0)) for output in logging_outputs))


def log_average(name: str, value: float, count: float) -> None:
    """Log ``value / count``, weighted by ``count``; nothing where nothing was counted."""
    if count > 0:
        metrics.log_scalar(name, value / count, count, round=3)
