"""Which split a picture of Visual Genome belongs to, so that COCO's held-out pictures stay out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mt_fairseq.errors import UserError
from preprocess.datasets.karpathy import SPLITS
from preprocess.datasets.registry import missing_field
from preprocess.json_stream import stream_list

FOLDERS = {"train2014": "train", "val2014": "valid"}


class GenomeSplits:
    """Split by Visual Genome's number of a picture.

    Args:
        pictures: ``image_data.json``, which gives COCO's number of half the pictures.
        coco: Karpathy's ``dataset_coco.json``.
        by_folder: held out is val2014, instead of Karpathy's val and test.
    """

    def __init__(self, pictures: Path, coco: Path, by_folder: bool) -> None:
        self.pictures, self.coco = pictures, coco
        self.coco_split = _coco_split(coco, *(("filepath", FOLDERS) if by_folder
                                              else ("split", SPLITS)))  # fmt: skip
        self.coco_id = _coco_ids(pictures)

    def fault(self, image_id: int) -> str | None:
        """Why a picture cannot be given a split, or None."""
        if image_id not in self.coco_id:
            return f"its picture {image_id} is not in {self.pictures.name}"
        coco_id = self.coco_id[image_id]
        if coco_id is not None and coco_id not in self.coco_split:
            return f"its picture {image_id} is COCO's {coco_id}, which is not in {self.coco.name}"
        return None

    def of(self, image_id: int, coco_only: bool) -> str | None:
        """``train`` or ``valid``; None for a picture that is not COCO's, with ``coco_only``."""
        coco_id = self.coco_id[image_id]
        if coco_id is not None:
            return self.coco_split[coco_id]
        return None if coco_only else "train"


def _coco_split(path: Path, field: str, table: dict[str, str]) -> dict[Any, str]:
    """Train or valid by COCO's number of a picture."""
    found = {}
    for i, item in enumerate(stream_list(path, "images")):
        reason = missing_field(item, "cocoid", field)
        if not reason and str(item[field]) not in table:
            reason = f"unknown {field} {item[field]!r}"
        if reason:
            raise UserError(f"{path}: images[{i}] {reason}")
        found[item["cocoid"]] = "train" if table[item[field]] == "train" else "valid"
    return found


def _coco_ids(path: Path) -> dict[int, Any]:
    """COCO's number, or None, by Visual Genome's number of a picture."""
    found = {}
    for i, item in enumerate(stream_list(path, None)):
        reason = missing_field(item, "image_id", "coco_id")
        if reason:
            raise UserError(f"{path}: [{i}] {reason}")
        found[item["image_id"]] = item["coco_id"]
    return found
