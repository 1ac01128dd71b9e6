"""Karpathy's split files, ``dataset_coco.json`` and ``dataset_flickr30k.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from preprocess.datasets.split_field import splits_among
from preprocess.fields import Fields, faults_as_records, fields_of
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

SOURCE = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
SPLITS = {"train": "train", "restval": "train", "val": "valid", "test": "test"}


def _images(path: Path) -> Iterator[Fields]:
    return fields_of(stream_list(path, "images"), f"{path.name}: images")


def karpathy_splits(path: Path) -> list[str]:
    """The splits that a file's pictures belong to."""
    return splits_among(_images(path), SPLITS, path)


def karpathy_records(
    path: Path, split: str, key_of: Callable[[Fields], str]
) -> Iterator[Record | BadRecord]:
    """All captions of a split in the order of the file; a picture may have any number.

    Args:
        key_of: key of a picture from its entry, which has a ``filename``.
    """
    for image in _images(path):
        yield from faults_as_records(_captions(image, split, key_of))


def _captions(
    image: Fields, split: str, key_of: Callable[[Fields], str]
) -> Iterator[Record | BadRecord]:
    if SPLITS[image.one_of("split", SPLITS)] != split:
        return
    key = key_of(image)
    image_id = image.identity("cocoid" if "cocoid" in image else "imgid")
    if not image.entries("sentences"):
        yield BadRecord(f"image {key}", "has no caption")
    for sentence in image.parts("sentences"):
        yield from faults_as_records(caption(sentence, "sentid", "raw", key, image_id))


def caption(
    entry: Fields, id_name: str, text_name: str, key: str, image_id: int | str
) -> Iterator[Record]:
    """A caption of one picture; captions with the same ``image_id`` belong together."""
    caption_id = entry.identity(id_name)
    yield Record(
        where=f"caption {caption_id}",
        sample_id=caption_id,
        text=entry.text(text_name),
        images=(key,),
        extra={"image_id": image_id},
    )
