"""How a loader process hands batches to the trainer.

torch gives every tensor of a batch a piece of shared memory of its own, and for each of them the
trainer asks the loader over a socket, which takes as long as to decode half a picture. So small
tensors travel within the message, and pictures are stacked where the trainer will see them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from mt_fairseq.data.shared_slots import SharedSlots

_slots = SharedSlots()  # filled in loader processes alone

INLINE_BYTES = 1 << 16
"""Tensors up to this size travel within the message (a pipe's capacity)."""


def stack_shared(tensors: list[Tensor]) -> Tensor:
    """Stack; in a loader process straight into shared memory.

    Else the batch would be copied there once more, page by page. For a :class:`HandOver` that
    sends the result as it is.
    """
    if get_worker_info() is None:
        return torch.stack(tensors)
    first = tensors[0]
    room = _slots.take(len(tensors) * first.nbytes)
    return torch.stack(tensors, out=room.view(first.dtype).view(len(tensors), *first.shape))


class HandOver:
    """A collate function that in loader processes prepares its batches for the way."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, samples: list[Any]) -> Any:
        """The batch; what arrives is equal to what ``collate`` gives."""
        batch = self.collate(samples)
        return batch if get_worker_info() is None else _inline(batch)


class _Inline:
    """Stands for a small tensor in a message; arrives as the tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.array = tensor.numpy()

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return torch.from_numpy, (self.array,)


def _inline(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _inline(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_inline(item) for item in value)
    if not isinstance(value, Tensor):
        return value
    if value.is_shared():
        return _slots.lend(value) or value
    return _Inline(value) if value.nbytes <= INLINE_BYTES else value
