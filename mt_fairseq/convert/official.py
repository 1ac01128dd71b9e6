"""Official checkpoints of the ManagerTower repository (which also holds BridgeTower and METER)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mt_fairseq.convert.tables import (
    Conversion,
    Place,
    Rule,
    chunk,
    convert,
    drop,
    load_converted,
    to,
)
from mt_fairseq.convert.task_parts import head_kind
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.bridgetower import BridgeTowerBase, BridgeTowerConfig
from mt_fairseq.models.two_tower.config import TwoTowerConfig
from mt_fairseq.models.two_tower.managertower import ManagerTowerBase, ManagerTowerConfig
from mt_fairseq.models.two_tower.meter import MeterBase, MeterConfig
from mt_fairseq.models.two_tower.model import TwoTowerModel

PAD = 1  # RoBERTa's
MODELS: dict[str, type[TwoTowerModel]] = {
    "MT": ManagerTowerBase,
    "BT": BridgeTowerBase,
    "METER": MeterBase,
}
TEXT = "network.text_encoder"
VISION = "network.vision_encoder"
LAYER = r"network.cross_modal.layers.\2.\1"

ENCODERS = [
    drop(r"text_transformer\.embeddings\.position_ids"),
    drop(r"text_transformer\.pooler\..*"),
    to(r"text_transformer\.embeddings\.(.*)", rf"{TEXT}.embeddings.\1"),
    to(r"text_transformer\.encoder\.layer\.(\d+\..*)", rf"{TEXT}.layers.\1"),
    to(r"vit_model\.visual\.class_embedding", f"{VISION}.class_embedding"),
    to(r"vit_model\.visual\.positional_embedding", f"{VISION}.positions"),
    to(r"vit_model\.visual\.conv1\.weight", f"{VISION}.patches.weight"),
    to(r"vit_model\.visual\.ln_pre\.(.*)", rf"{VISION}.pre_norm.\1"),
    to(r"vit_model\.visual\.ln_post\.(.*)", rf"{VISION}.final_norm.\1"),
    chunk(
        r"vit_model\.visual\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)",
        rf"{VISION}.blocks.\1.self_attn.q_proj.\2",
        rf"{VISION}.blocks.\1.self_attn.k_proj.\2",
        rf"{VISION}.blocks.\1.self_attn.v_proj.\2",
    ),
    to(
        r"vit_model\.visual\.transformer\.resblocks\.(\d+)\.attn\.out_proj\.(.*)",
        rf"{VISION}.blocks.\1.self_attn.out_proj.\2",
    ),
    to(
        r"vit_model\.visual\.transformer\.resblocks\.(\d+)\.ln_([12])\.(.*)",
        rf"{VISION}.blocks.\1.layer_norm\2.\3",
    ),
    to(
        r"vit_model\.visual\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(.*)",
        rf"{VISION}.blocks.\1.mlp.fc1.\2",
    ),
    to(
        r"vit_model\.visual\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(.*)",
        rf"{VISION}.blocks.\1.mlp.fc2.\2",
    ),
    # left-overs of CLIP's text tower
    drop(
        r"vit_model\.(positional_embedding|text_projection|logit_scale"
        r"|(ln_final|token_embedding|transformer)\..*)"
    ),
]

_CROSS = r"cross_modal_(text|image)_layers\.(\d+)\."
CROSS_MODAL = [
    to(r"cross_modal_(text|image)_transform\.(.*)", r"network.\1_input.projection.\2"),
    to(_CROSS + r"attention\.self\.(.*)", rf"{LAYER}.self_attention.\3"),
    to(_CROSS + r"attention\.output\.dense\.(.*)", rf"{LAYER}.self_attention.out.\3"),
    to(_CROSS + r"attention\.output\.LayerNorm\.(.*)", rf"{LAYER}.self_norm.\3"),
    to(_CROSS + r"crossattention\.self\.(.*)", rf"{LAYER}.cross_attention.\3"),
    to(_CROSS + r"crossattention\.output\.dense\.(.*)", rf"{LAYER}.cross_attention.out.\3"),
    to(_CROSS + r"crossattention\.output\.LayerNorm\.(.*)", rf"{LAYER}.cross_norm.\3"),
    to(_CROSS + r"intermediate\.dense\.(.*)", rf"{LAYER}.up.\3"),
    to(_CROSS + r"output\.dense\.(.*)", rf"{LAYER}.down.\3"),
    to(_CROSS + r"output\.LayerNorm\.(.*)", rf"{LAYER}.out_norm.\3"),
    to(r"cross_modal_(text|image)_pooler\.(.*)", r"network.\1_pooler.\2"),
    to(r"token_type_embeddings\.weight", "network.token_types.weight"),
    to(r"layer_embeddings_(text|image)\.weight", r"network.\1_input.layer_embeddings.weight"),
    to(r"(text|image)_gate\.(.*)", r"network.\1_input.gate.gate.\2"),
]


def _next_bridge(match: re.Match[str], _: Tensor) -> list[Place]:
    """The reference counts its links from the second level on."""
    level = int(match[2]) + 1
    return [Place(f"network.cross_modal.{match[1]}_aggregations.{level}.norm.{match[3]}")]


BRIDGE_RULES = [
    to(
        r"cross_modal_(text|image)_layernorm\.(.*)",
        r"network.cross_modal.\1_aggregations.0.norm.\2",
    ),
    Rule(r"cross_modal_(text|image)_link_tower\.(\d+)\.LayerNorm\.(.*)", _next_bridge),
]

HEADS = [
    *(
        to(rf"{old}_classifier\.{number}\.(.*)", rf"heads.{new}.{part}.\1")
        for old, new in (("vqa", "vqa"), ("snli", "snli_ve"), ("nlvr2", "nlvr2"))
        for number, part in ((0, "dense"), (1, "norm"), (3, "out"))
    ),
    to(r"mlm_score\.transform\.dense\.(.*)", r"heads.mlm.dense.\1"),
    to(r"mlm_score\.transform\.LayerNorm\.(.*)", r"heads.mlm.norm.\1"),
    to(r"mlm_score\.decoder\.weight", "heads.mlm.decoder.weight"),
    to(r"mlm_score\.(decoder\.)?bias", "heads.mlm.decoder.bias"),
    to(r"itm_score\.fc\.(.*)", r"heads.itm.\1"),
    to(r"cross_modal_itc_(text|image)_head\.fc\.(.*)", r"heads.itc.\1.\2"),
    # a copy of row 1 of the matching head
    drop(r"rank_output\..*"),
    # counters of Lightning's metrics
    drop(r"(train|val|test)_\w+_(accuracy|score|loss)\..*"),
]


def manager_rules(experts: Mapping[str, int]) -> list[Rule]:
    """Rules for managers; ``experts`` says how many each modality has.

    The reference keeps one layer norm an expert and, last in the same list, that of the previous
    output; static scores likewise hold the weight of the previous output in their last row.
    """
    prefix = r"cross_modal_(text|image)_manager_tower\.(\d+)\.manager_layer\."
    own = r"network.cross_modal.\1_aggregations.\2."

    def norms(match: re.Match[str], _: Tensor) -> list[Place]:
        number, kind = int(match[3]), match[4]
        if number < experts[match[1]]:
            return [Place(match.expand(own) + f"expert_norm_{kind}", row=number)]
        return [Place(match.expand(own) + f"previous_norm.{kind}")]

    def scores(match: re.Match[str], tensor: Tensor) -> list[Place]:
        count, target = experts[match[1]], match.expand(own)
        if len(tensor) == count:
            return [Place(f"{target}scores")]
        return [
            Place(f"{target}scores", slice(0, count)),
            Place(f"{target}previous_weight", slice(count, None)),
        ]

    return [
        Rule(prefix + r"LayerNorm\.(\d+)\.(weight|bias)", norms),
        Rule(prefix + r"layer_scores", scores),
        to(prefix + r"layer_scores_cross", own + "previous_weight"),
        to(prefix + r"softmax_temperature", own + "temperature"),
        drop(prefix + r"softmax_temperature_cross"),
        to(prefix + r"linear_controller\.(.*)", own + r"controller.\3"),
        to(prefix + r"extra_query_LayerNorm\.(.*)", own + r"fused_query.norm.\3"),
        to(prefix + r"fusion_attention\.q_proj\.(.*)", own + r"fused_query.query.\3"),
        to(prefix + r"fusion_attention\.k_proj\.(.*)", own + r"fused_query.key.\3"),
    ]


def rules_for(state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> list[Rule]:
    """The whole table for one checkpoint."""
    rules = [*ENCODERS, *CROSS_MODAL, *HEADS]
    if config["model_type"] == "MT":
        experts = {"text": config["managed_layers_text"], "image": config["managed_layers_image"]}
        rules += manager_rules(experts)
    if config["model_type"] == "BT":
        rules += BRIDGE_RULES
    # without contrastive heads nothing reads the temperature
    contrastive = "cross_modal_itc_text_head.fc.weight" in state_dict
    rules.append(to("temperature", "heads.itc.temperature") if contrastive else drop("temperature"))
    return rules


def convert_state(state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> Conversion:
    """Official tensors under our names; axes of size 1 in front are removed where rows are cut."""
    flat = {
        name: tensor.flatten(0, 1) if name.endswith("layer_scores") else tensor
        for name, tensor in state_dict.items()
    }
    return convert(flat, rules_for(flat, config))


def official_config(config: Mapping[str, Any]) -> DictConfig:
    """Our options for the sizes of an official model."""
    vision = {
        "model_type": "clip_vision_model",
        "hidden_size": config["vision_width"],
        "intermediate_size": 4 * config["vision_width"],
        "num_hidden_layers": config["vision_layers"],
        "num_attention_heads": config["vision_heads"],
        "patch_size": config["patch_size"],
    }
    text = {
        "model_type": "roberta",
        "vocab_size": config["vocab_size"],
        "pad_token_id": PAD,
        "hidden_size": config["text_width"],
        "intermediate_size": 4 * config["text_width"],
        "num_hidden_layers": config["text_layers"],
        "num_attention_heads": config["text_heads"],
        "max_position_embeddings": config["text_max_positions"],
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    }
    common = {
        "vision_config": json.dumps(vision, sort_keys=True),
        "text_config": json.dumps(text, sort_keys=True),
        "hidden_size": config["hidden_size"],
        "num_cross_modal_layers": config["num_layers"],
        "cross_modal_heads": config["num_heads"],
        "nlvr2_dropout": config["nlvr2_drop_rate"],
    }
    kind, options = _kind(config)
    cfg = OmegaConf.merge(OmegaConf.structured(kind()), common, options)
    assert isinstance(cfg, DictConfig)
    return cfg


def _kind(config: Mapping[str, Any]) -> tuple[type[TwoTowerConfig], dict[str, Any]]:
    """The option class of an official model, and the options that are its own."""
    scale = config["head_hidden_scale"]
    if config["model_type"] == "METER":  # ignores the scale
        return MeterConfig, {"_name": "meter_base", "layer_fusion": config["meter_fusion"]}
    if config["model_type"] == "BT":
        return BridgeTowerConfig, {"_name": "bridgetower_base", "head_hidden_scale": scale}
    return ManagerTowerConfig, {
        "_name": "managertower_base",
        "head_hidden_scale": scale,
        "manager_type": str(config["manager_type"]).lower(),
        "manager_weight": config["manager_weight_type"],
        "num_managed_text_layers": config["managed_layers_text"],
        "num_managed_image_layers": config["managed_layers_image"],
        "unmasked_fused_query": True,
        "text_length": config["max_text_len"],
    }


def head_sizes(state_dict: Mapping[str, Tensor]) -> dict[str, int]:
    """Heads that a checkpoint holds, and their numbers of classes."""
    keys = {
        "vqa": "vqa_classifier.3.weight",
        "snli_ve": "snli_classifier.3.weight",
        "nlvr2": "nlvr2_classifier.3.weight",
        "mlm": "mlm_score.decoder.weight",
        "itm": "itm_score.fc.weight",
        "itc": "cross_modal_itc_text_head.fc.weight",
    }
    return {head: len(state_dict[key]) for head, key in keys.items() if key in state_dict}


def reorder_classes(
    state_dict: Mapping[str, Tensor], head: str, order: list[int] | None
) -> dict[str, Tensor]:
    """The state dict with the classes of a head in another order; None: as they are."""
    state = dict(state_dict)
    if order is not None:
        prefix = f"{head.removesuffix('_ve')}_classifier.3."
        for name in (f"{prefix}weight", f"{prefix}bias"):
            state[name] = state[name][order]
    return state


def from_official(
    state_dict: Mapping[str, Tensor], config: Mapping[str, Any], allow_leftovers: bool = False
) -> TwoTowerModel:
    """See ``mt_fairseq.convert.from_official``."""
    kind = MODELS.get(str(config["model_type"]))
    if kind is None:
        raise UserError(
            f"model_type {config['model_type']!r} is unknown; known are {', '.join(MODELS)}"
        )
    cfg = official_config(config)
    size = int(config["image_size"])
    model = kind(cfg, kind.build_network(cfg, (size, size)))
    for name, classes in head_sizes(state_dict).items():
        model.register_classification_head(name, classes, head_kind(name))
    if len(state_dict["token_type_embeddings.weight"]) == 3:
        model.add_second_image_type()
    conversion = convert_state(state_dict, config)
    load_converted(model, conversion, "official checkpoint", allow_leftovers)
    return model.eval()
