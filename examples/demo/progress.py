"""From fairseq's JSON log lines to short lines of progress."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from examples.demo.stages import clock

_SHOWN = {
    "loss": "loss {:.2f}",
    "mlm_accuracy": "masked words right {:.0f} %",
    "itm_accuracy": "matching right {:.0f} %",
    "batch_image_r1": "own image found {:.0f} %",
    "vqa_score": "VQA score {:.1f} %",
    "accuracy": "right {:.1f} %",
}


class TrainingProgress:
    """Called with each line of fairseq-train's output; gives what to show, or None."""

    def __init__(self, updates: int) -> None:
        self.updates = updates
        self.start: tuple[float, int] | None = None

    def __call__(self, line: str) -> str | None:
        stats = _json_of(line)
        if stats is None:
            return None
        if "valid_loss" in stats:
            return "held-out images: " + _numbers(stats, "valid_")
        prefix = "train_" if "train_num_updates" in stats else ""
        done = int(float(stats.get(prefix + "num_updates", 0)))
        if not done or prefix:
            return None
        return f"update {done}/{self.updates}  {_numbers(stats, '')}{self._left(done)}"

    def _left(self, done: int) -> str:
        now = time.monotonic()
        if self.start is None:
            self.start = (now, done)
            return ""
        began, first = self.start
        rate = (done - first) / max(now - began, 1e-9)
        return f"  {clock((self.updates - done) / rate)} left" if rate else ""


def _json_of(line: str) -> dict | None:
    start = line.find("{")
    if start < 0 or '"epoch"' not in line:
        return None
    try:
        return json.loads(line[start:])
    except ValueError:
        return None


def _numbers(stats: dict, prefix: str) -> str:
    return "  ".join(
        text.format(float(stats[prefix + key]))
        for key, text in _SHOWN.items()
        if prefix + key in stats
    )


def bars(every: float = 2.0) -> Callable[[str], str | None]:
    """Shows lines of a command with progress bars, each bar at most every so many seconds."""
    last = float("-inf")

    def show(line: str) -> str | None:
        nonlocal last
        text = line.replace("\n", "\r").rstrip("\r").rsplit("\r", 1)[-1].strip()
        is_bar = "|" in text and "%" in text
        if not text or (is_bar and "100%" not in text and time.monotonic() - last < every):
            return None
        last = time.monotonic()
        return re.sub(r"\|[^|]*\|", "", text) if is_bar else text

    return show
