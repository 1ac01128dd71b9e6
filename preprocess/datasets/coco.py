"""Captions of COCO: the official annotation files, or Karpathy's splits."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader, missing_field, register_reader
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

OFFICIAL = re.compile(r"captions_(train|val)(\d{4})\.json")
OFFICIAL_SPLITS = {"train": "train", "val": "valid"}
KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": "valid", "test": "test"}
KARPATHY_FILE = "dataset_coco.json"


@register_reader("coco")
class Coco(Reader):
    """Every caption is a record; ``image_id`` groups the captions of a picture."""

    summary = "COCO captions: official annotation JSON, or Karpathy's splits"
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
        for path in sorted([*self.raw.glob("*.json"), *self.raw.glob("annotations/*.json")]):
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
        present = {item.get("split") for item in stream_list(self.karpathy, "images")
                   if isinstance(item, dict)}  # fmt: skip
        splits = [KARPATHY_SPLITS[name] for name in KARPATHY_SPLITS if name in present]
        return list(dict.fromkeys(splits))

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Captions in the order of the file."""
        if self.karpathy is not None:
            return self._karpathy_records(self.karpathy, split)
        return self._official_records(self._official()[split][0])

    def _karpathy_records(self, path: Path, split: str) -> Iterator[Record | BadRecord]:
        for i, item in enumerate(stream_list(path, "images")):
            where = f"{path.name}: images[{i}]"
            reason = missing_field(item, "filename", "split", "sentences")
            if reason:
                yield BadRecord(where, reason)
            elif item["split"] not in KARPATHY_SPLITS:
                yield BadRecord(where, f"unknown split {item['split']!r}")
            elif KARPATHY_SPLITS[item["split"]] == split:
                yield from _karpathy_captions(item, where)

    def _official_records(self, path: Path) -> Iterator[Record | BadRecord]:
        names: dict[Any, str] = {}
        folder = path.stem.removeprefix("captions_")
        for i, item in enumerate(stream_list(path, "images")):
            reason = missing_field(item, "id", "file_name")
            if reason:
                yield BadRecord(f"{path.name}: images[{i}]", reason)
            else:
                names[item["id"]] = item["file_name"]
        without = dict.fromkeys(names)
        for i, item in enumerate(stream_list(path, "annotations")):
            reason = missing_field(item, "id", "image_id", "caption")
            if reason:
                yield BadRecord(f"{path.name}: annotations[{i}]", reason)
            elif item["image_id"] not in names:
                reason = f"its image {item['image_id']} is not listed"
                yield BadRecord(f"caption {item['id']}", reason)
            else:
                without.pop(item["image_id"], None)
                key = f"{folder}/{names[item['image_id']]}"
                yield _caption(item["id"], item["caption"], key, item["image_id"])
        for image_id in without:
            yield BadRecord(f"image {image_id} ({names[image_id]})", "has no caption")


def _karpathy_captions(item: dict[str, Any], where: str) -> Iterator[Record | BadRecord]:
    """All captions of one picture; the official numbers if the file has them."""
    folder = item.get("filepath", "")
    key = f"{folder}/{item['filename']}" if folder else item["filename"]
    if not item["sentences"]:
        yield BadRecord(f"image {key}", "has no caption")
    for j, sentence in enumerate(item["sentences"]):
        reason = missing_field(sentence, "raw", "sentid")
        if reason:
            yield BadRecord(f"{where}.sentences[{j}]", reason)
        else:
            image_id = item.get("cocoid", item.get("imgid"))
            yield _caption(sentence["sentid"], sentence["raw"], key, image_id)


def _caption(caption_id: Any, text: Any, key: str, image_id: Any) -> Record:
    return Record(
        where=f"caption {caption_id}",
        sample_id=caption_id,
        text=text,
        images=(key,),
        extra={"image_id": image_id},
    )
