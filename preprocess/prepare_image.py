"""One picture file to the bytes that a pack stores; runs in worker processes."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from mt_fairseq.data.decode import decode_image
from mt_fairseq.errors import UserError

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
        if store == "encoded" and resize is None:
            return _as_it_came(key, data, path)
        # A JPEG twice as large as wanted is large enough to shrink from.
        image = decode_image(data, path, None if resize is None else 2 * resize)
        full = _full_size(data, image)
        if resize is None or min(full) <= resize:
            if store == "encoded":
                return Prepared(key, data, full[1], full[0])
            image = decode_image(data, path)
        else:
            image = shrink(image, full, resize)
            data = _jpeg(image)
        if store == "pixels":
            data = image.tobytes()
        return Prepared(key, data, image.height, image.width)
    except UserError as error:
        return Prepared(key, fault=str(error))
    except OSError as error:
        return Prepared(key, fault=f"{path}: cannot be read ({error.strerror or error})")


def _as_it_came(key: str, data: bytes, path: str) -> Prepared:
    """Keep the bytes; decode at the lowest resolution, which still reads all of a file."""
    image = decode_image(data, path, min_side=1)
    width, height = _full_size(data, image)
    return Prepared(key, data, height, width)


def _full_size(data: bytes, decoded: Image.Image) -> tuple[int, int]:
    """(width, height) of the picture as shown, were it decoded at full resolution."""
    with Image.open(io.BytesIO(data)) as header:
        width, height = header.size
    # the decoder has turned the picture if the longer side lies the other way
    if (width - height) * (decoded.width - decoded.height) < 0:
        return height, width
    return width, height


def shrink(image: Image.Image, full: tuple[int, int], side: int) -> Image.Image:
    """Resize to the shorter side ``side``, keeping the shape of the ``full`` (width, height)."""
    width, height = full
    if width < height:
        size = (side, max(side, round(height * side / width)))
    else:
        size = (max(side, round(width * side / height)), side)
    return image.resize(size, Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
