"""Random reads of about 50 KB from an image pack, warm, beside h5py's own ways to read."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from mt_fairseq.data.image_pack import PackWriter
from mt_fairseq.data.images import ImageStore

IMAGES = 2000
MEAN_BYTES = 50_000
READS = 4000
TARGET = 100_000
OURS = "ImageStore.raw"
PEER = "h5py, slices of one flat dataset"
OTHER = "h5py, one dataset an image"

Read = Callable[[int], object]


@register_benchmark("image_pack_read", "random reads a second of 50 KB images, warm")
def image_pack_read(args: argparse.Namespace) -> Result:
    """Rates of the three ways; in every round each reads the same images in the same order."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(MEAN_BYTES // 2, MEAN_BYTES * 3 // 2, IMAGES)
    blobs = [rng.bytes(int(size)) for size in sizes]
    with tempfile.TemporaryDirectory() as folder:
        flat, separate = Path(folder, "pack.h5"), Path(folder, "separate.h5")
        _write(flat, separate, blobs)
        store = ImageStore([flat])
        with h5py.File(flat, "r") as pack, h5py.File(separate, "r") as datasets:
            readers: dict[str, Read] = {
                OURS: store.raw,
                PEER: _slicer(pack),
                OTHER: lambda i: datasets[str(i)][()],
            }
            for read in readers.values():  # warms the page cache and proves that all agree
                assert all(bytes(read(i)) == blobs[i] for i in range(IMAGES))  # type: ignore[call-overload]
            runs: dict[str, list[float]] = {label: [] for label in readers}
            for _ in range(args.rounds):
                order = rng.integers(0, IMAGES, READS).tolist()
                for label, read in readers.items():
                    runs[label].append(_rate(read, order))
    return Result("image_pack_read", "reads a second", OURS, PEER, TARGET, runs, target_of="median")


def _write(flat: Path, separate: Path, blobs: list[bytes]) -> None:
    with PackWriter(flat) as writer, h5py.File(separate, "w") as file:
        for i, blob in enumerate(blobs):
            writer.add(f"{i}.jpg", blob, 1, 1)
            file[str(i)] = np.frombuffer(blob, np.uint8)


def _slicer(pack: h5py.File) -> Read:
    dataset, offsets = pack["bytes"], pack["offset"][()].tolist()
    return lambda i: dataset[offsets[i] : offsets[i + 1]]


def _rate(read: Read, order: list[int]) -> float:
    start = time.perf_counter()
    for i in order:
        read(i)
    return len(order) / (time.perf_counter() - start)
