"""Confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest

from mt_fairseq.evaluation.intervals import wilson_interval


def test_known_values():
    # 81 of 263: a textbook case of Wilson's interval
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(1.0, 5) == pytest.approx((0.5655, 1.0), abs=1e-4)
    assert wilson_interval(0.0, 5) == pytest.approx((0.0, 0.4345), abs=1e-4)
    with pytest.raises(ValueError, match="at least one"):
        wilson_interval(0.0, 0)


def test_it_covers_the_true_mean_of_soft_credits():
    rng = np.random.default_rng(0)
    credits = np.array([0.0, 0.3, 0.6, 0.9, 1.0])
    odds = [0.3, 0.1, 0.1, 0.1, 0.4]
    covered = 0
    for _ in range(500):
        mean = rng.choice(credits, p=odds, size=80).mean()
        low, high = wilson_interval(mean, 80)
        covered += low <= credits @ odds <= high
    assert covered / 500 >= 0.94
