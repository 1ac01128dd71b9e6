"""Captions of Flickr30K in Karpathy's splits: 29,000, 1,014 and 1,000 pictures, five texts each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from preprocess.datasets.flickr_pictures import PICTURES, FlickrReader, flickr_key
from preprocess.datasets.karpathy import SOURCE, SPLITS, karpathy_records, karpathy_splits
from preprocess.datasets.registry import register_reader
from preprocess.fields import Fields
from preprocess.records import BadRecord, Record

FILE = "dataset_flickr30k.json"


@register_reader("flickr30k")
class Flickr30k(FlickrReader):
    """Every caption is a record; ``image_id`` groups the captions of a picture."""

    summary = "Flickr30K captions in Karpathy's splits"
    source = f"{SOURCE}; {PICTURES}"
    layout: ClassVar[str] = """
        RAW/dataset_flickr30k.json  (Karpathy's splits; RAW/karpathy/ will do as well)
        IMAGES/flickr30k-images/1000092795.jpg  (IMAGES is --image-root, else RAW)
    """

    def splits(self) -> list[str]:
        """Those that pictures of the file belong to; none without the file."""
        path = self.find(FILE)
        return [] if path is None else karpathy_splits(path)

    def split_sources(self) -> dict[str, str]:
        """All three are in one file."""
        return dict.fromkeys(SPLITS.values(), FILE)

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Captions in the order of the file."""
        path = self.find(FILE)
        if path is None:
            raise self.nothing_found()
        return karpathy_records(path, split, _key)


def _key(image: Fields) -> str:
    return flickr_key(image.text("filename"))
