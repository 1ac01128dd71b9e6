"""Sizes of an official model, read off the names and shapes of its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mt_fairseq.convert.official import PAD
from mt_fairseq.errors import UserError
from mt_fairseq.modules.positions import resize_positions

HEAD_WIDTH = 64  # channels of an attention head in RoBERTa, CLIP and the reference's own layers
POSITIONS = "vit_model.visual.positional_embedding"
WORDS = "text_transformer.embeddings.word_embeddings.weight"
TEXT_POSITIONS = "text_transformer.embeddings.position_embeddings.weight"
PATCHES = "vit_model.visual.conv1.weight"
NEEDED = (WORDS, TEXT_POSITIONS, PATCHES, POSITIONS, "token_type_embeddings.weight")
TEXT_LENGTH, RETRIEVAL_TEXT_LENGTH = 50, 40  # the reference's padding (golden README)


def infer_config(
    state: Mapping[str, Tensor],
    hyper: Mapping[str, Any] | None = None,
    heads: int | None = None,
    text_length: int | None = None,
) -> dict[str, Any]:
    """What ``from_official`` wants as ``config``.

    Args:
        state: the official state dict.
        hyper: the file's own hyper-parameters; what tensors cannot tell is taken from there.
        heads: attention heads everywhere (default: width / 64).
        text_length: padded length of texts in tokens (default: the file's; else 40 with
            contrastive heads and no MLM head, as in retrieval, and 50 otherwise).

    Raises:
        UserError: not the names of an official model with CLIP and RoBERTa.
    """
    hyper = hyper or {}
    _check_names(state)
    vocabulary, text_width = state[WORDS].shape
    vision_width, _, patch, _ = state[PATCHES].shape
    hidden = state["token_type_embeddings.weight"].shape[1]
    kind = model_kind(state)
    return {
        "model_type": kind,
        "vocab_size": vocabulary,
        "max_text_len": _text_length(state, text_length, hyper.get("max_text_len")),
        "text_max_positions": len(state[TEXT_POSITIONS]),
        "patch_size": patch,
        "image_size": _grid(state[POSITIONS]) * patch,
        "text_width": text_width,
        "text_layers": _count(state, "text_transformer.encoder.layer."),
        "text_heads": heads or _heads("text encoder", text_width),
        "vision_width": vision_width,
        "vision_layers": _count(state, "vit_model.visual.transformer.resblocks."),
        "vision_heads": heads or _heads("vision encoder", vision_width),
        "hidden_size": hidden,
        "num_heads": heads or hyper.get("num_heads") or _heads("cross-modal encoder", hidden),
        "num_layers": _count(state, "cross_modal_text_layers."),
        "head_hidden_scale": _head_scale(state, hidden),
        "nlvr2_drop_rate": hyper.get("nlvr2_drop_rate", 0 if kind == "METER" else 0.1),
        "meter_fusion": "text_gate.weight" in state,
        **_managers(state),
    }


def model_kind(state: Mapping[str, Tensor]) -> str:
    """MT, BT or METER."""
    if any("_manager_tower." in name for name in state):
        return "MT"
    return "BT" if "cross_modal_text_layernorm.weight" in state else "METER"


def resize_images(
    state: Mapping[str, Tensor], config: dict[str, Any], size: int
) -> dict[str, Tensor]:
    """The state dict for square images of ``size`` pixels; ``config`` is changed to it.

    Raises:
        UserError: no multiple of the patch size.
    """
    patch = config["patch_size"]
    if size < patch or size % patch:
        raise UserError(f"--image-size {size}: no multiple of the model's patch size {patch}")
    old, new = config["image_size"] // patch, size // patch
    config["image_size"] = size
    if old == new:
        return dict(state)
    table = resize_positions(state[POSITIONS].float(), (new, new), (old, old))
    return {**state, POSITIONS: table}


def _check_names(state: Mapping[str, Tensor]) -> None:
    missing = [name for name in NEEDED if name not in state]
    if missing:
        raise UserError(
            f"no {missing[0]} in the state_dict: this is no official ManagerTower, BridgeTower or "
            "METER with CLIP and RoBERTa"
        )
    if len(state["text_transformer.embeddings.token_type_embeddings.weight"]) != 1:
        raise UserError("the text encoder is a BERT: official checkpoints with RoBERTa only")
    if not _count(state, "cross_modal_text_layers."):
        raise UserError("the state_dict has no cross-modal layers")


def _managers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Type, weights and numbers of experts of ManagerTower's managers; nothing for the others."""
    prefix = "cross_modal_{}_manager_tower.0.manager_layer."
    scores = state.get(prefix.format("text") + "layer_scores")
    if scores is None:
        return {}
    adaptive = any(".manager_layer.linear_controller." in name for name in state)
    return {
        "manager_type": "AAUE" if adaptive else "SAUE",
        "manager_weight_type": "scalar" if scores.shape[-1] == 1 else "vector",
        "managed_layers_text": _count(state, prefix.format("text") + "LayerNorm."),
        "managed_layers_image": _count(state, prefix.format("image") + "LayerNorm."),
    }


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered modules there are under ``prefix``."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(name))})


def _grid(positions: Tensor) -> int:
    """Patches a side; the first row is the class token's."""
    side = math.isqrt(len(positions) - 1)
    if side * side != len(positions) - 1:
        raise UserError(f"{POSITIONS} has {len(positions)} rows, which is no square of patches")
    return side


def _heads(what: str, width: int) -> int:
    if width % HEAD_WIDTH:
        raise UserError(
            f"the {what} is {width} wide, no multiple of {HEAD_WIDTH}: give --heads, the number of "
            "its attention heads"
        )
    return width // HEAD_WIDTH


def _head_scale(state: Mapping[str, Tensor], hidden: int) -> int:
    for name in ("vqa", "snli", "nlvr2"):
        weight = state.get(f"{name}_classifier.0.weight")
        if weight is not None:
            return int(len(weight) // (2 * hidden))
    return 1


def _text_length(state: Mapping[str, Tensor], given: int | None, own: int | None) -> int:
    """Padded length of texts; never more than the text encoder has positions for."""
    longest = len(state[TEXT_POSITIONS]) - PAD - 1  # RoBERTa counts from behind its padding id
    if given and given > longest:
        raise UserError(f"--text-length {given}: the text encoder has {longest} positions")
    contrastive = "cross_modal_itc_text_head.fc.weight" in state
    retrieval = contrastive and "mlm_score.decoder.weight" not in state
    return min(given or own or (RETRIEVAL_TEXT_LENGTH if retrieval else TEXT_LENGTH), longest)
