"""Pre-training samples: masked words, and images that match their text or don't."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, MaskTokensDataset

from mt_fairseq.data.batches import AlignmentBatch, MaskedInputs, PretrainingBatch, masked_words
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset, Sample, between
from mt_fairseq.data.negatives import draw_other, first_images, negative_draws
from mt_fairseq.data.randomness import Purpose, sample_rng

MISMATCH_PROBABILITY = 0.5


class Words(BaseWrapperDataset):
    """The words of each text without special tokens, which must never be masked."""

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.dataset.words(index)

    def set_epoch(self, epoch: int) -> None:
        """The wrapped dataset sets its epoch itself."""


class MlmItmDataset(ImageTextDataset):
    """Adds the inputs of MLM and ITM to ``net_input``.

    - ``masked_tokens`` (B, T): the text with 15 % of its words masked as in RoBERTa (80 % <mask>,
      10 % a random word, 10 % kept), and ``masked_words``, which they are and where.
    - ``image_index`` (B,): the image that ITM pairs with each text; half of them mismatch.
      With negatives "dataset" a mismatched image is drawn from the whole split and stands
      behind the batch's own in ``images``; with "batch" it is another image of the batch.
    - With negatives "hard" instead ``draws`` (B, 2), uniform in [0, 1): the model chooses by them.

    Args:
        mask_prob: share of words to predict.
        negatives: "dataset", "batch" or "hard".
        group_by_length: training batches of texts of like length, as fairseq forms them for
            translation: a shuffled order sorted by length; its iterator then shuffles the batches.
    """

    def __init__(
        self,
        data_bin: DataBin,
        split: str,
        *args: Any,
        mask_prob: float,
        negatives: str,
        group_by_length: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        self.negatives = negatives
        self.group_by_length = group_by_length and self.shuffle
        self.first_image = first_images(self.split)
        self.masked = self.mask_dataset(mask_prob, return_masked_tokens=False)
        self.true_words = self.mask_dataset(mask_prob, return_masked_tokens=True)

    def mask_dataset(self, mask_prob: float, return_masked_tokens: bool) -> MaskTokensDataset:
        # Built directly: fairseq's apply_mask adds a cache that ignores the epoch.
        masked = MaskTokensDataset(
            Words(self),
            self.dictionary,
            pad_idx=self.dictionary.pad(),
            mask_idx=self.dictionary.mask_index,
            return_masked_tokens=return_masked_tokens,
            seed=self.seed,
            mask_prob=mask_prob,
        )
        # fairseq spares the first ids only; <mask>, and BERT's special tokens, lie elsewhere.
        masked.weights[list(self.dictionary.special_ids)] = 0
        masked.weights /= masked.weights.sum()
        return masked

    @property
    def images_per_sample(self) -> int:
        return super().images_per_sample + (self.negatives == "dataset")

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.masked.set_epoch(epoch)
        self.true_words.set_epoch(epoch)

    def ordered_indices(self) -> np.ndarray:
        order = super().ordered_indices()
        if not self.group_by_length:
            return order
        return order[np.argsort(self.sizes[order], kind="stable")]

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if self.negatives == "hard":
            sample["draws"] = negative_draws(self.seed, self.epoch, index)
        elif self.negatives == "dataset":
            mismatched, rng = self.draw_mismatch(index)
            if mismatched:
                other = int(self.first_image[draw_other(self.first_image, index, rng)])
                image = self.load_image(other, index, Purpose.AUGMENT_MISMATCH, 0)
                sample["mismatched_images"] = image.unsqueeze(0)
        return sample

    def draw_mismatch(self, index: int) -> tuple[bool, np.random.Generator]:
        """Whether ITM shows a text with another image, and what to draw that one from."""
        rng = sample_rng(self.seed, self.epoch, index, Purpose.MISMATCH)
        return bool(rng.random() < MISMATCH_PROBABILITY), rng

    def batch(self, samples: list[Sample]) -> PretrainingBatch | AlignmentBatch:
        common, masked = self.common(samples), self.masked_inputs(samples)
        if self.negatives == "hard":
            draws = torch.stack([sample["draws"] for sample in samples])
            return {**common, "net_input": {**masked, "draws": draws}, "target": None}
        pairs = self.pair(samples)
        return {**common, "net_input": {**masked, "image_index": pairs}, "target": None}

    def masked_inputs(self, samples: list[Sample]) -> MaskedInputs:
        """The texts as they are and masked."""
        # Masked here, text after text: between two images the same work takes four times as long.
        masked = [self.add_special_tokens(self.masked[sample["id"]]) for sample in samples]
        pad = self.dictionary.pad()
        true_words = self.pad(
            [between(pad, self.true_words[sample["id"]], pad) for sample in samples]
        )
        return {
            **self.inputs(samples),
            "masked_tokens": self.pad(masked),
            "masked_words": masked_words(true_words, true_words.ne(pad)),
        }

    def batch_images(self, samples: list[Sample]) -> list[torch.Tensor]:
        mismatched = [s["mismatched_images"] for s in samples if "mismatched_images" in s]
        return super().batch_images(samples) + mismatched

    def pair(self, samples: list[Sample]) -> torch.Tensor:
        """For each text the row of its ITM image in ``images``."""
        if self.negatives == "batch":
            return self.pair_within_batch(samples)
        rows = np.arange(len(samples))
        mismatched = np.array(["mismatched_images" in sample for sample in samples])
        rows[mismatched] = len(samples) + np.arange(mismatched.sum())
        return torch.from_numpy(rows)

    def pair_within_batch(self, samples: list[Sample]) -> torch.Tensor:
        """A text keeps its own image where the batch holds no other one."""
        images = self.first_image[[sample["id"] for sample in samples]]
        rows = np.arange(len(samples))
        for row, sample in enumerate(samples):
            if not self.draw_mismatch(sample["id"])[0]:
                continue
            others = np.flatnonzero(images != images[row])
            if len(others):
                rng = sample_rng(self.seed, self.epoch, sample["id"], Purpose.BATCH_MISMATCH)
                rows[row] = rng.choice(others)
        return torch.from_numpy(rows)
