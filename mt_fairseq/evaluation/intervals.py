"""Confidence intervals of mean scores."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


def wilson_interval(mean: float, count: int) -> tuple[float, float]:
    """95 % interval of the mean of ``count`` independent values that lie in [0, 1].

    Wilson's score interval, exact in spirit for right/wrong values. Values in between vary less
    than right/wrong ones of the same mean, so for them it is on the safe side; and unlike the
    normal interval it doesn't shrink to nothing where all of a few values are equal.
    """
    if count < 1:
        raise ValueError("an interval needs at least one value")
    z2 = Z_95 * Z_95 / count
    centre = (mean + z2 / 2) / (1 + z2)
    half = Z_95 * math.sqrt(mean * (1 - mean) / count + z2 / (4 * count)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)
