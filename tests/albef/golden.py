"""Reading a folder of ALBEF's reference tensors, and the model converted from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mt_fairseq.convert import from_official_albef
from mt_fairseq.convert.albef import rules_for
from mt_fairseq.convert.tables import convert
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.attention import MultiHeadAttention

BOUND = 2e-5
LOGITS_BOUND = 1e-4  # of masked words and of the decoder
LOSS_BOUND = 5e-6  # relative


class Golden:
    """One folder; ``kind`` as ``from_official_albef`` has it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.config = json.loads((folder / "config.json").read_text())
        self.sizes = self.config["sizes"]
        self.inputs = self.tensors("inputs")

    def tensors(self, name: str) -> dict[str, Tensor]:
        """A file's tensors, halves widened."""
        tensors = load_file(self.folder / f"{name}.safetensors")
        return {k: t.float() if t.dtype == torch.float16 else t for k, t in tensors.items()}

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def model(self, weights: str | dict[str, Tensor] = "weights", **options: Any) -> AlbefModel:
        """The model of a weights file, in training mode without dropout."""
        if isinstance(weights, str):
            weights = self.tensors(weights)
        model = from_official_albef(weights, self.sizes, self.kind)
        for name, value in options.items():
            model.cfg[name] = value
        return without_dropout(model).train()

    def official(self, name: str, tensor: Tensor) -> dict[str, Tensor]:
        """The official tensor ``name`` under our names, in parts where we cut it."""
        converted = convert({name: tensor}, rules_for(self.sizes, self.kind))
        assert not converted.left_over, name
        return converted.tensors

    def check_gradients(self, model: AlbefModel, expected: dict[str, Any]) -> int:
        """Compare [norm, first, last] of each official parameter; gives how many."""
        ours = dict(model.named_parameters())
        compared = 0
        weights = self.tensors("weights")
        for name, values in expected.items():
            tensors = self.official(name, weights[name])
            parts = [ours[target].grad for target in tensors]
            if not parts:
                continue
            if values is None:
                assert all(part is None or not part.any() for part in parts), name
                continue
            flat = torch.cat([part.flatten() for part in parts if part is not None])
            bound = 1e-3 * values[0] + 1e-5
            for ours_value, value in zip((flat.norm(), flat[0], flat[-1]), values, strict=True):
                assert abs(float(ours_value) - value) < bound, name
            compared += 1
        return compared


def without_dropout(model: AlbefModel) -> AlbefModel:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, MultiHeadAttention):
            module.dropout = 0.0
    return model


def difference(ours: Tensor, reference: Tensor) -> float:
    """Largest absolute difference; shapes must be the same."""
    assert ours.shape == reference.shape, (tuple(ours.shape), tuple(reference.shape))
    return (ours - reference).abs().max().item()


def relative(ours: Tensor, reference: Tensor) -> float:
    return abs(float(ours.detach()) - float(reference)) / abs(float(reference))


def draws_for(weights: Tensor, index: Tensor) -> Tensor:
    """(B,) uniform numbers that make ``draw_negatives`` choose ``index`` (B,)."""
    cumulative = weights.double().cumsum(dim=-1) / weights.double().sum(dim=-1, keepdim=True)
    upper = cumulative.gather(1, index[:, None])[:, 0]
    lower = torch.where(
        index > 0, cumulative.gather(1, (index - 1).clamp(min=0)[:, None])[:, 0], 0.0
    )
    return (lower + upper) / 2
