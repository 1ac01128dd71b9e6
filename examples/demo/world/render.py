"""Draw a scene: real pen strokes in colour, and smooth-edged shapes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from examples.demo.world.handwriting import scans
from examples.demo.world.scene import SIDE, Scene, Thing

_FINE = 4  # shapes are drawn this many times larger, then shrunk, for smooth edges


def render(scene: Scene) -> Image.Image:
    """The scene as an RGB picture of SIDE x SIDE pixels."""
    canvas = _ground(scene)
    for thing in scene.things:
        x, y, width, height = thing.box
        ink = (_digit(thing) if thing.kind == "digit" else _shape(thing))[:, :, None]
        patch = canvas[y : y + height, x : x + width]
        patch += ink * (np.asarray(thing.tint, dtype=np.float64) - patch)
    return Image.fromarray(np.rint(canvas.clip(0, 255)).astype(np.uint8))


def encode(image: Image.Image, suffix: str) -> bytes:
    """Bytes of a ".jpg" (colour kept at full resolution) or ".png" file."""
    out = io.BytesIO()
    if suffix == ".jpg":
        image.save(out, "JPEG", quality=92, subsampling=0)
    else:
        image.save(out, "PNG", compress_level=6)
    return out.getvalue()


def _ground(scene: Scene) -> np.ndarray:
    """(SIDE, SIDE, 3) float64: a slope of brightness, and grain."""
    ramp = np.linspace(-0.5, 0.5, SIDE)
    light = ramp[None, :] * scene.slope[0] + ramp[:, None] * scene.slope[1]
    grain = np.random.default_rng(scene.noise_seed).normal(0, 1, (SIDE, SIDE)) * scene.grain
    return np.asarray(scene.ground, dtype=np.float64) + (light + grain)[:, :, None]


def _digit(thing: Thing) -> np.ndarray:
    """(side, side) ink in [0, 1]: the scan, enlarged and slightly turned."""
    scan = Image.fromarray(scans()[0][thing.scan])
    big = scan.resize((thing.side, thing.side), Image.Resampling.BICUBIC)
    turned = big.rotate(thing.angle, resample=Image.Resampling.BICUBIC)
    return np.asarray(turned, dtype=np.float64) / 255.0


def _shape(thing: Thing) -> np.ndarray:
    """(side, side) ink in [0, 1]: the shape, filled and slightly turned."""
    side = thing.side * _FINE
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    low, high = side * 0.1, side * 0.9
    if thing.name == "circle":
        draw.ellipse((low, low, high, high), fill=255)
    elif thing.name == "square":
        draw.rectangle((side * 0.14, side * 0.14, side * 0.86, side * 0.86), fill=255)
    else:
        draw.polygon([(side / 2, low), (low, high), (high, high)], fill=255)
    mask = mask.rotate(thing.angle, resample=Image.Resampling.BICUBIC)
    small = mask.resize((thing.side, thing.side), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64) / 255.0
