"""Pictures from disk to the tensors of a batch: one picture at a time, and through the loader.

- decode: a 640x480 JPEG to (3, 288, 288) uint8, from a data-bin as ``preprocess`` writes it (bytes
  as they came; with ``--resize 288``; with ``--resize 288 --store pixels``), beside Pillow on loose
  files with its plain resize and the same centre crop. One thread, files in the page cache.
- loader: whole batches of pre-training (masked words, pairs, padding) from fairseq's iterator with
  two workers, beside two processes that do nothing but decode and transform the same pictures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import start_process
from benchmarks.open_task import open_task
from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from benchmarks.synthetic_bin import Picture, photographs, write_bin
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.transforms import build_transform
from preprocess.prepare_image import prepare

SIDE = 288
PICTURES = 64
PASSES = 4
"""How often a round decodes each picture."""
BATCHES, BATCH = 64, 32
SKIPPED = 6
"""Batches before the clock starts: the workers' own start, and what they prepare ahead."""
WORKERS = 2
PEER = "Pillow, loose files, plain resize"
WAYS = {
    "decode": ("data-bin, as they came", None, "encoded"),
    "decode_resized": ("data-bin, --resize 288", SIDE, "encoded"),
    "decode_pixels": ("data-bin, --resize 288 --store pixels", SIDE, "pixels"),
}
LOADER = f"fairseq's iterator, {WORKERS} workers"
ALONE = f"decode and transform alone, {WORKERS} processes"
DECODE_TARGET, LOADER_TARGET = 2.0, 0.95


@register_benchmark("data", "pictures a second: decode and transform, and through the loader")
def data(args: argparse.Namespace) -> list[Result]:
    """Three lines of decoding, one of loading."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = _write_files(folder / "files")
        for part, (_, resize, store) in WAYS.items():
            texts = BATCHES * BATCH
            write_bin(folder / part, _prepared(files, resize, store), PICTURES, texts, store)
        return [*decoding(folder, files, args.rounds), loading(folder / "decode", args.rounds)]


def _write_files(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = []
    for number, picture in enumerate(photographs(PICTURES)):
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(picture.data)
    return paths


def _prepared(files: list[Path], resize: int | None, store: str) -> list[Picture]:
    """What ``preprocess`` stores of the files."""
    found = [prepare(path.name, str(path), resize, store) for path in files]
    return [Picture(item.data, item.height, item.width) for item in found]


# --- one picture at a time ---


def decoding(folder: Path, files: list[Path], rounds: int) -> list[Result]:
    """Rates of all ways; each decodes every picture."""
    ways: dict[str, Callable[[int], torch.Tensor]] = {PEER: lambda i: plain(files[i])}
    for part, (label, _, _) in WAYS.items():
        ways[label] = _reader(folder / part)
    runs: dict[str, list[float]] = {label: [] for label in ways}
    with one_thread():
        for way in ways.values():
            assert all(way(i).shape == (3, SIDE, SIDE) for i in range(PICTURES))
        for _ in range(rounds):
            for label, way in ways.items():
                start = time.perf_counter()
                for i in range(PASSES * PICTURES):
                    way(i % PICTURES)
                runs[label].append(PASSES * PICTURES / (time.perf_counter() - start))
    kilobytes = sum(path.stat().st_size for path in files) / len(files) / 1000
    notes = [f"640x480 JPEG of {kilobytes:.0f} KB; bytes are checked against their sum as read"]
    return [
        Result(
            f"data.{part}", "pictures a second", label, PEER, DECODE_TARGET,
            {name: runs[name] for name in (label, PEER)}, notes=notes,
        )
        for part, (label, _, _) in WAYS.items()
    ]  # fmt: skip


def plain(path: Path) -> torch.Tensor:
    """Open, resize to the shorter side, cut out the centre, turn into a tensor."""
    image = Image.open(path).convert("RGB")
    factor = SIDE / min(image.size)
    width, height = (int(side * factor + 1e-6) for side in image.size)
    left, upper = (width - SIDE) // 2, (height - SIDE) // 2
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    image = image.crop((left, upper, left + SIDE, upper + SIDE))
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


def _reader(folder: Path) -> Callable[[int], torch.Tensor]:
    images = DataBin(folder).images
    transform = build_transform("center_crop", (SIDE, SIDE))
    rng = np.random.default_rng(0)
    return lambda i: transform(images.image(i, transform.min_side), rng)


@contextmanager
def one_thread() -> Iterator[None]:
    """As in a loader's worker, where torch takes a single thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- whole batches ---


def loading(folder: Path, rounds: int) -> Result:
    """Rates of the loader and of the bare work, both in two processes."""
    task = open_task(folder, SIDE, negatives="batch")
    runs: dict[str, list[float]] = {LOADER: [], ALONE: []}
    measures = {LOADER: lambda epoch: through_loader(task, epoch), ALONE: lambda _: alone(folder)}
    for turn in range(rounds):
        for label in list(measures)[:: 1 if turn % 2 == 0 else -1]:
            runs[label].append(measures[label](turn + 1))
    size = 3 * SIDE * SIDE
    notes = [f"a picture travels as {size:,} bytes of uint8 (as float32 {4 * size:,})"]
    return Result(
        "data.loader", "pictures a second", LOADER, ALONE, LOADER_TARGET, runs, notes=notes
    )


def through_loader(task: Any, epoch: int) -> float:
    """Pictures a second that arrive in batches, once the workers are under way."""
    batches = task.get_batch_iterator(
        task.datasets["train"], max_sentences=BATCH, seed=1, num_workers=WORKERS, epoch=epoch
    ).next_epoch_itr(shuffle=True)
    for _ in range(SKIPPED):
        next(batches)
    start = time.perf_counter()
    count = 0
    for batch in batches:
        assert batch["net_input"]["images"].dtype == torch.uint8
        count += len(batch["net_input"]["images"])
    return count / (time.perf_counter() - start)


def alone(folder: Path) -> float:
    """Pictures a second of processes that share nothing and hand nothing over."""
    count = (BATCHES - SKIPPED) * BATCH // WORKERS
    module = "benchmarks.processes.decode_alone"
    processes = [
        start_process(module, folder, SIDE, rank * count, count) for rank in range(WORKERS)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    spans = [json.loads(process.communicate()[0]) for process in processes]
    return WORKERS * count / (max(end for _, end in spans) - min(start for start, _ in spans))
