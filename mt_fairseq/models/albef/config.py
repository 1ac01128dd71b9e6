"""Options of ALBEF."""

from dataclasses import dataclass, field
from typing import Any, Optional

from omegaconf import II, DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.checks import encoder_layers, option
from mt_fairseq.models.two_tower.config import EncoderConfig, derive


@dataclass
class AlbefOptions(EncoderConfig):
    """What ALBEF has beside its encoders."""

    fusion_layer: int = field(
        default=6,
        metadata={"help": "layers of the text encoder that encode the text alone; the others fuse"},
    )
    dropout: float = field(
        default=0.1, metadata={"help": "dropout on sub-layer outputs of fusion layers"}
    )
    attention_dropout: float = field(
        default=0.1, metadata={"help": "dropout on attention weights of fusion layers"}
    )
    embed_dim: int = field(
        default=256, metadata={"help": "width of the features that are contrasted"}
    )
    queue_size: int = field(
        default=65536, metadata={"help": "features of either modality that a queue keeps"}
    )
    momentum: float = field(
        default=0.995, metadata={"help": "share of the momentum model that each update keeps"}
    )
    distill_alpha: float = field(
        default=0.4,
        metadata={
            "help": "weight of the momentum model's targets, ramped up over the first epoch "
            "(0: no distillation)"
        },
    )
    constant_alpha: bool = field(
        default=False, metadata={"help": "the full --distill-alpha from the first update on"}
    )
    stale_teacher: bool = field(
        default=False,
        metadata={
            "help": "start fine-tuning with the momentum model as it was built, not as a copy of "
            "the loaded weights (what the official NLVR2 fine-tuning does)"
        },
    )
    no_end_token: bool = field(
        default=False,
        metadata={
            "help": "hide </s> at the end of texts from the model, as the official code does "
            "(converted official models)"
        },
    )
    batch_size: Optional[int] = II("dataset.batch_size")
    world_size: int = II("distributed_training.distributed_world_size")
    update_freq: list[int] = field(default=II("optimization.update_freq"))


AlbefConfig = derive(
    "AlbefConfig",
    AlbefOptions,
    "BASE: DeiT-B/16, and BERT-base, of which 6 layers encode the text and 6 fuse.",
    vision_encoder="facebook/deit-base-patch16-224",
    text_encoder="bert-base-uncased",
)
ALBEF_TINY: dict[str, Any] = {
    "encoder_weights": "random",
    "vision_width": 128,
    "vision_layers": 4,
    "vision_heads": 4,
    "text_width": 128,
    "text_layers": 6,
    "text_heads": 4,
    "text_positions": 128,
    "fusion_layer": 3,
    "embed_dim": 64,
    "queue_size": 512,
}

AlbefTinyConfig = derive(
    "AlbefTinyConfig",
    AlbefConfig,
    "Trains from scratch in minutes on a CPU; random encoders, no download.",
    **ALBEF_TINY,
)


def check_albef(cfg: DictConfig) -> None:
    """UserError for options that don't fit together; ``cfg`` has resolved encoders."""
    layers = encoder_layers(cfg)["text"]
    if not 1 <= cfg.fusion_layer < layers:
        raise UserError(
            f"--fusion-layer {cfg.fusion_layer}: the text encoder has {layers} layers, of which "
            "at least one must encode the text and one must fuse"
        )
    for name in ("distill_alpha", "momentum"):
        if not 0 <= cfg[name] <= 1:
            raise UserError(f"{option(name)} must be from 0 to 1, not {cfg[name]}")
    for name in ("dropout", "attention_dropout", "encoder_dropout"):
        if not 0 <= cfg[name] < 1:
            raise UserError(f"{option(name)} must be from 0 to below 1, not {cfg[name]}")
    for name in ("embed_dim", "queue_size"):
        if cfg[name] < 1:
            raise UserError(f"{option(name)} must be at least 1, not {cfg[name]}")


def check_queue(cfg: DictConfig) -> None:
    """UserError for a queue that holds no whole number of batches (of all processes)."""
    if cfg.batch_size is None:
        return
    joined = cfg.batch_size * max(cfg.world_size, 1)
    if cfg.queue_size % joined:
        processes = f" x {cfg.world_size} processes" if cfg.world_size > 1 else ""
        raise UserError(
            f"--queue-size {cfg.queue_size} is no multiple of the batch, {joined} (--batch-size "
            f"{cfg.batch_size}{processes}): take {max(cfg.queue_size // joined, 1) * joined}"
        )
