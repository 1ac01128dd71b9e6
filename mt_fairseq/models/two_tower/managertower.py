"""ManagerTower (ACL 2023): managers aggregate the top N layers of both encoders at every level."""

from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model
from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.checks import encoder_layers
from mt_fairseq.models.two_tower.config import LARGE, TINY, TwoTowerConfig, derive
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.experts import ExpertInput
from mt_fairseq.modules.aggregation.manager_base import Manager, ManagerOptions
from mt_fairseq.modules.aggregation.managers import MANAGERS, build_manager
from mt_fairseq.modules.two_tower import TwoTower
from mt_fairseq.open_options import REGISTRY

MANAGER_QUERY = ChoiceEnum(["fused", "own"])
MANAGER_WEIGHT = ChoiceEnum(["vector", "scalar"])


@dataclass
class ManagerTowerConfig(TwoTowerConfig):
    """BASE: CLIP-ViT-B/16, RoBERTa-base, 6 cross-modal layers, N = 6, AAUE (section 4.1)."""

    manager_type: str = field(
        default="aaue",
        metadata={
            "help": "where weights over experts come from; the first level is static",
            REGISTRY: MANAGERS,
        },
    )
    manager_query: MANAGER_QUERY = field(  # type: ignore[valid-type]
        default="fused",
        metadata={
            "help": "query of aaue, concat- and cross-attention: both modalities, or its own"
        },
    )
    manager_weight: MANAGER_WEIGHT = field(  # type: ignore[valid-type]
        default="vector",
        metadata={"help": "static weights: one for each channel, or one for all"},
    )
    manager_noise: float = field(
        default=1.0,
        metadata={"help": "std of the exploration noise in training, in units of 1/N (0: none)"},
    )
    num_managed_layers: int = field(
        default=6, metadata={"help": "top layers N of each encoder that are managed"}
    )
    num_managed_text_layers: int = field(
        default=0, metadata={"help": "the same for the text alone (0: --num-managed-layers)"}
    )
    num_managed_image_layers: int = field(
        default=0, metadata={"help": "the same for the image alone (0: --num-managed-layers)"}
    )
    unmasked_fused_query: bool = field(
        default=False,
        metadata={
            "help": "let the fused query attend padding as the official code does "
            "(converted official models; set --text-length too)"
        },
    )


ManagerTowerLargeConfig = derive(
    "ManagerTowerLargeConfig",
    ManagerTowerConfig,
    "LARGE: CLIP-ViT-L/14, RoBERTa-large, cross-modal layers of width 1024.",
    **LARGE,
)
ManagerTowerTinyConfig = derive(
    "ManagerTowerTinyConfig",
    ManagerTowerConfig,
    "Trains from scratch in minutes on a CPU; random encoders, no download.",
    **TINY,
    num_managed_layers=3,
)


class ManagerTowerModel(TwoTowerModel):
    """Managers between the encoders and every cross-modal layer."""

    @classmethod
    def check(cls, cfg: DictConfig) -> None:
        super().check(cfg)
        layers = encoder_layers(cfg)
        for which, count in zip(("text", "vision"), _managed_layers(cfg), strict=True):
            if count > layers[which]:
                raise UserError(
                    f"{count} managed layers, but the {which} encoder has {layers[which]} layers: "
                    "lower --num-managed-layers"
                )

    @classmethod
    def assemble(cls, cfg: DictConfig, text_encoder: Any, vision_encoder: Any) -> TwoTower:
        text_count, image_count = _managed_layers(cfg)
        return TwoTower(
            text_encoder,
            vision_encoder,
            _experts(cfg, text_count, text_encoder.width, len(text_encoder.layers)),
            _experts(cfg, image_count, vision_encoder.width, len(vision_encoder.blocks)),
            cls.build_cross_modal(
                cfg,
                text_aggregations=_managers(cfg, text_count),
                image_aggregations=_managers(cfg, image_count),
                share_normalisation=True,
            ),
            width=cfg.hidden_size,
            num_text_layers=text_count,
            num_image_layers=image_count,
        )


def _managed_layers(cfg: DictConfig) -> tuple[int, int]:
    """N of the text and of the image."""
    both = cfg.num_managed_layers
    return cfg.num_managed_text_layers or both, cfg.num_managed_image_layers or both


def _experts(cfg: DictConfig, count: int, width: int, layers: int) -> ExpertInput:
    """The top ``count`` of an encoder's ``layers``, each with its row of layer embeddings."""
    return ExpertInput(width, cfg.hidden_size, layers - count, layers)


def _managers(cfg: DictConfig, count: int) -> list[Manager]:
    """One modality's managers, one for each cross-modal layer; they share nothing."""
    options = ManagerOptions(
        width=cfg.hidden_size,
        num_experts=count,
        query=str(cfg.manager_query),
        weight=str(cfg.manager_weight),
        noise=cfg.manager_noise,
        unmasked_query=cfg.unmasked_fused_query,
        eps=cfg.aggregation_norm_eps,
    )
    levels = range(cfg.num_cross_modal_layers)
    return [build_manager(str(cfg.manager_type), options, level) for level in levels]


@register_model("managertower_base", dataclass=ManagerTowerConfig)
class ManagerTowerBase(ManagerTowerModel):
    """BASE sizes; pre-trained encoders."""


@register_model("managertower_large", dataclass=ManagerTowerLargeConfig)
class ManagerTowerLarge(ManagerTowerModel):
    """LARGE sizes; pre-trained encoders."""


@register_model("managertower_tiny", dataclass=ManagerTowerTinyConfig)
class ManagerTowerTiny(ManagerTowerModel):
    """Tiny sizes; random encoders."""
