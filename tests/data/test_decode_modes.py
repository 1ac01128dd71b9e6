"""Files of every Pillow mode, through the decoder: none turns black or white in silence."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from mt_fairseq.data.decode import decode_image
from mt_fairseq.errors import UserError
from tests.data.test_decode import encoded, gradient

GREY = np.linspace(0, 255, 20 * 16).reshape(16, 20).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 257  # the same greys in 16 bits


def decoded(data: bytes) -> np.ndarray:
    image = decode_image(data, "x")
    assert image.mode == "RGB"
    return np.asarray(image)


def tiff(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


def tiff_of_twelve_bits(values: np.ndarray, orientation: int) -> bytes:
    """An uncompressed greyscale TIFF of 12 bits a pixel, which Pillow reads and does not write."""
    height, width = values.shape
    bits = "".join(f"{value:012b}" for value in values.flat)
    pixels = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 274: orientation, 277: 1, 278: height,
            279: len(pixels)}  # fmt: skip
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = sorted((tags | {273: start}).items())
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + struct.pack("<I", 0) + pixels


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (encoded(Image.fromarray(DEEP)), "I;16"),
        (encoded(Image.fromarray(GREY.astype(np.uint16))), "I;16"),  # 8 bits in a wider type
        (tiff(DEEP), "I;16"),
        (tiff(GREY.astype(np.uint16)), "I;16"),
        (tiff(GREY.astype(np.int32)), "I"),
        (tiff(DEEP.astype(np.int32)), "I"),
        (encoded(Image.fromarray(DEEP.astype(np.int32)), "PPM"), "I"),
        (tiff((GREY / 255).astype(np.float32)), "F"),
        (encoded(Image.fromarray(GREY)), "L"),
    ],
)
def test_greys_of_every_depth_are_the_same(data: bytes, mode: str) -> None:
    assert Image.open(io.BytesIO(data)).mode == mode
    np.testing.assert_array_equal(decoded(data), np.repeat(GREY[..., None], 3, axis=-1))


def test_big_endian_greys() -> None:
    image = Image.frombytes("I;16B", (20, 16), DEEP.astype(">u2").tobytes())
    data = encoded(image, "TIFF")
    assert Image.open(io.BytesIO(data)).mode == "I;16B"
    np.testing.assert_array_equal(decoded(data)[..., 0], GREY)


@pytest.mark.parametrize("orientation", [1, 3])
def test_twelve_bits(orientation: int) -> None:
    found = decoded(tiff_of_twelve_bits(GREY.astype(int) * 16, orientation))[..., 0]
    np.testing.assert_array_equal(found, GREY if orientation == 1 else GREY[::-1, ::-1])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((4, 4), 70_000, np.int32), "pixels from 70000 to 70000"),
        (np.full((4, 4), -1, np.int32), "pixels from -1 to -1"),
        (np.full((4, 4), 128.0, np.float32), "floating-point pixels from 128 to 128"),
        (np.full((4, 4), np.nan, np.float32), "floating-point pixels from nan"),
    ],
)
def test_values_without_a_known_range_are_refused(values: np.ndarray, reason: str) -> None:
    with pytest.raises(
        UserError, match=rf"x: {reason}.*: give whole numbers from 0 to 255"
    ) as told:
        decode_image(tiff(values), "x")
    assert "damaged" not in str(told.value)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_grey_becomes_white(bits: int) -> None:
    values = GREY if bits == 8 else DEEP
    data = encoded(Image.fromarray(values), transparency=int(values[0, 0]))
    wanted = np.where(values == values[0, 0], 255, GREY)
    np.testing.assert_array_equal(decoded(data)[..., 1], wanted)


def test_black_and_white() -> None:
    image = Image.fromarray(GREY > 127)
    assert image.mode == "1"
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(decoded(encoded(image, kind))[..., 2], (GREY > 127) * 255)
    white = decoded(encoded(image, "PNG", transparency=0))
    assert (white == 255).all()


def test_palettes_with_their_own_transparency() -> None:
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "P")
    image.putpalette([value for i in range(16) for value in (i, 100, 200)])
    data = encoded(image, transparency=bytes([0, 255, 128]))
    found = decoded(data).reshape(16, 3).tolist()
    assert found[0] == [255, 255, 255] and found[1] == [1, 100, 200] and found[3] == [3, 100, 200]
    assert 170 < found[2][1] < 185  # half transparent


@pytest.mark.parametrize(
    ("mode", "kind", "near"),
    [("CMYK", "TIFF", 1), ("CMYK", "JPEG", 8), ("YCbCr", "TIFF", 3), ("LAB", "TIFF", 12),
     ("RGBX", "TIFF", 0), ("PA", "TIFF", 0)],
)  # fmt: skip
def test_colours_stay(mode: str, kind: str, near: int) -> None:
    colours = gradient(20, 16)
    if mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(colours, rgb, lab, outputMode="LAB")
    elif mode == "PA":
        colours = colours.quantize(8)
        image, colours = colours.convert("PA"), colours.convert("RGB")
    else:
        image = colours.convert(mode)
    assert image is not None and image.mode == mode
    difference = decoded(encoded(image, kind)).astype(int) - np.asarray(colours)
    assert np.abs(difference).mean() <= near


def test_an_image_without_pixels() -> None:
    with pytest.raises(UserError, match="x: "):
        decode_image(b"P6 0 4 255\n", "x")
