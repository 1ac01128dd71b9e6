"""Random numbers of a sample: a pure function of (seed, epoch, sample id, purpose).

So the losses of a run are the same for any number of workers and after any resume.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream of random numbers is for; streams of different purposes are independent."""

    AUGMENT = 1
    MISMATCH = 2
    AUGMENT_MISMATCH = 3
    BATCH_MISMATCH = 4
    HARD_NEGATIVES = 5
    FALSE_TEXTS = 6


def sample_rng(seed: int, epoch: int, index: int, purpose: Purpose) -> np.random.Generator:
    """A generator that depends on nothing but its arguments."""
    return np.random.default_rng((seed, epoch, index, int(purpose)))
