"""Linear warm-up and linear decay to zero, as the reference has it."""

from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from mt_fairseq.errors import UserError
from mt_fairseq.ranges import AT_LEAST_0


@dataclass
class LinearConfig(FairseqDataclass):
    """Warm-up as a number of updates or as a share of all; the end is --max-update."""

    warmup_updates: int = field(
        default=0,
        metadata={
            "help": "updates over which the learning rate rises from 0",
            "range": AT_LEAST_0,
        },
    )
    warmup_ratio: float = field(
        default=0.0, metadata={"help": "the same as a share of --max-update, truncated (0.1)"}
    )
    max_update: int = field(default=II("optimization.max_update"))
    lr: list[float] = field(default=II("optimization.lr"))


def linear_multiplier(step: int, warmup: int, total: int) -> float:
    """Share of the peak learning rate after ``step`` updates; the first update has 0.

    >>> [linear_multiplier(step, 2, 6) for step in range(7)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


@register_lr_scheduler("linear", dataclass=LinearConfig)
class LinearSchedule(FairseqLRScheduler):
    """Sets the learning rate after every update."""

    def __init__(self, cfg: LinearConfig, optimizer: Any) -> None:
        super().__init__(cfg, optimizer)
        self.check_options(cfg)
        self.total = cfg.max_update
        self.warmup = cfg.warmup_updates or int(cfg.max_update * cfg.warmup_ratio)
        self.peak = cfg.lr[0]
        self.step_update(0)

    @staticmethod
    def check_options(cfg: LinearConfig) -> None:
        """UserError for options that make no schedule."""
        if cfg.max_update <= 0:
            raise UserError(
                "--lr-scheduler linear decays to 0 at --max-update: give --max-update N "
                "(updates of an epoch times epochs)"
            )
        if cfg.warmup_updates and cfg.warmup_ratio:
            raise UserError("give --warmup-updates or --warmup-ratio, not both")
        if not 0 <= cfg.warmup_ratio < 1:
            raise UserError(f"--warmup-ratio {cfg.warmup_ratio}: a share of at least 0, below 1")
        if len(cfg.lr) != 1:
            raise UserError("--lr-scheduler linear takes one --lr, the peak of the schedule")

    def step_update(self, num_updates: int) -> float:
        """The learning rate of the update that follows ``num_updates`` finished ones."""
        self.optimizer.set_lr(self.peak * linear_multiplier(num_updates, self.warmup, self.total))
        return self.optimizer.get_lr()
