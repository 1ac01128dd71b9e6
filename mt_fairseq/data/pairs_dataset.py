"""Captions with their images, for telling which of two images a caption describes."""

from __future__ import annotations

from typing import Any

import torch

from mt_fairseq.data.batches import DrawnBatch, DrawnInputs
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset, Sample
from mt_fairseq.data.measured import measured
from mt_fairseq.data.negatives import first_images
from mt_fairseq.data.randomness import Purpose, sample_rng

DRAWS = 4  # kind of pair, order, first and second negative


class PairsDataset(ImageTextDataset):
    """Adds to ``net_input``:

    - ``draws`` (B, 4) float64, uniform in [0, 1): they choose the pairs.
    - ``image_groups`` (B,) int64: the same number for captions of the same image.
    """

    def __init__(self, data_bin: DataBin, split: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        self.first_image = first_images(self.split)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        rng = sample_rng(self.seed, self.epoch, index, Purpose.HARD_NEGATIVES)
        sample["draws"] = measured(rng.random(DRAWS))
        sample["image_group"] = int(self.first_image[index])
        return sample

    def batch(self, samples: list[Sample]) -> DrawnBatch:
        return {**self.common(samples), "net_input": self.inputs(samples), "target": None}

    def inputs(self, samples: list[Sample]) -> DrawnInputs:
        return {
            **super().inputs(samples),
            "draws": torch.stack([sample["draws"] for sample in samples]),
            "image_groups": torch.tensor([sample["image_group"] for sample in samples]),
        }
