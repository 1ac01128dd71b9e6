"""Sizes and kind of an official ALBEF, read off the names and shapes of its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mt_fairseq.convert.albef import PAIR_PRETRAINING
from mt_fairseq.errors import UserError

HEAD_WIDTH = 64  # channels of an attention head in BERT and DeiT
PATCH = 16
PATCHES, POSITIONS = "visual_encoder.patch_embed.proj.weight", "visual_encoder.pos_embed"
TEXT = re.compile(r"text_encoder\.(?:bert\.)?(.*)")
DOUBLED = ("nlvr", PAIR_PRETRAINING)


def infer_kind(state: Mapping[str, Tensor]) -> str:
    """The kind that ``from_official_albef`` wants, by the heads; UserError if none is there."""
    names = set(state)
    if any(name.startswith("text_decoder.") for name in names):
        return "vqa"
    if "ta_head.weight" in names:
        return PAIR_PRETRAINING
    if "cls_head.0.weight" in names:
        return "nlvr" if _keys_are_shared(state) else "ve"
    if "itm_head.weight" in names:
        return "pretrain" if "text_encoder.cls.predictions.bias" in names else "retrieval"
    raise UserError("the file has none of an official ALBEF's heads: name its --kind")


def infer_albef_config(
    state: Mapping[str, Tensor], kind: str, heads: int | None = None
) -> dict[str, Any]:
    """What ``from_official_albef`` wants as ``config``.

    Args:
        state: the official state dict.
        kind: of the checkpoint.
        heads: attention heads everywhere (default: width / 64).

    Raises:
        UserError: not the names of an official ALBEF, or widths without whole heads.
    """
    text = {match[1]: tensor for name, tensor in state.items() if (match := TEXT.match(name))}
    words, places = (
        text.get(f"embeddings.{name}_embeddings.weight") for name in ("word", "position")
    )
    if words is None or places is None or PATCHES not in state or POSITIONS not in state:
        raise UserError(
            "the file has not the names of an official ALBEF (visual_encoder.patch_embed..., "
            "text_encoder.bert.embeddings...)"
        )
    vision_width, _, patch, _ = state[PATCHES].shape
    if patch != PATCH:
        raise UserError(f"its patches are {patch} pixels wide; official ALBEFs have {PATCH}")
    first, layers = _text_layers(text)
    if kind in DOUBLED:
        layers = first + (layers - first) // 2
    config = {
        "vision_width": vision_width,
        "vision_layers": _count(state, "visual_encoder.blocks."),
        "vision_heads": heads or _heads("vision encoder", vision_width),
        "image_res": _side(state[POSITIONS]) * PATCH,
        "text_width": words.shape[1],
        "text_heads": heads or _heads("text encoder", words.shape[1]),
        "num_hidden_layers": layers,
        "fusion_layer": first,
        "vocab_size": len(words),
        "text_max_positions": len(places),
        "embed_dim": len(state["vision_proj.weight"]) if "vision_proj.weight" in state else 256,
    }
    if "image_queue" in state:
        config["queue_size"] = state["image_queue"].shape[1]
    return config


def _text_layers(text: Mapping[str, Tensor]) -> tuple[int, int]:
    """Number of the first layer with cross-attention, and how many there are in all."""
    crossed = [
        int(match[1])
        for name in text
        if (match := re.match(r"encoder\.layer\.(\d+)\.crossattention\.", name))
    ]
    if not crossed:
        raise UserError("the text encoder has no layer with cross-attention: no official ALBEF")
    return min(crossed), _count(text, "encoder.layer.")


def _keys_are_shared(state: Mapping[str, Tensor]) -> bool:
    """Whether fusion layers come in couples that share their keys, as for pairs of images."""
    text = {match[1]: tensor for name, tensor in state.items() if (match := TEXT.match(name))}
    first, layers = _text_layers(text)
    name = "encoder.layer.{}.crossattention.self.key.weight"
    return first + 1 < layers and torch.equal(
        text[name.format(first)], text[name.format(first + 1)]
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered modules there are under ``prefix``."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(name))})


def _side(positions: Tensor) -> int:
    """Patches a side of (1, 1 + patches, W); the first row is the class token's."""
    count = positions.shape[1] - 1
    side = math.isqrt(count)
    if side * side != count:
        raise UserError(f"{POSITIONS} has {count} patches, which make no square")
    return side


def _heads(what: str, width: int) -> int:
    if width % HEAD_WIDTH:
        raise UserError(
            f"the {what} is {width} wide, no multiple of {HEAD_WIDTH}: give --heads, the number of "
            "its attention heads"
        )
    return width // HEAD_WIDTH
