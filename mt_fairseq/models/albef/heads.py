"""ALBEF's kinds of task heads; initial values are torch's own but for the MLM head's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig
from torch import nn

from mt_fairseq.models.named_heads import HeadKind
from mt_fairseq.models.presets import BERT
from mt_fairseq.modules.albef.decoder import AnswerDecoder
from mt_fairseq.modules.albef.heads import ReluHead, TiedMaskedLMHead
from mt_fairseq.modules.albef.network import AlbefNetwork
from mt_fairseq.modules.heads import ContrastiveHead, LinearHead, init_weights
from mt_fairseq.modules.hf import BertForMaskedLM, quiet_transformers
from mt_fairseq.registry import Registry

BERT_HEAD = "cls.predictions."

logger = logging.getLogger(__name__)

HEAD_KINDS: Registry[HeadKind] = Registry("kind of ALBEF's heads")
Build = TypeVar("Build", bound=Callable[..., nn.Module])


def register_albef_head(
    name: str, images: int = 1, starts_anew: bool = True, momentum: bool = True
) -> Callable[[Build], Build]:
    """Decorator of a function (cfg, network, classes) -> module over the fused text's first state.

    The module takes (B, D) and gives logits (B, classes); see HeadKind for the arguments.
    """

    def register(build: Build) -> Build:
        HEAD_KINDS.register(name)(HeadKind(build, images, starts_anew, momentum))
        return build

    return register


@register_albef_head("itc", starts_anew=False)
def _itc(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return ContrastiveHead(network.width, network.vision_encoder.width, cfg.embed_dim)


@register_albef_head("pairs", images=2, momentum=False)
@register_albef_head("itm", starts_anew=False, momentum=False)
def _linear(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return LinearHead(network.width, classes)


@register_albef_head("pair_classes", images=2)
@register_albef_head("classes")
@register_albef_head("soft_classes", momentum=False)
def _relu(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return ReluHead(network.width, classes)


@register_albef_head("mlm", starts_anew=False)
def _mlm(cfg: DictConfig, network: AlbefNetwork, classes: int) -> TiedMaskedLMHead:
    head = TiedMaskedLMHead(network.width, classes, json.loads(cfg.text_config)["layer_norm_eps"])
    head.apply(init_weights)
    return head


@register_albef_head("answers", starts_anew=False)
def _answers(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return AnswerDecoder(network, _mlm(cfg, network, classes))


def start_mlm_head(heads: nn.ModuleDict, cfg: DictConfig) -> None:
    """Give a fresh MLM head the weights of the BERT checkpoint whose encoder was just read.

    As in the reference; a checkpoint without that head leaves it as it is.
    """
    if "mlm" not in heads or json.loads(cfg.text_config)["model_type"] != BERT:
        return
    with quiet_transformers():
        loaded: Any = BertForMaskedLM.from_pretrained(cfg.text_encoder, output_loading_info=True)
    bert, report = loaded
    if any(missing.startswith(BERT_HEAD) for missing in report["missing_keys"]):
        logger.warning(f"{cfg.text_encoder} has no head for masked words: it starts anew")
        return
    head: Any = heads["mlm"]
    source: Any = bert.cls.predictions
    head.dense.load_state_dict(source.transform.dense.state_dict())
    head.norm.load_state_dict(source.transform.LayerNorm.state_dict())
    with torch.no_grad():
        head.bias.copy_(source.bias)
