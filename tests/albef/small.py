"""A small ALBEF and batches for it, without any file."""

from __future__ import annotations

from typing import Any

import torch

from mt_fairseq.convert.albef import albef_config
from mt_fairseq.convert.task_parts import head_kind
from mt_fairseq.data.batches import masked_words
from mt_fairseq.models.albef.model import AlbefBase, AlbefModel
from tests.albef.golden import without_dropout

WORDS, LENGTH = 50, 7
SIZES = {
    "vision_width": 24, "vision_layers": 1, "vision_heads": 2, "image_res": 32,
    "text_width": 24, "text_heads": 2, "num_hidden_layers": 4, "fusion_layer": 2,
    "vocab_size": WORDS, "text_max_positions": 16, "embed_dim": 8, "queue_size": 6,
}  # fmt: skip
PRETRAINING = {"itc": 0, "itm": 2, "mlm": WORDS}


def build(
    heads: dict[str, int], sizes: dict[str, int] = SIZES, twin: bool = False, **options: Any
) -> AlbefModel:
    """A model without dropout; the same weights after the same ``torch.manual_seed``."""
    cfg = albef_config(sizes)
    for name, value in options.items():
        cfg[name] = value
    side = sizes["image_res"]
    model = AlbefBase(cfg, AlbefBase.build_network(cfg, (side, side)))
    for name, classes in heads.items():
        model.register_classification_head(name, classes, head_kind(name))
    if twin:
        model.add_twin()
    return without_dropout(model).train()


def batch(count: int, seed: int) -> dict[str, Any]:
    """Inputs of a pre-training step: texts of different lengths, images, masks and draws."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(5, WORDS, (count, LENGTH), generator=random)
    lengths = torch.randint(3, LENGTH + 1, (count,), generator=random)
    tokens[torch.arange(LENGTH) >= lengths[:, None]] = 0
    tokens[:, 0] = 2
    positions = torch.zeros(count, LENGTH, dtype=torch.bool)
    positions[:, 1] = positions[0, 2] = True
    return {
        "src_tokens": tokens,
        "images": torch.randn(count, 1, 3, 32, 32, generator=random),
        "masked_tokens": tokens.masked_fill(positions, 4),
        "masked_words": masked_words(tokens, positions),
        "draws": torch.rand(count, 2, generator=random, dtype=torch.float64),
    }
