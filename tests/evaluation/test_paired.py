"""The paired difference of two runs: sign test and bootstrap, against known answers."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from mt_fairseq import compare
from mt_fairseq.evaluation.paired import bootstrap_bounds, compare_credits, sign_test


@pytest.mark.parametrize("better", [0, 2, 5, 9, 31, 300])
def test_sign_test_is_the_binomial_test(better: int) -> None:
    for worse in (0, 5, 8, 400):
        if better + worse:
            expected = binomtest(better, better + worse).pvalue
            assert sign_test(better, worse) == pytest.approx(expected, rel=1e-9)
    assert sign_test(0, 0) == 1


def test_bounds_of_known_samples_are_the_quantiles_of_all_resamples() -> None:
    """Two pictures with +1 and 0: the mean of a resample is 0, 1/2 or 1 with 1/4, 1/2, 1/4."""
    low, high = bootstrap_bounds(np.array([1.0, 0.0]), ["a", "b"], 500) or (9, 9)
    assert (low, high) == (0, 1)
    # of 40 with k = 20 ones the mean is binomial
    values = np.repeat([0.0, 1.0], 20)
    low, high = bootstrap_bounds(values, range(40), 20_000) or (9, 9)
    total = np.cumsum([comb(40, k) / 2**40 for k in range(41)])
    expected = [int(np.searchsorted(total, q)) / 40 for q in (0.025, 0.975)]
    assert [low, high] == pytest.approx(expected, abs=0.026)


def test_bounds_cover_the_truth_nineteen_times_in_twenty() -> None:
    """200 pairs of runs whose true difference is 5 points, on 300 samples each."""
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        a = (rng.random(300) < 0.6).astype(float)
        b = np.where(rng.random(300) < 0.25, rng.random(300) < 0.8, a).astype(float)
        found = compare_credits(a, b, range(300), resamples=400, seed=trial)
        assert found.low is not None and found.high is not None
        covered += found.low <= 100 * 0.25 * (0.8 - 0.6) <= found.high
    assert 180 <= covered <= 198  # 190 expected; the bootstrap is a little too narrow


def test_samples_of_one_picture_count_once() -> None:
    """Five copies of every sample tell no more than one: bounds are those of single samples."""
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 0.0, 1.0], 80)
    single = bootstrap_bounds(values, range(80))
    copies = bootstrap_bounds(np.repeat(values, 5), np.repeat(np.arange(80), 5).tolist())
    naive = bootstrap_bounds(np.repeat(values, 5), range(400))
    assert single is not None and copies is not None and naive is not None
    assert copies == pytest.approx(single)
    assert naive[1] - naive[0] < 0.6 * (single[1] - single[0])


def test_one_picture_has_no_bounds() -> None:
    found = compare_credits(np.array([0.0, 1.0]), np.array([1.0, 1.0]), ["a", "a"])
    assert (found.low, found.high, found.gain) == (None, None, 50)
    assert compare.verdict(found) == "one picture decides nothing"
