"""What the training steps ask of a two-tower model."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from mt_fairseq.models.named_heads import NamedHeads
from mt_fairseq.modules.outputs import ImageStates, TextStates
from mt_fairseq.modules.two_tower import TwoTower


class TwoTowerParts(Protocol):
    """A model's network, heads and encoders; see ``TwoTowerModel`` for each."""

    network: TwoTower
    heads: NamedHeads

    def encode_text(self, src_tokens: Tensor) -> TextStates:
        """Run the text tower."""

    def encode_images(self, images: Tensor) -> ImageStates:
        """Run the vision tower."""

    def match_logits(self, text_states: TextStates, image_states: ImageStates) -> Tensor:
        """Logits (B, 2) of the head ``itm``."""

    def contrastive_features(
        self, text_states: TextStates, image_states: ImageStates
    ) -> tuple[Tensor, Tensor]:
        """Normalised features of texts and images."""
