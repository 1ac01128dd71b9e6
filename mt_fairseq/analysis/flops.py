"""Parameters and multiply-adds of an architecture, counted on the meta device: no memory, no time.

Two conventions:

- *ours*: what this implementation has and does.
- *papers*: what the official code has and does. Its "FLOPs" are fvcore's: multiply-adds of linear
  layers, matrix products and convolutions, and 5 operations an element for a layer norm (4 without
  scale and shift); nothing for softmax, activations and element-wise work. Its parameters include
  parts that nothing ever reads.

Everything is counted from the operations that really run, but for two things. The official managers
norm every expert at every level, ours norm it once for all levels; and the official fused query
projects both sequences, ours the shorter one twice. These differences are added by formula.
Training noise and dropout are off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mt_fairseq.plugin  # noqa: F401  (fills the registries)
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.manager_base import Manager
from mt_fairseq.modules.aggregation.managers import (
    AdaptiveManager,
    ConcatAttentionManager,
    LinearManager,
)

AFFINE_NORM, PLAIN_NORM = 5, 4  # operations an element, as fvcore counts a layer norm
CLIP_TEXT = {"base": (77, 512), "large": (77, 768)}  # positions and width of CLIP's text tower


@dataclass(frozen=True)
class Inputs:
    """What the counted pass reads: one pair."""

    image_size: tuple[int, int] = (384, 384)
    tokens: int = 50
    vocabulary: int = 50_265


class _Vocabulary:
    """RoBERTa's dictionary, as far as ``build_model`` looks at it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def pad(self) -> int:
        return 1


class _Task:
    """What ``build_model`` asks of a task; no heads."""

    def __init__(self, inputs: Inputs) -> None:
        self.image_size = inputs.image_size
        self.source_dictionary = _Vocabulary(inputs.vocabulary)

    def head_spec(self) -> dict[str, HeadSpec]:
        return {}


def build_random(architecture: str, inputs: Inputs, **options: Any) -> TwoTowerModel:
    """A registered architecture with random weights."""
    defaults = OmegaConf.structured(MODEL_DATACLASS_REGISTRY[architecture]())
    cfg = OmegaConf.merge(defaults, {"encoder_weights": "random"}, options)
    assert isinstance(cfg, DictConfig)
    return MODEL_REGISTRY[architecture].build_model(cfg, _Task(inputs))


def build_on_meta(architecture: str, inputs: Inputs, **options: Any) -> TwoTowerModel:
    """A registered architecture without weights, in evaluation mode."""
    with torch.device("meta"):
        return build_random(architecture, inputs, **options).eval()


def count_parameters(*modules: nn.Module) -> int:
    """Parameters of modules that share none."""
    return sum(p.numel() for module in modules for p in module.parameters())


def _layer_norm_flops(
    x: tuple[int, ...], shape: Any, weight: Any, *rest: Any, **kwargs: Any
) -> int:
    """For FlopCounterMode, which counts two operations a multiply-add; ``x`` is a shape."""
    return 2 * math.prod(x) * (PLAIN_NORM if weight is None else AFFINE_NORM)


@torch.no_grad()
def count_multiply_adds(model: TwoTowerModel, inputs: Inputs) -> int:
    """Of one pair through ``model`` on the meta device, layer norms counted as fvcore does."""
    norms = {torch.ops.aten.native_layer_norm: _layer_norm_flops}
    tokens = torch.ones(1, inputs.tokens, dtype=torch.long, device="meta")
    images = torch.zeros(1, 3, *inputs.image_size, device="meta")
    with FlopCounterMode(display=False, custom_mapping=norms) as counter:
        model(tokens, images)
    return counter.get_total_flops() // 2


def official_extra(model: TwoTowerModel, inputs: Inputs) -> int:
    """Multiply-adds of the official managers beyond ours, which share between levels or experts."""
    encoder = model.network.cross_modal
    width = model.network.width
    extra = 0
    lengths = (inputs.tokens, model.image_positions)
    sides = (encoder.text_aggregations, encoder.image_aggregations)
    for length, aggregations in zip(lengths, sides, strict=True):
        managers = [a for a in aggregations if isinstance(a, Manager)]
        if not managers:
            continue
        count = managers[0].options.num_experts
        norms = AFFINE_NORM * len(managers) - PLAIN_NORM * encoder.share_normalisation
        extra += count * length * width * norms
        for manager in managers:
            if isinstance(manager, ConcatAttentionManager):  # the query's part, for each expert
                extra += (count - 1) * length * manager.query_width * width
            elif isinstance(manager, AdaptiveManager):  # ours weighs the shifts by a product
                extra -= count * length * width
            if isinstance(manager, AdaptiveManager) and manager.fused_query is not None:
                extra += (max(lengths) - min(lengths)) * width**2
                if isinstance(manager, LinearManager):  # ours attends scores, not states
                    other = sum(lengths) - length
                    extra += length * other * (width - count) + (length - other) * width * count
    return extra


def official_unused_parameters(model: TwoTowerModel, clip: str) -> int:
    """Parameters of the official code that nothing reads (the temperature: without an ITC head).

    RoBERTa's pooler, CLIP's text positions and last norm, the contrastive temperature, and one
    ``softmax_temperature_cross`` a manager.
    """
    network = model.network
    width = network.text_encoder.width
    positions, clip_width = CLIP_TEXT[clip]
    managers = sum(isinstance(module, Manager) for module in network.modules())
    return width * width + width + positions * clip_width + 2 * clip_width + 1 + managers
