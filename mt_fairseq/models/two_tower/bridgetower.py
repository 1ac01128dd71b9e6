"""BridgeTower (AAAI 2023): a bridge between one top layer of each encoder and each level."""

from dataclasses import dataclass, field
from typing import Any

from fairseq.models import register_model
from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.checks import encoder_layers
from mt_fairseq.models.two_tower.config import LARGE, TINY, TwoTowerConfig, derive
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.base import Aggregation
from mt_fairseq.modules.aggregation.bridges import BRIDGES, Bridge
from mt_fairseq.modules.aggregation.experts import ExpertInput
from mt_fairseq.modules.aggregation.last_layer import LastLayer
from mt_fairseq.modules.two_tower import TwoTower
from mt_fairseq.open_options import REGISTRY


@dataclass
class BridgeTowerConfig(TwoTowerConfig):
    """BASE: CLIP-ViT-B/16, RoBERTa-base, 6 cross-modal layers, each with a bridge (a)."""

    bridge_type: str = field(
        default="a",
        metadata={"help": "definition of a bridge, by its letter in the paper", REGISTRY: BRIDGES},
    )
    num_external_layers: int = field(
        default=0,
        metadata={
            "help": "the last so many of --num-cross-modal-layers have no bridge (all: METER)"
        },
    )


BridgeTowerLargeConfig = derive(
    "BridgeTowerLargeConfig",
    BridgeTowerConfig,
    "LARGE: CLIP-ViT-L/14, RoBERTa-large, cross-modal layers of width 1024.",
    **LARGE,
)
BridgeTowerTinyConfig = derive(
    "BridgeTowerTinyConfig",
    BridgeTowerConfig,
    "Trains from scratch in minutes on a CPU; random encoders, no download.",
    **TINY,
)


class BridgeTowerModel(TwoTowerModel):
    """The top layers, as many as there are bridges, one a cross-modal layer from below."""

    @classmethod
    def check(cls, cfg: DictConfig) -> None:
        super().check(cfg)
        if not 0 <= cfg.num_external_layers <= cfg.num_cross_modal_layers:
            raise UserError(
                f"--num-external-layers {cfg.num_external_layers}, but there are "
                f"{cfg.num_cross_modal_layers} cross-modal layers"
            )
        bridges = cfg.num_cross_modal_layers - cfg.num_external_layers
        lowest = min(encoder_layers(cfg).values())
        if bridges > lowest:
            raise UserError(
                f"{bridges} cross-modal layers with a bridge, but an encoder has {lowest} layers: "
                "lower --num-cross-modal-layers or raise --num-external-layers"
            )

    @classmethod
    def assemble(cls, cfg: DictConfig, text_encoder: Any, vision_encoder: Any) -> TwoTower:
        bridges = cfg.num_cross_modal_layers - cfg.num_external_layers
        layers = max(1, bridges)
        return TwoTower(
            text_encoder,
            vision_encoder,
            ExpertInput(text_encoder.width, cfg.hidden_size),
            ExpertInput(vision_encoder.width, cfg.hidden_size),
            cls.build_cross_modal(
                cfg,
                text_aggregations=_aggregations(cfg, bridges),
                image_aggregations=_aggregations(cfg, bridges),
            ),
            width=cfg.hidden_size,
            num_text_layers=layers,
            num_image_layers=layers,
        )


def _aggregations(cfg: DictConfig, bridges: int) -> list[Aggregation]:
    """One modality's bridges, then the layers without one."""
    width, heads, eps = cfg.hidden_size, cfg.cross_modal_heads, cfg.aggregation_norm_eps
    internal = [Bridge(str(cfg.bridge_type), width, heads, i, eps) for i in range(bridges)]
    return [*internal, *(LastLayer() for _ in range(cfg.num_external_layers))]


@register_model("bridgetower_base", dataclass=BridgeTowerConfig)
class BridgeTowerBase(BridgeTowerModel):
    """BASE sizes; pre-trained encoders."""


@register_model("bridgetower_large", dataclass=BridgeTowerLargeConfig)
class BridgeTowerLarge(BridgeTowerModel):
    """LARGE sizes; pre-trained encoders."""


@register_model("bridgetower_tiny", dataclass=BridgeTowerTinyConfig)
class BridgeTowerTiny(BridgeTowerModel):
    """Tiny sizes; random encoders."""
