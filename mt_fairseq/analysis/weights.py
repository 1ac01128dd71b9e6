"""Average aggregation weights of every manager over a split (ManagerTower, Figures 6, 7, 9, 10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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
from mt_fairseq.analysis.moments import Moments
from mt_fairseq.analysis.over_split import Analysis
from mt_fairseq.analysis.passes import Pass
from mt_fairseq.analysis.subjects import add_split_arguments
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.aggregation.manager_base import Manager
from mt_fairseq.modules.two_tower import TwoTower

MODALITIES = {"text": "textual managers", "image": "visual managers"}
LETTERS = {"text": "T", "image": "V"}
ENCODERS = {"text": "text", "image": "vision"}
PREVIOUS = "C"  # SAE also weighs the outputs of earlier cross-modal layers
NOTE = "Mean over channels and tokens of a sample, then over samples. Dotted: uniform over experts"


@dataclass(frozen=True)
class ManagerWeights:
    """The average weights of one manager.

    Attributes:
        modality: "text" or "image".
        layer: number of its cross-modal layer, from 1.
        experts: what is weighted: T7 the text encoder's 7th layer, V7 the vision encoder's; C1 the
            first cross-modal layer's output (SAE alone).
        mean, std: (len(experts),) over tokens; the mean over channels comes first.
    """

    modality: str
    layer: int
    experts: list[str]
    mean: list[float]
    std: list[float]


def expert_names(model: TwoTowerModel, modality: str) -> list[str]:
    """Names of a modality's uni-modal experts, lowest first: layers counted from 1."""
    network = model.network
    if modality == "text":
        total, used = len(network.text_encoder.layers), network.num_text_layers
    else:
        total, used = len(network.vision_encoder.blocks), network.num_image_layers
    return [f"{LETTERS[modality]}{number}" for number in range(total - used + 1, total + 1)]


def has_managers(model: TwoTowerModel) -> bool:
    """Whether the model has aggregation weights; any model may be asked."""
    network = model.network
    return isinstance(network, TwoTower) and isinstance(
        network.cross_modal.text_aggregations[0], Manager
    )


def check_managers(model: TwoTowerModel) -> None:
    """UserError for a model without managers."""
    if not has_managers(model):
        raise UserError(
            f"a {type(model).__name__} has no managers, hence no aggregation weights; take a "
            "managertower checkpoint"
        )


def token_weights(weights: Tensor, positions: int) -> Tensor:
    """Weights in any manager's form -> (B or 1, n, T): mean over channels.

    (n, D or 1) static, (B, n, T) adaptive, (B, n, T, D) adaptive for each channel. Static weights
    are the same for all tokens.
    """
    if weights.dim() == 2:
        return weights.mean(dim=1)[None, :, None].expand(1, -1, positions)
    return weights.mean(dim=-1) if weights.dim() == 4 else weights


def average_weights(model: TwoTowerModel, passes: Iterable[Pass]) -> list[ManagerWeights]:
    """Average over passes: text managers from the first layer on, then the image managers.

    Raises UserError for a model without managers.
    """
    check_managers(model)
    levels = len(model.network.cross_modal.layers)
    moments = {modality: [Moments() for _ in range(levels)] for modality in MODALITIES}
    for one in passes:
        shares = one.shares
        for level, layer in enumerate(one.fused.layers):
            for modality, weights in zip(
                MODALITIES, (layer.text_weights, layer.image_weights), strict=True
            ):
                assert weights is not None
                share = shares[modality]
                values = token_weights(weights, share.shape[1])
                moments[modality][level].add(values.expand(len(share), -1, -1), share)
    return [
        _describe(model, modality, level, found)
        for modality, found_levels in moments.items()
        for level, found in enumerate(found_levels)
    ]


def _describe(model: TwoTowerModel, modality: str, level: int, found: Moments) -> ManagerWeights:
    mean, std = found.mean.tolist(), found.std.tolist()
    experts = expert_names(model, modality)
    experts += [f"{PREVIOUS}{number + 1}" for number in range(len(mean) - len(experts))]
    return ManagerWeights(modality, level + 1, experts, mean, std)


def draw_weights(models: dict[str, Sequence[ManagerWeights]], caption: str) -> Figure:
    """A row of panels a model: textual managers, visual managers.

    Experts on the x axis, a line a cross-modal layer.
    """
    with drawing():
        figure, panels = new_figure(len(models), 2)
        top = max(max(m.mean) for managers in models.values() for m in managers)
        for row, (label, managers) in zip(panels, models.items(), strict=True):
            for axes, (modality, title) in zip(row, MODALITIES.items(), strict=True):
                _draw_panel(axes, modality, [m for m in managers if m.modality == modality])
                axes.set_title(title if len(models) == 1 else f"{label}: {title}")
                axes.set_ylim(0, 1.05 * top)
        add_legend(figure, "cross-modal layer")
        add_caption(figure, join_captions([caption, NOTE]))
    return figure


def _draw_panel(axes: Axes, modality: str, managers: list[ManagerWeights]) -> None:
    names = max((m.experts for m in managers), key=len)
    uniform = 1 / sum(name[0] != PREVIOUS for name in names)
    axes.axhline(uniform, color="0.5", linewidth=0.8, linestyle=":")
    for number, manager in enumerate(managers):
        places = range(len(manager.experts))
        axes.plot(places, manager.mean, label=str(manager.layer), **line_style(number))
    axes.set_xticks(range(len(names)), names)
    letter, encoder = LETTERS[modality], ENCODERS[modality]
    previous = f", {PREVIOUS}: cross-modal layer" if names[-1][0] == PREVIOUS else ""
    axes.set_xlabel(f"expert ({letter}: {encoder} encoder layer{previous})")
    axes.set_ylabel("aggregation weight (share of 1)")


def table_rows(managers: Sequence[ManagerWeights]) -> list[dict[str, Any]]:
    """Rows of the CSV, one a weight."""
    return [
        {
            "modality": manager.modality,
            "cross_modal_layer": manager.layer,
            "expert": expert,
            "weight": round(mean, 7),
            "std": round(std, 7),
        }
        for manager in managers
        for expert, mean, std in zip(manager.experts, manager.mean, manager.std, strict=True)
    ]


ANALYSIS = Analysis(
    "weights", "Aggregation weights", check_managers, average_weights, draw_weights, table_rows
)
add_arguments, run = add_split_arguments, ANALYSIS.run
