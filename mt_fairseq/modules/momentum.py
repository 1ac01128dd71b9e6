"""A momentum twin of a network and queues of its features (He et al., MoCo, CVPR 2020; ALBEF).

Both stay in float32 whatever the model is trained in: a step of the twin is too small for half
precision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.errors import UserError

NO_ID = -100


class Float32Module(nn.Module):
    """A module that moves between devices but keeps the type of its floats."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        return super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), recurse)


class MomentumTwin(Float32Module):
    """An exponential moving average of a network and its heads, never trained.

    Like its original it follows ``train()`` and ``eval()``, so in training its dropout is on, as
    in the reference.

    Args:
        network: copied with its present weights.
        heads: copied likewise.
    """

    def __init__(self, network: nn.Module, heads: nn.ModuleDict) -> None:
        super().__init__()
        self.network: Any = copy.deepcopy(network).float()
        self.heads = copy.deepcopy(heads).float()
        self.requires_grad_(False)

    @torch.no_grad()
    def follow(self, network: nn.Module, heads: nn.ModuleDict, momentum: float) -> None:
        """own = momentum * own + (1 - momentum) * original, for every parameter."""
        originals = {f"network.{n}": p for n, p in network.named_parameters()}
        originals |= {f"heads.{n}": p for n, p in heads.named_parameters()}
        names, own = zip(*self.named_parameters(), strict=True)
        values = [originals[name].to(torch.float32) for name in names]
        torch._foreach_mul_(list(own), momentum)
        torch._foreach_add_(list(own), values, alpha=1 - momentum)


class FeatureQueue(Float32Module):
    """The last ``size`` features of both modalities with a number that says what they belong to.

    It starts with normalised random features whose number is ``NO_ID``.

    Args:
        size: rows Q.
        width: channels E of a feature.
    """

    images: Tensor
    texts: Tensor
    ids: Tensor
    pointer: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("images", F.normalize(torch.randn(size, width), dim=1))
        self.register_buffer("texts", F.normalize(torch.randn(size, width), dim=1))
        self.register_buffer("ids", torch.full((size,), NO_ID))
        self.register_buffer("pointer", torch.tensor(0))

    def __len__(self) -> int:
        return len(self.ids)

    @torch.no_grad()
    def enqueue(self, images: Tensor, texts: Tensor, ids: Tensor | None = None) -> None:
        """Replace the oldest rows by features (N, E) with numbers (N,), going round.

        Without numbers the rows keep ``NO_ID``: they are positives of nothing. Raises UserError for
        more rows than the queue has.
        """
        count = len(images)
        if count > len(self):
            raise UserError(
                f"--queue-size {len(self)}: smaller than a batch of {count} (of all processes)"
            )
        rows = (self.pointer + torch.arange(count, device=self.pointer.device)) % len(self)
        self.images[rows] = images.to(self.images.dtype)
        self.texts[rows] = texts.to(self.texts.dtype)
        self.ids[rows] = torch.full_like(rows, NO_ID) if ids is None else ids
        self.pointer.copy_((self.pointer + count) % len(self))
