"""Captions of COCO: the official annotation files, or Karpathy's splits."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mt_fairseq.errors import UserError
from preprocess.datasets.karpathy import (
    SOURCE,
    SPLITS,
    caption,
    karpathy_records,
    karpathy_splits,
)
from preprocess.datasets.registry import Reader, register_reader
from preprocess.fields import FieldFault, Fields, faults_as_records, fields_of
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

OFFICIAL = re.compile(r"captions_(train|val)(\d{4})\.json")
OFFICIAL_SPLITS = {"train": "train", "val": "valid"}
KARPATHY_FILE = "dataset_coco.json"


@register_reader("coco")
class Coco(Reader):
    """Every caption is a record; ``image_id`` groups the captions of a picture."""

    summary = "COCO captions: official annotation JSON, or Karpathy's splits"
    source = f"https://cocodataset.org/#download; Karpathy's splits: {SOURCE}"
    layout: ClassVar[str] = """
        RAW/dataset_coco.json  (Karpathy; taken if it is there; RAW/karpathy/ will do as well)
        RAW/annotations/captions_{train,val}{2014,2017}.json  (official)
        IMAGES/train2014/COCO_train2014_000000000009.jpg  (IMAGES is --image-root, else RAW)
        IMAGES/val2014/COCO_val2014_000000000042.jpg
    """

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        karpathy = next((p for p in (raw / KARPATHY_FILE, raw / "karpathy" / KARPATHY_FILE)
                         if p.is_file()), None)  # fmt: skip
        if args.captions == "karpathy" and karpathy is None:
            raise UserError(f"{raw / KARPATHY_FILE}: the file of Karpathy's splits is missing")
        self.karpathy = None if args.captions == "official" else karpathy

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The choice of the caption files."""
        parser.add_argument(
            "--captions",
            choices=["auto", "karpathy", "official"],
            default="auto",
            help="which caption files to read (default: auto, Karpathy's if they are there)",
        )

    def _official(self) -> dict[str, list[Path]]:
        """Official files by split."""
        found: dict[str, list[Path]] = {}
        for path in [*self.glob("*.json"), *self.glob("annotations/*.json")]:
            match = OFFICIAL.fullmatch(path.name)
            if match:
                found.setdefault(OFFICIAL_SPLITS[match[1]], []).append(path)
        for split, paths in found.items():
            if len(paths) > 1:
                names = ", ".join(map(str, paths))
                raise UserError(f"split {split} has several caption files: {names}; keep one")
        return found

    def splits(self) -> list[str]:
        """Karpathy's three, or those whose official file is there."""
        if self.karpathy is None:
            return [split for split in ("train", "valid") if split in self._official()]
        return karpathy_splits(self.karpathy)

    def split_sources(self) -> dict[str, str]:
        """Karpathy's three in one file, or the two that have official captions."""
        if self.karpathy is not None:
            return dict.fromkeys(SPLITS.values(), KARPATHY_FILE)
        return {split: f"captions_{name}*.json" for name, split in OFFICIAL_SPLITS.items()}

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Captions in the order of the file."""
        if self.karpathy is not None:
            return karpathy_records(self.karpathy, split, _key)
        return self._official_records(self._official()[split][0])

    def _official_records(self, path: Path) -> Iterator[Record | BadRecord]:
        images, captions = (fields_of(stream_list(path, name), f"{path.name}: {name}")
                            for name in ("images", "annotations"))  # fmt: skip
        names: dict[int | str, str] = {}
        for image in images:
            yield from faults_as_records(_note_name(image, names))
        folder = path.stem.removeprefix("captions_")
        without = dict.fromkeys(names)
        for entry in captions:
            yield from faults_as_records(_caption(entry, names, folder, without))
        for image_id in without:
            yield BadRecord(f"image {image_id} ({names[image_id]})", "has no caption")


def _note_name(image: Fields, names: dict[int | str, str]) -> Iterator[Record]:
    """A picture alone makes no record."""
    names[image.identity("id")] = image.text("file_name")
    yield from ()


def _caption(
    entry: Fields, names: dict[int | str, str], folder: str, without: dict[int | str, None]
) -> Iterator[Record]:
    image_id = entry.identity("image_id")
    if image_id not in names:
        raise FieldFault(f"caption {entry.identity('id')}", f"its image {image_id} is not listed")
    without.pop(image_id, None)
    yield from caption(entry, "id", "caption", f"{folder}/{names[image_id]}", image_id)


def _key(image: Fields) -> str:
    """``filepath/filename``, the folder left out where there is none."""
    folder = image.text("filepath") if "filepath" in image else ""
    name = image.text("filename")
    return f"{folder}/{name}" if folder else name
