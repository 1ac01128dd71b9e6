"""From an encoder's name to a module: presets, local folders, hub names, stored configurations.

The resolved transformers configuration is kept as JSON in the model's options, hence in every
checkpoint, which can then be rebuilt without hub or folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf, open_dict

from mt_fairseq.data.files import read_json
from mt_fairseq.errors import UserError
from mt_fairseq.models.presets import BERT, CLIP, PRESETS, ROBERTA, VIT
from mt_fairseq.modules.hf import (
    AutoConfig,
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PretrainedConfig,
    RobertaConfig,
    RobertaModel,
    ViTConfig,
    ViTModel,
    cached_file,
    quiet_transformers,
)
from mt_fairseq.modules.text import TextEncoder, build_bert, build_roberta
from mt_fairseq.modules.vision import VisionEncoder, build_clip_vision, build_vit
from mt_fairseq.registry import Registry

Build = TypeVar("Build", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """One of transformers' model types: its classes, our adapter, and arguments for reading."""

    config: type[PretrainedConfig]
    model: Any
    build: Callable[..., Any]
    options: dict[str, Any]


VISION: Registry[Kind] = Registry("kind of vision encoder")
TEXT: Registry[Kind] = Registry("kind of text encoder")
ENCODERS = {"vision": VISION, "text": TEXT}


def register_encoder(
    which: str, model_type: str, config: type[PretrainedConfig], model: Any, **options: Any
) -> Callable[[Build], Build]:
    """Decorator of a function that adapts one of transformers' models.

    It gets (config, image_size, model or None, mean=..., std=...) and makes a VisionEncoder, or
    (config, model or None) and makes a TextEncoder.

    Args:
        which: "vision" or "text".
        model_type: what the model's config.json calls it.
        config, model: transformers' classes of its configuration and its weights.
        options: for the model's ``from_pretrained``.
    """

    def register(build: Build) -> Build:
        ENCODERS[which].register(model_type)(Kind(config, model, build, options))
        return build

    return register


register_encoder("vision", CLIP, CLIPVisionConfig, CLIPVisionModel)(build_clip_vision)
register_encoder("vision", VIT, ViTConfig, ViTModel, add_pooling_layer=False)(build_vit)
register_encoder("text", ROBERTA, RobertaConfig, RobertaModel, add_pooling_layer=False)(
    build_roberta
)
register_encoder("text", BERT, BertConfig, BertModel, add_pooling_layer=False)(build_bert)


def resolve_encoders(cfg: DictConfig, vocabulary: int, pad: int) -> None:
    """Fill ``cfg.vision_config`` and ``cfg.text_config`` unless a checkpoint brought them.

    Args:
        cfg: a TwoTowerConfig.
        vocabulary: size of the text dictionary.
        pad: its padding id.

    Raises:
        UserError: an encoder that cannot be had, sizes for pre-trained weights, or a vocabulary
            that does not fit the text encoder's.
    """
    random = str(cfg.encoder_weights) == "random"
    if not cfg.vision_config:
        cfg.vision_config = json.dumps(_vision_config(cfg, random), sort_keys=True)
    if not cfg.text_config:
        config = _text_config(cfg, random)
        if random:
            extra = pad + 1 if config["model_type"] == ROBERTA else 0  # positions start there
            if cfg.text_positions:
                config["max_position_embeddings"] = cfg.text_positions + extra
            config.update(vocab_size=vocabulary, pad_token_id=pad)
        cfg.text_config = json.dumps(config, sort_keys=True)
    config = json.loads(cfg.text_config)
    expected = (config["vocab_size"], config.get("pad_token_id", pad))
    if expected != (vocabulary, pad):
        raise UserError(
            f"the text dictionary has {vocabulary} entries and pads with id {pad}, but text "
            f"encoder {cfg.text_encoder} has {expected[0]} and {expected[1]}: preprocess the data "
            f"with --tokenizer {cfg.text_encoder} (or with the tokenizer of the checkpoint)"
        )


def build_vision(cfg: DictConfig, image_size: tuple[int, int], read_weights: bool) -> VisionEncoder:
    """The vision encoder of ``cfg.vision_config``; pre-trained weights if ``read_weights``."""
    values = json.loads(cfg.vision_config)
    pixels = {
        name: values.pop(f"image_{name}") for name in ("mean", "std") if f"image_{name}" in values
    }
    kind = VISION[values["model_type"]]
    model = _pretrained(kind, "vision", cfg.vision_encoder) if read_weights else None
    return kind.build(kind.config.from_dict(values), image_size, model, **pixels)


def build_text(cfg: DictConfig, read_weights: bool) -> TextEncoder:
    """The text encoder of ``cfg.text_config``; pre-trained weights if ``read_weights``."""
    dropout = {
        "hidden_dropout_prob": cfg.encoder_dropout,
        "attention_probs_dropout_prob": cfg.encoder_dropout,
    }
    values = json.loads(cfg.text_config)
    kind = TEXT[values["model_type"]]
    model = _pretrained(kind, "text", cfg.text_encoder, **dropout) if read_weights else None
    return kind.build(kind.config.from_dict({**values, **dropout}), model)


def _vision_config(cfg: DictConfig, random: bool) -> dict[str, Any]:
    sizes = {
        "hidden_size": cfg.vision_width,
        "intermediate_size": 4 * cfg.vision_width,
        "num_hidden_layers": cfg.vision_layers,
        "num_attention_heads": cfg.vision_heads,
        "patch_size": cfg.patch_size,
    }
    return _named_config("vision", cfg.vision_encoder, sizes, random)


def _text_config(cfg: DictConfig, random: bool) -> dict[str, Any]:
    sizes = {
        "hidden_size": cfg.text_width,
        "intermediate_size": 4 * cfg.text_width,
        "num_hidden_layers": cfg.text_layers,
        "num_attention_heads": cfg.text_heads,
        "max_position_embeddings": cfg.text_positions,
    }
    return _named_config("text", cfg.text_encoder, sizes, random)


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
    if config["model_type"] not in ENCODERS[which]:
        raise UserError(
            f"--{which}-encoder {name} is a {config['model_type']} model; "
            f"known are {', '.join(ENCODERS[which])}"
        )
    config.update(sizes)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    if width % heads:
        raise UserError(f"--{which}-width {width} is no multiple of --{which}-heads {heads}")
    return config


def _read_config(which: str, name: str) -> dict[str, Any]:
    """config.json of a folder or of the hub; with the pixels' mean and spread where it has them."""
    try:
        config = AutoConfig.from_pretrained(name)
        if which == "text":
            return config.to_dict()
        values = getattr(config, "vision_config", config).to_dict()
        path = cached_file(
            name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
        )
    except (OSError, ValueError) as error:
        raise _unreachable(which, name) from error
    pixels = read_json(Path(path)) if path else {}
    for key in ("image_mean", "image_std"):
        if key in pixels:
            values[key] = pixels[key]
    return values


def _pretrained(kind: Kind, which: str, name: str, **options: Any) -> Any:
    # A whole CLIP or a masked language model may stand there; transformers would list every tensor
    # of the parts that are left behind.
    with quiet_transformers():
        try:
            return kind.model.from_pretrained(name, **kind.options, **options)
        except (OSError, ValueError) as error:
            raise _unreachable(which, name) from error


def _unreachable(which: str, name: str) -> UserError:
    return UserError(
        f"--{which}-encoder {name}: neither a local folder with config.json and weights nor within "
        "reach on the hub; download it and name its folder, or use --encoder-weights random"
    )


def store_configs(cfg: DictConfig) -> None:
    """Write the resolved encoder configurations back to the run's configuration.

    fairseq hands ``build_model`` a merged copy of its own configuration, and saves its own.
    """
    parent = cfg._get_parent() if OmegaConf.is_config(cfg) else None
    own = parent.get("model") if isinstance(parent, DictConfig) and "model" in parent else None
    if not isinstance(own, DictConfig) or own is cfg:
        return
    with open_dict(own):
        own.vision_config = cfg.vision_config
        own.text_config = cfg.text_config
