"""Floating-point operations of what runs, and the rate of this machine's matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from benchmarks.measure import seconds
from mt_fairseq.kernels.cpu.products import ONEDNN_IS_FASTER

ROWS, WIDTH, INNER = 2600, 768, 3072  # eight pictures of 288 pixels through a feed-forward layer
REPETITIONS = 5


def _linear(x: Any, weight: Any, *rest: Any, **kwargs: Any) -> int:
    return 2 * math.prod(x) * weight[0]


def _attention(query: Any, key: Any, value: Any, *rest: Any, **kwargs: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *rest: Any, **kw: Any) -> int:
    return sdpa_backward_flop_count(grad, query, key, value)


def count_flops(run: Callable[[], object]) -> int:
    """Operations of matrix products and convolutions in ``run()``, those of oneDNN included."""
    aten = torch.ops.aten
    mapping = {
        torch.ops.mkldnn._linear_pointwise: _linear,
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        run()
    return counter.get_total_flops()


@torch.no_grad()
def product_rates() -> dict[str, float]:
    """GFLOP/s of a float32 product, best of several: torch's own, and oneDNN's where we take it."""
    x, weight = torch.randn(ROWS, WIDTH), torch.randn(INNER, WIDTH)
    ways: dict[str, Callable[[], object]] = {"torch": lambda: F.linear(x, weight)}
    if ONEDNN_IS_FASTER:
        pointwise = torch.ops.mkldnn._linear_pointwise
        ways["oneDNN"] = lambda: pointwise(x, weight, None, "none", [], "")
    best = dict.fromkeys(ways, math.inf)
    for _ in range(1 + REPETITIONS):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way))
    return {name: 2 * ROWS * WIDTH * INNER / time / 1e9 for name, time in best.items()}
