"""Kinds of task heads; a new one is a function with ``@register_head``, here or in a user's own
``--user-dir``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig
from torch import nn

from mt_fairseq.models.named_heads import HeadKind
from mt_fairseq.modules.heads import ContrastiveHead, LinearHead, MaskedLMHead, MLPHead
from mt_fairseq.modules.two_tower import TwoTower
from mt_fairseq.registry import Registry

HEAD_KINDS: Registry[HeadKind] = Registry("kind of head")
Build = Callable[..., nn.Module]


def register_head(name: str, images: int = 1) -> Callable[[Build], Build]:
    """Decorator of a function (cfg, network, classes, **options) -> module over pooled states.

    The module takes (B, ``images`` * 2D) and gives logits (B, classes).
    """

    def register(build: Build) -> Build:
        HEAD_KINDS.register(name)(HeadKind(build, images))
        return build

    return register


@register_head("soft_classes")
@register_head("classes")
def _pooled_mlp(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    """Classes of a text with one image; several may be right to a degree in soft_classes."""
    width = 2 * network.width
    return MLPHead(width, width * cfg.head_hidden_scale, classes, **options)


@register_head("pair_classes", images=2)
def _pair_mlp(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    """Classes of a text with two images."""
    width = 2 * network.width
    options.setdefault("dropout", cfg.nlvr2_dropout)
    return MLPHead(2 * width, width * cfg.head_hidden_scale, classes, **options)


@register_head("itm")
def _itm(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    return LinearHead(2 * network.width, classes, **options)


@register_head("mlm")
def _mlm(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    """Words of the text's states (B, T, D)."""
    return MaskedLMHead(network.width, classes, cfg.mlm_norm_eps, **options)


@register_head("itc")
def _itc(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    """``classes`` is the width of the features; 0: as configured. The configuration keeps it."""
    text, image = network.text_encoder.width, network.vision_encoder.width
    cfg.contrastive_size = classes = classes or cfg.contrastive_size
    if cfg.transformers_contrastive:
        return ContrastiveHead(text, network.width, classes, 2 * network.width, **options)
    return ContrastiveHead(text, image, classes, **options)
