"""``python -m benchmarks.processes.open_bin DATA-BIN``: open it as training does, take batches.

Prints one line of JSON: seconds to open it, from the start of an epoch to its first batch, and to
that of the second epoch; memory in MiB of this process and of its largest loader.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time

import mt_fairseq.plugin  # noqa: F401 - before anything of fairseq
from benchmarks.measure import memory
from mt_fairseq.tasks.vlp_mlm_itm import VlpMlmItmConfig, VlpMlmItmTask

BATCH = 32
WORKERS = 2
BATCHES = 50
SIDE = 32
MIB = 2**20


def configuration(folder: str) -> VlpMlmItmConfig:
    """As the command line without further options makes it."""
    return VlpMlmItmConfig(
        data=folder,
        image_size=str(SIDE),
        seed=1,
        train_subset="train",
        save_dir=folder,
        restore_file="checkpoint_last.pt",
        finetune_from_model=None,
        path=None,
    )


def main(folder: str) -> dict[str, float]:
    """What the module says."""
    found = {}
    start = time.perf_counter()
    task = VlpMlmItmTask.setup_task(configuration(folder))
    task.load_dataset("train")
    dataset = task.datasets["train"]
    last = dataset[len(dataset) - 1]
    found["open"] = time.perf_counter() - start
    assert last["images"].shape == (1, 3, SIDE, SIDE)
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
        loaders = [child.pid for child in multiprocessing.active_children()]
        assert len(loaders) == WORKERS
        for field in ("VmRSS", "RssAnon"):
            found[f"loader {field}"] = max(memory(field, pid or "") for pid in loaders) / MIB
        del batches, epochs
    found["trainer VmHWM"] = memory("VmHWM") / MIB
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
