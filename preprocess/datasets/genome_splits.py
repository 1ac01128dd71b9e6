"""Which split a picture of Visual Genome belongs to, so that COCO's held-out pictures stay out."""

from __future__ import annotations

from pathlib import Path

from preprocess.datasets.karpathy import SPLITS
from preprocess.fields import Fields, fields_of
from preprocess.json_stream import stream_list
from preprocess.lookup import Lookup

FOLDERS = {"train2014": "train", "val2014": "valid"}


class GenomeSplits:
    """Split by Visual Genome's number of a picture.

    Args:
        pictures: ``image_data.json``, which gives COCO's number of half the pictures.
        coco: Karpathy's ``dataset_coco.json``.
        by_folder: held out is val2014, instead of Karpathy's val and test.
    """

    def __init__(self, pictures: Path, coco: Path, by_folder: bool) -> None:
        images, numbers = stream_list(coco, "images"), stream_list(pictures, None)
        part_of = _part_by_folder if by_folder else _part_by_split
        self.coco_split = Lookup(coco.name, fields_of(images, "images"), part_of)
        self.coco_id = Lookup(pictures.name, fields_of(numbers, ""), _coco_id)

    def fault(self, image_id: int) -> str | None:
        """Why a picture cannot be given a split, or None."""
        if image_id not in self.coco_id:
            return f"its picture {image_id} {self.coco_id.lacks_it}"
        coco_id = self.coco_id[image_id]
        if coco_id is not None and coco_id not in self.coco_split:
            return f"its picture {image_id} is COCO's {coco_id}, which {self.coco_split.lacks_it}"
        return None

    def of(self, image_id: int, coco_only: bool) -> str | None:
        """``train`` or ``valid``; None for a picture that is not COCO's, with ``coco_only``."""
        coco_id = self.coco_id[image_id]
        if coco_id is not None:
            return self.coco_split[coco_id]
        return None if coco_only else "train"


def _part_by_folder(image: Fields) -> tuple[int, str]:
    """COCO's number of a picture, and train or valid."""
    return image.whole("cocoid"), FOLDERS[image.one_of("filepath", FOLDERS)]


def _part_by_split(image: Fields) -> tuple[int, str]:
    """The same by Karpathy's splits: what is not his train is held out."""
    train = SPLITS[image.one_of("split", SPLITS)] == "train"
    return image.whole("cocoid"), "train" if train else "valid"


def _coco_id(picture: Fields) -> tuple[int, int | None]:
    """Visual Genome's number of a picture, and COCO's, or None."""
    known = picture.value("coco_id") is not None
    return picture.whole("image_id"), picture.whole("coco_id") if known else None
