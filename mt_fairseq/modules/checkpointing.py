"""Activation checkpointing: layers that keep their input alone and run again in the backward pass.

Chen et al. 2016, "Training deep nets with sublinear memory cost". Random numbers of the first run
come again in the second, so losses and gradients are those without checkpointing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mt_fairseq.modules.two_tower import TwoTower


class CheckpointedForward:
    """A layer's ``forward``; the module stays as it is, names of parameters included."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.plainly(*args, **kwargs)
        return checkpoint(self.plainly, *args, use_reentrant=False, **kwargs)

    def plainly(self, *args: Any, **kwargs: Any) -> Any:
        """What the module's class does."""
        return type(self.layer).forward(self.layer, *args, **kwargs)


def checkpoint_layers(network: TwoTower) -> None:
    """Checkpoint the layers of both encoders, and cross-modal layers with their aggregations."""
    cross_modal = network.cross_modal
    for layers in (
        network.vision_encoder.blocks,
        network.text_encoder.layers,
        cross_modal.text_aggregations,
        cross_modal.image_aggregations,
        cross_modal.layers,
    ):
        for layer in layers:
            layer.forward = CheckpointedForward(layer)


def checkpointed_layers(model: nn.Module) -> Iterator[nn.Module]:
    """The layers of a model that are checkpointed."""
    return (m for m in model.modules() if isinstance(vars(m).get("forward"), CheckpointedForward))
