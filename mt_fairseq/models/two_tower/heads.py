"""Task heads by name; a new head is one function here with its name in ``HEADS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig
from torch import nn

from mt_fairseq.errors import UserError
from mt_fairseq.modules.heads import ContrastiveHead, LinearHead, MaskedLMHead, MLPHead
from mt_fairseq.modules.two_tower import TwoTower


def build_head(
    name: str, cfg: DictConfig, network: TwoTower, classes: int, **options: Any
) -> nn.Module:
    """The head ``name`` for a network of ``cfg``; ``options`` go to its class.

    Raises:
        UserError: no such head.
    """
    if name not in HEADS:
        raise UserError(f"unknown head {name!r}; known are {', '.join(HEADS)}")
    return HEADS[name](cfg, network, classes, **options)


def _pooled_mlp(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    width = 2 * network.width
    return MLPHead(width, width * cfg.head_hidden_scale, classes, **options)


def _nlvr2(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    width = 2 * network.width
    options.setdefault("dropout", cfg.nlvr2_dropout)
    return MLPHead(2 * width, width * cfg.head_hidden_scale, classes, **options)


def _itm(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    return LinearHead(2 * network.width, classes, **options)


def _mlm(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    return MaskedLMHead(network.width, classes, cfg.mlm_norm_eps, **options)


def _itc(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    """``classes`` is the width of the features; 0: as configured. The configuration keeps it."""
    text, image = network.text_encoder.width, network.vision_encoder.width
    cfg.contrastive_size = classes = classes or cfg.contrastive_size
    if cfg.transformers_contrastive:
        return ContrastiveHead(text, network.width, classes, 2 * network.width, **options)
    return ContrastiveHead(text, image, classes, **options)


HEADS: dict[str, Callable[..., nn.Module]] = {
    "vqa": _pooled_mlp,
    "snli_ve": _pooled_mlp,
    "nlvr2": _nlvr2,
    "itm": _itm,
    "mlm": _mlm,
    "itc": _itc,
}
