"""A pre-training step at base size beside its straightforward form, and beside the machine's limit.

MLM and ITM on 8 captions of COCO's lengths with pictures of 288 pixels, forward and backward in
training mode, dropout and the managers' noise on. The straightforward form runs the whole model
once an objective over texts padded to 50, with layers as torch has them; with our layers, in the
second line, it says what the step alone brings. The limit is a bare product of float32 matrices:
torch's own, which is what a straightforward form is made of, and oneDNN's where that is faster.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.flops import count_flops, product_rates
from benchmarks.measure import seconds
from benchmarks.plain_layers import plain_layers
from benchmarks.pretraining_step import BATCH, Batch, Step, build, make_batch, one_step, two_passes
from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from mt_fairseq.models.two_tower.model import TwoTowerModel

OURS = "one step, images encoded once"
PEER = "a full pass an objective, texts padded to 50"
PLAIN = "the same, layers as torch has them"
TARGET, SHARE = 1.7, 0.8


@register_benchmark("pretrain_step", "MLM and ITM at base size, forward and backward", 3, False)
def pretrain_step(args: argparse.Namespace) -> list[Result]:
    """Pairs a second; raises AssertionError if the losses of both forms differ."""
    model, batch = build(), make_batch()
    check_equal(model.eval(), batch)
    model.train()
    flops = {
        label: count_flops(partial(train, model, batch, step))
        for label, step in ((OURS, one_step), (PEER, two_passes))
    }
    runs: dict[str, list[float]] = {OURS: [], PEER: [], PLAIN: []}
    rates: list[dict[str, float]] = []
    ways: dict[str, Callable[[], None]] = {
        OURS: lambda: train(model, batch, one_step),
        PEER: lambda: train(model, batch, two_passes),
        PLAIN: lambda: train_plain(model, batch),
    }
    for _ in range(args.rounds):
        rates.append(product_rates())
        for label, way in ways.items():
            runs[label].append(BATCH / seconds(way))
    best = [max(rate.values()) for rate in rates]
    torchs = [rate["torch"] for rate in rates]
    reached = [rate / BATCH * flops[OURS] / 1e9 for rate in runs[OURS]]
    of_peer = statistics.median(runs[PEER]) / BATCH * flops[PEER] / 1e9
    of_plain = statistics.median(runs[PLAIN]) / BATCH * flops[PEER] / 1e9
    notes = [
        f"{flops[OURS] / 1e12:.2f} TFLOP a step beside {flops[PEER] / 1e12:.2f}",
        f"float32 products: {statistics.median(best):.0f} GFLOP/s, "
        f"torch's own {statistics.median(torchs):.0f}",
        f"reached: {statistics.median(reached):.0f} GFLOP/s, the straightforward form "
        f"{of_peer:.0f}, with layers as torch has them {of_plain:.0f}",
    ]
    details = {"flops": flops, "product_rates": rates}
    reaches, own, product = "reached by the step", "torch's float32 product", "the fastest product"
    return [
        Result("pretrain_step", "pairs a second", OURS, PLAIN, TARGET, runs,
               notes=notes, details=details),
        Result("pretrain_step.same_layers", "pairs a second", OURS, PEER, TARGET, runs),
        Result("pretrain_step.share", "GFLOP/s", reaches, own, SHARE,
               {reaches: reached, own: torchs}),
        Result("pretrain_step.share_of_fastest", "GFLOP/s", reaches, product, SHARE,
               {reaches: reached, product: best}),
    ]  # fmt: skip


@torch.no_grad()
def check_equal(model: TwoTowerModel, batch: Batch) -> None:
    """Both forms on the same pairs, without dropout and noise."""
    ours, full = one_step(model, batch), two_passes(model, batch)
    with plain_layers():
        plain = two_passes(model, batch)
    torch.testing.assert_close(ours, full, rtol=1e-5, atol=0)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=0)


def train(model: TwoTowerModel, batch: Batch, step: Step) -> None:
    """Loss and gradients."""
    step(model, batch).backward()
    model.zero_grad(set_to_none=True)


def train_plain(model: TwoTowerModel, batch: Batch) -> None:
    """The straightforward form throughout."""
    with plain_layers():
        train(model, batch, two_passes)
