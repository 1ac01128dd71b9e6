"""From an encoder's name to a module: presets, local folders, hub names, stored configurations.

The resolved transformers configuration is kept as JSON in the model's options, hence in every
checkpoint, which can then be rebuilt without hub or folder.
"""

from __future__ import annotations

import json
from typing import Any

from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.modules.hf import (
    AutoConfig,
    CLIPVisionConfig,
    CLIPVisionModel,
    PretrainedConfig,
    RobertaConfig,
    RobertaModel,
    quiet_transformers,
)
from mt_fairseq.modules.text import TextEncoder, build_roberta
from mt_fairseq.modules.vision import VisionEncoder, build_clip_vision

CLIP = "clip_vision_model"
ROBERTA = "roberta"
CONFIGS: dict[str, type[PretrainedConfig]] = {CLIP: CLIPVisionConfig, ROBERTA: RobertaConfig}
KINDS = {"vision": (CLIP,), "text": (ROBERTA,)}

_ROBERTA_COMMON = {
    "model_type": ROBERTA,
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}
_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
_CLIP_COMMON = {"model_type": CLIP, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
# What the hub's config.json of each known name says.
PRESETS: dict[str, dict[str, Any]] = {
    "openai/clip-vit-base-patch32": {**_CLIP_COMMON, **_BASE, "patch_size": 32},
    "openai/clip-vit-base-patch16": {**_CLIP_COMMON, **_BASE, "patch_size": 16},
    "openai/clip-vit-large-patch14": {**_CLIP_COMMON, **_LARGE, "patch_size": 14},
    "roberta-base": {**_ROBERTA_COMMON, **_BASE},
    "roberta-large": {**_ROBERTA_COMMON, **_LARGE},
}


def resolve_encoders(cfg: DictConfig, vocabulary: int) -> None:
    """Fill ``cfg.vision_config`` and ``cfg.text_config`` unless a checkpoint brought them.

    Args:
        cfg: a TwoTowerConfig.
        vocabulary: size of the text dictionary.

    Raises:
        UserError: an encoder that cannot be had, sizes for pre-trained weights, or a vocabulary
            that does not fit the text encoder's.
    """
    random = str(cfg.encoder_weights) == "random"
    if not cfg.vision_config:
        sizes = {
            "hidden_size": cfg.vision_width,
            "intermediate_size": 4 * cfg.vision_width,
            "num_hidden_layers": cfg.vision_layers,
            "num_attention_heads": cfg.vision_heads,
            "patch_size": cfg.patch_size,
        }
        config = _named_config("vision", cfg.vision_encoder, sizes, random)
        cfg.vision_config = json.dumps(config, sort_keys=True)
    if not cfg.text_config:
        sizes = {
            "hidden_size": cfg.text_width,
            "intermediate_size": 4 * cfg.text_width,
            "num_hidden_layers": cfg.text_layers,
            "num_attention_heads": cfg.text_heads,
            "max_position_embeddings": cfg.text_positions and cfg.text_positions + 2,
        }
        config = _named_config("text", cfg.text_encoder, sizes, random)
        if random:
            config["vocab_size"] = vocabulary
        cfg.text_config = json.dumps(config, sort_keys=True)
    expected = json.loads(cfg.text_config)["vocab_size"]
    if expected != vocabulary:
        raise UserError(
            f"the text dictionary has {vocabulary} entries, but text encoder {cfg.text_encoder} "
            f"has {expected}: preprocess the data with --tokenizer {cfg.text_encoder} "
            "(or with the tokenizer of the checkpoint)"
        )


def build_vision(cfg: DictConfig, image_size: tuple[int, int], read_weights: bool) -> VisionEncoder:
    """The vision encoder of ``cfg.vision_config``; pre-trained weights if ``read_weights``."""
    config = load_config(cfg.vision_config)
    model = _pretrained(CLIPVisionModel, "vision", cfg.vision_encoder, read_weights)
    return build_clip_vision(config, image_size, model)


def build_text(cfg: DictConfig, read_weights: bool) -> TextEncoder:
    """The text encoder of ``cfg.text_config``; pre-trained weights if ``read_weights``."""
    config = load_config(cfg.text_config)
    config.hidden_dropout_prob = cfg.encoder_dropout
    config.attention_probs_dropout_prob = cfg.encoder_dropout
    model = _pretrained(
        RobertaModel,
        "text",
        cfg.text_encoder,
        read_weights,
        add_pooling_layer=False,
        hidden_dropout_prob=cfg.encoder_dropout,
        attention_probs_dropout_prob=cfg.encoder_dropout,
    )
    return build_roberta(config, model)


def load_config(text: str) -> Any:
    """The transformers configuration of a JSON text."""
    values = json.loads(text)
    return CONFIGS[values["model_type"]].from_dict(values)


def _named_config(which: str, name: str, sizes: dict[str, int], random: bool) -> dict[str, Any]:
    """A named encoder's configuration with the given sizes, 0 meaning as named."""
    sizes = {key: value for key, value in sizes.items() if value}
    if sizes and not random:
        raise UserError(
            f"options that set the {which} encoder's sizes need --encoder-weights random: "
            f"pre-trained {name} has its own"
        )
    preset = PRESETS.get(name)
    config = dict(preset) if preset else _read_config(which, name)
    config.update(sizes)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    if width % heads:
        raise UserError(f"--{which}-width {width} is no multiple of --{which}-heads {heads}")
    return config


def _read_config(which: str, name: str) -> dict[str, Any]:
    """config.json of a folder or of the hub."""
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _unreachable(which, name) from error
    config = getattr(config, "vision_config", config) if which == "vision" else config
    if config.model_type not in KINDS[which]:
        raise UserError(
            f"--{which}-encoder {name} is a {config.model_type} model; "
            f"known are {', '.join(KINDS[which])}"
        )
    return config.to_dict()


def _pretrained(kind: Any, which: str, name: str, read_weights: bool, **options: Any) -> Any | None:
    if not read_weights:
        return None
    # A whole CLIP or a masked language model may stand there; transformers would list every tensor
    # of the parts that are left behind.
    with quiet_transformers():
        try:
            return kind.from_pretrained(name, **options)
        except (OSError, ValueError) as error:
            raise _unreachable(which, name) from error


def _unreachable(which: str, name: str) -> UserError:
    return UserError(
        f"--{which}-encoder {name}: neither a local folder with config.json and weights nor within "
        "reach on the hub; download it and name its folder, or use --encoder-weights random"
    )
