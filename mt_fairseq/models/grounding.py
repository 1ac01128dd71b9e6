"""Which part of a picture a text is about, by an ALBEF that was never shown a box."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.albef.gradcam import image_map, text_map, word_maps

MODES = ("itm", "itc")
"""The head whose decision is explained; ``itm`` by a fusion layer, ``itc`` by a vision layer."""


def map_layer(model: Any, mode: str, layer: int | None) -> int:
    """The layer whose attention makes the map, from 1, after checks.

    Without a ``layer``: the middle one of the fusion for ``itm`` (ALBEF: the third of six; in the
    last, the match hangs on the begin token's attention alone), the vision encoder's last for
    ``itc``.

    Raises:
        UserError: a model that is no ALBEF, or has neither the head nor the layer.
    """
    if not isinstance(model, AlbefModel):
        raise UserError(
            "grounding reads the attention of ALBEF's fusion layers; this model is a "
            f"{model.cfg._name}"
        )
    if mode not in MODES:
        raise UserError(f"grounding mode {mode!r}: it is one of {', '.join(MODES)}")
    if mode not in model.heads:
        raise UserError(
            f"--grounding-mode {mode}: this checkpoint has no head {mode}; take one of task "
            "albef_pretrain or retrieval"
        )
    if mode == "itm":
        count, where = len(model.network.fusion.layers), "fusion layers"
    else:
        count, where = len(model.network.vision_encoder.blocks), "layers in its vision encoder"
    if layer is None:
        return (count + 1) // 2 if mode == "itm" else count
    if not 1 <= layer <= count:
        raise UserError(f"--grounding-layer {layer}: this model has {count} {where}")
    return layer


def heat_maps(model: AlbefModel, tokens: Tensor, images: Tensor, mode: str, layer: int) -> Tensor:
    """Grad-CAM of each text on its picture: (B, rows, columns) of patches, not negative.

    Args:
        model: in evaluation mode.
        tokens: (B, T); images: (B, 1, 3, H, W).
        mode, layer: as ``map_layer`` gave them.
    """
    network, head = model.network, model.heads[mode]
    if mode == "itm":
        return text_map(word_maps(network, head, tokens, images, layer - 1))
    return image_map(network, head, tokens, images, layer - 1)
