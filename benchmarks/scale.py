"""A data-bin of four million images and nine million texts: open it, begin an epoch, its memory.

Beside it stands one a thousandth of the size, whose costs are those of the interpreter, its
imports and the task itself. Both are opened in turns, each time in a fresh process, as
``fairseq-train`` does it: task, data set, batches of a shuffled epoch, two loader processes. The
files have just been written, so the operating system holds them in memory, as it does from the
second run on.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import in_own_process
from benchmarks.registry import register_benchmark
from benchmarks.result import Result, number
from benchmarks.synthetic_bin import tiny_pictures, write_bin

IMAGES, TEXTS = 4_000_000, 9_000_000
SHARE = 1000
OPEN_SECONDS = 1.0
LOADER_MIB = 200.0
FIRST_BATCH_SECONDS = 5.0
PROCESS = "benchmarks.processes.open_bin"

Found = list[dict[str, float]]


@register_benchmark(
    "scale", "4 million images, 9 million texts: opening, first batch, memory", rounds=3
)
def scale(args: argparse.Namespace) -> list[Result]:
    """Four lines; nothing grows with the data but what a shuffled order takes."""
    pictures = tiny_pictures(64)
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large"), Path(folder, "small")
        for path, share in ((large, 1), (small, SHARE)):
            write_bin(path, pictures, IMAGES // share, TEXTS // share)
        found: tuple[Found, Found] = ([], [])
        for _ in range(args.rounds):
            for path, runs in zip((large, small), found, strict=True):
                runs.append(in_own_process(PROCESS, path))
    return results(*found)


def results(large: Found, small: Found) -> list[Result]:
    """The lines from what the processes of both data-bins said, round by round."""

    def line(part: str, unit: str, key: str, target: float, notes: list[str]) -> Result:
        runs = {
            f"{number(TEXTS)} texts": [run[key] for run in large],
            f"{number(TEXTS // SHARE)} texts": [run[key] for run in small],
        }
        ours, peer = runs
        return Result(f"scale.{part}", unit, ours, peer, target, runs, "lower", "median", notes)

    own = [big["loader RssAnon"] - little["loader RssAnon"]
           for big, little in zip(large, small, strict=True)]  # fmt: skip
    mapped = max(run["loader VmRSS"] - run["loader RssAnon"] for run in large)
    label = "a loader process, beyond the small data-bin's"
    memory = Result(
        "scale.memory", "MiB", label, None, LOADER_MIB, {label: own}, "lower", "median",
        [
            "counted is what no file backs, pages shared with the trainer included;",
            f"beside it a loader has up to {number(mapped)} MiB of the files mapped, which all "
            "processes share",
        ],
        {"mapped_mib": mapped, "trainer_peak_mib": [run["trainer VmHWM"] for run in large]},
    )  # fmt: skip
    return [
        line("open", "s", "open", OPEN_SECONDS, ["until the first sample is there"]),
        line("first_batch", "s", "epoch 1", FIRST_BATCH_SECONDS,
             ["from the start of an epoch: order, batches, loader processes, one batch"]),
        line("next_epoch", "s", "epoch 2", FIRST_BATCH_SECONDS, ["the same for the second epoch"]),
        memory,
    ]  # fmt: skip
