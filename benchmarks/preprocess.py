"""``python -m preprocess`` on loose files: its rate, what a second worker brings, its memory.

- copy: images a second beside a plain copy of the same files, one after the other. preprocess
  decodes every picture, which proves it whole, and writes checksums; the copy does neither.
- workers: the same command with two workers beside one.
- memory: peak of the main process with 100,000 pictures beside 10,000, tiny ones. The largest
  process that it starts is told beside it: a worker, or the one that trains the tokenizer, which
  holds its corpus (of 2 million texts at most).

Every run is the whole command in a fresh process: survey, tokenizer, packs, texts, checksums.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.measure import in_own_process, seconds
from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from benchmarks.synthetic_bin import Picture, photographs, tiny_pictures

KINDS = 64
IMAGES = 4000
PACKS = ("--images-per-pack", IMAGES // 8)  # several, as every large data set has
FEW, MANY = 10_000, 100_000
COPY_TARGET, WORKERS_TARGET, MEMORY_TARGET = 0.1, 1.7, 1.05
COPY = "plain copy of the files"
ONE, TWO = "preprocess, 1 worker", "preprocess, 2 workers"
PROCESS = "benchmarks.processes.preprocess_peak"
TEXT = "picture number {0} of a thing on the ground, a {1} one, seen from the {2}"


@register_benchmark("preprocess", "raw files to a data-bin: rate, second worker, memory", rounds=3)
def preprocess(args: argparse.Namespace) -> list[Result]:
    """Two lines of rates, one of memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = write_raw(folder / "photographs", photographs(KINDS), IMAGES)
        runs = rates(raw, folder / "out", args.rounds)
        peaks, children = memory(folder, args.rounds)
    copying = {label: runs[label] for label in (TWO, COPY)}
    working = {label: runs[label] for label in (TWO, ONE)}
    unit = "images a second"
    many, few = peaks
    told = ", ".join(f"{label} {median(values):.0f} MiB" for label, values in children.items())
    return [
        Result("preprocess.workers", unit, TWO, ONE, WORKERS_TARGET, working),
        Result("preprocess.copy", unit, TWO, COPY, COPY_TARGET, copying),
        Result(
            "preprocess.memory",
            "MiB",
            many,
            few,
            MEMORY_TARGET,
            peaks,
            better="lower",
            notes=[f"largest process that it starts: {told}"],
            details={"children": children},
        ),
    ]


def write_raw(folder: Path, pictures: list[Picture], count: int) -> Path:
    """A user's own captions, one a picture; the files are links to a few, so written at once."""
    (folder / "images").mkdir(parents=True)
    for kind, picture in enumerate(pictures):
        (folder / f"kind-{kind}").write_bytes(picture.data)
    with open(folder / "train.jsonl", "w") as stream:
        for i in range(count):
            name = f"images/{i:012d}.jpg"
            os.link(folder / f"kind-{i % len(pictures)}", folder / name)
            text = TEXT.format(i, ("small", "large")[i % 2], ("left", "right", "front")[i % 3])
            stream.write(json.dumps({"image": name, "text": text}) + "\n")
    return folder


def rates(raw: Path, out: Path, rounds: int) -> dict[str, list[float]]:
    """Images a second of all three ways, in turns; each writes to a folder that is not there."""
    ways: dict[str, Callable[[], object]] = {
        COPY: lambda: shutil.copytree(raw / "images", out),
        ONE: lambda: run(raw, out, 1, *PACKS),
        TWO: lambda: run(raw, out, 2, *PACKS),
    }
    found: dict[str, list[float]] = {label: [] for label in ways}
    for turn in range(rounds):
        for label in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            found[label].append(IMAGES / seconds(ways[label]))
            shutil.rmtree(out)
    return found


def memory(folder: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Peaks in MiB by the number of images, the larger number first; and of the largest child."""
    found: dict[str, list[float]] = {}
    children: dict[str, list[float]] = {}
    for count in (MANY, FEW):
        raw = write_raw(folder / str(count), tiny_pictures(KINDS), count)
        label = f"{count:,} images"
        found[label], children[label] = [], []
        for _ in range(rounds):
            peaks = run(raw, folder / "out", 2)
            found[label].append(peaks["peak"])
            children[label].append(peaks["child"])
            shutil.rmtree(folder / "out")
    return found, children


def run(raw: Path, out: Path, workers: int, *more: object) -> dict[str, float]:
    """The command, in a fresh process."""
    args = ["jsonl", "--raw", raw, "--dest", out, "--workers", workers, "--vocab-size", 300]
    return in_own_process(PROCESS, *args, *more)
