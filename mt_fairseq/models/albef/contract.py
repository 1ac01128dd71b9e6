"""What training steps and loading ask of an ALBEF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from omegaconf import DictConfig
from torch import Tensor

from mt_fairseq.models.head_classes import ClassNames
from mt_fairseq.models.named_heads import NamedHeads
from mt_fairseq.modules.albef.network import AlbefNetwork
from mt_fairseq.modules.albef.outputs import DistilledOutput
from mt_fairseq.modules.momentum import FeatureQueue, MomentumTwin
from mt_fairseq.modules.outputs import ImageStates, TextStates


class AlbefParts(Protocol):
    """A model's network, heads and momentum model; see ``AlbefModel`` for each."""

    cfg: DictConfig
    network: AlbefNetwork
    heads: NamedHeads
    class_names: ClassNames
    twin: MomentumTwin | None
    queue: FeatureQueue | None
    training: bool

    @property
    def alpha(self) -> float:
        """Weight of the momentum model's targets at this update."""

    def state_dict(self) -> Mapping[str, Any]:
        """All tensors by name."""

    def follow(self) -> None:
        """Move the momentum model."""

    def encode_text(self, src_tokens: Tensor) -> TextStates:
        """Run the text encoder."""

    def encode_images(self, images: Tensor) -> ImageStates:
        """Run the vision encoder."""

    def contrastive_features(
        self, text_states: TextStates, image_states: ImageStates
    ) -> tuple[Tensor, Tensor]:
        """Normalised features of texts and images."""

    def fuse_images(
        self, network: AlbefNetwork, src_tokens: Tensor, images: Tensor, return_all: bool = False
    ) -> DistilledOutput:
        """Encode and fuse."""
