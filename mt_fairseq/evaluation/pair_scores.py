"""Contrastive features and match scores of a split's texts and images, in bounded memory.

The states of an image at base size and 384 pixels take 10.6 MB, those of COCO's 5,000 test images
53 GB; the states of its 25,000 texts take 6 GB. So the images pass one by one, and each is fused
with all texts that want it, whose states are at hand. What the fusion makes of the image alone is
then made once, not once a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.ranking import Range
from mt_fairseq.evaluation.state_store import ImageStore, TextStore, fused, nbytes
from mt_fairseq.kernels import products_of_many_shapes
from mt_fairseq.modules.matching import MATCH
from mt_fairseq.modules.outputs import ImageStates, TextStates

TEXT_GROUP = 256
"""Texts that run through the text encoder together; they are of like length."""
IMAGE_BLOCK = 1024
"""Images whose pairs are listed at once."""

Advance = Callable[[int], None]


class TowerScorer:
    """Runs both encoders over texts and images, and the fusion over pairs.

    States stay in memory as far as ``cache_bytes`` allows, texts first; if all fit, each encoder
    runs once over everything. Texts that don't fit are taken block by block, each as large as
    memory allows, and then, as images that don't fit, encoded again when their turn comes.

    Args:
        model: with heads itm and, for features, itc.
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
        # a model with texts of constant length may let padding take part
        self.whole_length = bool(getattr(model.cfg, "text_length", 0))
        self.text_store: TextStore | None = None
        self.text_blocks: list[Range] = []
        self.image_store: ImageStore | None = None

    # --- features ---

    @torch.no_grad()
    def features(self, advance: Advance) -> tuple[Tensor, Tensor]:
        """Contrastive features (texts, E) and (images, E); zeros (., 1) without head itc.

        States are kept if they fit.
        """
        text_features = Rows(len(self.texts), self.device)
        image_features = Rows(self.image_count, self.device)
        contrastive = "itc" in self.model.heads
        for begin, states in self.encoded_images(range(self.image_count)):
            if not begin:
                for first, text in self.store_texts():
                    if contrastive:
                        both = self.model.contrastive_features(text, states.first(1))
                        text_features.put(first, both[0])
                    advance(len(text.mask))
                any_text = text.select(torch.zeros(1, dtype=torch.long, device=self.device))
                self.image_store = self.room_for_images(states)
            if self.image_store is not None:
                self.image_store.put(begin, states)
            if contrastive:
                image_features.put(begin, self.model.contrastive_features(any_text, states)[1])
            elif self.image_store is None:
                break
            advance(len(states.last))
        return _finite(text_features.values), _finite(image_features.values)

    def store_texts(self) -> Iterator[tuple[int, TextStates]]:
        """Encode all texts, group by group, and keep their states if they fit."""
        for begin, states in self.encoded_texts(0, len(self.texts)):
            if not begin:
                lengths = self.kept_lengths(0, len(self.texts), states)
                each = nbytes(fused(states)) / states.mask.numel()
                self.text_blocks = blocks_that_fit((lengths * each).tolist(), self.cache_bytes)
                if len(self.text_blocks) == 1:
                    self.text_store = TextStore(0, lengths)
            if self.text_store is not None:
                self.text_store.put(begin, states)
            yield begin, states

    def kept_lengths(self, begin: int, end: int, states: TextStates) -> Tensor:
        """Positions to keep of each text in a range; ``states`` are some texts'."""
        lengths = [len(text) for text in self.texts[begin:end]]
        if self.whole_length:
            lengths = [states.mask.shape[1]] * len(lengths)
        return torch.tensor(lengths, device=self.device)

    def room_for_images(self, states: ImageStates) -> ImageStore | None:
        """A store for all images if they fit beside the texts; ``states`` are some of them."""
        free = self.cache_bytes - (self.text_store.nbytes if self.text_store else 0)
        fits = nbytes(fused(states)) / len(states.last) * self.image_count <= free
        return ImageStore(self.image_count) if fits and len(self.text_blocks) == 1 else None

    # --- encoding ---

    def encoded_texts(self, begin: int, end: int) -> Iterator[tuple[int, TextStates]]:
        """States of texts in a range, a group at a time, with the number of its first."""
        for first in range(begin, end, TEXT_GROUP):
            group = list(self.texts[first : min(first + TEXT_GROUP, end)])
            tokens = pad_sequence(group, batch_first=True, padding_value=self.model.pad)
            yield first, self.model.encode_text(tokens.to(self.device))

    def encoded_images(self, numbers: Sequence[int]) -> Iterator[tuple[int, ImageStates]]:
        """States of images, a batch at a time, with the place of its first in ``numbers``."""
        loader: DataLoader[Tensor] = DataLoader(
            self.images,
            batch_size=self.batch_size,
            sampler=numbers,
            num_workers=self.workers,
        )
        first = 0
        for pixels in loader:
            yield first, self.model.encode_images(pixels.to(self.device))
            first += len(pixels)

    def each_image(self, numbers: list[int]) -> Iterator[ImageStates]:
        """States of one image after the other: (1, P, .)."""
        if self.image_store is not None:
            yield from (self.image_store.one(number) for number in numbers)
            return
        for _, states in self.encoded_images(numbers):
            rows = torch.arange(len(states.last), device=self.device)
            yield from (states.select(rows[i : i + 1]) for i in range(len(rows)))

    # --- pairs ---

    @torch.no_grad()
    def blocks(self) -> Iterator[tuple[Range, Range]]:
        """Ranges of texts and of images; states of the texts are there while a block is current."""
        for begin, end in self.text_blocks:
            if len(self.text_blocks) > 1:
                self.text_store = self.store_of(begin, end)
            for first in range(0, self.image_count, IMAGE_BLOCK):
                yield (begin, end), (first, min(first + IMAGE_BLOCK, self.image_count))

    def store_of(self, begin: int, end: int) -> TextStore:
        """Encode the texts of a range again, and keep them."""
        self.text_store = store = None  # before the next one is filled
        for first, states in self.encoded_texts(begin, end):
            if store is None:
                store = TextStore(begin, self.kept_lengths(begin, end, states))
            store.put(first, states)
        assert store is not None
        return store

    @torch.no_grad()
    @products_of_many_shapes()  # every image has another number of texts, of another length
    def scores(self, texts: Tensor, images: Tensor, advance: Advance) -> Tensor:
        """Match logits (p,) float32 of pairs within the current block, by image, then by text."""
        assert self.text_store is not None
        scores = Rows(len(texts), self.device)
        done = 0
        numbers, counts = images.unique_consecutive(return_counts=True)
        for image, own in zip(
            self.each_image(numbers.tolist()), texts.split(counts.tolist()), strict=True
        ):
            for part in own.tensor_split(-(-len(own) // self.batch_size)):
                logits = self.model.match_logits(self.text_store.select(part), image)
                scores.put(done, logits[:, MATCH, None])
                done += len(part)
                advance(len(part))
        return _finite(scores.values)[:, 0]


class Rows:
    """(n, E) float32, filled bit by bit; zeros (n, 1) at first.

    In one piece from the start: pieces that are kept one by one lie between the large passing
    tensors of the heap and let it grow with the gallery.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.values = torch.zeros(count, 1, device=device)

    def put(self, begin: int, rows: Tensor) -> None:
        """Fill in rows (m, E) from ``begin`` on."""
        if self.values.shape[1] != rows.shape[1]:
            self.values = self.values.new_zeros(len(self.values), rows.shape[1])
        self.values[begin : begin + len(rows)] = rows


def blocks_that_fit(sizes: list[float], limit: float) -> list[Range]:
    """Cut items of given sizes into ranges of at most ``limit``, or of a single item."""
    blocks: list[Range] = []
    begin, total = 0, 0.0
    for number, size in enumerate(sizes):
        if number > begin and total + size > limit:
            blocks.append((begin, number))
            begin, total = number, 0.0
        total += size
    return [*blocks, (begin, len(sizes))]


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise UserError(
            "the model's outputs are not finite numbers: evaluate without --fp16, or an earlier "
            "checkpoint"
        )
    return values
