"""The one way from encoded bytes to an RGB image."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from mt_fairseq.errors import UserError

MAX_PIXELS = 100_000_000
"""Width times height that a header may announce (300 MB as RGB); more is taken for an attack."""

ORIENTATION_TAG = 0x0112
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

    EXIF rotation is applied, transparency is laid over white, 16-bit greyscale is scaled to 8.

    Args:
        data: encoded bytes (JPEG, PNG, WebP, ...).
        name: what errors call the picture.
        min_side: lets the JPEG decoder give a smaller picture (1/2, 1/4 or 1/8), its shorter side
            not below this (pixels).

    Errors: UserError for bytes that are empty, no image, cut off, or announce too many pixels.
    """
    if not data:
        raise UserError(f"{name}: the image file is empty")
    image = _open(data, name)
    try:
        if min_side is not None and image.format == "JPEG":
            image.draft(None, _draft_size(image.size, min_side))
        image.load()
        return to_rgb(_upright(image))
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
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{name}: too many pixels ({width}x{height}, the limit is {MAX_PIXELS:,}); "
            "shrink the picture first"
        )
    return image


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


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    orientation = _orientation(image)
    return image if orientation == 1 else image.transpose(TURNS[orientation])


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB; transparent parts become white."""
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I"):
        return _sixteen_bit(image).convert("RGB")
    if mode == "F":
        raise UserError("pixels are floating-point numbers; save the picture with 8 bits")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        if mode == "La":
            image = image.convert("LA")
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _sixteen_bit(image: Image.Image) -> Image.Image:
    """Greyscale with 16 bits a pixel to 8 bits (Pillow's own conversion would clip to white)."""
    import numpy as np

    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray((values >> 8).astype(np.uint8))
