"""Karpathy's split files, ``dataset_coco.json`` and ``dataset_flickr30k.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from preprocess.datasets.registry import missing_field
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

SOURCE = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
SPLITS = {"train": "train", "restval": "train", "val": "valid", "test": "test"}


def karpathy_splits(path: Path) -> list[str]:
    """The splits that a file's pictures belong to."""
    present = {item.get("split") for item in stream_list(path, "images") if isinstance(item, dict)}
    return list(dict.fromkeys(SPLITS[name] for name in SPLITS if name in present))


def karpathy_records(
    path: Path, split: str, key_of: Callable[[dict[str, Any]], str]
) -> Iterator[Record | BadRecord]:
    """All captions of a split in the order of the file; a picture may have any number.

    Args:
        key_of: key of a picture from its entry, which has a ``filename``.
    """
    for i, item in enumerate(stream_list(path, "images")):
        where = f"{path.name}: images[{i}]"
        reason = missing_field(item, "filename", "split", "sentences", "imgid")
        if reason:
            yield BadRecord(where, reason)
        elif str(item["split"]) not in SPLITS:
            yield BadRecord(where, f"unknown split {item['split']!r}")
        elif SPLITS[item["split"]] == split:
            yield from _captions(item, where, key_of(item))


def _captions(item: dict[str, Any], where: str, key: str) -> Iterator[Record | BadRecord]:
    if not item["sentences"]:
        yield BadRecord(f"image {key}", "has no caption")
    for j, sentence in enumerate(item["sentences"]):
        reason = missing_field(sentence, "raw", "sentid")
        if reason:
            yield BadRecord(f"{where}.sentences[{j}]", reason)
        else:
            image_id = item.get("cocoid", item["imgid"])
            yield caption(sentence["sentid"], sentence["raw"], key, image_id)


def caption(caption_id: Any, text: Any, key: str, image_id: Any) -> Record:
    """A caption of one picture; captions with the same ``image_id`` belong together."""
    return Record(
        where=f"caption {caption_id}",
        sample_id=caption_id,
        text=text,
        images=(key,),
        extra={"image_id": image_id},
    )
