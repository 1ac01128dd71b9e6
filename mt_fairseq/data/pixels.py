"""Arrays of pixel values -> 8-bit images, with one rule for what their values mean.

Whole numbers from 0 to 255 have 8 bits, also where their type could hold more; up to 65,535 they
have 16, of which the upper 8 are taken. Floating-point numbers run from 0 to 1. Any other range
could mean several things and is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mt_fairseq.errors import UserError

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
REMEDY = "give whole numbers from 0 to 255, or floats from 0 to 1"


def eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Pixel values of any type as 8 bits, by the rule above; same shape.

    Raises UserError for another range and for types that are not numbers.
    """
    if values.dtype == np.uint8:
        return values.view(np.uint8)
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise UserError(f"pixels of type {values.dtype}: {REMEDY}")
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # not a number fails as well
            raise UserError(f"floating-point pixels from {low:g} to {high:g}: {REMEDY}")
        return np.rint(values.astype(np.float64) * 255).astype(np.uint8)
    if low < 0 or high > 65535:
        raise UserError(f"pixels from {low} to {high}: {REMEDY}")
    return (values if high <= 255 else values.astype(np.uint16) >> 8).astype(np.uint8)


def from_array(array: NDArray[np.generic]) -> Image.Image:
    """(H, W) grey or (H, W, C) of 1, 3 or 4 channels, grey, RGB or RGBA -> a Pillow image.

    Raises UserError for other shapes, and as :func:`eight_bits`.
    """
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[-1] not in CHANNELS:
        raise UserError(
            f"an array of shape {array.shape}: one image is (H, W) or (H, W, C), C = 1, 3 or 4; "
            "of several, give a list"
        )
    if not pixels.size:
        raise UserError(f"an array of shape {array.shape} has no pixels")
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return Image.fromarray(np.ascontiguousarray(eight_bits(pixels)))
