"""A copy of a data-bin in which every question is asked of another image.

    python -m examples.demo.shuffle_images data-bin/vqa data-bin/vqa-shuffled --split valid

A model that still scores well on it answers from the words. All questions of one image move to
the same other image; texts, answers and the image packs stay as they are (packs are linked).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from mt_fairseq.command_line import Parser
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError, cli_entry

SEED = 1


def derangement(values: NDArray[np.int64]) -> dict[int, int]:
    """Each different value to another one of them; UserError if there is only one."""
    known = np.unique(values)
    if len(known) < 2:
        raise UserError("a split with a single image cannot be shuffled")
    order = np.random.default_rng(SEED).permutation(known)
    return {int(a): int(b) for a, b in zip(order, np.roll(order, 1), strict=True)}


def shuffle_images(source: Path, dest: Path, split: str) -> int:
    """Write the copy; returns how many images changed places.

    Raises UserError if ``source`` is no data-bin with this split, or ``dest`` exists.
    """
    column = DataBin(source).split(split).image_column
    if dest.exists():
        raise UserError(f"{dest} exists; remove it or choose another folder")
    moved = derangement(column)
    partial = dest.with_name(dest.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in source.iterdir():
        target = partial / path.name
        if path.name == f"{split}.h5":
            shutil.copyfile(path, target)
        else:
            target.symlink_to(os.path.relpath(path.resolve(), dest.resolve()))
    with h5py.File(partial / f"{split}.h5", "r+") as columns:
        columns["image"][...] = np.vectorize(moved.__getitem__)(column)
    partial.rename(dest)
    return len(moved)


def main(argv: list[str] | None = None) -> int:
    parser = Parser(prog="python -m examples.demo.shuffle_images")
    parser.add_argument("source", type=Path, help="data-bin")
    parser.add_argument("dest", type=Path, help="folder to make")
    parser.add_argument("--split", default="valid")
    args = parser.parse_args(argv)
    count = shuffle_images(args.source, args.dest, args.split)
    print(f"{args.dest}: {count} images of {args.split} changed places")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
