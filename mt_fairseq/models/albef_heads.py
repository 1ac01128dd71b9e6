"""ALBEF's task heads by name; initial values are torch's own but for the MLM head's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig
from torch import nn

from mt_fairseq.errors import UserError
from mt_fairseq.modules.albef.decoder import AnswerDecoder
from mt_fairseq.modules.albef.heads import ReluHead, TiedMaskedLMHead
from mt_fairseq.modules.albef.network import AlbefNetwork
from mt_fairseq.modules.heads import ContrastiveHead, LinearHead, init_weights

NO_TEACHER = ("itm", "pairs", "vqa")
"""Heads whose objective has no momentum model."""

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
