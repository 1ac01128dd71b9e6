"""Images, texts and numbers as a user gives them to the Python interface, singly or in lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from mt_fairseq.data.text_check import text_fault
from mt_fairseq.errors import UserError
from mt_fairseq.models.hub_images import KINDS, GivenImage, ImageInput, is_image, take_image

ImageInputs = ImageInput | GivenImage | Sequence[ImageInput | GivenImage]


def paired(
    image: ImageInputs, text: str | Sequence[str]
) -> tuple[list[GivenImage], list[str], bool]:
    """Equally long lists, and whether both arguments were single ones.

    A single image goes with every text and a single text with every image. Raises UserError for
    what is neither, empty lists, lists of different lengths, and paths without a file.
    """
    one_image, one_text = is_image(image), isinstance(text, str)
    images = _images(image)
    texts = _texts(text)
    if not images or not texts:
        raise UserError("no images or no texts given")
    count = max(len(images), len(texts))
    if one_image:
        images = images * count
    if one_text:
        texts = texts * count
    if len(images) != len(texts):
        raise UserError(
            f"{len(images)} images and {len(texts)} texts: give the same number of each"
        )
    return images, texts, one_image and one_text


def _images(given: Any) -> list[GivenImage]:
    if is_image(given):
        return [take_image(given, "the image")]
    if not _is_list(given):
        raise UserError(f"{type(given).__name__} is not an image: {KINDS}, or a list of them")
    images = list(given)
    return [
        take_image(image, f"image {number} of {len(images)}")
        for number, image in enumerate(images, start=1)
    ]


def _texts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [check_text(given)]
    if not _is_list(given) or isinstance(given, (bytes, bytearray)):
        raise UserError(
            f"{type(given).__name__} is not a text: give a string, or a list of strings"
        )
    return [check_text(text) for text in given]


def _is_list(given: Any) -> bool:
    """Whether it holds several things in an order."""
    return isinstance(given, Iterable) and not isinstance(given, (Mapping, Set))


def check_text(text: Any) -> str:
    """A text as it is; UserError for anything else, and for halves of characters."""
    reason = text_fault(text)
    if reason:
        raise UserError(f"{text!r:.80} {reason}")
    return str(text)


def check_topk(topk: Any) -> int:
    """A whole number from 1, as it is; UserError for anything else."""
    if isinstance(topk, bool) or not isinstance(topk, (int, np.integer)) or topk < 1:
        raise UserError(f"topk {topk!r:.80}: must be a whole number, at least 1")
    return int(topk)
