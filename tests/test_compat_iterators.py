"""fairseq's iterators, mended."""

from __future__ import annotations

import pytest
from fairseq.data.iterators import CountingIterator, GroupedIterator

import mt_fairseq.plugin  # noqa: F401


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("done", range(8))
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_groups_of_what_is_left(done: int, size: int, skip: bool) -> None:
    batches = CountingIterator(list(range(done, 8)), start=done)
    groups = GroupedIterator(batches, size, skip_remainder_batch=skip)
    found = [index for group in groups for index in group]
    left = (8 - done) // size * size if skip else 8 - done
    assert found == list(range(done, done + left))
    assert not groups.has_next()
    assert not batches.has_next()  # else the epoch would begin anew
