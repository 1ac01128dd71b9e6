"""A stand-in task and small models, so that models are tested without data."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mt_fairseq.convert.task_parts import head_kind
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.models.two_tower.bridgetower import BridgeTowerTiny, BridgeTowerTinyConfig
from mt_fairseq.models.two_tower.managertower import ManagerTowerTiny, ManagerTowerTinyConfig
from mt_fairseq.models.two_tower.meter import MeterTiny, MeterTinyConfig
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.bridges import BRIDGES

VOCABULARY = 60
SMALL = {
    "vision_width": 16, "vision_layers": 3, "vision_heads": 2, "patch_size": 8,
    "text_width": 24, "text_layers": 3, "text_heads": 2, "text_positions": 16,
    "hidden_size": 20, "cross_modal_heads": 2, "num_cross_modal_layers": 3,
    "num_managed_layers": 2,
}  # fmt: skip


MANAGER = {"kind": ManagerTowerTiny, "config": ManagerTowerTinyConfig}
BRIDGE = {"kind": BridgeTowerTiny, "config": BridgeTowerTinyConfig}
METER = {"kind": MeterTiny, "config": MeterTinyConfig}
MANAGERS = {
    "saue": {"manager_type": "saue"},
    "saue-scalar": {"manager_type": "saue", "manager_weight": "scalar"},
    "sae": {"manager_type": "sae"},
    "sae-split": {"manager_type": "sae-split"},
    "sae-split-scalar": {"manager_type": "sae-split", "manager_weight": "scalar"},
    "concat-own": {"manager_type": "concat-attention", "manager_query": "own"},
    "concat-fused": {"manager_type": "concat-attention"},
    "cross-own": {"manager_type": "cross-attention", "manager_query": "own"},
    "cross-fused": {"manager_type": "cross-attention"},
    "aaue-own": {"manager_type": "aaue", "manager_query": "own"},
    "aaue-fused": {"manager_type": "aaue", "manager_query": "fused"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {**MANAGER, **options} for name, options in MANAGERS.items()},
    **{f"bridge-{letter}": {**BRIDGE, "bridge_type": letter} for letter in BRIDGES},
    "merged-aaue": {**MANAGER, "fusion": "merged-attention"},
    "merged-bridge": {**BRIDGE, "fusion": "merged-attention"},
    "merged-meter": {**METER, "fusion": "merged-attention"},
    "vit-bert": {
        **MANAGER,
        "vision_encoder": "google/vit-base-patch16-224",
        "text_encoder": "bert-base-uncased",
    },
    "bridge-external": {**BRIDGE, "num_external_layers": 1},
    "bridge-none": {**BRIDGE, "num_external_layers": 3},
    "meter": METER,
    "meter-fusion": {**METER, "layer_fusion": True},
}


class StandInDictionary:
    def __init__(self, size: int = VOCABULARY, pad: int = 1) -> None:
        self.size, self._pad = size, pad

    def __len__(self) -> int:
        return self.size

    def pad(self) -> int:
        return self._pad


class StandInTask:
    """What ``build_model`` asks of a task."""

    def __init__(
        self,
        image_size: tuple[int, int] = (16, 24),
        heads: dict[str, int] | None = None,
        vocabulary: int = VOCABULARY,
        restores_checkpoint: bool = False,
    ) -> None:
        self.image_size = image_size
        self.source_dictionary = StandInDictionary(vocabulary)
        self.heads = {"mlm": VOCABULARY, "itm": 2} if heads is None else heads
        self.restores_checkpoint = restores_checkpoint

    def head_spec(self) -> dict[str, HeadSpec]:
        return {name: HeadSpec(size, head_kind(name)) for name, size in self.heads.items()}


def small_config(config: type = ManagerTowerTinyConfig, **options: Any) -> DictConfig:
    """An architecture's options with small sizes."""
    structured = OmegaConf.structured(config())
    sizes = {key: value for key, value in SMALL.items() if key in structured}
    merged = OmegaConf.merge(structured, sizes, options)
    assert isinstance(merged, DictConfig)
    return merged


def build_small(
    task: StandInTask | None = None,
    kind: type[TwoTowerModel] = ManagerTowerTiny,
    config: type = ManagerTowerTinyConfig,
    **options: Any,
) -> TwoTowerModel:
    """A small model with a fixed seed, its weights drawn wide, so that every part shows."""
    torch.manual_seed(0)
    model = kind.build_model(small_config(config, **options), task or StandInTask())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def batch(
    size: int = 4, length: int = 9, image_size: tuple[int, int] = (16, 24)
) -> tuple[Tensor, Tensor]:
    """Tokens (B, T) of different lengths and uint8 images (B, 1, 3, H, W)."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(4, VOCABULARY, (size, length), generator=generator)
    tokens[:, 0] = 0
    for row in range(size):
        end = length - 1 - row
        tokens[row, end] = 2
        tokens[row, end + 1 :] = 1
    shape = (size, 1, 3, *image_size)
    return tokens, torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
