"""The photographs of Flickr30K, which SNLI-VE shares."""

from __future__ import annotations

import argparse
from pathlib import Path

from preprocess.datasets.registry import Reader

FOLDER = "flickr30k-images"
PICTURES = "the photographs by the request form on https://shannon.cs.illinois.edu/DenotationGraph"


def flickr_key(name: str) -> str:
    """Key of a photograph from its file name."""
    return f"{FOLDER}/{name}"


class FlickrReader(Reader):
    """Photographs in IMAGES/flickr30k-images, or in IMAGES itself."""

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        folder = self.image_root / FOLDER
        self.pictures = folder if folder.is_dir() else self.image_root

    def image_path(self, key: str) -> Path:
        """File of an image."""
        return self.pictures / Path(key).name
