"""The upper half of ALBEF's BERT: layers that read the image by cross-attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mt_fairseq.modules.attention import key_mask
from mt_fairseq.modules.cross_modal import CrossModalBlock
from mt_fairseq.modules.outputs import FusionOutput, LayerOutput

# Where a layer of transformers' BERT-like models keeps what a cross-modal block has.
BERT_PARTS = {
    "self_attention.query": "attention.self.query",
    "self_attention.key": "attention.self.key",
    "self_attention.value": "attention.self.value",
    "self_attention.out": "attention.output.dense",
    "self_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "out_norm": "output.LayerNorm",
}


def take_bert_layer(block: nn.Module, layer: nn.Module) -> None:
    """Copy a BERT layer's self-attention and feed-forward; cross-attention stays as it is."""
    for ours, theirs in BERT_PARTS.items():
        block.get_submodule(ours).load_state_dict(layer.get_submodule(theirs).state_dict())


def copy_shared(source: nn.Module, target: nn.Module) -> None:
    """Give ``target`` the tensors of ``source`` that it has under the same name and shape."""
    own = target.state_dict()
    taken = {
        name: tensor
        for name, tensor in source.state_dict().items()
        if name in own and own[name].shape == tensor.shape
    }
    target.load_state_dict({**own, **taken})


class FusionEncoder(nn.Module):
    """Post-norm layers of self-attention, cross-attention to the image and feed-forward.

    For pairs of images (NLVR2) each layer gets a partner behind it: the first of the two attends
    to the first image, its partner to the second. The two share nothing but the projections that
    make keys and values of an image.

    Args:
        count: number of layers.
        block: arguments of a ``CrossModalBlock``.
    """

    def __init__(self, count: int, **block: Any) -> None:
        super().__init__()
        self.block = block
        self.layers = nn.ModuleList(CrossModalBlock(**block) for _ in range(count))
        self.partners: nn.ModuleList | None = None

    def add_partners(self) -> None:
        """Double the layers for pairs of images; each partner starts as a copy of its layer."""
        if self.partners is not None:
            return
        self.partners = nn.ModuleList()
        for layer in self.layers:
            partner = CrossModalBlock(**self.block, own_keys=False)
            copy_shared(layer, partner)
            self.partners.append(partner)

    def forward(
        self,
        text: Tensor,
        mask: Tensor,
        images: list[Tensor],
        return_all: bool = False,
        first_only: bool = False,
    ) -> FusionOutput:
        """Text (B, T, D), its mask (B, T), one or two images (B, P, W) -> states (B, T, D).

        With ``first_only``, position 0 alone: (B, 1, D).
        """
        keys = key_mask(mask)
        outputs: list[LayerOutput] = []
        steps = list(self._steps(images))
        for number, (block, image, leader) in enumerate(steps):
            last = number + 1 == len(steps)
            states = block(text, image, keys, None, leader, first_only=first_only and last)
            if return_all:
                outputs.append(LayerOutput(text, image, states, None, None, None))
            text = states
        return FusionOutput(text, None, outputs)

    def _steps(self, images: list[Tensor]) -> Iterator[tuple[nn.Module, Tensor, Any]]:
        """Each block, the image that it reads, and whose keys and values it takes."""
        for number, layer in enumerate(self.layers):
            yield layer, images[0], None
            if len(images) > 1:
                assert self.partners is not None, "this model fuses single images"
                yield self.partners[number], images[1], layer


def causal_mask(mask: Tensor) -> Tensor:
    """(B, T) boolean, True on real tokens -> (B, 1, T, T): places that may be looked at."""
    length = mask.shape[1]
    past = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    return past & mask[:, None, None, :]
