"""Scanned handwritten digits, split so that no hand of the training pictures is tested.

The 1,797 scans that scikit-learn carries are the test part of the UCI "Optical Recognition of
Handwritten Digits" data: 13 people wrote them, one after the other, each following the same list
of digits. The list's beginning shows where the next hand starts, so whole blocks are held out.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

# First scan of each group of hands; every bound is the beginning of the list of digits.
BOUNDS = {"train": (0, 1157), "val": (1157, 1415), "test": (1415, 1797)}


@lru_cache(maxsize=1)
def scans() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All scans as (1797, 8, 8) uint8 ink (0 paper, 255 ink) and their digits (1797,)."""
    data = load_digits()
    ink = np.rint(data.images * (255.0 / 16.0)).astype(np.uint8)
    return ink, data.target.astype(np.int64)


@cache
def scans_of(hands: str, digit: int) -> tuple[int, ...]:
    """Indices of the scans of ``digit`` by a group of hands ("train", "val" or "test")."""
    first, last = BOUNDS[hands]
    digits = scans()[1][first:last]
    return tuple(int(i) + first for i in np.flatnonzero(digits == digit))
