"""What the readers of Visual Genome share: its pictures in two folders."""

from __future__ import annotations

import argparse
from pathlib import Path

from preprocess.datasets.registry import Reader

FOLDERS = ("VG_100K", "VG_100K_2")
SITE = "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html"


class GenomeReader(Reader):
    """Pictures NUMBER.jpg in IMAGES/VG_100K or VG_100K_2, or in those of IMAGES/images."""

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        roots = (self.image_root, self.image_root / "images")
        self.folders = [root / name for root in roots for name in FOLDERS
                        if (root / name).is_dir()] or [self.image_root]  # fmt: skip

    def image_path(self, key: str) -> Path:
        """The folder that holds a picture; which of the two is no matter to its key."""
        places = [folder / key for folder in self.folders]
        return next((path for path in places[:-1] if path.exists()), places[-1])


def genome_key(image_id: int) -> str:
    """Key of a picture."""
    return f"{image_id}.jpg"
