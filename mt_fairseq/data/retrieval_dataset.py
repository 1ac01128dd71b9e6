"""Captions with their images, for retrieval."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mt_fairseq.data.batches import DrawnBatch, DrawnInputs, ImageTextBatch, ImageTextInputs
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset, Sample
from mt_fairseq.data.negatives import draw_other, first_images, negative_draws
from mt_fairseq.data.randomness import Purpose, sample_rng


class RetrievalDataset(ImageTextDataset):
    """A sample is a caption with its image; adds to ``net_input``:

    - ``image_groups`` (B,) int64: the same number for captions of the same image.
    - ``draws`` (B, 2) float64, uniform in [0, 1): they choose hard negatives.

    With ``false_texts`` = F > 0, for ranking, ``src_tokens`` is (B * (1 + F), T) instead: each
    caption, and behind it F captions of other images; ``net_input`` has nothing else.
    """

    def __init__(
        self, data_bin: DataBin, split: str, *args: Any, false_texts: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        self.false_texts = false_texts
        self.first_image = first_images(self.split)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if self.false_texts:
            sample["false_texts"] = self.draw_false_texts(index)
        else:
            sample["image_group"] = int(self.first_image[index])
            sample["draws"] = negative_draws(self.seed, self.epoch, index)
        return sample

    def draw_false_texts(self, index: int) -> list[torch.Tensor]:
        """Captions of other images, with <s> and </s>; one may come twice."""
        rng = sample_rng(self.seed, self.epoch, index, Purpose.FALSE_TEXTS)
        rows = [draw_other(self.first_image, index, rng) for _ in range(self.false_texts)]
        return [self.add_special_tokens(self.words(row)) for row in rows]

    def batch(self, samples: list[Sample]) -> DrawnBatch | ImageTextBatch:
        if self.false_texts:
            return self.ranking_batch(samples)
        return {**self.common(samples), "net_input": self.drawn_inputs(samples), "target": None}

    def ranking_batch(self, samples: list[Sample]) -> ImageTextBatch:
        """Each image with its caption and others."""
        texts = [text for s in samples for text in (s["tokens"], *s["false_texts"])]
        inputs: ImageTextInputs = {**self.inputs(samples), "src_tokens": self.pad(texts)}
        batch: ImageTextBatch = {**self.common(samples), "net_input": inputs, "target": None}
        batch["ntokens"] = sum(text.numel() for text in texts)
        return batch

    def drawn_inputs(self, samples: list[Sample]) -> DrawnInputs:
        """For contrast and hard negatives."""
        return {
            **self.inputs(samples),
            "image_groups": torch.tensor([sample["image_group"] for sample in samples]),
            "draws": torch.stack([sample["draws"] for sample in samples]),
        }

    def num_tokens(self, index: int) -> int:
        """With false texts, all pairs of the image with a text count."""
        return super().num_tokens(index) * (1 + self.false_texts)

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        return super().num_tokens_vec(indices) * (1 + self.false_texts)
