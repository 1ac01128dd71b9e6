"""``python -m benchmarks.processes.decode_alone DATA-BIN SIDE FIRST COUNT``: the bare work.

Prints ``ready``, waits for a line, decodes and transforms COUNT pictures in one thread and prints
when it began and ended, by the clock that all processes share.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from benchmarks.open_task import open_task
from mt_fairseq.data.randomness import Purpose


def main(folder: str, side: int, first: int, count: int) -> None:
    """What the module says."""
    torch.set_num_threads(1)
    dataset = open_task(Path(folder), side).datasets["train"]
    pictures = len(dataset.data_bin.images)
    for i in range(5):
        dataset.load_image(i, 0, Purpose.AUGMENT, 0)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    for i in range(first, first + count):
        dataset.load_image(i % pictures, i, Purpose.AUGMENT, 0)
    print(json.dumps([start, time.perf_counter()]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
