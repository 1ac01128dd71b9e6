"""transformers' BridgeTower, both ways.

Its names are nearly the official ones, so a short table makes them official and the official
table does the rest. Its contrastive head keeps the logarithm of 1 / temperature.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mt_fairseq.convert.official import BRIDGE_RULES, CROSS_MODAL, ENCODERS, HEADS
from mt_fairseq.convert.tables import (
    Conversion,
    Report,
    check_leftovers,
    convert,
    gather,
    load_converted,
    to,
)
from mt_fairseq.errors import UserError
from mt_fairseq.models.presets import CLIP, ROBERTA
from mt_fairseq.models.two_tower.bridgetower import (
    BridgeTowerBase,
    BridgeTowerConfig,
    BridgeTowerModel,
)
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules import hf
from mt_fairseq.modules.heads import ContrastiveHead

logger = logging.getLogger(__name__)

TO_OFFICIAL = [
    (r"^bridgetower\.", ""),
    (r"^text_model\.", "text_transformer."),
    (r"^vision_model\.visual\.embeddings\.class_embedding", "vit_model.visual.class_embedding"),
    (r"^vision_model\.visual\.embeddings\.patch_embedding\.", "vit_model.visual.conv1."),
    (
        r"^vision_model\.visual\.embeddings\.position_embedding\.weight",
        "vit_model.visual.positional_embedding",
    ),
    (r"^vision_model\.", "vit_model."),
    (r"^itc_(text|image)_head\.", r"cross_modal_itc_\1_head."),
]
RULES = [
    *ENCODERS,
    *CROSS_MODAL,
    *BRIDGE_RULES,
    *HEADS,
    to(r"itc_cross_modal_head\.fc\.(.*)", r"heads.itc.cross.\1"),
    to("logit_scale", "heads.itc.temperature"),
]
CLASSES = {
    "": "BridgeTowerModel",
    "mlm": "BridgeTowerForMaskedLM",
    "itm": "BridgeTowerForImageAndTextRetrieval",
    "itc": "BridgeTowerForContrastiveLearning",
}
TEMPERATURE = "heads.itc.temperature"


def from_huggingface(model: Any, allow_leftovers: bool = False) -> TwoTowerModel:
    """See ``mt_fairseq.convert.from_huggingface``."""
    config = model.config
    _check_supported(config)
    cfg = _our_config(config)
    size = config.vision_config.image_size
    height, width = (size, size) if isinstance(size, int) else size
    ours = BridgeTowerBase(cfg, BridgeTowerBase.build_network(cfg, (height, width)))
    head = {kind: name for name, kind in CLASSES.items()}.get(type(model).__name__)
    if head is None:
        raise UserError(f"a {type(model).__name__} is not one of {', '.join(CLASSES.values())}")
    if head == "mlm":
        ours.register_classification_head("mlm", config.text_config.vocab_size)
    elif head == "itm":
        ours.register_classification_head("itm", 2)
    elif head == "itc":
        ours.register_classification_head("itc", config.contrastive_hidden_size)
    conversion = _conversion(model.state_dict())
    if head == "itc":
        conversion.tensors[TEMPERATURE] = torch.exp(-conversion.tensors[TEMPERATURE])
    load_converted(ours, conversion, type(model).__name__, allow_leftovers)
    return ours.eval()


def to_huggingface(
    model: TwoTowerModel, head: str | None = None, allow_leftovers: bool = False
) -> Any:
    """See ``mt_fairseq.convert.to_huggingface``."""
    chosen = head is not None
    if head is None:
        heads = [name for name in CLASSES if name in model.heads]
        if len(heads) > 1:
            raise UserError(f"the model has the heads {', '.join(heads)}: say which, head=...")
        head = heads[0] if heads else ""
    config = _their_config(model, head)
    if head == "itc":
        projection = model.heads["itc"]
        assert isinstance(projection, ContrastiveHead)
        config.contrastive_hidden_size = projection.text.out_features
        config.logit_scale_init_value = 0.0
    theirs = getattr(hf, CLASSES[head])(config).eval()
    ours = dict(model.state_dict())
    if head == "itc":
        ours[TEMPERATURE] = -torch.log(ours[TEMPERATURE])
    state = theirs.state_dict()
    conversion = _conversion(state)
    theirs.conversion = _report_back(model, conversion)
    check_leftovers(theirs.conversion, "transformers' BridgeTower", chosen or allow_leftovers)
    for name, places in conversion.mapped.items():
        tensor = gather(places, ours)
        state[name] = tensor[: len(state[name])] if state[name].dim() else tensor
    for name in state:
        if "text_model.pooler." in name:  # nothing reads it
            state[name] = torch.zeros_like(state[name])
    theirs.load_state_dict(state)
    return theirs


def _conversion(state: dict[str, Tensor]) -> Conversion:
    """Their tensors under our names; ``mapped`` keeps their own names."""
    official: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for name, tensor in state.items():
        key = name
        for pattern, replacement in TO_OFFICIAL:
            key = re.sub(pattern, replacement, key)
        official[key], names[key] = tensor, name
    result = convert(official, RULES)
    result.mapped = {names[key]: places for key, places in result.mapped.items()}
    return result


def _report_back(model: TwoTowerModel, conversion: Conversion) -> Report:
    """What became of our own parameters."""
    mapped: dict[str, list[str]] = {}
    for name, places in conversion.mapped.items():
        for place in places:
            mapped.setdefault(place.target, []).append(name)
    own = {name for name, _ in model.named_parameters()} | {TEMPERATURE} & set(model.state_dict())
    return Report(
        mapped={name: names for name, names in mapped.items() if name in own},
        missing=sorted(mapped.keys() - own),
        left_over=sorted(own - mapped.keys()),
    )


def _check_supported(config: Any) -> None:
    text, vision = config.text_config, config.vision_config
    wanted = {
        "link_tower_type": (config.link_tower_type, "add"),
        "share_cross_modal_transformer_layers": (config.share_cross_modal_transformer_layers, True),
        "share_link_tower_layers": (config.share_link_tower_layers, False),
        "vision_config.share_layernorm": (vision.share_layernorm, True),
        "vision_config.remove_last_layer": (vision.remove_last_layer, False),
        "hidden_act": (config.hidden_act, "gelu"),
        "vision_config.num_hidden_layers": (vision.num_hidden_layers, text.num_hidden_layers),
        "text_config.hidden_size": (text.hidden_size, config.hidden_size),
    }
    for name, (value, supported) in wanted.items():
        if value != supported:
            raise UserError(f"BridgeTower with {name}={value!r}: only {supported!r} is supported")


def _our_config(config: Any) -> DictConfig:
    text, vision = config.text_config, config.vision_config
    vision_config = {
        "model_type": CLIP,
        "hidden_size": vision.hidden_size,
        "intermediate_size": 4 * vision.hidden_size,
        "num_hidden_layers": vision.num_hidden_layers,
        "num_attention_heads": vision.hidden_size // 64,
        "patch_size": vision.patch_size,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": vision.layer_norm_eps,
    }
    keys = (
        "vocab_size", "pad_token_id", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "max_position_embeddings", "type_vocab_size", "layer_norm_eps",
        "hidden_act",
    )  # fmt: skip
    text_config = {"model_type": ROBERTA, **{key: getattr(text, key) for key in keys}}
    options = {
        "_name": "bridgetower_base",
        "vision_config": json.dumps(vision_config, sort_keys=True),
        "text_config": json.dumps(text_config, sort_keys=True),
        "hidden_size": config.hidden_size,
        "num_cross_modal_layers": config.num_hidden_layers,
        "cross_modal_heads": text.num_attention_heads,
        "transformers_contrastive": True,
        "cross_modal_inner": text.intermediate_size,
        "cross_modal_norm_eps": text.layer_norm_eps,
        "mlm_norm_eps": config.layer_norm_eps,
        "aggregation_norm_eps": config.layer_norm_eps,
        "encoder_dropout": text.hidden_dropout_prob,
        "dropout": text.hidden_dropout_prob,
        "attention_dropout": text.attention_probs_dropout_prob,
    }
    cfg = OmegaConf.merge(OmegaConf.structured(BridgeTowerConfig()), options)
    assert isinstance(cfg, DictConfig)
    return cfg


def _their_config(model: TwoTowerModel, head: str) -> Any:
    cfg = model.cfg
    text, vision = json.loads(cfg.text_config), json.loads(cfg.vision_config)
    inner = cfg.cross_modal_inner or 4 * cfg.hidden_size
    fits = {
        "the model is a BridgeTower": isinstance(model, BridgeTowerModel),
        "--bridge-type a": str(cfg.get("bridge_type", "")) == "a",
        "--num-external-layers 0": cfg.get("num_external_layers", 1) == 0,
        "--fusion co-attention": str(cfg.fusion) == "co-attention",
        "a CLIP vision encoder": vision["model_type"] == CLIP,
        "a RoBERTa text encoder": text["model_type"] == ROBERTA,
        "as many vision as text layers": vision["num_hidden_layers"] == text["num_hidden_layers"],
        "64 channels a vision head": vision["hidden_size"] == 64 * vision["num_attention_heads"],
        "cross-modal layers as wide as the text encoder's": (
            (cfg.hidden_size, cfg.cross_modal_heads, inner)
            == (text["hidden_size"], text["num_attention_heads"], text["intermediate_size"])
        ),
        "--transformers-contrastive, for the contrastive head": (
            head != "itc" or cfg.transformers_contrastive
        ),
        "square images": len(set(model.network.vision_encoder.image_size)) == 1,
    }
    for what, holds in fits.items():
        if not holds:
            raise UserError(f"transformers' BridgeTower needs: {what}")
    if cfg.cross_modal_norm_eps != text["layer_norm_eps"]:
        logger.warning(
            "transformers' BridgeTower has one epsilon for text and cross-modal layer norms: %s "
            "is taken for %s, outputs may differ by about 1e-4",
            text["layer_norm_eps"],
            cfg.cross_modal_norm_eps,
        )
    text_config = {key: value for key, value in text.items() if key != "model_type"}
    text_config["hidden_dropout_prob"] = cfg.dropout
    text_config["attention_probs_dropout_prob"] = cfg.attention_dropout
    return hf.BridgeTowerConfig(
        hidden_size=cfg.hidden_size,
        num_hidden_layers=cfg.num_cross_modal_layers,
        num_attention_heads=cfg.cross_modal_heads,
        layer_norm_eps=cfg.aggregation_norm_eps,
        text_config=text_config,
        vision_config={
            "hidden_size": vision["hidden_size"],
            "num_hidden_layers": vision["num_hidden_layers"],
            "patch_size": vision["patch_size"],
            "image_size": model.network.vision_encoder.image_size[0],
            "layer_norm_eps": vision.get("layer_norm_eps", 1e-5),
        },
    )
