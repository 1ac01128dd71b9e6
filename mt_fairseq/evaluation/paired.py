"""Is one model better than another on the same samples? Paired difference, bootstrap, sign test."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CHUNK = 50  # resamples at a time, so that memory stays small whatever the number of samples

Credits = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """B beside A on a set of samples, in percent and percentage points.

    Attributes:
        samples: their number.
        a, b: mean credit of each run.
        low, high: 95 % bounds of b - a; None where all samples share one picture.
        better, worse: samples on which B got more credit than A, and less.
    """

    samples: int
    a: float
    b: float
    low: float | None
    high: float | None
    better: int
    worse: int

    @property
    def gain(self) -> float:
        """b - a in points."""
        return self.b - self.a

    @property
    def p_value(self) -> float:
        """Of the sign test: with right or wrong answers this is McNemar's exact test."""
        return sign_test(self.better, self.worse)


def compare_credits(
    a: Credits,
    b: Credits,
    pictures: Sequence[Hashable],
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> Difference:
    """The difference on one set of samples.

    Bounds are percentiles over resamples drawn picture by picture, with replacement, since samples
    about one picture stand or fall together; where every sample has its own picture that is the
    ordinary paired bootstrap (Efron and Tibshirani 1993, chapter 13).

    Args:
        a, b: (n,) credits from 0 to 1 of both runs, in one order.
        pictures: what each sample is about; equal ones are drawn together.
        resamples: their number.
        seed: of the draws; the same seed gives the same bounds.
    """
    bounds = bootstrap_bounds(b - a, pictures, resamples, seed)
    low, high = (None, None) if bounds is None else (100 * bounds[0], 100 * bounds[1])
    return Difference(
        samples=len(a),
        a=100 * float(a.mean()),
        b=100 * float(b.mean()),
        low=low,
        high=high,
        better=int((b > a).sum()),
        worse=int((b < a).sum()),
    )


def bootstrap_bounds(
    values: Credits, pictures: Sequence[Hashable], resamples: int = RESAMPLES, seed: int = 1
) -> tuple[float, float] | None:
    """95 % percentile bounds of the mean of ``values`` (n,); None with a single picture."""
    sums, counts = _per_picture(values, pictures)
    if len(sums) < 2:
        return None
    rng = np.random.default_rng(seed)
    even = np.full(len(sums), 1 / len(sums))
    means: list[NDArray[np.float64]] = []
    for start in range(0, resamples, CHUNK):
        times = rng.multinomial(len(sums), even, size=min(CHUNK, resamples - start))
        means.append((times @ sums) / (times @ counts))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def _per_picture(values: Credits, pictures: Sequence[Hashable]) -> tuple[Credits, Credits]:
    """Sum of the values and number of samples of each picture."""
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(picture, len(numbers)) for picture in pictures])
    sums = np.bincount(index, weights=values).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p-value of ``better`` against ``worse`` if both were equally likely."""
    total, fewer = better + worse, min(better, worse)
    log_all = total * math.log(2)
    tail = math.fsum(math.exp(_log_choose(total, k) - log_all) for k in range(fewer + 1))
    return min(1.0, 2 * tail)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
