"""``--group-by-length``: batches of texts of like length, the same in every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mt_fairseq.tasks.vlp_mlm_itm import VlpMlmItmConfig, VlpMlmItmTask

BATCH = 4


def load(folder: Path, group_by_length: bool) -> VlpMlmItmTask:
    task = VlpMlmItmTask.setup_task(
        VlpMlmItmConfig(
            data=str(folder), image_size="32", seed=1, train_subset="train", save_dir="",
            restore_file="", finetune_from_model=None, path=None, group_by_length=group_by_length,
        )
    )  # fmt: skip
    for split in ("train", "valid"):
        task.load_dataset(split)
    return task


def batches(task: VlpMlmItmTask, epoch: int) -> list[list[int]]:
    """Sample numbers of an epoch's batches, as fairseq's training takes them."""
    epochs = task.get_batch_iterator(
        task.datasets["train"], max_sentences=BATCH, seed=1, epoch=epoch,
        required_batch_size_multiple=1,
    )  # fmt: skip
    return [batch["id"].tolist() for batch in epochs.next_epoch_itr(shuffle=True)]


def padded(task: VlpMlmItmTask, found: list[list[int]]) -> int:
    sizes = task.datasets["train"].sizes
    return sum(int(sizes[ids].max()) * len(ids) for ids in found)


@pytest.fixture(scope="module")
def tasks(caption_bin: Path) -> tuple[VlpMlmItmTask, VlpMlmItmTask]:
    return load(caption_bin, True), load(caption_bin, False)


def test_less_is_padded_and_no_sample_is_lost(tasks: tuple[VlpMlmItmTask, VlpMlmItmTask]) -> None:
    grouped, shuffled = (batches(task, 1) for task in tasks)
    for found in (grouped, shuffled):
        assert sorted(index for ids in found for index in ids) == list(range(20))
    assert padded(tasks[0], grouped) < padded(tasks[0], shuffled)


def test_order_is_that_of_the_epoch_alone(tasks: tuple[VlpMlmItmTask, VlpMlmItmTask]) -> None:
    first, again, other = (batches(tasks[0], epoch) for epoch in (1, 1, 2))
    assert first == again
    assert sorted(map(sorted, first)) != sorted(
        map(sorted, other)
    )  # other batches, not their order
    lengths = [tasks[0].datasets["train"].sizes[ids].max() for ids in first]
    assert lengths != sorted(lengths)  # short texts do not come first


def test_validation_keeps_its_order(tasks: tuple[VlpMlmItmTask, VlpMlmItmTask]) -> None:
    assert np.array_equal(tasks[0].datasets["valid"].ordered_indices(), np.arange(7))
