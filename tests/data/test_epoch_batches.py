"""An epoch that is stopped and resumed with other batches sees every sample once."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.data.iterators import EpochBatchIterator, GroupedIterator

import mt_fairseq.plugin  # noqa: F401
from mt_fairseq.data import epoch_batches
from mt_fairseq.data.epoch_batches import EpochBatches
from mt_fairseq.errors import UserError
from mt_fairseq.tasks.vlp_mlm_itm import VlpMlmItmConfig, VlpMlmItmTask

SAMPLES = 20
EPOCH = 2


@dataclass(frozen=True)
class Part:
    """A part of a run: its batches, and the updates after which it stops (None: at the end)."""

    batch_size: int | None = 4
    processes: int = 1
    update_freq: int = 1
    updates: int | None = None
    max_tokens: int | None = None
    grouped_shuffling: bool = False
    buffer: int = 0


def load(folder: Path, **options: Any) -> VlpMlmItmTask:
    task = VlpMlmItmTask.setup_task(
        VlpMlmItmConfig(
            data=str(folder), image_size="32", seed=1, train_subset="train", save_dir="",
            restore_file="", finetune_from_model=None, path=None, **options,
        )
    )  # fmt: skip
    task.load_dataset("train")
    return task


@pytest.fixture(scope="module", params=[False, True], ids=["shuffled", "length-groups"])
def task(request: pytest.FixtureRequest, caption_bin: Path) -> VlpMlmItmTask:
    return load(caption_bin, group_by_length=request.param)


@pytest.fixture(scope="module")
def plain(caption_bin: Path) -> VlpMlmItmTask:
    return load(caption_bin)


def iterators(task: VlpMlmItmTask, part: Part, state: dict | None) -> list[EpochBatches]:
    """Each process's iterator over the epoch, as the trainer makes it."""
    made = [
        task.get_batch_iterator(
            task.datasets["train"], max_sentences=part.batch_size, max_tokens=part.max_tokens,
            required_batch_size_multiple=1, seed=1, epoch=EPOCH, num_shards=part.processes,
            shard_id=rank, grouped_shuffling=part.grouped_shuffling, data_buffer_size=part.buffer,
        )
        for rank in range(part.processes)
    ]  # fmt: skip
    for iterator in made:
        if state is not None:
            iterator.load_state_dict(state)
    return made


def saved(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes out of a checkpoint file, by the safe loader."""
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def run(task: VlpMlmItmTask, part: Part, state: dict | None) -> tuple[list[list[int]], dict]:
    """What the updates of a part of a run see, and the state that its first process saves."""
    made = iterators(task, part, state)
    before = state["iterations_in_epoch"] if state else 0
    grouped = [GroupedIterator(it.next_epoch_itr(shuffle=True), part.update_freq) for it in made]
    updates: list[list[int]] = []
    while grouped[0].has_next() and len(updates) != part.updates:
        updates.append([])
        for groups in grouped:
            for batch in next(groups):
                updates[-1] += batch["id"].tolist() if batch else []
    assert {it.end_of_epoch() for it in made} == {not grouped[0].has_next()}
    if part.updates is None:
        assert not grouped[0].has_next()
    elif not made[0].end_of_epoch():
        assert made[0].iterations_in_epoch == before + part.updates * part.update_freq
    return updates, saved(made[0].state_dict())


def whole_epoch(task: VlpMlmItmTask, parts: Sequence[Part]) -> tuple[list[list[int]], dict]:
    updates, state = [], None
    for part in parts:
        own, state = run(task, part, state)
        updates += own
    assert state is not None
    return updates, state


CHANGES = {
    "larger batches": [Part(updates=2), Part(batch_size=6)],
    "smaller batches": [Part(batch_size=6, updates=2), Part()],
    "two processes": [Part(updates=2), Part(processes=2)],
    "one process": [Part(batch_size=3, processes=2, updates=2), Part(batch_size=3)],
    "an odd number of processes": [Part(batch_size=3, processes=2, updates=2), Part(processes=3)],
    "update-freq 4": [Part(batch_size=2, updates=1), Part(batch_size=2, update_freq=4)],
    "update-freq 2 to 3": [
        Part(batch_size=1, update_freq=2, updates=2), Part(batch_size=1, update_freq=3),
    ],
    "tokens": [Part(updates=2), Part(batch_size=None, max_tokens=40)],
    "twice": [
        Part(updates=1), Part(batch_size=3, processes=2, updates=1), Part(batch_size=2),
    ],
    "twice and back": [
        Part(updates=1), Part(batch_size=2, updates=3), Part(updates=1), Part(batch_size=6),
    ],
    "twice with update-freq": [
        Part(batch_size=2, update_freq=2, updates=1),
        Part(batch_size=1, update_freq=3, updates=2), Part(processes=2, batch_size=1),
    ],
    "grouped shuffling": [
        Part(2, processes=2, grouped_shuffling=True, updates=2), Part(3, grouped_shuffling=True),
    ],
    "loaded ahead": [Part(updates=2, buffer=10), Part(batch_size=6, buffer=10)],
}  # fmt: skip


@pytest.mark.parametrize("parts", CHANGES.values(), ids=CHANGES.keys())
def test_every_sample_is_seen_once(task: VlpMlmItmTask, parts: list[Part]) -> None:
    updates, state = whole_epoch(task, parts)
    assert Counter(index for ids in updates for index in ids) == Counter(range(SAMPLES))
    assert (state["epoch"], state["iterations_in_epoch"]) == (EPOCH + 1, 0)
    assert epoch_batches.SAMPLES not in state


@pytest.mark.parametrize("part", [Part(), Part(2, processes=2, update_freq=2, buffer=5)])
@pytest.mark.parametrize("stop", [1, 2])
def test_the_same_batches_go_on_as_in_fairseq(
    task: VlpMlmItmTask, part: Part, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Part(**{**vars(part), "updates": stop})
    whole = run(task, part, None)[0]
    assert whole_epoch(task, [stopped, part])[0] == whole
    with monkeypatch.context() as patched:  # what fairseq's own iterator would see
        patched.setattr(VlpMlmItmTask, "resumable", lambda self, formed, options: formed)
        assert type(iterators(task, part, None)[0]) is EpochBatchIterator
        assert run(task, part, None)[0] == whole


def test_an_epoch_that_was_changed_goes_on_with_its_batches(task: VlpMlmItmTask) -> None:
    first = Part(updates=1)
    changed = whole_epoch(task, [first, Part(batch_size=2)])[0]
    stopped = whole_epoch(task, [first, Part(batch_size=2, updates=3), Part(batch_size=2)])[0]
    assert stopped == changed


def test_the_next_epoch_is_whole(plain: VlpMlmItmTask) -> None:
    state = run(plain, Part(updates=2), None)[1]
    (iterator,) = iterators(plain, Part(batch_size=6), state)
    batches = iterator.next_epoch_itr()
    assert (batches.n, len(batches)) == (2, 4)  # two of four, then twelve samples in sixes
    for _ in batches:
        pass
    assert iterator.next_epoch_idx == EPOCH + 1
    assert len(iterator.next_epoch_itr()) == 4
    assert len(iterator) == 4


def test_another_number_of_samples_is_one_line(plain: VlpMlmItmTask, caption_bin: Path) -> None:
    state = run(plain, Part(updates=2), None)[1]
    both = load(caption_bin, train_splits="train,valid")
    with pytest.raises(UserError, match=r"27 training samples, but .* epoch 2 over 20") as raised:
        iterators(both, Part(), state)
    assert str(caption_bin) in str(raised.value)
    assert "--reset-dataloader" in str(raised.value)
