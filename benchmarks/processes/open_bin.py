"""``python -m benchmarks.processes.open_bin DATA-BIN``: open it as training does, take batches.

Prints one line of JSON: seconds to open it, from the start of an epoch to its first batch, and to
that of the second epoch; memory in MiB of this process and of its largest loader.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from pathlib import Path

from benchmarks.measure import memory
from benchmarks.open_task import open_task

BATCH = 32
WORKERS = 2
BATCHES = 50
SIDE = 32
MIB = 2**20


def main(folder: str) -> dict[str, float]:
    """What the module says."""
    found = {}
    start = time.perf_counter()
    task = open_task(Path(folder), SIDE)
    dataset = task.datasets["train"]
    last = dataset[len(dataset) - 1]
    found["open"] = time.perf_counter() - start
    assert last["images"].shape == (1, 3, SIDE, SIDE)
    earlier: set[int | None] = set()
    for epoch in (1, 2):
        start = time.perf_counter()
        epochs = task.get_batch_iterator(
            dataset, max_sentences=BATCH, seed=1, num_workers=WORKERS, epoch=epoch
        )
        batches = epochs.next_epoch_itr(shuffle=True)
        ids = next(batches)["id"]
        found[f"epoch {epoch}"] = time.perf_counter() - start
        assert not ids.equal(ids.sort().values)
        for _ in range(BATCHES):
            next(batches)
        loaders = {child.pid for child in multiprocessing.active_children()} - earlier
        assert len(loaders) == WORKERS
        earlier |= loaders
        for field in ("VmRSS", "RssAnon"):
            found[f"loader {field}"] = max(memory(field, pid or "") for pid in loaders) / MIB
        del batches, epochs
    found["trainer VmHWM"] = memory("VmHWM") / MIB
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
