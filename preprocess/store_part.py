"""The work on pictures that runs in worker processes: prepare a part of a pack, finish a pack."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import full_disk_is_clear, sha256_of, write_json
from mt_fairseq.data.image_pack import PackIndex, write_at
from preprocess import workers
from preprocess.prepare_image import prepare


@dataclass(frozen=True)
class Part:
    """Pictures that a worker gets at once.

    Args:
        turn: counts the parts of a run.
        first: whether a pack begins with this part.
        pictures: key and file of each.
        partial: the file to write to.
        start: where the bytes of the pack's first image lie in it.
        path: what the pack is called when it is finished.
    """

    turn: int
    first: bool
    pictures: list[tuple[str, str]]
    partial: Path
    start: int
    path: Path
    resize: int | None
    store: str


@dataclass
class Stored:
    """What was written for a part, and the pictures that cannot be: key and reason."""

    index: PackIndex = field(default_factory=PackIndex)
    faults: list[list[str]] = field(default_factory=list)


def store_part(part: Part) -> Stored:
    """Read, prove, sum and write the pictures of a part."""
    stored, blocks = Stored(), []
    try:
        for key, path in part.pictures:
            picture = prepare(key, path, part.resize, part.store)
            if picture.fault is None:
                stored.index.add(key, picture.data, picture.height, picture.width)
                blocks.append(picture.data)
            else:
                stored.faults.append([key, f"image {picture.fault}"])
    finally:  # after an error too: the others wait for this turn
        begin = workers.turns().place(part.turn, part.first, stored.index.offsets[-1])
    with full_disk_is_clear(part.path):
        write_at(part.partial, part.start + begin, blocks)
    return stored


def finish_pack(partial: Path, path: Path, note: Path, about: dict[str, Any]) -> None:
    """Give a whole pack its name, after its checksum and what else there is to say of it."""
    with open(partial, "rb") as stream, ThreadPoolExecutor(1) as flushing:
        # The disk is busy with the one, the processor with the other.
        flushed = flushing.submit(os.fsync, stream.fileno())
        about = {**about, "sha256": sha256_of(partial)}
    with full_disk_is_clear(path):
        flushed.result()
        # before the pack appears, so that a finished pack always has its note
        write_json(note, about)
        os.replace(partial, path)
