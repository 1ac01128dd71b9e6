"""The one way from encoded bytes, or an image that Pillow has opened, to RGB."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from mt_fairseq.data.pixels import eight_bits
from mt_fairseq.errors import UserError

MAX_PIXELS = 100_000_000
"""Width times height that a header may announce (300 MB as RGB); more is taken for an attack."""

ORIENTATION_TAG = 0x0112
BITS_TAG = 0x0102  # of a sample, in TIFF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The limit above is checked here and ends in an error; Pillow's own warning would only repeat it.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def decode_image(data: bytes, name: str, min_side: int | None = None) -> Image.Image:
    """Decode any common picture to RGB as a person sees it.

    EXIF rotation is applied, transparency is laid over white, greyscale of more than 8 bits is
    brought to 8 (:mod:`mt_fairseq.data.pixels`).

    Args:
        data: encoded bytes (JPEG, PNG, WebP, ...).
        name: what errors call the picture.
        min_side: lets the JPEG decoder give a smaller picture (1/2, 1/4 or 1/8), its shorter side
            not below this (pixels).

    Errors: UserError for bytes that are empty, no image, cut off, or announce too many pixels, and
    for pixel values that have no known range.
    """
    if not data:
        raise UserError(f"{name}: the image file is empty")
    return shown(_open(data, name), name, min_side)


def shown(image: Image.Image, name: str, min_side: int | None = None) -> Image.Image:
    """A Pillow image in RGB as a person sees it; arguments, result and errors of decode_image."""
    _check_size(image, name)
    try:
        if min_side is not None and image.format == "JPEG":
            image.draft(None, _draft_size(image.size, min_side))
        image.load()
        orientation = _orientation(image)
        rgb = to_rgb(image)  # first, since a turned image no longer knows its format
        return rgb if orientation == 1 else rgb.transpose(TURNS[orientation])
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    except Exception as error:  # Pillow's plug-ins raise many kinds for damaged data
        raise UserError(f"{name}: the image is damaged ({_reason(error)})") from error


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header only and check the size that it announces."""
    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: too many pixels ({_reason(error)})") from error
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{name}: not an image that Pillow can read") from error
    except Exception as error:  # as above
        raise UserError(f"{name}: not a readable image ({_reason(error)})") from error
    _check_size(image, name)
    return image


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if not width * height:
        raise UserError(f"{name}: {width}x{height}: the image has no pixels")
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{name}: too many pixels ({width}x{height}, the limit is {MAX_PIXELS:,}); "
            "shrink the image first"
        )


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _draft_size(size: tuple[int, int], min_side: int) -> tuple[int, int]:
    """The smallest (width, height) with the same shape whose shorter side is ``min_side``."""
    shorter = min(size)
    side = max(1, min(min_side, shorter))
    return (-(-size[0] * side // shorter), -(-size[1] * side // shorter))


def shown_size(data: bytes, name: str) -> tuple[int, int]:
    """(height, width) of the picture after EXIF rotation, from its header alone."""
    image = _open(data, name)
    width, height = image.size
    return (width, height) if _orientation(image) >= 5 else (height, width)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; unreadable EXIF data turn nothing."""
    try:
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF blocks are common in web pictures and say nothing then
        return 1
    return found if found in TURNS else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB; transparent parts become white.

    Raises UserError for pixel values that have no known range.
    """
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I") or mode == "F":
        return _deep_grey(image).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        if mode == "La":
            image = image.convert("LA")
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    """Greyscale of 16 or 32 bits in 8 bits (Pillow's own conversion would clip to white)."""
    values = np.asarray(image)
    grey = (values >> 4).astype(np.uint8) if _has_twelve_bits(image) else eight_bits(values)
    if "transparency" in image.info:
        grey = np.where(values == image.info["transparency"], np.uint8(255), grey)
    return Image.fromarray(grey)


def _has_twelve_bits(image: Image.Image) -> bool:
    """Whether the header tells of values up to 4095, as TIFF's can."""
    return image.format == "TIFF" and getattr(image, "tag_v2", {}).get(BITS_TAG) == (12,)
