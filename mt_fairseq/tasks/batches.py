"""The batches of a task's splits; those of training resume by samples."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairseq.tasks import FairseqTask

from mt_fairseq.data.epoch_batches import BatchLimits, EpochBatches
from mt_fairseq.tasks.batch_options import check_same_options, options_of_run
from mt_fairseq.tasks.weights_log import WeightsLoggingTask

TRAIN = "train"  # what fairseq calls the training data; of which splits, --train-splits says
ARGUMENTS = inspect.signature(FairseqTask.get_batch_iterator)


class BatchingTask(WeightsLoggingTask):
    """A task whose training can go on in mid-epoch with other batches."""

    batches_per_epoch = 0

    def find_initial_checkpoint(self) -> tuple[Path, bool] | None:
        """The checkpoint that a training run starts from, and whether it resumes that run."""
        raise NotImplementedError

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        iterator = super().get_batch_iterator(dataset, *args, **kwargs)
        if dataset is self.datasets.get(TRAIN):
            given = ARGUMENTS.bind(self, dataset, *args, **kwargs)
            given.apply_defaults()
            iterator = self.resumable(iterator, given.arguments)
            self.batches_per_epoch = len(iterator)
        # Workers that outlive an epoch keep the dataset of the first one, and with it its masks
        # and crops: losses would depend on --num-workers.
        iterator.reuse_dataloader = False
        iterator.persistent_workers = False
        return iterator

    def resumable(self, formed: Any, options: Mapping[str, Any]) -> EpochBatches:
        """fairseq's iterator over the training data, which counts batches, as one of ours.

        Args:
            formed: fairseq's own.
            options: what it was made with, by the names of ``get_batch_iterator``.
        """

        def check_unnamed() -> None:
            initial = self.find_initial_checkpoint()
            if initial is not None:
                check_same_options(initial[0], options_of_run(options, self.cfg))

        limits = BatchLimits(
            options["max_tokens"], options["max_sentences"], options["required_batch_size_multiple"]
        )
        return EpochBatches(formed, limits, check_unnamed)
