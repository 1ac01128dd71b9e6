"""The long work: every used picture into its pack, by many processes, in a fixed order.

Pack number k holds the images k*P to (k+1)*P - 1 of the survey, whoever writes it. So the number
of workers and shards changes no byte, and a stopped run goes on at the first missing pack.
"""

from __future__ import annotations

import itertools
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path

from mt_fairseq.data.files import read_json, write_json
from mt_fairseq.data.image_pack import PackReader, PackWriter
from mt_fairseq.data.metadata import BUILDING
from mt_fairseq.errors import UserError
from preprocess.check import ImageTable
from preprocess.options import Options
from preprocess.prepare_image import Prepared, prepare
from preprocess.progress import progress

BATCH = 16
"""Pictures that a worker gets at once."""

Job = tuple[str, str, int | None, str]


def pack_path(dest: Path, number: int) -> Path:
    """File of a pack."""
    return dest / "images" / f"{number:05d}.h5"


def faults_path(dest: Path, number: int) -> Path:
    """List of the pictures that a pack had to leave out; exists while a data-bin is built."""
    return dest / BUILDING / f"{number:05d}.faults.json"


def pack_count(options: Options, images: int) -> int:
    """Packs that so many images fill."""
    return -(-images // options.images_per_pack)


def pack_images(images: ImageTable, options: Options) -> None:
    """Write the packs that are missing (of this shard, if there is one)."""
    numbers = range(pack_count(options, len(images.position)))
    if options.shard:
        part, parts = options.shard
        numbers = numbers[part - 1 :: parts]
    keys = iter(images.position)
    with (
        closing(_Preparer(options.workers)) as preparer,
        progress("images", "image", len(images.position)) as bar,
    ):
        for number in range(pack_count(options, len(images.position))):
            chunk = list(itertools.islice(keys, options.images_per_pack))
            if number not in numbers:
                bar.total -= len(chunk)
                bar.refresh()
            elif pack_path(options.dest, number).is_file():
                bar.initial += len(chunk)  # kept from an earlier run: no part of the rate
                bar.update(len(chunk))
            else:
                jobs = ((key, str(images.path_of(key)), options.resize, options.store)
                        for key in chunk)  # fmt: skip
                _write_pack(preparer.run(jobs), number, options, bar.update)


def _write_pack(
    prepared: Iterator[Prepared], number: int, options: Options, advance: Callable[[int], object]
) -> None:
    faults: list[list[str]] = []
    with PackWriter(pack_path(options.dest, number), options.store) as writer:
        for item in prepared:
            if item.fault is None:
                writer.add(item.key, item.data, item.height, item.width)
            elif options.skip_bad:
                faults.append([item.key, f"image {item.fault}"])
            else:
                raise UserError(
                    f"image {item.fault} (--on-error skip leaves such pictures out; finished "
                    "packs are kept, --resume goes on with them)"
                )
            advance(1)
        # before the pack appears, so that a finished pack always has its list
        write_json(faults_path(options.dest, number), faults)


class _Preparer:
    """Run jobs in processes, results in order, with a bounded number under way."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.pool = (
            ProcessPoolExecutor(workers, initializer=_ignore_interrupt) if workers > 1 else None
        )

    def run(self, jobs: Iterator[Job]) -> Iterator[Prepared]:
        """Prepared pictures in the order of the jobs."""
        if self.pool is None:
            yield from (prepare(*job) for job in jobs)
            return
        under_way: deque[Future[list[Prepared]]] = deque()
        try:
            while batch := list(itertools.islice(jobs, BATCH)):
                under_way.append(self.pool.submit(_prepare_batch, batch))
                if len(under_way) > 3 * self.workers:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed, most often for want of memory; run the same "
                "command again with --resume and fewer --workers"
            ) from error

    def close(self) -> None:
        """Stop the processes at once."""
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)


def _prepare_batch(jobs: list[Job]) -> list[Prepared]:
    return [prepare(*job) for job in jobs]


def _ignore_interrupt() -> None:
    """Ctrl-C is for the parent, which ends its workers; theirs would only print tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def missing_packs(options: Options, images: int) -> list[int]:
    """Packs that are not there yet."""
    return [n for n in range(pack_count(options, images))
            if not pack_path(options.dest, n).is_file()]  # fmt: skip


def image_faults(options: Options, images: int) -> dict[str, str]:
    """Pictures that were left out, and why, over all packs."""
    faults: dict[str, str] = {}
    for number in range(pack_count(options, images)):
        path = faults_path(options.dest, number)
        if not path.is_file():
            raise UserError(f"{path}: missing; copy the folder `{BUILDING}` of every shard as well")
        faults.update(read_json(path))
    if faults and not options.skip_bad:
        raise UserError(
            f"{next(iter(faults.values()))} (left out by an earlier run; go on with --resume "
            "--on-error skip, or mend the picture and start anew with --overwrite)"
        )
    return faults


def pack_sizes(options: Options, images: int) -> list[dict[str, object]]:
    """File, image count and stored bytes of each pack, for metadata.json."""
    rows: list[dict[str, object]] = []
    for number in range(pack_count(options, images)):
        path = pack_path(options.dest, number)
        pack = PackReader(path)
        count = len(pack)
        rows.append({"file": f"images/{path.name}", "images": count,
                     "bytes": int(pack.offsets[-1])})  # fmt: skip
    return rows
