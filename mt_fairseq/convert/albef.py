"""Official ALBEF checkpoints (github.com/salesforce/ALBEF): names, sizes, momentum, queues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mt_fairseq.convert.tables import Rule, chunk, convert, drop, load_converted, to
from mt_fairseq.convert.task_parts import head_kind
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.config import AlbefConfig
from mt_fairseq.models.albef.model import AlbefBase, AlbefModel

PAD = 0  # BERT's
PAIR_PRETRAINING = "pretrain_nlvr"
KINDS = ("pretrain", "retrieval", "ve", PAIR_PRETRAINING, "nlvr", "vqa")
SIZES = (
    "vision_width", "vision_layers", "vision_heads", "image_res", "text_width", "text_heads",
    "num_hidden_layers", "fusion_layer", "vocab_size", "text_max_positions", "embed_dim",
)  # fmt: skip
"""What a ``config`` must say."""
CLASS_HEADS = {"ve": "snli_ve", "nlvr": "nlvr2"}
# our name -> the official one, within a layer
LAYER_PARTS = {
    "self_attention.query": "attention.self.query",
    "self_attention.key": "attention.self.key",
    "self_attention.value": "attention.self.value",
    "self_attention.out": "attention.output.dense",
    "self_norm": "attention.output.LayerNorm",
    "cross_attention.query": "crossattention.self.query",
    "cross_attention.key": "crossattention.self.key",
    "cross_attention.value": "crossattention.self.value",
    "cross_attention.out": "crossattention.output.dense",
    "cross_norm": "crossattention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "out_norm": "output.LayerNorm",
}


def from_official_albef(
    state_dict: Mapping[str, Tensor],
    config: Mapping[str, Any],
    kind: str,
    allow_leftovers: bool = False,
) -> AlbefModel:
    """See ``mt_fairseq.convert.from_official_albef``."""
    if kind not in KINDS:
        raise UserError(f"kind {kind!r} of an official ALBEF: it is one of {', '.join(KINDS)}")
    lacking = [name for name in SIZES if name not in config]
    if lacking:
        raise UserError(f"config of an official ALBEF: lacks {', '.join(lacking)}")
    cfg = albef_config(config)
    side = int(config["image_res"])
    model = AlbefBase(cfg, AlbefBase.build_network(cfg, (side, side)))
    try:
        heads = heads_of(state_dict, kind)
    except KeyError as error:
        raise UserError(f"official ALBEF ({kind}): has no tensor {error}") from None
    for name, classes in heads.items():
        model.register_classification_head(name, classes, head_kind(name))
    if any(name.startswith("visual_encoder_m.") for name in state_dict):
        model.add_twin()
    conversion = convert(state_dict, rules_for(config, kind))
    ours, parts = model.state_dict(), conversion.tensors
    for name in ("queue.images", "queue.texts"):
        if name in parts:
            parts[name] = parts[name].T  # theirs are columns
    if model.queue is not None and "queue.images" not in parts:
        raise UserError("official ALBEF: has a momentum model and contrastive heads but no queue")
    if "queue.images" in parts:  # numbers belong to a training set
        parts["queue.ids"] = parts.get("queue.ids", ours["queue.ids"]).flatten()
    load_converted(model, conversion, f"official ALBEF ({kind})", allow_leftovers)
    return model.eval()


def albef_config(config: Mapping[str, Any]) -> DictConfig:
    """Our options for the sizes of an official model, named as in the golden folders."""
    vision = {
        "model_type": "vit",
        "layer_norm_eps": 1e-6,
        "hidden_size": config["vision_width"],
        "intermediate_size": 4 * config["vision_width"],
        "num_hidden_layers": config["vision_layers"],
        "num_attention_heads": config["vision_heads"],
        "patch_size": 16,
    }
    layers = config["num_hidden_layers"]
    text = {
        "model_type": "bert",
        "vocab_size": config["vocab_size"],
        "pad_token_id": PAD,
        "hidden_size": config["text_width"],
        "intermediate_size": 4 * config["text_width"],
        "num_hidden_layers": layers,
        "num_attention_heads": config["text_heads"],
        "max_position_embeddings": config["text_max_positions"],
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    options = {
        "_name": "albef_base",
        "vision_config": json.dumps(vision, sort_keys=True),
        "text_config": json.dumps(text, sort_keys=True),
        "fusion_layer": config["fusion_layer"],
        "embed_dim": config["embed_dim"],
        "queue_size": config.get("queue_size", AlbefConfig().queue_size),
        "momentum": config.get("momentum", AlbefConfig().momentum),
        "no_end_token": True,
        "batch_size": None,
        "world_size": 1,
        "update_freq": [1],
    }
    cfg = OmegaConf.merge(OmegaConf.structured(AlbefConfig()), options)
    assert isinstance(cfg, DictConfig)
    return cfg


def heads_of(state_dict: Mapping[str, Tensor], kind: str) -> dict[str, int]:
    """Heads that an official checkpoint holds, and their numbers of classes."""
    if kind == "vqa":
        return {"answers": len(state_dict["text_decoder.cls.predictions.bias"])}
    if kind in CLASS_HEADS:
        return {CLASS_HEADS[kind]: len(state_dict["cls_head.2.bias"])}
    heads = {"itc": len(state_dict["vision_proj.bias"])}
    if kind == PAIR_PRETRAINING:
        return {**heads, "pairs": len(state_dict["ta_head.bias"])}
    heads["itm"] = len(state_dict["itm_head.bias"])
    if kind == "pretrain":
        heads["mlm"] = len(state_dict["text_encoder.cls.predictions.bias"])
    return heads


def rules_for(config: Mapping[str, Any], kind: str) -> list[Rule]:
    """The whole table for one checkpoint; the momentum model's names end in ``_m``."""
    rules = [
        to("temp", "heads.itc.temperature"),
        to(r"itm_head\.(.*)", r"heads.itm.\1"),
        to(r"ta_head\.(.*)", r"heads.pairs.\1"),
        to(r"(image|text)_queue", r"queue.\1s"),
        to("idx_queue", "queue.ids"),
        to("queue_ptr", "queue.pointer"),
        drop(r".*\.position_ids"),
    ]
    for suffix, target in (("", ""), ("_m", "twin.")):
        rules += _side_rules(config, kind, suffix, target)
    return rules


def _side_rules(config: Mapping[str, Any], kind: str, suffix: str, target: str) -> list[Rule]:
    """Rules for the model, or for its momentum copy."""
    heads = f"{target}heads."
    rules = [
        *_vision_rules(rf"visual_encoder{suffix}\.", f"{target}network.vision_encoder."),
        *_text_rules(rf"text_encoder{suffix}\.(?:bert\.)?", target, config, kind),
        to(rf"vision_proj{suffix}\.(.*)", rf"{heads}itc.image.\1"),
        to(rf"text_proj{suffix}\.(.*)", rf"{heads}itc.text.\1"),
    ]
    rules += _mlm_rules(rf"text_encoder{suffix}\.cls\.predictions\.", f"{heads}mlm.")
    decoder = rf"text_decoder{suffix}\."
    rules += _mlm_rules(rf"{decoder}cls\.predictions\.", f"{heads}answers.head.")
    rules += _layer_rules(rf"{decoder}bert\.encoder\.layer\.(\d+)\.", rf"{heads}answers.layers.\1.")
    rules.append(to(rf"{decoder}bert\.embeddings\.(.*)", rf"{heads}answers.embeddings.\1"))
    if kind in CLASS_HEADS:
        head = CLASS_HEADS[kind]
        rules.append(to(rf"cls_head{suffix}\.0\.(.*)", rf"{heads}{head}.dense.\1"))
        rules.append(to(rf"cls_head{suffix}\.2\.(.*)", rf"{heads}{head}.out.\1"))
    return rules


def _vision_rules(theirs: str, ours: str) -> list[Rule]:
    block = theirs + r"blocks\.(\d+)\."
    return [
        to(theirs + "cls_token", f"{ours}class_embedding"),
        to(theirs + "pos_embed", f"{ours}positions"),
        to(theirs + r"patch_embed\.proj\.(.*)", rf"{ours}patches.\1"),
        to(theirs + r"norm\.(.*)", rf"{ours}final_norm.\1"),
        to(block + r"norm1\.(.*)", rf"{ours}blocks.\1.layernorm_before.\2"),
        to(block + r"norm2\.(.*)", rf"{ours}blocks.\1.layernorm_after.\2"),
        to(block + r"mlp\.(fc[12])\.(.*)", rf"{ours}blocks.\1.mlp.\2.\3"),
        to(block + r"attn\.proj\.(.*)", rf"{ours}blocks.\1.attention.o_proj.\2"),
        chunk(
            block + r"attn\.qkv\.(.*)",
            *(rf"{ours}blocks.\1.attention.{part}_proj.\2" for part in "qkv"),
        ),
    ]


def _text_rules(theirs: str, target: str, config: Mapping[str, Any], kind: str) -> list[Rule]:
    """One BERT's layers: those below the first fusion layer, and the others.

    With pairs of images there are two layers for each of ours, the second of which repeats the
    first one's key and value projections.
    """
    first = int(config["fusion_layer"])
    network = f"{target}network."
    rules = [to(theirs + r"embeddings\.(.*)", rf"{network}text_encoder.embeddings.\1")]
    for number in range(first):
        name = theirs + rf"encoder\.layer\.{number}\."
        rules.append(to(name + "(.*)", rf"{network}text_encoder.layers.{number}.\1"))
    doubled = kind in ("nlvr", PAIR_PRETRAINING)
    for number in range(int(config["num_hidden_layers"]) - first):
        index = first + number * (2 if doubled else 1)
        layer = theirs + rf"encoder\.layer\.{index}\."
        rules += _layer_rules(layer, f"{network}fusion.layers.{number}.")
        if doubled:
            layer = theirs + rf"encoder\.layer\.{index + 1}\."
            rules.append(drop(layer + r"crossattention\.self\.(key|value)\..*"))
            rules += _layer_rules(layer, f"{network}fusion.partners.{number}.")
    return rules


def _layer_rules(theirs: str, ours: str) -> list[Rule]:
    """``theirs`` may hold a group for the number of the layer, which ``ours`` then names."""
    tail = "2" if "(" in theirs.replace("(?:", "") else "1"
    return [
        to(theirs + part.replace(".", r"\.") + r"\.(.*)", rf"{ours}{own}.\{tail}")
        for own, part in LAYER_PARTS.items()
    ]


def _mlm_rules(theirs: str, ours: str) -> list[Rule]:
    """BERT's head; the matrix is tied to the word embeddings, the bias stands there twice."""
    return [
        to(theirs + r"transform\.dense\.(.*)", rf"{ours}dense.\1"),
        to(theirs + r"transform\.LayerNorm\.(.*)", rf"{ours}norm.\1"),
        to(theirs + "bias", f"{ours}bias"),
        drop(theirs + r"decoder\.(weight|bias)"),
    ]
