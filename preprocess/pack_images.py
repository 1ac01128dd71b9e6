"""The long work: every used picture into its pack, by many processes, in a fixed order.

Pack number k holds the images k*P to (k+1)*P - 1 of the survey, whoever writes it. So the number
of workers and shards changes no byte, and a stopped run goes on at the first missing pack. Workers
read, prove and write; their bytes never pass through this process.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import read_json
from mt_fairseq.data.image_pack import PackWriter
from mt_fairseq.data.metadata import BUILDING
from mt_fairseq.errors import UserError
from preprocess.image_table import ImageTable
from preprocess.options import Options
from preprocess.progress import progress
from preprocess.store_part import Part, Stored, finish_pack, store_part
from preprocess.workers import Workers, result_of

PART = 16
"""Pictures that a worker gets, and holds in memory, at once."""


def pack_path(dest: Path, number: int) -> Path:
    """File of a pack."""
    return dest / "images" / f"{number:05d}.h5"


def note_path(dest: Path, number: int) -> Path:
    """What is known of a finished pack, and of the pictures that it had to leave out.

    It exists while a data-bin is built.
    """
    return dest / BUILDING / f"{number:05d}.json"


def pack_count(options: Options, images: int) -> int:
    """Packs that so many images fill."""
    return -(-images // options.images_per_pack)


def pack_images(images: ImageTable, options: Options) -> None:
    """Write the packs that are missing (of this shard, if there is one)."""
    with progress("images", "image", len(images)) as bar:
        numbers = _numbers_to_write(len(images), options, bar)
        with closing(_Packing(images, options, bar.update)) as packing:
            packing.run(numbers)


def _numbers_to_write(images: int, options: Options, bar: Any) -> list[int]:
    """Packs of this shard that are not there; the bar passes over the others."""
    numbers = []
    part, parts = options.shard or (1, 1)
    for number in range(pack_count(options, images)):
        size = min(options.images_per_pack, images - number * options.images_per_pack)
        if number % parts != part - 1:
            bar.total -= size
        elif pack_path(options.dest, number).is_file():
            bar.initial += size  # kept from an earlier run: no part of the rate
            bar.update(size)
        else:
            numbers.append(number)
    bar.refresh()
    return numbers


@dataclass
class _Pack:
    """A pack on its way."""

    number: int
    writer: PackWriter
    parts: int
    faults: list[list[str]]


class _Packing:
    """A bounded number of parts with the workers, their results taken in order."""

    def __init__(
        self, images: ImageTable, options: Options, advance: Callable[[int], object]
    ) -> None:
        self.images, self.options, self.advance = images, options, advance
        self.workers = Workers(options.workers)
        self.packs: deque[_Pack] = deque()
        self.finishing: Future[None] | None = None

    def close(self) -> None:
        """Stop the workers, and leave nothing that is half written."""
        self.workers.close()
        for pack in self.packs:
            pack.writer.discard()

    def run(self, numbers: list[int]) -> None:
        """Write these packs."""
        under_way: deque[tuple[Part, Future[Stored]]] = deque()
        for part in self._parts(numbers):
            under_way.append((part, self.workers.submit(store_part, part)))
            if len(under_way) > 3 * self.options.workers:
                self._take(*under_way.popleft())
        while under_way:
            self._take(*under_way.popleft())
        self._end_of_pack()

    def _parts(self, numbers: list[int]) -> Iterator[Part]:
        """The parts of all packs; a pack is begun when its first part is asked for."""
        turns = itertools.count()
        options = self.options
        for number in numbers:
            keys = self.images.keys(number * options.images_per_pack, options.images_per_pack)
            writer = PackWriter(pack_path(options.dest, number), options.store, keys)
            self.packs.append(_Pack(number, writer, -(-len(keys) // PART), []))
            for i in range(0, len(keys), PART):
                pictures = [(key, str(self.images.path_of(key))) for key in keys[i : i + PART]]
                yield Part(next(turns), i == 0, pictures, writer.partial, writer.start,
                           writer.path, options.resize, options.store)  # fmt: skip

    def _take(self, part: Part, future: Future[Stored]) -> None:
        """Note what was stored for the next part."""
        stored = result_of(future)
        if part.first:
            self._end_of_pack()
        if stored.faults and not self.options.skip_bad:
            raise UserError(
                f"{stored.faults[0][1]} (--on-error skip leaves such pictures out; finished "
                "packs are kept, --resume goes on with them)"
            )
        pack = self.packs[0]
        pack.writer.index.extend(stored.index)
        pack.faults += stored.faults
        pack.parts -= 1
        self.advance(len(part.pictures))
        if pack.parts == 0:
            self._finish(pack)

    def _finish(self, pack: _Pack) -> None:
        index = pack.writer.index
        about = {"images": len(index.keys), "bytes": index.offsets[-1], "faults": pack.faults}
        pack.writer.assemble()
        note = note_path(self.options.dest, pack.number)
        self.finishing = self.workers.submit(
            finish_pack, pack.writer.partial, pack.writer.path, note, about
        )

    def _end_of_pack(self) -> None:
        """Wait until the pack before is finished, which it mostly is since long."""
        if self.finishing is not None:
            result_of(self.finishing)
            self.finishing = None
            self.packs.popleft()


def missing_packs(options: Options, images: int) -> list[int]:
    """Packs that are not there yet."""
    return [n for n in range(pack_count(options, images))
            if not pack_path(options.dest, n).is_file()]  # fmt: skip


def pack_notes(options: Options, images: int) -> Iterator[dict[str, Any]]:
    """Of every pack: ``file``, ``images`` and ``bytes`` stored, ``faults``, ``sha256``."""
    for number in range(pack_count(options, images)):
        path = note_path(options.dest, number)
        if not path.is_file():
            raise UserError(f"{path}: missing; copy the folder `{BUILDING}` of every shard as well")
        yield {"file": f"images/{pack_path(options.dest, number).name}", **read_json(path)}


def must_be_wanted(faults: list[list[str]], options: Options) -> None:
    """UserError if pictures were left out by an earlier run and this one is not to do so."""
    if faults and not options.skip_bad:
        raise UserError(
            f"{faults[0][1]} (left out by an earlier run; go on with --resume "
            "--on-error skip, or mend the picture and start anew with --overwrite)"
        )
