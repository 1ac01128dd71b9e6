"""ALBEF's network: a ViT, a BERT cut in two, and nothing between them but cross-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mt_fairseq.modules.albef.fusion import FusionEncoder
from mt_fairseq.modules.outputs import FusionOutput, ImageStates, TextStates
from mt_fairseq.modules.text import TextEncoder
from mt_fairseq.modules.vision import VisionEncoder


def word_table(embeddings: nn.Module) -> Tensor:
    """The word embeddings (V, D) of a text encoder's embeddings."""
    table = embeddings.get_submodule("word_embeddings")
    assert isinstance(table, nn.Embedding)
    return table.weight


class AlbefNetwork(nn.Module):
    """Figure 1 of ALBEF; the same steps under the same names as ``TwoTower``.

    Text and image states carry the encoders' last layers only (``experts`` is empty).

    Args:
        text_encoder: embeddings and the layers below the first fusion layer.
        vision_encoder: the image encoder.
        fusion: the layers from there on.
        fusion_heads: their attention heads.
        end: id of the end token, which is then hidden from the model; None keeps it.
    """

    def __init__(
        self,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder,
        fusion: FusionEncoder,
        fusion_heads: int,
        end: int | None = None,
    ) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.vision_encoder = vision_encoder
        self.fusion = fusion
        self.end = end
        heads = (vision_encoder.heads, text_encoder.heads, fusion_heads)
        self.register_buffer("layout", torch.tensor([*vision_encoder.grid, *heads]))

    @property
    def width(self) -> int:
        """Channels D of text and fusion layers."""
        return self.text_encoder.width

    @property
    def words(self) -> Tensor:
        """The word embeddings (V, D), to which the MLM head's matrix is tied."""
        return word_table(self.text_encoder.embeddings)

    def encode_text(self, tokens: Tensor) -> TextStates:
        """Tokens (B, T) -> states (B, T, D) before the first fusion layer, and the mask."""
        if self.end is not None:
            tokens = tokens.masked_fill(tokens.eq(self.end), self.text_encoder.pad)
        layers, mask = self.text_encoder(tokens, 1)
        return TextStates([], layers[-1], mask)

    def encode_images(self, images: Tensor) -> ImageStates:
        """Images (M, 3, H, W) or (M, 1, 3, H, W) -> states (M, P, W)."""
        if images.dim() == 5:
            images = images.squeeze(1)
        return ImageStates([], self.vision_encoder(images, 1)[-1])

    def encode_image_sets(self, images: Tensor) -> list[ImageStates]:
        """Images (M, K, 3, H, W), K a sample -> K states; the encoder runs once over all."""
        count, per_sample = images.shape[:2]
        last = self.vision_encoder(images.flatten(0, 1), 1)[-1].unflatten(0, (count, per_sample))
        return [ImageStates([], last[:, k]) for k in range(per_sample)]

    def fuse(
        self,
        text: TextStates,
        image: ImageStates,
        return_all: bool = False,
        need_image: bool = True,
        first_only: bool = False,
    ) -> FusionOutput:
        """Pair text i with image i. The image is read only: its states never change."""
        return self.fusion(text.last, text.mask, [image.last], return_all, first_only)

    def fuse_sets(
        self,
        text: TextStates,
        images: list[ImageStates],
        return_all: bool = False,
        first_only: bool = False,
    ) -> FusionOutput:
        """Text i with the i-th of the first and, for pairs, of the second images."""
        states = [image.last for image in images]
        return self.fusion(text.last, text.mask, states, return_all, first_only)

    def pool(self, fused: FusionOutput) -> Tensor:
        """(B, D): position 0 of the text; there is no pooler."""
        return fused.text[:, 0]
