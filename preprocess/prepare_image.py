"""One picture file to the bytes that a pack stores; runs in worker processes."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from mt_fairseq.data.decode import decode_image, shown_size
from mt_fairseq.errors import UserError
from preprocess.shown import one_line

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Prepared:
    """A stored picture: its bytes and its size in pixels, or ``fault`` instead."""

    key: str
    data: bytes = b""
    height: int = 0
    width: int = 0
    fault: str | None = None


def prepare(key: str, path: str, resize: int | None, store: str) -> Prepared:
    """Read, decode (which proves the file whole), shrink and encode again where asked."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        height, width = shown_size(data, key) if data else (0, 0)
        smaller = resize is not None and min(height, width) > resize
        if store == "encoded" and not smaller:
            decode_image(data, key, min_side=1)  # the lowest resolution still reads all of a file
            return Prepared(key, data, height, width)
        # A JPEG decoded at twice the size wanted is large enough to shrink from.
        image = decode_image(data, key, 2 * resize if smaller and resize else None)
        if smaller and resize:
            image = shrink(image, (height, width), resize)
        data = image.tobytes() if store == "pixels" else _jpeg(image)
        return Prepared(key, data, image.height, image.width)
    except UserError as error:
        return Prepared(key, fault=one_line(str(error)))
    except OSError as error:
        return Prepared(key, fault=one_line(f"{key}: cannot be read ({error.strerror or error})"))


def shrink(image: Image.Image, full: tuple[int, int], side: int) -> Image.Image:
    """Resize to the shorter side ``side``, keeping the shape of the ``full`` (height, width)."""
    height, width = full
    if width < height:
        size = (side, max(side, round(height * side / width)))
    else:
        size = (max(side, round(width * side / height)), side)
    return image.resize(size, Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
