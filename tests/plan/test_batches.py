"""The exact part of a plan: batches and updates as fairseq makes them."""

from __future__ import annotations

import pytest
from fairseq.data import iterators
from hypothesis import given, settings
from hypothesis import strategies as st

from mt_fairseq.plan.batches import Batches, choose_batches, make_schedule, updates_per_epoch


@pytest.mark.parametrize(
    ("wanted", "gpus", "largest", "micro", "steps"),
    [
        (576, 8, 20, 18, 4),  # 72 samples a GPU: 18 is their largest divisor up to 20
        (576, 1, 9, 9, 64),
        (4096, 64, 100, 64, 1),
        (256, 8, 1, 1, 32),
        (64, 1, 1000, 64, 1),
    ],
)
def test_exact_batches(wanted: int, gpus: int, largest: int, micro: int, steps: int) -> None:
    found = choose_batches(wanted, gpus, largest)
    assert (found.micro, found.steps, found.exact) == (micro, steps, True)


@pytest.mark.parametrize(
    ("wanted", "gpus", "largest", "nearest"),
    [(576, 7, 100, 574), (64, 128, 9, 128), (100, 3, 10, 99), (512, 6, 16, 510)],
)
def test_nearest_batches(wanted: int, gpus: int, largest: int, nearest: int) -> None:
    found = choose_batches(wanted, gpus, largest)
    assert (found.effective, found.exact) == (nearest, False)
    assert found.micro <= largest


@given(wanted=st.integers(1, 600), gpus=st.integers(1, 16), largest=st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_no_batches_are_nearer(wanted: int, gpus: int, largest: int) -> None:
    """Against all combinations: as near as any, and of these the largest micro-batch."""
    found = choose_batches(wanted, gpus, largest)
    every = [
        (abs(gpus * micro * steps - wanted), -micro)
        for micro in range(1, largest + 1)
        for steps in range(1, wanted + 2)
    ]
    assert (abs(found.effective - wanted), -found.micro) == min(every)


@given(
    samples=st.integers(1, 400),
    gpus=st.integers(1, 5),
    micro=st.integers(1, 9),
    steps=st.integers(1, 6),
)
@settings(max_examples=60, deadline=None)
def test_updates_are_those_of_fairseqs_iterators(
    samples: int, gpus: int, micro: int, steps: int
) -> None:
    rows = list(range(samples))
    frozen = [rows[i : i + micro] for i in range(0, samples, micro)]
    shard = iterators.ShardedIterator(frozen, gpus, 0, fill_value=[])
    groups = iterators.GroupedIterator(iterators.CountingIterator(shard), steps)
    assert updates_per_epoch(samples, Batches(gpus, micro, steps, 0)) == len(list(groups))


def test_schedule_of_vqa() -> None:
    """Table 9: 10 epochs, batch 576, warm-up 0.06; 443,757 + 214,354 questions."""
    batches = Batches(8, 18, 4, 576)
    schedule = make_schedule(658_111, batches, 10, 7710, 0, 0.06)
    assert (schedule.per_epoch, schedule.total, schedule.warmup) == (1143, 11_430, 685)
    assert schedule.epochs == 10


def test_schedule_of_updates() -> None:
    batches = Batches(8, 64, 8, 4096)
    schedule = make_schedule(9_127_000, batches, 0, 100_000, 10_000, 0.0)
    assert (schedule.per_epoch, schedule.total, schedule.warmup) == (2229, 100_000, 10_000)
    assert schedule.epochs == pytest.approx(44.86, abs=0.01)
    unknown = make_schedule(None, batches, 10, 7710, 0, 0.1)
    assert (unknown.per_epoch, unknown.epochs, unknown.total) == (None, None, 7710)
    assert unknown.warmup == 771
