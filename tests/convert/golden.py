"""Reading one folder of reference tensors, and the model converted from it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mt_fairseq.convert import from_official
from mt_fairseq.convert.official import convert_state
from mt_fairseq.convert.tables import Place
from mt_fairseq.models.two_tower.model import TwoTowerModel

MANAGERTOWERS = ["mt_aaue", "mt_saue"]
FOLDERS = [*MANAGERTOWERS, "bt", "meter", "meter_fusion"]
BOUND = 1e-5  # the reference is within 5.4e-6 of its own float64 run


class Golden:
    """Tensors of one reference model; ``model()`` converts its weights afresh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "weights.safetensors")
        self.inputs = load_file(folder / "inputs.safetensors")
        self.outputs = load_file(folder / "outputs.safetensors")

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def tensors(self, name: str) -> dict[str, Tensor]:
        return load_file(self.folder / name)

    def model(self) -> TwoTowerModel:
        return from_official(self.weights, self.config)

    @functools.cached_property
    def places(self) -> dict[str, list[Place]]:
        """Where each reference parameter went."""
        return convert_state(self.weights, self.config).mapped

    def as_official(self, name: str, ours: dict[str, Tensor]) -> Tensor:
        """What of ``ours`` stands for the reference parameter ``name``, flat, in its order."""
        parts = []
        for place in self.places[name]:
            value = ours[place.target]
            parts.append((value if place.row is None else value[place.row]).reshape(-1))
        return torch.cat(parts)


@functools.cache
def load_golden(folder: Path) -> Golden:
    return Golden(folder)


def difference(ours: Tensor, reference: Tensor) -> float:
    """Largest absolute difference; shapes must be the same."""
    assert ours.shape == reference.shape, (tuple(ours.shape), tuple(reference.shape))
    return (ours - reference).abs().max().item()
