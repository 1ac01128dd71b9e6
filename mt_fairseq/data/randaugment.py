"""RandAugment on Pillow images: a few operations at one magnitude, drawn at random.

The operations and their strengths are those of ALBEF's fine-tuning (two draws with replacement,
magnitude 7 of 10, each applied with probability 0.5), which BridgeTower and ManagerTower took over.
Everything acts on RGB images and keeps their size; what a warp uncovers is filled with grey.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from mt_fairseq.errors import UserError

Operation = Callable[[Image.Image, float], Image.Image]

MAX_MAGNITUDE = 10.0
FILL = (128, 128, 128)


def identity(image: Image.Image, level: float) -> Image.Image:
    """The image itself, whatever the level."""
    return image


def autocontrast(image: Image.Image, level: float) -> Image.Image:
    """Stretch each channel to the whole range 0..255; the level plays no part."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, level: float) -> Image.Image:
    """Flatten each channel's histogram; the level plays no part."""
    return ImageOps.equalize(image)


def _enhancement_factor(level: float) -> float:
    """0.1 at level 0, 1 (no change) at level 0.5, 1.9 at level 1."""
    return 1.8 * level + 0.1


def brightness(image: Image.Image, level: float) -> Image.Image:
    """Multiply all values by 0.1 (level 0) to 1.9 (level 1)."""
    factor = _enhancement_factor(level)
    table = np.clip(np.arange(256) * factor, 0, 255).astype(np.uint8).tolist()
    return image.point(table * 3)


def sharpness(image: Image.Image, level: float) -> Image.Image:
    """Blend away from a smoothed copy, by a factor of 0.1 (level 0) to 1.9 (level 1)."""
    # Pillow's smoothing filter leaves images of under 3 pixels a side alone
    return ImageEnhance.Sharpness(image).enhance(_enhancement_factor(level))


def color(image: Image.Image, level: float) -> Image.Image:
    """Blend away from the grey image, by a factor of 0.1 (level 0) to 1.9 (level 1)."""
    return ImageEnhance.Color(image).enhance(_enhancement_factor(level))


def contrast(image: Image.Image, level: float) -> Image.Image:
    """Blend away from the mean grey, by a factor of 0.1 (level 0) to 1.9 (level 1)."""
    return ImageEnhance.Contrast(image).enhance(_enhancement_factor(level))


def solarize(image: Image.Image, level: float) -> Image.Image:
    """Invert the values from 256 * level upwards, so a level of 1 inverts none."""
    return ImageOps.solarize(image, int(256 * level))


def posterize(image: Image.Image, level: float) -> Image.Image:
    """Keep the 4 * level highest bits of each value; below a quarter that is none: black."""
    mask = (0xFF << (8 - int(4 * level))) & 0xFF
    return image.point([value & mask for value in range(256)] * 3)


def _warp(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    """Bilinear affine warp; ``matrix`` leads from output to input, pixel centres at whole numbers.

    Pillow puts pixel centres at halves, OpenCV (in which the reference warps) at whole numbers.
    """
    a, b, c, d, e, f = matrix
    shifted = (a, b, c + 0.5 * (1 - a - b), d, e, f + 0.5 * (1 - d - e))
    return image.transform(
        image.size, Image.Transform.AFFINE, shifted, Image.Resampling.BILINEAR, fillcolor=FILL
    )


def shear_x(image: Image.Image, level: float) -> Image.Image:
    """Move row y right by 0.3 * level * y pixels (a negative level: left)."""
    return _warp(image, (1, -0.3 * level, 0, 0, 1, 0))


def shear_y(image: Image.Image, level: float) -> Image.Image:
    """Move column x down by 0.3 * level * x pixels (a negative level: up)."""
    return _warp(image, (1, 0, 0, -0.3 * level, 1, 0))


def translate_x(image: Image.Image, level: float) -> Image.Image:
    """Move everything 10 * level pixels to the left (a negative level: right)."""
    return _warp(image, (1, 0, 10 * level, 0, 1, 0))


def translate_y(image: Image.Image, level: float) -> Image.Image:
    """Move everything 10 * level pixels up (a negative level: down)."""
    return _warp(image, (1, 0, 0, 0, 1, 10 * level))


def rotate(image: Image.Image, level: float) -> Image.Image:
    """Turn by 30 * level degrees counter-clockwise around (width / 2, height / 2)."""
    angle = np.deg2rad(30 * level)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    x, y = image.width / 2, image.height / 2
    return _warp(image, (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y))


SIGNED = frozenset({"shear_x", "shear_y", "translate_x", "translate_y", "rotate"})
OPERATIONS: dict[str, Operation] = {
    "identity": identity,
    "autocontrast": autocontrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "equalize": equalize,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
}
COLOR_OPERATIONS: dict[str, Operation] = {
    "solarize": solarize,
    "color": color,
    "contrast": contrast,
    "posterize": posterize,
}


@dataclass(frozen=True)
class RandAugment:
    """Apply ``num_ops`` operations drawn with replacement, each with ``probability``.

    ``magnitude`` counts from 0 to 10; warps go either way at even odds. ``color_ops`` adds the
    four operations that change colours, which questions about colours cannot stand.
    """

    num_ops: int = 2
    magnitude: float = 7.0
    probability: float = 0.5
    color_ops: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.magnitude <= MAX_MAGNITUDE:
            raise UserError(
                f"RandAugment's magnitude is {self.magnitude}: give one between 0 and 10"
            )

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The augmented RGB image, of the same size."""
        operations = OPERATIONS | COLOR_OPERATIONS if self.color_ops else OPERATIONS
        names = list(operations)
        for index in rng.integers(len(names), size=self.num_ops):
            applied, negative = rng.random(2)
            if applied < self.probability:
                level = self.magnitude / MAX_MAGNITUDE
                if names[index] in SIGNED and negative < 0.5:
                    level = -level
                image = operations[names[index]](image, level)
        return image
