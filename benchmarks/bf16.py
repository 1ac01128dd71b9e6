"""Inference in bfloat16 beside float32, and what it changes in the answers.

ManagerTower's base size with the head of VQA, 8 questions of 11 words with pictures of 384 pixels,
random weights. Two float32 forms: as torch multiplies, and as this project does (oneDNN where it
is faster), which is the harder peer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from benchmarks.machine import this_machine
from benchmarks.measure import in_turns
from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from mt_fairseq.analysis.flops import Inputs, build_random
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules import linear

OURS, OWN, TORCHS = "bfloat16", "float32", "float32 with torch's own products"
INPUTS = Inputs(image_size=(384, 384), tokens=13)
BATCH, ANSWERS = 8, 3129
TARGET = 2.5


@register_benchmark("bf16", "inference in bfloat16 beside float32, change in logits", 3, False)
@torch.inference_mode()
def bf16(args: argparse.Namespace) -> list[Result]:
    """Seconds a batch."""
    torch.manual_seed(0)
    tokens = torch.randint(4, INPUTS.vocabulary, (BATCH, INPUTS.tokens))
    images = torch.randint(0, 256, (BATCH, 1, 3, *INPUTS.image_size), dtype=torch.uint8)
    exact = build_random("managertower_base", INPUTS)
    exact.register_classification_head("vqa", ANSWERS, "soft_classes")
    half = build_random("managertower_base", INPUTS)
    half.register_classification_head("vqa", ANSWERS, "soft_classes")
    half.load_state_dict(exact.state_dict())
    half = half.to(torch.bfloat16)

    def run(model: TwoTowerModel) -> Tensor:
        return model.eval()(tokens, images, classification_head_name="vqa").logits.float()

    def run_with_torchs_products() -> Tensor:
        with mock.patch.object(linear, "ONEDNN_IS_FASTER", False):
            return run(exact)

    ways: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: run(half),
        TORCHS: run_with_torchs_products,
        OWN: lambda: run(exact),
    }
    runs = in_turns(ways, args.rounds)
    rates = {label: [BATCH / time for time in times] for label, times in runs.items()}
    notes, details = compare(run(exact), run(half))
    fast = [name for name in this_machine()["instructions"] if name.endswith("bf16")]
    notes.append(f"instructions for bfloat16 here: {', '.join(fast) or 'none'}")
    return [
        Result("bf16", "pairs a second", OURS, TORCHS, TARGET, rates, notes=notes, details=details),
        Result("bf16.onednn", "pairs a second", OURS, OWN, TARGET, rates),
    ]


def compare(exact: Tensor, half: Tensor) -> tuple[list[str], dict[str, float]]:
    """Logits (B, answers) in both types: lines for people, numbers for programs."""
    change = (half - exact).abs()
    spread = exact.std(dim=1).mean().item()
    found = {
        "largest_change": change.max().item(),
        "mean_change": change.mean().item(),
        "spread_of_logits": spread,
        "same_answer": (half.argmax(1) == exact.argmax(1)).float().mean().item(),
    }
    line = (
        f"logits change by {found['mean_change']:.2g} on average, {found['largest_change']:.2g} at "
        f"most; they spread by {spread:.2g} over the answers; the first answer stays for "
        f"{found['same_answer']:.0%}"
    )
    return [line], found
