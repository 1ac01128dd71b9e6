"""Contrastive features and match scores of a split's texts and images, in bounded memory.

The states of an image at base size and 384 pixels take 10.6 MB, those of COCO's 5,000 test images
53 GB. So the images are worked through in blocks that fit: a block's states are computed, every
pair that wants one of its images is scored, and the block goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from mt_fairseq.errors import UserError
from mt_fairseq.models.matching import MATCH
from mt_fairseq.modules.outputs import ImageStates, TextStates

TEXT_GROUP = 256
"""Texts that run through the text encoder together; they are of like length."""


class TowerScorer:
    """Runs each encoder once over texts and images, as far as memory allows, and scores pairs.

    Half of ``cache_bytes`` is for states of texts, which are small: texts beyond it are encoded
    anew for every block of images, which costs some hundredths of the fusions that follow. What
    texts leave over belongs to the current block of images. The first block is filled while
    features are computed; images of later blocks run through the encoder a second time.

    Args:
        model: with ``encode_text``, ``encode_images``, ``fuse`` and head ``itm``; features need
            head ``itc``.
        texts: token ids of each text, special tokens included, by length.
        images: (3, H, W) uint8 each.
        cache_bytes: for states that are kept.
        batch_size: images a pass of the vision encoder, and pairs a pass of the fusion.
        workers: processes that read images.
    """

    def __init__(
        self,
        model: Any,
        texts: Sequence[Tensor],
        images: Dataset[Tensor],
        cache_bytes: int,
        batch_size: int,
        workers: int = 0,
    ) -> None:
        self.model = model.eval()
        self.texts = texts
        self.images = images
        self.image_count = len(images)  # type: ignore[arg-type]
        self.cache_bytes = cache_bytes
        self.batch_size = batch_size
        self.workers = workers
        self.device = next(model.parameters()).device
        self.text_cache: dict[int, TextStates] = {}
        self.text_cache_bytes = 0
        self.block = ImageBlock(0, 0)
        self.block_size = 0

    # --- features ---

    @torch.no_grad()
    def features(self, advance: Callable[[int], None]) -> tuple[Tensor, Tensor]:
        """Contrastive features (texts, E) and (images, E); zeros (., 1) without head ``itc``.

        States of texts, and of the images of the first block, are kept as far as they fit.
        """
        contrastive = "itc" in self.model.heads
        texts: list[Tensor] = []
        images: list[Tensor] = []
        for begin, states in self.encoded_images(0, self.image_count):
            if not begin:
                for group in range(-(-len(self.texts) // TEXT_GROUP)):
                    text = self.text_states(group, keep=True)
                    if contrastive:
                        features = self.model.contrastive_features(text, states.first(1))
                        texts.append(features[0].float())
                    advance(len(text.mask))
                any_text = text.select(torch.zeros(1, dtype=torch.long, device=self.device))
                self.block_size = self.images_that_fit(states)
                self.block = ImageBlock(0, self.block_size)
            self.block.put(begin, states)
            advance(len(states.last))
            if contrastive:
                images.append(self.model.contrastive_features(any_text, states)[1].float())
            elif self.block.full:
                break
        if not contrastive:
            none = torch.zeros(len(self.texts) + self.image_count, 1, device=self.device)
            return none[: len(self.texts)], none[len(self.texts) :]
        return _finite(torch.cat(texts)), _finite(torch.cat(images))

    def images_that_fit(self, states: ImageStates) -> int:
        """How many images a block may hold."""
        each = nbytes(fused(states)) / len(states.last)
        return min(self.image_count, max(1, int((self.cache_bytes - self.text_cache_bytes) / each)))

    # --- states ---

    def text_states(self, group: int, keep: bool = False) -> TextStates:
        """States of a group of texts; with ``keep`` they stay if there is room."""
        if group in self.text_cache:
            return self.text_cache[group]
        texts = self.texts[group * TEXT_GROUP : (group + 1) * TEXT_GROUP]
        tokens = pad_sequence(list(texts), batch_first=True, padding_value=self.model.pad)
        states = self.model.encode_text(tokens.to(self.device))
        parts = fused(states)
        if keep and self.text_cache_bytes + nbytes(parts) <= self.cache_bytes / 2:
            self.text_cache[group] = TextStates(states.experts, parts[-1], states.mask)
            self.text_cache_bytes += nbytes(parts)
        return states

    def encoded_images(self, begin: int, end: int) -> Iterator[tuple[int, ImageStates]]:
        """States of images in a range, a batch at a time, with the number of its first."""
        loader: DataLoader[Tensor] = DataLoader(
            self.images,
            batch_size=self.batch_size,
            sampler=range(begin, end),
            num_workers=self.workers,
        )
        for pixels in loader:
            yield begin, self.model.encode_images(pixels.to(self.device))
            begin += len(pixels)

    # --- pairs ---

    @torch.no_grad()
    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of images; the states of each are there while it is the current one."""
        begin = 0
        while begin < self.image_count:
            end = min(begin + self.block_size, self.image_count)
            if self.block.begin != begin or not self.block.full:
                self.block = ImageBlock(begin, end)
                for number, states in self.encoded_images(begin, end):
                    self.block.put(number, states)
            yield begin, end
            self.block = ImageBlock(0, 0)
            begin = end

    @torch.no_grad()
    def scores(self, texts: Tensor, images: Tensor, advance: Callable[[int], None]) -> Tensor:
        """Match logits (p,) float32 of pairs with images of the current block; texts ascend."""
        scores = []
        groups, sizes = (texts // TEXT_GROUP).unique_consecutive(return_counts=True)
        parts = zip(texts.split(sizes.tolist()), images.split(sizes.tolist()), strict=True)
        for group, (own_texts, own_images) in zip(groups.tolist(), parts, strict=True):
            states = self.text_states(group)
            batches = -(-len(own_texts) // self.batch_size)
            for text, image in zip(
                own_texts.tensor_split(batches), own_images.tensor_split(batches), strict=True
            ):
                pair = states.select(text - group * TEXT_GROUP), self.block.select(image)
                scores.append(self.match(*pair))
                advance(len(text))
        return _finite(torch.cat(scores))

    def match(self, texts: TextStates, images: ImageStates) -> Tensor:
        """(p,) float32: logit of "match" of text i with image i."""
        pooled = self.model.network.pool(self.model.fuse(texts, images))
        return self.model.heads["itm"](pooled)[:, MATCH].float()


class ImageBlock:
    """States of the images ``begin`` to ``end - 1``, filled batch by batch."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end
        self.filled = 0
        self.parts: list[Tensor] = []
        self.has_experts = True

    @property
    def full(self) -> bool:
        """Whether all images are there."""
        return self.filled == self.end - self.begin > 0

    def put(self, begin: int, states: ImageStates) -> None:
        """Copy what belongs to the block of a batch whose first image is ``begin``."""
        count = min(len(states.last), self.end - begin)
        if count <= 0:
            return
        parts = fused(states)
        if not self.parts:
            self.has_experts = bool(states.experts)
            self.parts = [p.new_empty((self.end - self.begin, *p.shape[1:])) for p in parts]
        for mine, theirs in zip(self.parts, parts, strict=True):
            mine[begin - self.begin : begin - self.begin + count] = theirs[:count]
        self.filled += count

    def select(self, images: Tensor) -> ImageStates:
        """States of the images numbered ``images`` (n,), in that order; for fusion only."""
        index = images - self.begin
        parts = [part[index] for part in self.parts]
        return ImageStates(parts if self.has_experts else [], parts[-1])


def fused(states: TextStates | ImageStates) -> list[Tensor]:
    """The tensors that fusion reads: the experts, or the last layer where there are none."""
    return states.experts or [states.last]


def nbytes(tensors: list[Tensor]) -> int:
    """Bytes that tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise UserError(
            "the model's outputs are not finite numbers: evaluate without --fp16, or an earlier "
            "checkpoint"
        )
    return values
