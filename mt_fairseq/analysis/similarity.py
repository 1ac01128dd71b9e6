"""How alike consecutive managers' aggregations are (ManagerTower, Figure 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.analysis.figures import (
    PANEL,
    add_caption,
    add_legend,
    drawing,
    join_captions,
    line_style,
    new_figure,
)
from mt_fairseq.analysis.moments import Moments
from mt_fairseq.analysis.over_split import Analysis
from mt_fairseq.analysis.passes import Pass
from mt_fairseq.analysis.subjects import add_split_arguments
from mt_fairseq.analysis.weights import MODALITIES, check_managers
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.base import AggregationInput
from mt_fairseq.modules.aggregation.manager_base import Manager

WIDE = (4.6, 2.8)  # inches: a single panel with room for the legend
PARTS = ("uni-modal", "cross-modal")
NOTE = "Mean over tokens of a sample, then over samples. The first manager has no cross-modal part"


@dataclass(frozen=True)
class Similarity:
    """Cosine similarity of what two consecutive managers aggregated.

    Attributes:
        modality: "text" or "image".
        part: "uni-modal" (the experts' weighted sum) or "cross-modal" (what a manager adds of the
            cross-modal layers below; from the second layer on).
        layers: numbers of the two cross-modal layers, from 1.
        mean, std: over tokens.
    """

    modality: str
    part: str
    layers: tuple[int, int]
    mean: float
    std: float


Aggregated = dict[str, Tensor]  # part -> (B, T, D)


def split_parts(
    manager: Manager, inputs: AggregationInput, managed: Tensor, weights: Tensor
) -> Aggregated:
    """A manager's result (B, T, D) as the sum of its two parts (equation 4)."""
    count = manager.options.num_experts
    own = weights.narrow(0 if weights.dim() == 2 else 1, 0, count)
    uni_modal = manager.weighted_sum(inputs.experts, own)
    parts = {"uni-modal": uni_modal}
    if inputs.previous:
        parts["cross-modal"] = managed - uni_modal
    return parts


@contextmanager
def record_parts(model: TwoTowerModel) -> Iterator[dict[str, list[Aggregated]]]:
    """Fill, at every pass inside, a list of parts a modality, one entry a cross-modal layer.

    The lists are of the last pass.
    """
    encoder = model.network.cross_modal
    managers = {"text": encoder.text_aggregations, "image": encoder.image_aggregations}
    recorded: dict[str, list[Aggregated]] = {
        modality: [{} for _ in modules] for modality, modules in managers.items()
    }

    def hook_for(modality: str, level: int) -> Any:
        def hook(manager: Manager, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
            recorded[modality][level] = split_parts(manager, inputs[0], *output)

        return hook

    handles = [
        manager.register_forward_hook(hook_for(modality, level))
        for modality, modules in managers.items()
        for level, manager in enumerate(modules)
    ]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


def check_levels(model: TwoTowerModel) -> None:
    """UserError for a model without managers, or with one cross-modal layer only."""
    check_managers(model)
    if len(model.network.cross_modal.layers) < 2:
        raise UserError(
            f"this {type(model).__name__} has one cross-modal layer: nothing to compare"
        )


def consecutive_similarities(model: TwoTowerModel, passes: Iterable[Pass]) -> list[Similarity]:
    """Average over ``passes``, which must be drawn from ``model`` lazily.

    Raises UserError for a model without two levels of managers.
    """
    check_levels(model)
    moments: dict[tuple[str, str, int], Moments] = {}
    with record_parts(model) as recorded:
        for one in passes:
            shares = one.shares
            for modality, levels in recorded.items():
                for level, (lower, upper) in enumerate(pairwise(levels)):
                    for part in PARTS:
                        if part in lower:
                            cosine = F.cosine_similarity(lower[part], upper[part], dim=-1)
                            found = moments.setdefault((modality, part, level + 1), Moments())
                            found.add(cosine, shares[modality])
    return [
        Similarity(modality, part, (layer, layer + 1), float(found.mean), float(found.std))
        for (modality, part, layer), found in moments.items()
    ]


def draw_similarities(models: dict[str, Sequence[Similarity]], caption: str) -> Figure:
    """A panel a model: pairs of managers on the x axis, a line a modality and part."""
    with drawing():
        figure, panels = new_figure(1, len(models), WIDE if len(models) == 1 else PANEL)
        lowest = min(s.mean for found in models.values() for s in found)
        for axes, (label, found) in zip(panels.flat, models.items(), strict=True):
            for number, (modality, part) in enumerate((m, p) for p in PARTS for m in MODALITIES):
                chosen = [s for s in found if (s.modality, s.part) == (modality, part)]
                axes.plot(
                    [s.layers[0] for s in chosen],
                    [s.mean for s in chosen],
                    label=f"{MODALITIES[modality].split()[0]}, {part}",
                    **line_style(number),
                )
            pairs = sorted({s.layers for s in found})
            axes.set_xticks([pair[0] for pair in pairs], [f"{a}-{b}" for a, b in pairs])
            axes.set_xlabel("managers of cross-modal layers")
            axes.set_ylabel("cosine similarity (-1 to 1)")
            axes.set_ylim(lowest - 0.05 * (1 - lowest) - 0.01, 1 + 0.05 * (1 - lowest) + 0.01)
            axes.set_title(label)
        add_legend(figure, "aggregated part")
        add_caption(figure, join_captions([caption, NOTE]))
    return figure


def table_rows(found: Sequence[Similarity]) -> list[dict[str, Any]]:
    """Rows of the CSV, one a pair of managers and part."""
    return [
        {
            "modality": s.modality,
            "part": s.part,
            "lower_layer": s.layers[0],
            "upper_layer": s.layers[1],
            "cosine": round(s.mean, 7),
            "std": round(s.std, 7),
        }
        for s in found
    ]


ANALYSIS = Analysis(
    "similarity",
    "Cosine similarity of what two consecutive managers aggregate",
    check_levels,
    consecutive_similarities,
    draw_similarities,
    table_rows,
)
add_arguments, run = add_split_arguments, ANALYSIS.run
