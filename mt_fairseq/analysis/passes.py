"""Passes through the network with everything that analyses look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.outputs import FusionOutput


@dataclass
class Pass:
    """One pass through the cross-modal encoder: B texts, each with one image.

    Attributes:
        mask: (B, T) boolean, True on real tokens.
        fused: with every layer's states and weights.
    """

    mask: Tensor
    fused: FusionOutput

    @property
    def shares(self) -> dict[str, Tensor]:
        """By modality, each token's share of its sample: 1 / length, and 0 on padding (B, .)."""
        assert self.fused.image is not None
        return {"text": token_share(self.mask), "image": image_share(self.fused.image)}


@torch.inference_mode()
def run_pairs(model: TwoTowerModel, tokens: Tensor, images: Tensor) -> Iterator[Pass]:
    """Fuse texts (B, T) with their images (B, K, 3, H, W): one pass for each of the K."""
    text = model.encode_text(tokens)
    for image in model.network.encode_image_sets(images):
        yield Pass(text.mask, model.fuse(text, image, return_all=True))


def token_share(mask: Tensor) -> Tensor:
    """(B, T) boolean -> (B, T) float64: 1 / length on real tokens, 0 on padding."""
    real = mask.double()
    return real / real.sum(dim=1, keepdim=True)


def image_share(states: Tensor) -> Tensor:
    """(B, P, D) -> (B, P) float64: 1 / P."""
    batch, positions = states.shape[:2]
    return torch.full((batch, positions), 1 / positions, dtype=torch.float64, device=states.device)
