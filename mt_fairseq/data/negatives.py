"""What samples of image-text matching draw: other images, and numbers that choose negatives."""

from __future__ import annotations

import numpy as np
import torch

from mt_fairseq.data.measured import measured
from mt_fairseq.data.randomness import Purpose, sample_rng
from mt_fairseq.data.split import Split
from mt_fairseq.errors import UserError


def first_images(split: Split) -> np.ndarray:
    """(n,) the first image of each sample: texts of the same image share a number.

    Raises:
        UserError: a single image, so that nothing could mismatch.
    """
    images = np.asarray(split.image_column[:, 0])
    if len(images) and (images == images[0]).all():
        raise UserError(
            f"{split.folder}: split {split.name!r} has a single image; image-text matching needs "
            "at least two"
        )
    return images


def draw_other(first_image: np.ndarray, index: int, rng: np.random.Generator) -> int:
    """A sample, drawn evenly, whose first image is not that of sample ``index``."""
    while True:  # ends: first_images has seen two different ones
        other = int(rng.integers(len(first_image)))
        if first_image[other] != first_image[index]:
            return other


def negative_draws(seed: int, epoch: int, index: int) -> torch.Tensor:
    """(2,) uniform in [0, 1): they choose the hard negative image and the hard negative text."""
    rng = sample_rng(seed, epoch, index, Purpose.HARD_NEGATIVES)
    return measured(rng.random(2))
