"""Recall and its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation import recall_at
from mt_fairseq.evaluation.intervals import wilson_interval
from mt_fairseq.evaluation.recall import grouped_interval, recall_report


def test_recall_counts_ranks_from_one():
    ranks = [1, 2, 5, 6, 11]
    assert [recall_at(ranks, k) for k in (1, 5, 10)] == [20.0, 60.0, 80.0]
    assert recall_at(np.array(ranks), 100) == 100.0
    for wrong in ([], [0, 1]):
        with pytest.raises(UserError):
            recall_at(wrong, 1)
    with pytest.raises(UserError):
        recall_at(ranks, 0)


def test_sum_and_mean_over_both_directions():
    report = recall_report(
        {"image": ([1, 1, 7, 20], [0, 0, 1, 1]), "text": ([1, 3], [0, 1])},
    )
    assert report.directions["image"].recall == {1: 50.0, 5: 50.0, 10: 75.0}
    assert report.directions["text"].recall == {1: 50.0, 5: 100.0, 10: 100.0}
    assert report.rsum == pytest.approx(425.0)
    assert report.mean == pytest.approx(425 / 6)
    assert report.queries == 6
    low, high = report.ci95
    assert low < report.mean < high


def test_independent_values_get_wilsons_interval():
    rng = np.random.default_rng(0)
    hits = (rng.random(400) < 0.7).astype(float)
    ours = grouped_interval([(hits, np.arange(400))])
    expected = [100 * bound for bound in wilson_interval(hits.mean(), 400)]
    assert ours == pytest.approx(expected, abs=0.05)


def test_equal_values_of_a_group_count_once():
    rng = np.random.default_rng(1)
    hits = (rng.random(200) < 0.4).astype(float)
    ours = grouped_interval([(np.repeat(hits, 5), np.repeat(np.arange(200), 5))])
    expected = [100 * bound for bound in wilson_interval(hits.mean(), 200)]
    assert ours == pytest.approx(expected, abs=0.05)


def test_all_right_is_no_certainty():
    low, high = grouped_interval([(np.ones(20), np.arange(20))])
    assert high == pytest.approx(100) and 80 < low < 90


def test_intervals_hold_what_they_promise():
    """Images differ in how easy they are; 95 % of intervals should hold the true mean."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        chance = rng.beta(1, 1, 60)
        hits = (rng.random((60, 5)) < chance[:, None]).astype(float)
        low, high = grouped_interval([(hits.ravel(), np.repeat(np.arange(60), 5))])
        held += low <= 50 <= high
    assert 0.92 <= held / 300 <= 0.98
