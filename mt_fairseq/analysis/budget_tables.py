"""The rows of ``python -m mt_fairseq.analysis budget``: counted figures beside printed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from fairseq.models import MODEL_DATACLASS_REGISTRY

from mt_fairseq.analysis import flops
from mt_fairseq.analysis.flops import Inputs, build_on_meta, count_parameters
from mt_fairseq.analysis.published import (
    BRIDGE_TABLE,
    LAYER_TABLE,
    PARTS_TABLE,
    REFERENCE_CODE,
    TABLE_6,
)
from mt_fairseq.models.two_tower.config import TwoTowerConfig
from mt_fairseq.modules.aggregation.bridges import Bridge
from mt_fairseq.modules.aggregation.managers import MANAGERS

BASE, LEVELS, HEADS, NORM_EPS = 768, 6, 12, 1e-5
DEMO_VOCABULARY = 220
CLIP_PROJECTIONS = {"base": 768 * 512, "large": 1024 * 768}  # into CLIP's shared space

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "METER": ("meter_base", {}),
    "METER, weighted layers": ("meter_base", {"layer_fusion": True}),
    "BridgeTower": ("bridgetower_base", {}),
    "ManagerTower SAE": ("managertower_base", {"manager_type": "sae"}),
    "ManagerTower SAE, split": ("managertower_base", {"manager_type": "sae-split"}),
    "ManagerTower SAUE": ("managertower_base", {"manager_type": "saue"}),
    "ManagerTower AAUE, own query": ("managertower_base", {"manager_query": "own"}),
    "ManagerTower AAUE": ("managertower_base", {}),
    "ManagerTower concat-attention": (
        "managertower_base",
        {"manager_type": "concat-attention"},
    ),
    "ManagerTower cross-attention": ("managertower_base", {"manager_type": "cross-attention"}),
}


def timed_variants() -> dict[str, tuple[str, dict[str, Any]]]:
    """METER and the models of Table 6, the only ones that the paper has timed."""
    return {name: VARIANTS[name] for name in ("METER", *TABLE_6)}


@dataclass(frozen=True)
class ModelRow:
    """A model of BASE size in both conventions (flops.py) beside the printed figures."""

    name: str
    parameters: int
    parameters_papers: int
    multiply_adds: int
    multiply_adds_papers: int
    table_6_parameters: str | None
    table_6_flops: str | None
    code_parameters: int | None
    code_flops: str | None


def model_rows() -> list[ModelRow]:
    """ManagerTower's Table 6 and the rest of its Table 1."""
    rows, inputs = [], Inputs()
    for name, (architecture, options) in VARIANTS.items():
        model = build_on_meta(architecture, inputs, **options)
        parameters = count_parameters(model)
        multiply_adds = flops.count_multiply_adds(model, inputs)
        rows.append(
            ModelRow(
                name,
                parameters,
                parameters + flops.official_unused_parameters(model, "base"),
                multiply_adds,
                multiply_adds + flops.official_extra(model, inputs),
                *TABLE_6.get(name, (None, None)),
                *REFERENCE_CODE.get(name, (None, None)),
            )
        )
    return rows


@dataclass(frozen=True)
class BridgeRow:
    """One definition of a bridge; ``counted`` in the unit and convention of ``printed``."""

    letter: str
    parameters: int
    counted: str
    printed: str


def bridge_rows() -> list[BridgeRow]:
    """BridgeTower's design I."""
    rows = []
    for letter, printed in BRIDGE_TABLE.items():
        with torch.device("meta"):
            bridges = [Bridge(letter, BASE, HEADS, level, NORM_EPS) for level in range(LEVELS)]
        everything = 2 * count_parameters(*bridges)
        matrices = 2 * sum(p.numel() for b in bridges for p in b.parameters() if p.dim() > 1)
        thousands = f"{everything / 1e3:.1f}K"
        counted = thousands if printed.endswith("K") else f"{matrices / 1e6:.1f}M"
        rows.append(BridgeRow(letter, everything, counted, printed))
    return rows


@dataclass(frozen=True)
class LayersRow:
    """So many co-attention layers; ``printed`` in millions."""

    layers: int
    parameters: int
    printed: str


def layers_rows() -> list[LayersRow]:
    """BridgeTower's design II."""
    model = build_on_meta("meter_base", Inputs())
    one = count_parameters(model.network.cross_modal.layers[0])
    return [LayersRow(layers, layers * one, printed) for layers, printed in LAYER_TABLE.items()]


@dataclass(frozen=True)
class PartRow:
    """A part of BridgeTower; ``printed`` in millions."""

    part: str
    parameters: int
    printed: str
    note: str


def part_rows() -> list[PartRow]:
    """BridgeTower's table of model variants."""
    rows = []
    for size, printed in PARTS_TABLE.items():
        side = {"base": 288, "large": 294}[size]
        network = build_on_meta(f"bridgetower_{size}", Inputs((side, side))).network
        width = network.text_encoder.width
        counted = {
            "text encoder": (
                count_parameters(network.text_encoder) + width * width + width,
                "RoBERTa with its unused pooler",
            ),
            "vision encoder": (
                count_parameters(network.vision_encoder) + CLIP_PROJECTIONS[size],
                "CLIP-ViT with its unused projection",
            ),
            "cross-modal encoder": (
                count_parameters(network.cross_modal.layers),
                "co-attention layers" + ("; printed as a round number" if size == "large" else ""),
            ),
        }
        for part, (parameters, note) in counted.items():
            rows.append(PartRow(f"{size}: {part}", parameters, printed[part], note))
    return rows


@dataclass(frozen=True)
class ManagerRow:
    """A kind of manager in the BASE model; own ones of a --user-dir too."""

    name: str
    parameters: int
    multiply_adds: int


def manager_rows() -> list[ManagerRow]:
    """Every registered manager, at the resolution of Table 6."""
    rows = []
    inputs = Inputs()
    for name in MANAGERS:
        model = build_on_meta("managertower_base", inputs, manager_type=name)
        count = flops.count_multiply_adds(model, inputs)
        rows.append(ManagerRow(name, count_parameters(model), count))
    return rows


@dataclass(frozen=True)
class ArchitectureRow:
    """A registered architecture as it is here, with its default options."""

    name: str
    height: int
    width: int
    tokens: int
    parameters: int
    multiply_adds: int


def architecture_rows() -> list[ArchitectureRow]:
    """Every ``--arch`` of the two-tower family."""
    rows = []
    for name, kind in MODEL_DATACLASS_REGISTRY.items():
        if not issubclass(kind, TwoTowerConfig):
            continue
        inputs = _usual_inputs(name)
        model = build_on_meta(name, inputs)
        count = flops.count_multiply_adds(model, inputs)
        parameters = count_parameters(model)
        rows.append(ArchitectureRow(name, *inputs.image_size, inputs.tokens, parameters, count))
    return sorted(rows, key=lambda row: row.name)


def _usual_inputs(name: str) -> Inputs:
    """The papers' resolution in pre-training (patch 14: 294), and the demonstration's."""
    if name.endswith("_tiny"):
        return Inputs((64, 64), tokens=32, vocabulary=DEMO_VOCABULARY)
    side = 294 if name.endswith("_large") else 288
    return Inputs((side, side))
