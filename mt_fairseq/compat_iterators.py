"""A mend of fairseq's iterators; ``compat.apply`` applies it."""

from __future__ import annotations

import functools
import math
from typing import Any


def count_groups_of_what_is_left() -> None:
    """fairseq rounds an epoch's batches, and those done before a resume, up to whole groups of
    ``--update-freq``. Where the resume is no multiple of that, as after another ``--update-freq``,
    the difference can be one group short of the batches left: they are lost, the epoch is never
    found finished, and begins anew.
    """
    from fairseq.data.iterators import GroupedIterator

    original = GroupedIterator.__init__

    @functools.wraps(original)
    def __init__(
        self: Any, iterable: Any, chunk_size: int, skip_remainder_batch: bool = False
    ) -> None:
        done = getattr(iterable, "n", 0)
        if skip_remainder_batch:
            iterable.take(len(iterable) - (len(iterable) - done) % chunk_size)
        original(self, iterable, chunk_size)
        self.total = self.n + math.ceil((len(iterable) - done) / chunk_size)

    GroupedIterator.__init__ = __init__
