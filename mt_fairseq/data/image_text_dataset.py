"""Samples of a split as fairseq batches: text with special tokens, K images as uint8."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset
from torch.nn.utils.rnn import pad_sequence

from mt_fairseq.data.batches import Common, ImageTextBatch, ImageTextInputs
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.randomness import Purpose, sample_rng
from mt_fairseq.data.transforms import Transform

logger = logging.getLogger(__name__)

Sample = dict[str, Any]
SPECIAL_TOKENS = 2  # <s> and </s>
NEVER_DRAWN_FROM = np.random.default_rng(0)


class ImageTextDataset(FairseqDataset):
    """A split of a data-bin; tasks add what they need in ``batch`` or ``inputs`` of a subclass.

    A sample has ``id`` int, ``tokens`` (T,) int64 with <s> and </s>, ``images`` (K, 3, H, W) uint8.

    Args:
        data_bin: the opened data-bin.
        split: name of the split; UserError if the data-bin has no such split.
        max_text_len: longest text in tokens, <s> and </s> counted; the rest of it is cut off.
        transform: what makes (3, H, W) uint8 from an image.
        image_positions: positions that one image takes in the model, for ``--max-tokens``.
        seed: seed of augmentation and order.
        shuffle: a new order of samples at every epoch.
    """

    def __init__(
        self,
        data_bin: DataBin,
        split: str,
        max_text_len: int,
        transform: Transform,
        image_positions: int,
        seed: int,
        shuffle: bool,
    ) -> None:
        super().__init__()
        self.data_bin = data_bin
        self.split = data_bin.split(split)
        self.dictionary = data_bin.dictionary
        self.max_words = max_text_len - SPECIAL_TOKENS
        self.transform = transform
        self.image_positions = image_positions
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 1
        self._warn_of_cut_texts(split)

    def _warn_of_cut_texts(self, split: str) -> None:
        """Say how many texts lose their end: a question cut short may ask for nothing any more."""
        lengths = np.asarray(self.split.text_lengths)
        cut = int((lengths > self.max_words).sum())
        if cut:
            logger.warning(
                f"{self.data_bin.path}: {cut:,} of {len(lengths):,} texts of split {split} are "
                f"longer than --max-text-len {self.max_words + SPECIAL_TOKENS} and are cut "
                f"(the longest has {int(lengths.max()) + SPECIAL_TOKENS} tokens)"
            )

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        images = [
            self.load_image(int(image), index, Purpose.AUGMENT, k)
            for k, image in enumerate(self.split.images(index))
        ]
        return {
            "id": index,
            "tokens": self.add_special_tokens(self.words(index)),
            "images": images[0][None] if len(images) == 1 else torch.stack(images),
        }

    def words(self, index: int) -> torch.Tensor:
        """Token ids of a text without special tokens, cut to the longest allowed."""
        return self.split.text(index)[: self.max_words]

    def add_special_tokens(self, words: torch.Tensor) -> torch.Tensor:
        """<s> words </s>."""
        return between(self.dictionary.bos(), words, self.dictionary.eos())

    def load_image(self, image: int, index: int, purpose: Purpose, position: int) -> torch.Tensor:
        """Image ``image`` of the data-bin, transformed for sample ``index``: (3, H, W) uint8."""
        pixels = self.data_bin.images.image(image, min_side=self.transform.min_side)
        if not self.transform.random:  # a generator takes as long to make as a text to read
            return self.transform(pixels, NEVER_DRAWN_FROM)
        rng = sample_rng(self.seed, self.epoch, index, purpose)
        return self.transform(pixels, rng.spawn(position)[-1] if position else rng)

    def collater(self, samples: list[Sample]) -> Mapping[str, Any]:
        """fairseq's hook; no batch for a process that has no samples left."""
        return self.batch(samples) if samples else {}

    def batch(self, samples: list[Sample]) -> ImageTextBatch:
        """At least one sample as a batch."""
        return {**self.common(samples), "net_input": self.inputs(samples), "target": None}

    def common(self, samples: list[Sample]) -> Common:
        """What every kind of batch has beside its inputs."""
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": sum(sample["tokens"].numel() for sample in samples),
        }

    def inputs(self, samples: list[Sample]) -> ImageTextInputs:
        """What the model takes."""
        return {
            "src_tokens": self.pad([sample["tokens"] for sample in samples]),
            "images": torch.stack(self.batch_images(samples)),
        }

    def batch_images(self, samples: list[Sample]) -> list[torch.Tensor]:
        """(K, 3, H, W) each: the images of a batch in their order."""
        return [sample["images"] for sample in samples]

    def pad(self, sequences: list[torch.Tensor]) -> torch.Tensor:
        """(B, T) int64, padded on the right to the longest of the batch."""
        return pad_sequence(sequences, batch_first=True, padding_value=self.dictionary.pad())

    def text_length(self, index: int) -> int:
        return int(min(self.split.text_lengths[index], self.max_words)) + SPECIAL_TOKENS

    def num_tokens(self, index: int) -> int:
        """Text and image positions of a sample, so that ``--max-tokens`` bounds memory."""
        return self.text_length(index) + self.images_per_sample * self.image_positions

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        words = np.minimum(np.asarray(self.split.text_lengths)[indices], self.max_words)
        return words + (SPECIAL_TOKENS + self.images_per_sample * self.image_positions)

    @property
    def images_per_sample(self) -> int:
        """The most images that one sample brings into a batch."""
        return int(self.split.image_column.shape[1])

    def size(self, index: int) -> int:
        return self.text_length(index)

    @property
    def sizes(self) -> np.ndarray:
        return np.minimum(np.asarray(self.split.text_lengths), self.max_words) + SPECIAL_TOKENS

    def ordered_indices(self) -> np.ndarray:
        """The order of an epoch; fairseq has seeded NumPy with seed + epoch when it asks."""
        return np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return not self.shuffle  # batches are formed anew from each epoch's order

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def between(first: int, words: torch.Tensor, last: int) -> torch.Tensor:
    """(T,) int64 -> (T + 2,), with one id before and one behind."""
    row = np.empty(len(words) + 2, dtype=np.int64)  # torch takes several times as long on so little
    row[0], row[1:-1], row[-1] = first, words.numpy(), last
    return torch.from_numpy(row)
