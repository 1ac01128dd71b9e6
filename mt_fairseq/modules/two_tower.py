"""The two-tower network: two uni-modal encoders, their experts, and the cross-modal encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mt_fairseq.kernels import use_faster_products
from mt_fairseq.modules.aggregation.experts import ExpertInput
from mt_fairseq.modules.cross_modal import CrossModalEncoder
from mt_fairseq.modules.heads import Pooler, init_weights
from mt_fairseq.modules.outputs import FusionOutput, ImageStates, TextStates
from mt_fairseq.modules.text import TextEncoder
from mt_fairseq.modules.vision import VisionEncoder

TEXT_TYPE, IMAGE_TYPE = 0, 1  # rows of the token-type table; the second of two images has row 2
# What the shapes of the parameters don't show; kept in every checkpoint.
LAYOUT = ("grid rows", "grid columns", "vision heads", "text heads", "cross-modal heads")


class TwoTower(nn.Module):
    """Figure 2 of ManagerTower; METER and BridgeTower differ in the aggregations alone.

    Args:
        text_encoder, vision_encoder: the uni-modal encoders.
        text_input, image_input: make experts of their layers.
        cross_modal: the cross-modal encoder.
        width: its channels D.
        num_text_layers, num_image_layers: top encoder layers that are handed on.
        token_types: rows of the token-type table: 2, or 3 with pairs of images.
    """

    def __init__(
        self,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder,
        text_input: ExpertInput,
        image_input: ExpertInput,
        cross_modal: CrossModalEncoder,
        width: int,
        num_text_layers: int,
        num_image_layers: int,
        token_types: int = 2,
    ) -> None:
        super().__init__()
        self.num_text_layers = num_text_layers
        self.num_image_layers = num_image_layers
        self.text_input = text_input
        self.image_input = image_input
        self.token_types = nn.Embedding(token_types, width)
        self.cross_modal = cross_modal
        self.text_pooler = Pooler(width)
        self.image_pooler = Pooler(width)
        self.apply(init_weights)
        # last, so that the line above leaves the encoders' own initial weights alone
        self.text_encoder = text_encoder
        self.vision_encoder = vision_encoder
        use_faster_products(self)
        heads = (vision_encoder.heads, text_encoder.heads, cross_modal.heads)
        self.register_buffer("layout", torch.tensor([*vision_encoder.grid, *heads]))

    @property
    def width(self) -> int:
        """Channels D of the cross-modal encoder."""
        return self.token_types.embedding_dim

    def encode_text(self, tokens: Tensor) -> TextStates:
        """Tokens (B, T) -> the text's experts and mask."""
        layers, mask = self.text_encoder(tokens, self.num_text_layers)
        experts = self.text_input.experts(layers, self.token_types.weight[TEXT_TYPE])
        return TextStates(experts, layers[-1], mask)

    def encode_images(self, images: Tensor) -> ImageStates:
        """Images (M, 3, H, W) or (M, 1, 3, H, W) -> the images' experts."""
        if images.dim() == 5:
            images = images.squeeze(1)
        return self.encode_image_sets(images[:, None])[0]

    def encode_image_sets(self, images: Tensor) -> list[ImageStates]:
        """Images (M, K, 3, H, W), K a sample -> K states; the encoder runs once over all.

        The k-th image of a sample takes token-type row 1 + k.
        """
        count, per_sample = images.shape[:2]
        layers = self.vision_encoder(images.flatten(0, 1), self.num_image_layers)
        states = []
        for k in range(per_sample):
            own = [x.unflatten(0, (count, per_sample))[:, k] for x in layers]
            experts = self.image_input.experts(own, self.token_types.weight[IMAGE_TYPE + k])
            states.append(ImageStates(experts, own[-1]))
        return states

    def fuse(
        self,
        text: TextStates,
        image: ImageStates,
        return_all: bool = False,
        need_image: bool = True,
        first_only: bool = False,
    ) -> FusionOutput:
        """Pair text i with image i through the cross-modal encoder."""
        return self.cross_modal(
            text.experts, image.experts, text.mask, return_all, need_image, first_only
        )

    def pool(self, fused: FusionOutput) -> Tensor:
        """(B, 2D): pooled position 0 of the text, then of the image."""
        assert fused.image is not None, "the image states were left out of this pass"
        return torch.cat([self.text_pooler(fused.text), self.image_pooler(fused.image)], dim=-1)
