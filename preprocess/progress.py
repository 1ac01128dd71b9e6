"""One progress bar for all long work: count, rate and time left, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LOG_INTERVAL = 10.0
"""Seconds between two lines where standard error is a file and not a terminal."""


def progress(
    description: str, unit: str, total: int | None = None, items: Iterable[Any] | None = None
) -> Any:
    """A bar over ``items``, or one that the caller updates."""
    interval = 0.2 if sys.stderr.isatty() else LOG_INTERVAL
    return tqdm(items, desc=description, unit=unit, total=total, smoothing=0.05,
                mininterval=interval, maxinterval=max(interval, 10.0))  # fmt: skip
