"""Where a model looks: Grad-CAM on attention probabilities (ALBEF, section 5, "Visual Grounding").

A map is attention times the positive part of its gradient, averaged over heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mt_fairseq.modules.albef.network import AlbefNetwork
from mt_fairseq.modules.attention import MultiHeadAttention, record_attention
from mt_fairseq.modules.heads import ContrastiveHead

MATCH = 1  # class of the matching head
VISION_ATTENTION = ("attention", "self_attn")  # its name in transformers' ViT and CLIP


def word_maps(
    network: AlbefNetwork, head: nn.Module, tokens: Tensor, images: Tensor, layer: int
) -> Tensor:
    """Which patches the matching logit rests on, word by word.

    Args:
        network: the network; head: its image-text matching head.
        tokens: (B, T); images: (B, 3, H, W) or (B, 1, 3, H, W).
        layer: of the fusion, counted from 0.

    Returns:
        (B, T, rows, columns), not negative; zero for padding.
    """
    text, image = network.encode_text(tokens), network.encode_images(images)
    attention = network.fusion.layers[layer].get_submodule("cross_attention")
    assert isinstance(attention, MultiHeadAttention)
    with torch.enable_grad(), record_attention(attention) as seen:
        logits = head(network.pool(network.fuse(text, image)))
        cam = _positive_influence(logits[:, MATCH].sum(), seen[0])
    return _patches(cam * text.mask[:, :, None], network)


def text_map(maps: Tensor) -> Tensor:
    """Maps of words (B, T, rows, columns) -> of the text: their mean over all T positions.

    The begin token and padding count as positions, as in the reference; it scales a map only.
    """
    return maps.mean(dim=1)


def image_map(
    network: AlbefNetwork, head: ContrastiveHead, tokens: Tensor, images: Tensor, block: int
) -> Tensor:
    """Which patches the contrastive similarity rests on: (B, rows, columns).

    ``block`` is a layer of the vision encoder, counted from 0; its class token's attention is
    taken.
    """
    attention = _vision_attention(network.vision_encoder.blocks[block])
    with torch.enable_grad(), _record_transformers(attention) as seen:
        text, image = network.encode_text(tokens), network.encode_images(images)
        texts, features = head(text.last, image.last)
        similarity = (texts * features).sum() / head.temperature.detach()
        cam = _positive_influence(similarity, seen[0])
    return _patches(cam[:, :1], network)[:, 0]


def _positive_influence(value: Tensor, probabilities: Tensor) -> Tensor:
    """Probabilities (B, heads, T, S) times the positive part of their gradient: (B, T, S)."""
    (gradient,) = torch.autograd.grad(value, probabilities)
    return (probabilities.detach() * gradient.clamp(min=0)).mean(dim=1)


def _patches(cam: Tensor, network: AlbefNetwork) -> Tensor:
    """(B, T, P) -> (B, T, rows, columns), the class token left out."""
    return cam[:, :, 1:].unflatten(2, network.vision_encoder.grid)


def _vision_attention(block: nn.Module) -> nn.Module:
    return next(getattr(block, name) for name in VISION_ATTENTION if hasattr(block, name))


@contextmanager
def _record_transformers(attention: nn.Module) -> Iterator[list[Tensor]]:
    """As ``record_attention``, for transformers' modules: their fused kernels keep nothing."""
    seen: list[Tensor] = []
    config = attention.config
    used = config._attn_implementation  # type: ignore[union-attr]
    handle = attention.register_forward_hook(lambda _, __, output: seen.append(output[1]))
    config._attn_implementation = "eager"  # type: ignore[union-attr]
    try:
        yield seen
    finally:
        config._attn_implementation = used  # type: ignore[union-attr]
        handle.remove()
