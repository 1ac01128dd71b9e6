"""Sums over processes as plain floats: a NumPy number would make checkpoints unreadable.

Criterions leave their numbers as tensors, so that a step waits for the device only when it logs.
"""

from __future__ import annotations

from typing import Any

from fairseq import metrics

LARGER, SMALLER = True, False  # which end of a metric is the better one
Metrics = dict[str, bool]
"""Names of what a criterion logs in validation, and the better end of each. A criterion declares
those that a best checkpoint can be chosen by in its class method ``declared_metrics``; counts,
speeds and weights are not among them."""


def total(logging_outputs: list[dict[str, Any]], key: str) -> float:
    """The sum of one entry over micro-batches and processes."""
    return float(sum(float(output.get(key, 0)) for output in logging_outputs))


def log_average(name: str, value: float, count: float, round: int = 3) -> None:
    """Log ``value / count``, weighted by ``count``; nothing where nothing was counted."""
    if count > 0:
        metrics.log_scalar(name, value / count, count, round=round)
