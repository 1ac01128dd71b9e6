"""Every common kind of picture becomes RGB as a person sees it; damaged ones name the file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mt_fairseq.data.decode import MAX_PIXELS, decode_image, shown_size
from mt_fairseq.errors import UserError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    x = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB", "YCbCr"])
def test_modes_become_rgb(mode: str) -> None:
    image = gradient(20, 10).convert(mode)
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    result = decode_image(encoded(image, kind), "x")
    assert (result.mode, result.size) == ("RGB", (20, 10))
    if mode not in ("1", "P"):
        wanted = np.asarray(image.convert("RGB"), dtype=int)
        assert np.abs(np.asarray(result, dtype=int) - wanted).mean() < 8  # JPEG loses a little


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    if mode == "P":
        data = encoded(image.convert("P"), transparency=image.convert("P").getpixel((1, 1)))
        assert decode_image(data, "x").getpixel((3, 3)) == (255, 255, 255)
        return
    result = decode_image(encoded(image.convert(mode)), "x")
    assert result.getpixel((3, 3)) == (255, 255, 255)
    assert result.getpixel((0, 0)) == (0, 0, 0)


def test_rgb_with_a_transparent_colour() -> None:
    data = encoded(Image.new("RGB", (4, 4), (10, 20, 30)), transparency=(10, 20, 30))
    assert decode_image(data, "x").getpixel((1, 1)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    result = np.asarray(decode_image(encoded(Image.fromarray(values)), "x"))
    np.testing.assert_array_equal(result[..., 0], values >> 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    shown = gradient(48, 32)
    back = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = shown if back is None else shown.transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "JPEG", quality=95, exif=exif)
    result = decode_image(data, "x")
    assert result.size == (48, 32)
    assert shown_size(data, "x") == (32, 48)
    assert np.abs(np.asarray(result, int) - np.asarray(shown, int)).mean() < 6


def test_unknown_orientation_turns_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    assert decode_image(encoded(gradient(8, 4), "JPEG", exif=exif), "x").size == (8, 4)


def test_draft_never_goes_below_the_shorter_side() -> None:
    data = encoded(gradient(640, 427), "JPEG")
    for side in (1, 53, 54, 107, 108, 214, 215, 427, 900):
        result = decode_image(data, "x", min_side=side)
        assert min(result.size) >= min(side, 427)
    assert min(decode_image(data, "x", min_side=100).size) < 427
    assert decode_image(encoded(gradient(64, 42)), "x", min_side=8).size == (64, 42)


def test_one_pixel() -> None:
    assert decode_image(encoded(Image.new("L", (1, 1), 7)), "x").getpixel((0, 0)) == (7, 7, 7)


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_decompression_bomb_is_refused_from_its_header(side: int) -> None:
    assert side * side > MAX_PIXELS
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(UserError, match=r"bomb\.png: too many pixels"):
        decode_image(bomb, "bomb.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_truncated(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UserError, match=r"cut\.img: "):
        decode_image(data[: len(data) // 2], "cut.img")
    with pytest.raises(UserError, match=r"cut\.img: "):
        decode_image(data[: len(data) // 2], "cut.img", min_side=1)


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"\xff\xd8\xff", b"\0" * 100])
def test_no_image(data: bytes) -> None:
    with pytest.raises(UserError, match=r"page\.jpg: "):
        decode_image(data, "page.jpg")
