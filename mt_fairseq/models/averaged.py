"""The moving average of the weights that ``--store-ema`` keeps, and reading it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from fairseq.models.ema import EMA
from torch import Tensor, nn

from mt_fairseq.errors import UserError

AVERAGE = "ema"
"""What fairseq calls it in a checkpoint's ``extra_state``."""
AVERAGED = "averaged"
"""Says there that ``model`` holds the average."""


def averaged_weights(state: Mapping[str, Any], source: object) -> dict[str, Tensor]:
    """The averaged weights in a checkpoint's content; UserError if it holds none.

    Args:
        state: the content.
        source: the file, for the message.
    """
    weights = (state.get("extra_state") or {}).get(AVERAGE)
    if not weights:
        raise UserError(
            f"{source}: holds no averaged weights: it comes from a training without --store-ema"
        )
    return dict(weights)


def take_average(state: Mapping[str, Any], source: object) -> dict[str, Any]:
    """A checkpoint's content with the averaged weights in place of the others.

    The best score goes: it is that of the others. Raises UserError as ``averaged_weights``.
    """
    weights = averaged_weights(state, source)
    extra = {k: v for k, v in state["extra_state"].items() if k not in ("best", "val_loss")}
    return {**state, "model": weights, "extra_state": {**extra, AVERAGED: True}}


class WeightAverage(EMA):
    """fairseq's average, of trained weights alone and in float32.

    Buffers and frozen weights are copied: integers have no average, and queues of features and the
    momentum model of ALBEF are no weights of this moment but a record, or an average already. In
    half precision a step is too small to be added, so ``--ema-fp32`` changes nothing here.

    Args:
        model: whose present weights the average starts from.
        config: fairseq's EMAConfig; decay, first update and frequency.
        device: for the average.

    Raises:
        UserError: a decay or a frequency that cannot be.
    """

    def __init__(self, model: nn.Module, config: Any, device: Any = None) -> None:
        if not 0 <= config.ema_decay <= 1:
            raise UserError(f"--ema-decay {config.ema_decay}: give a share from 0 to 1, 0.999 say")
        if config.ema_update_freq < 1:
            raise UserError(f"--ema-update-freq {config.ema_update_freq}: at least 1")
        self.config = config
        self.decay = config.ema_decay
        self.model = copy.deepcopy(model).float().requires_grad_(False)
        self.fp32_params: dict[str, Tensor] = {}  # what fairseq keeps besides
        if device is not None:
            self.model.to(device)

    def build_fp32_params(self, state_dict: Any = None) -> None:
        """Nothing to build: the average itself is in float32."""

    def step(self, new_model: nn.Module, updates: int) -> None:
        """Follow the model after its update number ``updates``, every ``--ema-update-freq``."""
        self.decay = 0 if updates < self.config.ema_start_update else self.config.ema_decay
        if updates % self.config.ema_update_freq == 0:
            self.follow(new_model)

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """own = decay * own + (1 - decay) * model's for trained weights; the rest is copied."""
        own = dict(self.model.named_parameters())
        averaged: list[Tensor] = []
        values: list[Tensor] = []
        for name, value in model.named_parameters():
            if value.requires_grad:
                averaged.append(own[name])
                values.append(value.detach().float())
            else:
                own[name].copy_(value)
        torch._foreach_mul_(averaged, self.decay)
        torch._foreach_add_(averaged, values, alpha=1 - self.decay)
        for ours, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)
