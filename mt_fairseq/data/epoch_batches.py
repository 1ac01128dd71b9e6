"""The batches of training epochs, which resume by samples.

fairseq counts batches: with another batch size or number of processes the same count means other
samples, so that some come twice and others never. Here a checkpoint of mid-epoch names the samples
that the epoch has seen, and a resumed run puts the others into batches of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset
from fairseq.data.iterators import EpochBatchIterator
from numpy.typing import NDArray
from torch import Tensor

from mt_fairseq.errors import UserError

Mask = NDArray[np.bool_]
Batches = Sequence[Sequence[int]]

SAMPLES = "samples"
"""The key of what fairseq's state of an iterator has not."""


@dataclass(frozen=True)
class BatchLimits:
    """fairseq's options that say how large a batch may be."""

    max_tokens: int | None
    max_sentences: int | None
    required_batch_size_multiple: int

    def batches(self, dataset: FairseqDataset, indices: NDArray[np.int64]) -> Batches:
        """Samples in this order as batches."""
        return tuple(dataset.batch_by_size(indices, **vars(self)))


@dataclass(frozen=True)
class Carried:
    """What an epoch did before its batches were formed anew.

    Attributes:
        epoch: its number.
        seen: (N,) which samples it had seen.
        iterations: how many batches each process had had.
        batches: the other samples, in batches of this run.
    """

    epoch: int
    seen: Mask
    iterations: int
    batches: Batches


class EpochBatches(EpochBatchIterator):
    """fairseq's iterator over an epoch's batches; its state names the samples that were seen.

    A run with the same batches goes on where the other stopped, as in fairseq.

    Args:
        formed: fairseq's own iterator over the same batches.
        limits: how they were formed.
        check_unnamed: called for a state of mid-epoch that names no samples, as earlier versions
            wrote it; a UserError unless this run has the same batches.
    """

    def __init__(
        self, formed: EpochBatchIterator, limits: BatchLimits, check_unnamed: Callable[[], None]
    ) -> None:
        super().__init__(
            dataset=formed.dataset,
            collate_fn=formed.collate_fn,
            batch_sampler=formed.frozen_batches,
            seed=formed.seed,
            num_shards=formed.num_shards,
            shard_id=formed.shard_id,
            num_workers=formed.num_workers,
            epoch=formed.epoch,
            buffer_size=formed.buffer_size,
            timeout=formed.timeout,
            disable_shuffling=formed.disable_shuffling,
            skip_remainder_batch=formed.skip_remainder_batch,
            grouped_shuffling=formed.grouped_shuffling,
        )
        self.limits = limits
        self.check_unnamed = check_unnamed
        self.carried: Carried | None = None

    @property
    def frozen_batches(self) -> Batches:
        """The epoch's batches before they are shuffled; of a changed epoch those that are left."""
        if self.carried is not None and self.carried.epoch == self.epoch:
            return self.carried.batches
        return super().frozen_batches

    @property
    def iterations_before(self) -> int:
        """How many batches of this epoch a process had before they were formed anew."""
        carried = self.carried
        return carried.iterations if carried is not None and carried.epoch == self.epoch else 0

    # --- checkpoints ---

    def state_dict(self) -> dict[str, Any]:
        """fairseq's state, and in mid-epoch the samples seen.

        ``samples`` holds ``total``, ``seen`` (N / 8 bytes) and, if batches were formed anew in this
        epoch, ``carried_seen`` and ``carried_iterations`` of that moment.
        """
        state = super().state_dict()
        done = state["iterations_in_epoch"]
        if not done:
            return state
        before = self.iterations_before
        samples: dict[str, Any] = {
            "total": len(self.dataset),
            "seen": pack(self.seen_after(done - before, state["shuffle"])),
        }
        if before:
            assert self.carried is not None
            samples |= {"carried_seen": pack(self.carried.seen), "carried_iterations": before}
        return {**state, SAMPLES: samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in the epoch of a checkpoint: every sample that it has not seen, once.

        Raises:
            UserError: the training data has another number of samples, or the state names none
                and this run has other batches.
        """
        done = state_dict.get("iterations_in_epoch", 0)
        samples = state_dict.get(SAMPLES)
        if done and samples is None:
            self.check_unnamed()
        if not done or samples is None:
            super().load_state_dict(state_dict)
            return
        self.check_number(samples["total"], state_dict["epoch"])
        self.epoch = state_dict["epoch"]
        if "carried_seen" in samples:
            seen = unpack(samples["carried_seen"], samples["total"])
            self.form_anew(seen, samples["carried_iterations"])
        seen = unpack(samples["seen"], samples["total"])
        own = done - self.iterations_before
        if not np.array_equal(self.seen_after(own, state_dict["shuffle"]), seen):
            self.form_anew(seen, done)
            own = 0
        super().load_state_dict({**state_dict, "iterations_in_epoch": own})

    def check_number(self, total: int, epoch: int) -> None:
        """UserError if the data is not of the size that the interrupted epoch had."""
        if total != len(self.dataset):
            source = getattr(getattr(self.dataset, "data_bin", None), "path", "the training data")
            raise UserError(
                f"{source}: has {len(self.dataset):,} training samples, but the checkpoint stopped "
                f"in the middle of epoch {epoch} over {total:,}; finish that epoch with the data "
                "that it began with, or add --reset-dataloader to begin with epoch 1 of this data"
            )

    def form_anew(self, seen: Mask, iterations: int) -> None:
        """Put the samples that this epoch has not seen into batches, in the epoch's order."""
        order = flat(self.frozen_batches)
        batches = self.limits.batches(self.dataset, order[~seen[order]])
        self.carried = Carried(self.epoch, seen, iterations, batches)

    def seen_after(self, iterations: int, shuffle: bool) -> Mask:
        """(N,) which samples all processes have had after this many batches each."""
        seen = np.zeros(len(self.dataset), dtype=bool)
        if self.iterations_before:
            assert self.carried is not None
            seen |= self.carried.seen
        for view in self.views():
            batches = view.ordered_batches(self.epoch, False, shuffle)
            seen[flat(batches[: iterations * self.num_shards // view.num_shards])] = True
        return seen

    def views(self) -> list[EpochBatchIterator]:
        """Iterators that together deal out the batches of all processes.

        fairseq deals a shuffled order out in turn, so one iterator for a single process has the
        order itself; batches that are shuffled in groups of one a process need every process's.
        """
        shards = self.num_shards if self.grouped_shuffling else 1
        views = [copy.copy(self) for _ in range(shards)]
        for number, view in enumerate(views):
            view.num_shards, view.shard_id = shards, number
        return views

    # --- running ---

    def _get_iterator_for_epoch(self, *args: Any, **kwargs: Any) -> Any:
        """As fairseq's; it counts from what the epoch did before its batches were formed anew."""
        batches = super()._get_iterator_for_epoch(*args, **kwargs)
        if batches is not None:
            batches.n += self.iterations_before
            batches.total += self.iterations_before
        return batches


def flat(batches: Batches) -> NDArray[np.int64]:
    """Sample numbers of all batches, one after another."""
    if not batches:
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([np.asarray(batch, dtype=np.int64) for batch in batches])


def pack(mask: Mask) -> Tensor:
    """(N,) bool -> (ceil(N / 8),) uint8, a tensor, which the safe loader of checkpoints reads."""
    return torch.from_numpy(np.packbits(mask))


def unpack(packed: Tensor, count: int) -> Mask:
    """The inverse of ``pack``."""
    return np.unpackbits(packed.numpy(), count=count).astype(bool)
