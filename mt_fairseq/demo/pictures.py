"""The pictures of the page: those to pick from, and the latest uploads."""

from __future__ import annotations

import io
import itertools
import logging
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mt_fairseq.analysis.subjects import spread
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.decode import decode_image
from mt_fairseq.data.metadata import METADATA_FILE
from mt_fairseq.errors import UserError

logger = logging.getLogger(__name__)

MOST_TO_PICK = 12
MOST_UPLOADS = 16
PREVIEW = 480  # pixels, the longer side
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Picture:
    """One picture as it came.

    Attributes:
        name: its file's name.
        data: encoded bytes.
        preview: PNG of what the model gets to see, shrunk for the page.
        text: a text that goes with it; empty where there is none.
    """

    name: str
    data: bytes
    preview: bytes
    text: str = ""

    @classmethod
    def read(cls, name: str, data: bytes, text: str = "") -> Picture:
        """Decode it once; UserError for bytes that are no whole picture."""
        image = decode_image(data, name)
        image.thumbnail((PREVIEW, PREVIEW))
        return cls(name, data, _as_png(image), text)


class Pictures:
    """Pictures by id: those to pick from stay, of the uploads the latest ones."""

    def __init__(self, to_pick: list[Picture]) -> None:
        self.to_pick = {f"p{number}": picture for number, picture in enumerate(to_pick)}
        self.uploads: OrderedDict[str, Picture] = OrderedDict()
        self._numbers = itertools.count()

    def add(self, picture: Picture) -> str:
        """Keep an upload -> its id."""
        key = f"u{next(self._numbers)}"
        self.uploads[key] = picture
        while len(self.uploads) > MOST_UPLOADS:
            self.uploads.popitem(last=False)
        return key

    def get(self, key: str) -> Picture:
        """UserError if there is none of that id (any more)."""
        found = self.to_pick.get(key) or self.uploads.get(key)
        if found is None:
            raise UserError("no picture chosen, or it is no longer kept: choose one again")
        return found


def _as_png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def pictures_to_pick(path: Path) -> list[Picture]:
    """Some pictures of a folder, or of a data-bin with their texts.

    Raises UserError if there are none.
    """
    if not path.is_dir():
        raise UserError(f"--pictures {path}: no such folder")
    found = _of_data_bin(path) if (path / METADATA_FILE).is_file() else _of_folder(path)
    if not found:
        raise UserError(f"--pictures {path}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return found


def _of_folder(path: Path) -> list[Picture]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    found: list[Picture] = []
    for file in files:
        if len(found) == MOST_TO_PICK:
            break
        try:
            found.append(Picture.read(file.name, file.read_bytes()))
        except (UserError, OSError) as error:
            logger.warning("left out: %s", error)
    return found


def _of_data_bin(path: Path) -> list[Picture]:
    """Samples of the split ``valid``, or else of the first one, evenly spread."""
    data_bin = DataBin(path)
    split = data_bin.split("valid" if "valid" in data_bin.splits else data_bin.splits[0])
    found = []
    for index in spread(len(split), MOST_TO_PICK).tolist():
        image = int(split.images(index)[0])
        data = _as_png(data_bin.images.image(image))
        text = data_bin.tokenizer.decode(split.text(index).tolist())
        found.append(Picture.read(data_bin.images.key(image), data, text))
    return found
