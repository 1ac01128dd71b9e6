"""Activation checkpointing: layers that keep their input alone and run again in the backward pass.

Chen et al. 2016, "Training deep nets with sublinear memory cost". Random numbers of the first run
come again in the second, so losses and gradients are those without checkpointing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mt_fairseq.modules.two_tower import TwoTower


class Checkpointed:
    """Stands before a module's own class: the same module, its parameters' names included."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.forward_plainly(*args, **kwargs)
        return checkpoint(self.forward_plainly, *args, use_reentrant=False, **kwargs)

    def forward_plainly(self, *args: Any, **kwargs: Any) -> Any:
        """What the module's own class does."""
        return super().forward(*args, **kwargs)  # type: ignore[misc]


@functools.cache
def _checkpointed(kind: Any) -> Any:
    return type(f"Checkpointed{kind.__name__}", (Checkpointed, kind), {})


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
            kind: Any = type(layer)
            layer.__class__ = _checkpointed(kind)


def checkpointed_layers(model: nn.Module) -> Iterator[Any]:
    """The layers of a model that are checkpointed."""
    return (module for module in model.modules() if isinstance(module, Checkpointed))
