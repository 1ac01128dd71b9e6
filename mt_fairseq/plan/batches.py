"""Batches, accumulation and updates: exact arithmetic, as fairseq does it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batches:
    """How an effective batch is put together.

    Attributes:
        gpus: processes.
        micro: samples a process sees at once (dataset.batch_size).
        steps: accumulated ones (optimization.update_freq).
        wanted: the recipe's effective batch.
    """

    gpus: int
    micro: int
    steps: int
    wanted: int

    @property
    def effective(self) -> int:
        """Samples of an update."""
        return self.gpus * self.micro * self.steps

    @property
    def exact(self) -> bool:
        return self.effective == self.wanted

    @property
    def contrasted(self) -> int:
        """Samples that a contrastive loss sees together: accumulation adds none."""
        return self.gpus * self.micro


def choose_batches(wanted: int, gpus: int, largest: int) -> Batches:
    """The micro-batch of at most ``largest`` whose effective batch is nearest to ``wanted``.

    Of equally near ones the largest micro-batch, which keeps a device busiest.
    """
    found = [
        Batches(gpus, micro, max(1, steps), wanted)
        for micro in range(1, min(largest, -(-wanted // gpus)) + 1)
        for steps in (wanted // (gpus * micro), -(-wanted // (gpus * micro)))
    ]
    return min(found, key=lambda b: (abs(b.effective - wanted), -b.micro, b.steps))


def updates_per_epoch(samples: int, batches: Batches) -> int:
    """Updates of an epoch: the last one may be smaller, none is left out.

    fairseq cuts an epoch into micro-batches, deals them out to the processes, and joins each
    process's share into groups of ``steps``.
    """
    micro_batches = -(-samples // batches.micro)
    share = -(-micro_batches // batches.gpus)
    return -(-share // batches.steps)


@dataclass(frozen=True)
class Schedule:
    """Updates of a run; None where the number of samples is not known.

    Attributes:
        per_epoch: updates of an epoch.
        total: updates in all.
        warmup: of these, the ones in which the learning rate rises.
        epochs: passes over the data.
    """

    per_epoch: int | None
    total: int
    warmup: int
    epochs: float | None


def make_schedule(
    samples: int | None,
    batches: Batches,
    max_epoch: int,
    max_update: int,
    warmup_updates: int,
    warmup_ratio: float,
) -> Schedule:
    """A number of epochs decides where there is one and the data is known, else ``max_update``."""
    per_epoch = updates_per_epoch(samples, batches) if samples else None
    total = per_epoch * max_epoch if per_epoch and max_epoch else max_update
    warmup = warmup_updates or int(total * warmup_ratio)
    return Schedule(per_epoch, total, warmup, total / per_epoch if per_epoch else None)
