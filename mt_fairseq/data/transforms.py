"""From an RGB picture of any size to the uint8 tensor that a model takes.

Transforms by name: ``center_crop`` (pre-training), ``wide_augment`` (ALBEF's pre-training),
``augment`` (fine-tuning), ``square_augment`` (ALBEF's grounding, which cuts nothing off) and
``square`` (evaluation of fine-tuned models). All the pixel work is done on 8-bit values; mean and
standard deviation are applied on the device, so a sample travels at a quarter of its float size.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from mt_fairseq.data.randaugment import RandAugment
from mt_fairseq.data.resample import WholeBox, resample, to_image, to_tensor
from mt_fairseq.errors import UserError
from mt_fairseq.registry import Registry

Box = tuple[float, float, float, float]
BICUBIC = Image.Resampling.BICUBIC

CROP_SCALE = (0.5, 1.0)
WIDE_CROP_SCALE = (0.2, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)
CROP_ATTEMPTS = 10
MOST_THROWN_AWAY = 4
"""Resized pictures with more than so many times the pixels that a crop keeps are cut out first."""


class Transform(ABC):
    """``transform(image, rng)``: RGB image of any size -> (3, H, W) uint8 for ``size`` = (H, W).

    ``min_side`` is the shorter side that a decoder must not go below: below it, the picture would
    lose detail that the result can show. ``random`` says whether ``rng`` is drawn from at all.
    """

    random = False

    def __init__(self, size: tuple[int, int], min_side: int) -> None:
        self.size = size
        self.min_side = min_side

    @abstractmethod
    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        """RGB image -> (3, H, W) uint8, contiguous, of exactly ``size``."""


class CenterCrop(Transform):
    """CLIP's: bicubic resize until the picture just covers ``size``, then cut out the centre."""

    def __init__(self, size: tuple[int, int]) -> None:
        # twice the target: from there on bicubic gives what the full picture would
        super().__init__(size, min_side=2 * max(size))

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        height, width = self.size
        covering = covering_size(image.size, self.size)
        if covering[0] * covering[1] > MOST_THROWN_AWAY * height * width:
            box = center_box(image.size, self.size)
            return to_tensor(image.resize((width, height), BICUBIC, box=box))
        left, upper = round((covering[0] - width) / 2), round((covering[1] - height) / 2)
        whole = resample(image, (covering[1], covering[0]))
        return whole[:, upper : upper + height, left : left + width].contiguous()


def covering_size(source: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a (width, height) picture resized until it just covers (H, W).

    Whole pixels, rounded down, as torchvision's Resize counts the longer side.
    """
    height, width = size
    factor = max(width / source[0], height / source[1])
    return (
        max(width, int(source[0] * factor + 1e-6)),
        max(height, int(source[1] * factor + 1e-6)),
    )


def center_box(source: tuple[int, int], size: tuple[int, int]) -> Box:
    """The part of a (width, height) picture that resize + centre crop to (H, W) would show.

    Resizing this box alone gives the same pixels and leaves out those that the crop throws away.
    """
    height, width = size
    resized = covering_size(source, size)
    left, upper = round((resized[0] - width) / 2), round((resized[1] - height) / 2)
    x, y = source[0] / resized[0], source[1] / resized[1]
    return (
        left * x,
        upper * y,
        min((left + width) * x, source[0]),
        min((upper + height) * y, source[1]),
    )


class Square(Transform):
    """Bicubic resize to exactly ``size``; the aspect ratio is not kept, nothing is cut off.

    Pillow's own, so that evaluation takes the reference's pixels to the last bit.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size, min_side=2 * max(size))

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        height, width = self.size
        return to_tensor(image.resize((width, height), BICUBIC))


Builder = Callable[[tuple[int, int], bool, bool], Transform]
"""(height, width), colour operations, flip -> transform."""
TRANSFORMS: Registry[Builder] = Registry("image transform")
register_transform = TRANSFORMS.register


@register_transform("augment")
class Augment(Transform):
    """RandomResizedCrop (half to all of the area), optional flip, RandAugment."""

    random = True
    scale = CROP_SCALE

    def __init__(self, size: tuple[int, int], color_ops: bool = False, flip: bool = False) -> None:
        # the narrowest crop shows this share of the shorter side
        smallest = math.sqrt(self.scale[0] * CROP_RATIO[0])
        super().__init__(size, min_side=math.ceil(max(size) / smallest))
        self.flip = flip
        self.randaugment = RandAugment(color_ops=color_ops)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        image = to_image(self.resized(image, rng))
        if self.flip and rng.random() < 0.5:
            image = ImageOps.mirror(image)
        return to_tensor(self.randaugment(image, rng))

    def resized(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        """A random part of the picture in the size wanted."""
        return resample(image, self.size, random_box(image.size, rng, self.scale))


@register_transform("wide_augment")
class WideAugment(Augment):
    """ALBEF's pre-training: crops of a fifth to all of the area."""

    scale = WIDE_CROP_SCALE


@register_transform("square_augment")
class SquareAugment(Augment):
    """ALBEF's grounding: the whole picture, so that no expression loses what it means."""

    scale = (1.0, 1.0)

    def resized(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        """The whole picture; the aspect ratio is not kept."""
        return resample(image, self.size)


def random_box(
    source: tuple[int, int], rng: np.random.Generator, scale: tuple[float, float] = CROP_SCALE
) -> WholeBox:
    """A random box of ``scale`` of the area and a ratio of 3/4 to 4/3 (width to height).

    Pictures so long that no drawn box fits give their centre, of the nearest allowed ratio.
    """
    width, height = source
    log_ratio = np.log(CROP_RATIO)
    for _ in range(CROP_ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        ratio = math.exp(rng.uniform(*log_ratio))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return (left, upper, left + w, upper + h)
    w = min(width, max(1, round(height * CROP_RATIO[1])))
    h = min(height, max(1, round(width / CROP_RATIO[0])))
    left, upper = (width - w) // 2, (height - h) // 2
    return (left, upper, left + w, upper + h)


@register_transform("center_crop")
def _center_crop(size: tuple[int, int], color_ops: bool, flip: bool) -> Transform:
    _refuse("center_crop", color_ops, flip)
    return CenterCrop(size)


@register_transform("square")
def _square(size: tuple[int, int], color_ops: bool, flip: bool) -> Transform:
    _refuse("square", color_ops, flip)
    return Square(size)


def _refuse(kind: str, color_ops: bool, flip: bool) -> None:
    if color_ops or flip:
        raise UserError(f"colour operations and flips belong to 'augment', not to {kind!r}")


def build_transform(
    kind: str, size: tuple[int, int], color_ops: bool = False, flip: bool = False
) -> Transform:
    """The transform named ``kind`` to ``size`` = (H, W); UserError if there is none of that name.

    ``color_ops`` and ``flip`` (horizontal, at even odds) are for "augment" alone.
    """
    build = TRANSFORMS[kind]
    height, width = size
    if height < 1 or width < 1:
        raise UserError(f"image size {height}x{width}: both sides must be at least 1 pixel")
    return build((height, width), color_ops, flip)
