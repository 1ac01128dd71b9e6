"""Pictures and texts as a user gives them, singly or in lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mt_fairseq.errors import UserError

Picture = str | Path | bytes | Image.Image
Pictures = Picture | Sequence[Picture]


def paired(image: Pictures, text: str | Sequence[str]) -> tuple[list[Picture], list[str], bool]:
    """Equally long lists, and whether both arguments were single ones.

    A single picture goes with every text and a single text with every picture. Raises UserError
    for empty lists and for lists of different lengths.
    """
    one_image = isinstance(image, Picture)
    images: list[Any] = [image] if one_image else list(image)  # type: ignore[arg-type]
    texts: list[str] = [text] if isinstance(text, str) else list(text)
    if not images or not texts:
        raise UserError("no pictures or no texts given")
    count = max(len(images), len(texts))
    if one_image:
        images = images * count
    if isinstance(text, str):
        texts = texts * count
    if len(images) != len(texts):
        raise UserError(f"{len(images)} pictures and {len(texts)} texts: give as many of each")
    return images, texts, one_image and isinstance(text, str)
