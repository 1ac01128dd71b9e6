"""Pre-training steps for ``pretrain_step`` and ``memory``: ours, and the straightforward form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.analysis.flops import Inputs, build_random
from mt_fairseq.criterions.contrastive import itm_loss
from mt_fairseq.criterions.mlm_itm import mean_by_text, mlm_loss_by_text
from mt_fairseq.data.batches import MaskedWords, masked_words
from mt_fairseq.freed_memory import keep_freed_memory
from mt_fairseq.models.two_tower.model import TwoTowerModel

ARCHITECTURE = "managertower_base"
INPUTS = Inputs(image_size=(288, 288), tokens=50)
BATCH = 8
WORDS, WORDS_SPREAD = 11, 2.5  # of a caption; <s> and </s> come on top
MASK_PROB = 0.15
START, PAD, END, MASK = 0, 1, 2, 50_264

Step = Callable[[TwoTowerModel, "Batch"], Tensor]


@dataclass
class Batch:
    """What both forms read; shapes as in ``mt_fairseq.models.two_tower.steps.pretraining``."""

    src_tokens: Tensor
    masked_tokens: Tensor
    masked_words: MaskedWords
    images: Tensor  # (B, 1, 3, H, W) uint8
    image_index: Tensor  # (B,) of ITM; half of them mismatch


def make_batch(size: int = BATCH, seed: int = 0) -> Batch:
    """Captions as long as COCO's, padded to the longest; random pictures."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randn(size, generator=generator) * WORDS_SPREAD + WORDS
    counts = lengths.round().clamp(5, 30).int().tolist()
    tokens = torch.full((size, max(counts) + 2), PAD)
    positions = torch.zeros_like(tokens, dtype=torch.bool)
    for row, count in enumerate(counts):
        tokens[row, 0], tokens[row, count + 1] = START, END
        tokens[row, 1 : count + 1] = torch.randint(
            3, INPUTS.vocabulary - 1, (count,), generator=generator
        )
        masked = max(1, round(MASK_PROB * count))
        positions[row, 1 + torch.randperm(count, generator=generator)[:masked]] = True
    images = torch.randint(
        0, 256, (size, 1, 3, *INPUTS.image_size), generator=generator, dtype=torch.uint8
    )
    rows = torch.arange(size)
    index = torch.where(rows % 2 == 1, (rows + 1) % size, rows)
    masked = tokens.masked_fill(positions, MASK)
    return Batch(tokens, masked, masked_words(tokens, positions), images, index)


def build(**options: Any) -> TwoTowerModel:
    """The model with the heads of pre-training, random weights, in training mode.

    Freed memory stays with the process, as in every training on CPUs; for the peers too.
    """
    keep_freed_memory()
    torch.manual_seed(0)
    model = build_random(ARCHITECTURE, INPUTS, **options)
    model.register_classification_head("mlm", INPUTS.vocabulary)
    model.register_classification_head("itm", 2)
    return model.train()


def one_step(model: TwoTowerModel, batch: Batch) -> Tensor:
    """Ours: the sum over texts of both losses."""
    output = model(
        batch.src_tokens,
        batch.images,
        step="pretraining",
        masked_tokens=batch.masked_tokens,
        masked_words=batch.masked_words,
        image_index=batch.image_index,
    )
    by_text, _ = mlm_loss_by_text(output.mlm_logits, batch.masked_words, len(batch.images))
    return by_text.sum() + itm_loss(output.itm)


def two_passes(model: TwoTowerModel, batch: Batch) -> Tensor:
    """The straightforward form: a full pass an objective, all words classified, texts of 50."""
    output = model(_padded(batch.masked_tokens), batch.images)
    masked = batch.masked_words
    logits = model.classify("mlm", output)[masked["rows"], masked["positions"]]
    by_word = F.cross_entropy(logits, masked["words"], reduction="none")
    output = model(_padded(batch.src_tokens), batch.images[batch.image_index])
    labels = (batch.image_index == torch.arange(len(batch.images))).long()
    itm = F.cross_entropy(model.classify("itm", output), labels, reduction="sum")
    return mean_by_text(by_word, masked["rows"], len(labels)).sum() + itm


def _padded(tokens: Tensor) -> Tensor:
    return F.pad(tokens, (0, INPUTS.tokens - tokens.shape[1]), value=PAD)
