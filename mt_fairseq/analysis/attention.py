"""Do attention heads look at different tokens? (BridgeTower's figure of KL divergences)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mt_fairseq.analysis.figures import (
    add_caption,
    add_legend,
    drawing,
    join_captions,
    line_style,
    new_figure,
)
from mt_fairseq.analysis.over_split import Analysis
from mt_fairseq.analysis.passes import Pass
from mt_fairseq.analysis.subjects import add_split_arguments
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.attention import record_attention
from mt_fairseq.modules.cross_modal import CoAttentionLayer
from mt_fairseq.modules.two_tower import TwoTower

KINDS = {
    ("image", "self"): "visual self-attention",
    ("text", "self"): "textual self-attention",
    ("image", "cross"): "visual cross-attention",
    ("text", "cross"): "textual cross-attention",
}
NOTE = (
    "Lines: mean over pairs of heads; dots: each head's mean divergence from the others. Means "
    "over the queries of a sample, then over samples. Higher: heads attend to different tokens"
)


@dataclass(frozen=True)
class Diversity:
    """How much the heads of one attention differ.

    Attributes:
        modality: whose queries, "text" or "image".
        kind: "self" or "cross".
        layer: number of the cross-modal layer, from 1.
        heads: for each head, the mean over the other heads of KL(head || other), in nats.
    """

    modality: str
    kind: str
    layer: int
    heads: list[float]

    @property
    def mean(self) -> float:
        """Mean over all ordered pairs of heads, in nats."""
        return sum(self.heads) / len(self.heads)


def head_divergences(probabilities: Tensor, share: Tensor) -> Tensor:
    """(B, H, T, S) attention probabilities -> (B, H, H) KL(row head || column head), nats.

    ``share`` (B, T) is each query's weight in the mean over queries. Keys of probability zero
    (masked ones) add nothing.
    """
    probabilities = probabilities.float()
    logs = probabilities.clamp(min=torch.finfo(torch.float32).tiny).log()
    weighted = (probabilities * share[:, None, :, None].to(probabilities)).flatten(2)
    crossed = weighted @ logs.flatten(2).transpose(1, 2)  # sum of p_i log p_j
    return crossed.diagonal(dim1=1, dim2=2)[:, :, None] - crossed


Probabilities = dict[tuple[str, str], list[list[Tensor]]]  # by KINDS, layer, pass


@contextmanager
def record_all(model: TwoTowerModel) -> Iterator[Probabilities]:
    """Record the attention of every cross-modal layer inside; clear the lists after each pass."""
    with ExitStack() as stack:
        yield {
            (modality, kind): [
                stack.enter_context(
                    record_attention(getattr(getattr(layer, modality), f"{kind}_attention"))
                )
                for layer in model.network.cross_modal.layers
            ]
            for modality, kind in KINDS
        }


def check_attention(model: TwoTowerModel) -> None:
    """UserError for a model whose layers have no self- and cross-attention, or a single head."""
    if not isinstance(model.network, TwoTower):
        raise UserError(
            f"a {type(model).__name__} is no two-tower model, which this analysis is for"
        )
    encoder = model.network.cross_modal
    if not isinstance(encoder.layers[0], CoAttentionLayer):
        raise UserError(
            f"this {type(model).__name__} has --fusion {model.cfg.fusion}: no self- and "
            "cross-attention to tell apart; take a model with --fusion co-attention"
        )
    if encoder.heads < 2:
        raise UserError(f"this {type(model).__name__} has one attention head: nothing to compare")


def average_diversity(model: TwoTowerModel, passes: Iterable[Pass]) -> list[Diversity]:
    """Average over ``passes``, which must be drawn from ``model`` lazily.

    Raises UserError for a model without co-attention.
    """
    check_attention(model)
    sums: dict[tuple[str, str, int], Tensor] = {}
    samples = 0
    with record_all(model) as recorded:
        for one in passes:
            shares = one.shares
            for (modality, kind), layers in recorded.items():
                for number, found in enumerate(layers, start=1):
                    divergences = head_divergences(found.pop(), shares[modality])
                    key = modality, kind, number
                    sums[key] = sums.get(key, 0) + divergences.double().sum(dim=0).cpu()
            samples += len(one.mask)
    others = model.network.cross_modal.heads - 1
    return [
        Diversity(modality, kind, layer, (total.sum(dim=1) / others / samples).tolist())
        for (modality, kind, layer), total in sums.items()
    ]


def draw_diversity(models: dict[str, Sequence[Diversity]], caption: str) -> Figure:
    """Four panels, self and cross, visual and textual; layers on the x axis, a line a model."""
    with drawing():
        figure, panels = new_figure(2, 2)
        for axes, (modality, kind) in zip(panels.flat, KINDS, strict=True):
            for number, (label, found) in enumerate(models.items()):
                chosen = [d for d in found if (d.modality, d.kind) == (modality, kind)]
                _draw_line(axes, label, chosen, number, len(models))
            axes.set_title(KINDS[modality, kind])
            axes.set_xlabel("cross-modal layer")
            axes.set_ylabel("KL between heads (nats)")
            axes.set_xticks(sorted({d.layer for found in models.values() for d in found}))
            axes.set_ylim(bottom=0)
        add_legend(figure, "model")
        add_caption(figure, join_captions([caption, NOTE]))
    return figure


def _draw_line(axes: Axes, label: str, found: list[Diversity], number: int, total: int) -> None:
    style = line_style(number)
    axes.plot([d.layer for d in found], [d.mean for d in found], label=label, **style)
    # beside each other, so that the heads of several models can be told apart
    shift = 0.06 * (number - (total - 1) / 2)
    places = [d.layer + shift for d in found for _ in d.heads]
    values = [value for d in found for value in d.heads]
    axes.scatter(places, values, s=5, color=style["color"], alpha=0.6, linewidths=0)


def table_rows(found: Sequence[Diversity]) -> list[dict[str, Any]]:
    """Rows of the CSV: one a head, and one for the mean over heads."""
    return [
        {
            "modality": d.modality,
            "attention": d.kind,
            "cross_modal_layer": d.layer,
            "head": head,
            "kl_nats": round(value, 7),
        }
        for d in found
        for head, value in [*enumerate(d.heads, start=1), ("mean", d.mean)]
    ]


ANALYSIS = Analysis(
    "attention",
    "Average KL divergence between attention heads of the cross-modal encoder",
    check_attention,
    average_diversity,
    draw_diversity,
    table_rows,
)
run = ANALYSIS.run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_split_arguments(parser, batch_size=8)  # every layer's probabilities are kept for a pass
