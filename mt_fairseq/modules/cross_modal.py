"""The cross-modal encoder: co-attention layers, each fed by an aggregation of uni-modal layers.

ManagerTower section 2.3, equations 1 to 3 (the co-attention layer of METER and BridgeTower).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules.aggregation.base import Aggregation, AggregationInput
from mt_fairseq.modules.attention import MultiHeadAttention, key_mask
from mt_fairseq.modules.dropout import Dropout
from mt_fairseq.modules.linear import activated_linear
from mt_fairseq.modules.outputs import FusionOutput, LayerOutput
from mt_fairseq.registry import Registry


class CrossModalBlock(nn.Module):
    """One modality's half of a cross-modal layer, post-norm.

    Self-attention, cross-attention to the other modality, feed-forward of ``inner`` channels (four
    times the width in the papers) with exact GELU; each followed by dropout, the residual and a
    layer norm. The other modality may have channels of its own (``other_width``); without
    ``own_keys``, a leader's projections make keys and values of it.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        eps: float,
        inner: int,
        other_width: int = 0,
        own_keys: bool = True,
    ) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads, attention_dropout)
        self.self_norm = nn.LayerNorm(width, eps)
        self.cross_attention = MultiHeadAttention(
            width, heads, attention_dropout, other_width, own_keys
        )
        self.cross_norm = nn.LayerNorm(width, eps)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.out_norm = nn.LayerNorm(width, eps)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        other: Tensor,
        mask: Tensor | None,
        other_mask: Tensor | None,
        leader: CrossModalBlock | None = None,
        first_only: bool = False,
    ) -> Tensor:
        """``x`` (B, T, D) and ``other`` (B, S, .) with their key masks -> (B, T, D).

        With ``first_only``, the output of position 0 alone: (B, 1, D).
        """
        wanted = x[:, :1] if first_only else x
        x = self.self_norm(wanted + self.dropout(self.self_attention(wanted, x, mask)))
        keys_of = leader.cross_attention if leader is not None else None
        attended = self.cross_attention(x, other, other_mask, keys_of)
        x = self.cross_norm(x + self.dropout(attended))
        return self.out_norm(x + self.dropout(activated_linear(self.up(x), self.down, "gelu")))


FUSIONS: Registry[type[nn.Module]] = Registry("kind of cross-modal layer")
register_fusion = FUSIONS.register


@register_fusion("co-attention")
class CoAttentionLayer(nn.Module):
    """A text and an image block; both read this level's *inputs*, never each other's output."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        eps: float,
        inner: int,
    ) -> None:
        super().__init__()
        self.text = CrossModalBlock(width, heads, dropout, attention_dropout, eps, inner)
        self.image = CrossModalBlock(width, heads, dropout, attention_dropout, eps, inner)

    def forward(
        self,
        text: Tensor,
        image: Tensor,
        text_mask: Tensor,
        need_image: bool = True,
        first_only: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), (B, P, D), (B, T) boolean -> the same shapes, or position 0 of each alone.

        No image without need.
        """
        mask = key_mask(text_mask)
        new_text = self.text(text, image, mask, None, first_only=first_only)
        if not need_image:
            return new_text, None
        return new_text, self.image(image, text, None, mask, first_only=first_only)


@register_fusion("merged-attention")
class MergedAttentionLayer(nn.Module):
    """METER's other design: one transformer layer over both sequences, its weights shared."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        eps: float,
        inner: int,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, attention_dropout)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.out_norm = nn.LayerNorm(width, eps)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        text: Tensor,
        image: Tensor,
        text_mask: Tensor,
        need_image: bool = True,
        first_only: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), (B, P, D), (B, T) boolean -> the same shapes, or position 0 of each alone.

        No image without need.
        """
        batch = max(len(text), len(image))
        text, image = (states.expand(batch, -1, -1) for states in (text, image))
        text_mask = text_mask.expand(batch, -1)
        both = torch.cat([text, image], dim=1)
        mask = torch.cat([text_mask, text_mask.new_ones(image.shape[:2])], dim=1)
        if first_only:
            text, image = text[:, :1], image[:, :1]
        x = torch.cat([text, image], dim=1) if need_image else text
        x = self.attention_norm(x + self.dropout(self.attention(x, both, key_mask(mask))))
        x = self.out_norm(x + self.dropout(activated_linear(self.up(x), self.down, "gelu")))
        length = text.shape[1]
        return x[:, :length], x[:, length:] if need_image else None


class CrossModalEncoder(nn.Module):
    """L_C cross-modal layers, each with one aggregation for the text and one for the image.

    Args:
        layers: the cross-modal layers.
        text_aggregations, image_aggregations: one for each layer.
        heads: attention heads of a layer.
        share_normalisation: hand the aggregations experts that are already normalised to mean 0
            and variance 1. Every manager has its own scale and shift for each expert, but the
            normalisation before them is the same for all, so it runs once, not once a level.
        eps: of that normalisation.
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        text_aggregations: Iterable[Aggregation],
        image_aggregations: Iterable[Aggregation],
        heads: int,
        share_normalisation: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.layers = nn.ModuleList(layers)
        self.text_aggregations = nn.ModuleList(text_aggregations)
        self.image_aggregations = nn.ModuleList(image_aggregations)
        self.share_normalisation = share_normalisation
        self.eps = eps

    def forward(
        self,
        text_experts: list[Tensor],
        image_experts: list[Tensor],
        text_mask: Tensor,
        return_all: bool = False,
        need_image: bool = True,
        first_only: bool = False,
    ) -> FusionOutput:
        """Experts (lists of (B, T, D) and (B, P, D), lowest layer first) -> last layer's states.

        ``need_image=False`` leaves out the image half of the last layer, which nothing but the
        image's own output reads (masked language modelling needs the text alone);
        ``first_only=True`` all of its positions but 0, the only one that poolers read.

        A single text goes with all images, and a single image with all texts. All that depends on
        it alone is then computed once: norms of its experts, and the first layer's self-attention
        and projections.
        """
        text_experts, image_experts = self._prepare(text_experts), self._prepare(image_experts)
        texts: list[Tensor] = []
        images: list[Tensor] = []
        outputs: list[LayerOutput] = []
        for level, layer in enumerate(self.layers):
            last_text, last_image = (texts[-1], images[-1]) if level else (None, None)
            managed_text, text_weights = self.text_aggregations[level](
                AggregationInput(text_experts, text_mask, [*texts], last_image, None)
            )
            managed_image, image_weights = self.image_aggregations[level](
                AggregationInput(image_experts, None, [*images], last_text, text_mask)
            )
            last = level + 1 == len(self.layers)
            text, image = layer(
                managed_text,
                managed_image,
                text_mask,
                need_image=need_image or not last,
                first_only=first_only and last,
            )
            texts.append(text)
            images.append(image)
            if return_all:
                outputs.append(
                    LayerOutput(
                        managed_text, managed_image, text, image, text_weights, image_weights
                    )
                )
        return FusionOutput(texts[-1], images[-1], outputs)

    def _prepare(self, experts: list[Tensor]) -> list[Tensor]:
        if not self.share_normalisation:
            return experts
        return [F.layer_norm(expert, expert.shape[-1:], eps=self.eps) for expert in experts]
