"""ALBEF's task heads by name; initial values are torch's own but for the MLM head's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from mt_fairseq.errors import UserError
from mt_fairseq.models.presets import BERT
from mt_fairseq.modules.albef.decoder import AnswerDecoder
from mt_fairseq.modules.albef.heads import ReluHead, TiedMaskedLMHead
from mt_fairseq.modules.albef.network import AlbefNetwork
from mt_fairseq.modules.heads import ContrastiveHead, LinearHead, init_weights
from mt_fairseq.modules.hf import BertForMaskedLM, quiet_transformers

BERT_HEAD = "cls.predictions."

NO_TEACHER = ("itm", "pairs", "vqa")
"""Heads whose objective has no momentum model."""

logger = logging.getLogger(__name__)

CLASS_HEADS = {"snli_ve", "nlvr2", "pairs", "vqa"}
"""Heads that start anew in fine-tuning."""

PAIR_HEADS = ("nlvr2", "pairs")
"""Heads of tasks with two images a sample."""


def build_albef_head(
    name: str, cfg: DictConfig, network: AlbefNetwork, classes: int, **options: Any
) -> nn.Module:
    """The head ``name`` for a network of ``cfg``; ``options`` go to its class.

    Raises:
        UserError: no such head.
    """
    if name not in HEADS:
        raise UserError(f"ALBEF has no head {name!r}; it knows {', '.join(HEADS)}")
    return HEADS[name](cfg, network, classes, **options)


def _itc(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return ContrastiveHead(network.width, network.vision_encoder.width, cfg.embed_dim)


def _linear(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return LinearHead(network.width, classes)


def _relu(cfg: DictConfig, network: AlbefNetwork, classes: int) -> nn.Module:
    return ReluHead(network.width, classes)


def _mlm(cfg: DictConfig, network: AlbefNetwork, classes: int) -> TiedMaskedLMHead:
    head = TiedMaskedLMHead(network.width, classes, json.loads(cfg.text_config)["layer_norm_eps"])
    head.apply(init_weights)
    return head


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


HEADS: dict[str, Callable[..., nn.Module]] = {
    "itc": _itc,
    "itm": _linear,
    "mlm": _mlm,
    "snli_ve": _relu,
    "nlvr2": _relu,
    "pairs": _linear,
    "vqa": _relu,
    "answers": _answers,
}
