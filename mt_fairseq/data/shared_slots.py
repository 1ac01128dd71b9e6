"""Shared memory that a loader process lends to the trainer again and again.

The system clears every page of new memory, which for a batch of pictures takes several times as
long as to write them there. So a piece that the trainer has done with holds the next batch.

A piece begins with a byte that says whether it is taken: from when the loader process takes it for
a batch until the trainer's last tensor of that batch is gone. Only the loader process sets it, and
only where it has read 0; only the trainer clears it, and only when nothing of it sees the piece any
more. A batch that never arrives leaves its piece taken.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

HEAD = 64
"""Bytes before the content, which keep it aligned as torch's own memory is."""
TAKEN, SENT = 0, 1
"""The bytes of it in use; the second is the loader process's own note that a batch has gone out."""
MOST_SLOTS = 8
"""Pieces that a process keeps; of what is lent beyond that, memory returns to the system."""


class SharedSlots:
    """The pieces of one loader process."""

    def __init__(self) -> None:
        self.slots: list[Tensor] = []

    def take(self, nbytes: int) -> Tensor:
        """(nbytes,) uint8 in shared memory that nobody else sees, content undefined."""
        free = [i for i, slot in enumerate(self.slots) if not slot[TAKEN]]
        for i in free:
            if len(self.slots[i]) >= HEAD + nbytes:
                break
        else:
            i = self._add(HEAD + nbytes, free)
        slot = self.slots[i]
        slot[TAKEN], slot[SENT] = 1, 0
        return slot[HEAD : HEAD + nbytes]

    def _add(self, length: int, free: list[int]) -> int:
        """Number of a new piece: in place of a free one, which is too small, or of the oldest.

        A piece that leaves its place stays with its batch and is never taken again.
        """
        storage = torch.UntypedStorage._new_shared(length)
        slot = torch.empty(0, dtype=torch.uint8).set_(storage)
        if free or len(self.slots) == MOST_SLOTS:
            del self.slots[free[0] if free else 0]
        self.slots.append(slot)
        return len(self.slots) - 1

    def lend(self, tensor: Tensor) -> Lent | None:
        """What stands in a message for the one tensor that fills a piece; None for any other.

        A piece that more tensors see is never taken again.
        """
        memory = tensor.untyped_storage().data_ptr()
        for i, slot in enumerate(self.slots):
            if slot.data_ptr() == memory:
                if tensor.data_ptr() == memory + HEAD and tensor.is_contiguous() and not slot[SENT]:
                    slot[SENT] = 1
                    return Lent(slot, tensor)
                del self.slots[i]
                break
        return None


class Lent:
    """Stands for a tensor in a message; arrives as the tensor, and gives its piece back."""

    def __init__(self, slot: Tensor, tensor: Tensor) -> None:
        self.arguments = (slot, tensor.dtype, tensor.shape)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _borrow, self.arguments


def _borrow(slot: Tensor, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    """In the trainer: the tensor, at whose end the piece is free again."""
    memory = slot.numpy()
    nbytes = shape.numel() * dtype.itemsize
    content = memory[HEAD : HEAD + nbytes]
    # torch holds this array until the last tensor over it is gone, views included
    end = weakref.finalize(content, _give_back, memory, os.getpid())
    end.atexit = False
    return torch.from_numpy(content).view(dtype).view(shape)


def _give_back(memory: np.ndarray[Any, Any], owner: int) -> None:
    """Mark a piece as free; a copy of the tensor in a forked process does not count."""
    if os.getpid() == owner:
        memory[TAKEN] = 0
