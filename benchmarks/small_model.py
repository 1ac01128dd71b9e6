"""ManagerTower with base's proportions at a smaller width, without a data-bin."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.models.two_tower.managertower import ManagerTowerTiny, ManagerTowerTinyConfig

VOCABULARY = 500
HEAD_WIDTH = 64


class _Words:
    """A dictionary, as far as ``build_model`` asks."""

    def __len__(self) -> int:
        return VOCABULARY

    def pad(self) -> int:
        return 1


class _Task:
    """A task, as far as ``build_model`` asks."""

    source_dictionary = _Words()
    restores_checkpoint = False

    def __init__(self, image_size: int, heads: dict[str, int]) -> None:
        self.image_size = (image_size, image_size)
        self.heads = heads

    def head_spec(self) -> dict[str, HeadSpec]:
        return {name: HeadSpec(classes) for name, classes in self.heads.items()}


def small_model(
    width: int,
    image_size: int,
    heads: dict[str, int],
    layers: int = 6,
    text_positions: int = 64,
    num_managed_layers: int = 6,
    num_cross_modal_layers: int = 6,
) -> Any:
    """A ManagerTower with random weights, patches of 16 pixels and heads of 64 channels.

    Args:
        width: of both encoders and the cross-modal encoder.
        image_size: side in pixels.
        heads: task heads by name with their sizes.
        layers: of each encoder.
        text_positions: longest text.
    """
    encoder = {"width": width, "layers": layers, "heads": width // HEAD_WIDTH}
    cfg = OmegaConf.merge(
        OmegaConf.structured(ManagerTowerTinyConfig()),
        {f"{side}_{key}": n for side in ("vision", "text") for key, n in encoder.items()},
        {
            "patch_size": 16,
            "text_positions": text_positions,
            "hidden_size": width,
            "cross_modal_heads": width // HEAD_WIDTH,
            "num_cross_modal_layers": num_cross_modal_layers,
            "num_managed_layers": num_managed_layers,
        },
    )
    assert isinstance(cfg, DictConfig)
    return ManagerTowerTiny.build_model(cfg, _Task(image_size, heads))
