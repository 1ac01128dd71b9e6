"""Milliseconds of one forward pass, models taking turns, beside the paper's Table 6."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from mt_fairseq.analysis.flops import Inputs, build_random
from mt_fairseq.analysis.published import TABLE_6_MILLISECONDS
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel

BASELINE = "BridgeTower"
WARM_UP = 2  # passes of every model before the clock starts


@dataclass(frozen=True)
class LatencyRow:
    """One model's passes.

    Attributes:
        name: as in the tables.
        milliseconds: median over the rounds.
        lowest, highest: of all rounds.
        ratio: median over the rounds of this model's time by the baseline's in the same round.
        table_6_ratio: the same from the paper's means; None for what it does not have.
    """

    name: str
    milliseconds: float
    lowest: float
    highest: float
    ratio: float
    table_6_ratio: float | None


def latency_rows(
    variants: dict[str, tuple[str, dict[str, object]]],
    inputs: Inputs,
    rounds: int,
    device: str,
) -> list[LatencyRow]:
    """Time one pair through each of ``variants`` (name -> architecture and options).

    All models are held at once and take turns within a round, so that a machine that slows down
    slows all of them. Weights are random: they do not change the time. Raises UserError for a
    device that torch cannot use here.
    """
    place = usable_device(device)
    models = {
        name: _ready(arch, inputs, place, options) for name, (arch, options) in variants.items()
    }
    tokens = torch.full((1, inputs.tokens), 5, device=place)
    images = torch.zeros(1, 3, *inputs.image_size, device=place)
    for model in models.values():
        for _ in range(WARM_UP):
            _milliseconds(model, tokens, images)
    runs: dict[str, list[float]] = {name: [] for name in models}
    for _ in tqdm(range(rounds), desc="latency", unit="round", leave=False):
        for name, model in models.items():
            runs[name].append(_milliseconds(model, tokens, images))
    return [_row(name, times, runs[BASELINE]) for name, times in runs.items()]


def usable_device(name: str) -> torch.device:
    """The device of that name; UserError if torch knows none or cannot use it here."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: not usable here ({reason}); take cpu or cuda") from None
    return device


def _ready(
    arch: str, inputs: Inputs, device: torch.device, options: dict[str, object]
) -> TwoTowerModel:
    return build_random(arch, inputs, **options).eval().to(device)


@torch.inference_mode()
def _milliseconds(model: TwoTowerModel, tokens: Tensor, images: Tensor) -> float:
    start = time.perf_counter()
    model(tokens, images)
    if tokens.is_cuda:
        torch.cuda.synchronize(tokens.device)
    return 1000 * (time.perf_counter() - start)


def _row(name: str, times: list[float], baseline: list[float]) -> LatencyRow:
    ratio = statistics.median(a / b for a, b in zip(times, baseline, strict=True))
    printed = TABLE_6_MILLISECONDS.get(name)
    table_6 = printed[0] / TABLE_6_MILLISECONDS[BASELINE][0] if printed else None
    return LatencyRow(name, statistics.median(times), min(times), max(times), ratio, table_6)
