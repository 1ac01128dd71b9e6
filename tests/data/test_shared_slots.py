"""Shared memory is used again, but never while anybody can still see what it held."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mt_fairseq.data import hand_over
from mt_fairseq.data.hand_over import HandOver, stack_shared
from mt_fairseq.data.shared_slots import MOST_SLOTS, TAKEN, Lent, SharedSlots


def arrive(lent: Lent | None) -> Tensor:
    """What the trainer gets, here within one process."""
    assert lent is not None
    rebuild, arguments = lent.__reduce__()
    tensor: Tensor = rebuild(*arguments)
    return tensor


def send(slots: SharedSlots, value: int, nbytes: int = 1000) -> Tensor:
    return arrive(slots.lend(slots.take(nbytes).fill_(value)))


def test_memory_is_used_again_when_the_last_view_is_gone() -> None:
    slots = SharedSlots()
    first = send(slots, 1)
    second = send(slots, 2)
    assert len(slots.slots) == 2
    view = first[10:].view(-1, 10).numpy()
    where = first.data_ptr()
    del first
    assert send(slots, 3).data_ptr() not in (where, second.data_ptr())
    assert (view == 1).all() and (second == 2).all()
    del view
    assert send(slots, 4).data_ptr() == where


def test_type_and_shape_arrive() -> None:
    slots = SharedSlots()
    numbers = torch.arange(24, dtype=torch.float32).view(2, 3, 4)
    room = slots.take(numbers.nbytes).view(torch.float32).view(2, 3, 4).copy_(numbers)
    found = arrive(slots.lend(room))
    assert found.dtype == torch.float32 and torch.equal(found, numbers)
    found += 1  # the trainer may write into what it was given


@pytest.mark.parametrize("other", [slice(None), slice(0, 10), slice(10, None)])
def test_a_piece_that_two_tensors_see_is_not_taken_again(other: slice) -> None:
    slots = SharedSlots()
    room = slots.take(1000).fill_(5)
    found, seen = arrive(slots.lend(room)), room[other]
    assert slots.lend(seen) is None
    del found
    assert len(slots.slots) == 0
    send(slots, 6)
    assert (seen == 5).all()


def test_parts_and_foreign_tensors_are_not_lent() -> None:
    slots = SharedSlots()
    assert slots.lend(torch.zeros(100).share_memory_()) is None
    assert slots.lend(slots.take(100)[1:]) is None
    assert slots.lend(slots.take(100).view(10, 10).T) is None


def test_a_copy_in_a_forked_process_gives_nothing_back() -> None:
    slots = SharedSlots()
    found = send(slots, 1)
    child = os.fork()
    if child == 0:
        del found
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert slots.slots[0][TAKEN]
    del found
    assert not slots.slots[0][TAKEN]


def test_larger_pieces_take_the_place_of_small_ones() -> None:
    slots = SharedSlots()
    for nbytes in (100, 1000, 500, 2000):
        send(slots, 1, nbytes)
    assert len(slots.slots) == 1 and len(slots.slots[0]) > 2000


def test_few_pieces_are_kept_however_many_are_held() -> None:
    slots = SharedSlots()
    held = [send(slots, i) for i in range(2 * MOST_SLOTS)]
    assert len(slots.slots) == MOST_SLOTS
    assert all((tensor == i).all() for i, tensor in enumerate(held))


class Numbers(Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index

    def __len__(self) -> int:
        return 600


def collate(samples: list[int]) -> dict[str, Any]:
    # batches of two to four pictures, as batches of a number of tokens have
    kept = samples[: 2 + samples[0] % 3]
    images = stack_shared([torch.full((3, 100, 100), i % 256, dtype=torch.uint8) for i in kept])
    return {"id": torch.tensor(kept), "images": images, "pieces": len(hand_over._slots.slots)}


def right(batch: dict[str, Any]) -> bool:
    expected = (batch["id"] % 256).to(torch.uint8).view(-1, 1, 1, 1)
    return bool((batch["images"] == expected).all())


def test_held_batches_are_never_written_over() -> None:
    draw, held, pieces = random.Random(0), [], []
    loader = DataLoader(Numbers(), batch_size=4, num_workers=2, collate_fn=HandOver(collate))
    for batch in loader:
        assert right(batch)
        pieces.append(batch["pieces"])
        held.append(batch | {"images": batch["images"][:]})  # a view alone survives
        while len(held) > draw.randrange(7):
            assert right(held.pop(draw.randrange(len(held))))
    assert all(right(batch) for batch in held)
    assert len(pieces) == 150 and max(pieces) <= MOST_SLOTS


def test_batches_that_are_let_go_need_few_pieces() -> None:
    loader = DataLoader(Numbers(), batch_size=4, num_workers=1, collate_fn=HandOver(collate))
    # two under way, one that has come and the one before it, which the loop still holds
    assert max(batch["pieces"] for batch in loader) <= 4
