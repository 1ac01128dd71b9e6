"""METER (CVPR 2022): the last layer of each encoder alone reaches the co-attention stack."""

from dataclasses import dataclass, field
from typing import Any

from fairseq.models import register_model
from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.checks import encoder_layers
from mt_fairseq.models.two_tower.config import TINY, TwoTowerConfig, derive
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.experts import ExpertInput
from mt_fairseq.modules.aggregation.last_layer import LastLayer
from mt_fairseq.modules.two_tower import TwoTower


@dataclass
class MeterConfig(TwoTowerConfig):
    """BASE: CLIP-ViT-B/16, RoBERTa-base, 6 cross-modal layers."""

    layer_fusion: bool = field(
        default=False,
        metadata={"help": "feed a weighted sum of all encoder layers into the first layer"},
    )


MeterTinyConfig = derive(
    "MeterTinyConfig",
    MeterConfig,
    "Trains from scratch in minutes on a CPU; random encoders, no download.",
    **TINY,
)


class MeterModel(TwoTowerModel):
    """Two towers and a co-attention stack, and nothing between them but a projection."""

    @classmethod
    def check(cls, cfg: DictConfig) -> None:
        super().check(cfg)
        lowest = min(encoder_layers(cfg).values())
        if cfg.layer_fusion and lowest < 2:
            raise UserError(
                f"--layer-fusion weighs layers below the last, but an encoder has {lowest} layer"
            )

    @classmethod
    def assemble(cls, cfg: DictConfig, text_encoder: Any, vision_encoder: Any) -> TwoTower:
        gated, width, levels = cfg.layer_fusion, cfg.hidden_size, cfg.num_cross_modal_layers
        return TwoTower(
            text_encoder,
            vision_encoder,
            ExpertInput(text_encoder.width, width, gated=gated),
            ExpertInput(vision_encoder.width, width, gated=gated),
            cls.build_cross_modal(
                cfg,
                text_aggregations=[LastLayer() for _ in range(levels)],
                image_aggregations=[LastLayer() for _ in range(levels)],
            ),
            width=width,
            num_text_layers=len(text_encoder.layers) if gated else 1,
            num_image_layers=len(vision_encoder.blocks) if gated else 1,
        )


@register_model("meter_base", dataclass=MeterConfig)
class MeterBase(MeterModel):
    """BASE sizes; pre-trained encoders."""


@register_model("meter_tiny", dataclass=MeterTinyConfig)
class MeterTiny(MeterModel):
    """Tiny sizes; random encoders."""
