"""What a picture holds: the one description from which pixels, text and labels are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

import numpy as np

from examples.demo.world.handwriting import scans_of

T = TypeVar("T")
Color = tuple[int, int, int]  # red, green, blue from 0 to 255

SIDE = 64  # pixels
COLORS: dict[str, Color] = {
    "red": (226, 54, 48),
    "green": (52, 178, 74),
    "blue": (62, 116, 236),
    "yellow": (238, 212, 60),
    "purple": (168, 72, 204),
    "white": (240, 240, 238),
}
SHAPES = ("circle", "square", "triangle")
DIGITS = tuple(str(d) for d in range(10))
NAMES = DIGITS + SHAPES
HOW_OFTEN = (0.45, 0.35, 0.2)  # scenes of one, two and three things
APART = 12  # pixels between two centres before one counts as left of or above the other


@dataclass(frozen=True)
class Thing:
    """One object of a scene: a digit in somebody's handwriting, or a shape."""

    name: str  # "0" to "9", or one of SHAPES
    color: str
    x: int  # left edge, pixels
    y: int  # top edge, pixels
    side: int  # pixels
    scan: int | None = None  # index of the scan, for digits
    angle: float = 0.0  # degrees, counter-clockwise
    tint: Color = (255, 255, 255)  # the very colour it is drawn in

    @property
    def kind(self) -> str:
        """ "digit" or "shape"."""
        return "digit" if self.name in DIGITS else "shape"

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.side / 2, self.y + self.side / 2

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) in pixels, as COCO writes boxes."""
        return self.x, self.y, self.side, self.side

    def left_of(self, other: Thing) -> bool:
        return other.center[0] - self.center[0] >= APART

    def above(self, other: Thing) -> bool:
        return other.center[1] - self.center[1] >= APART


@dataclass(frozen=True)
class Scene:
    """A picture of one to three things, no two alike, on a plain or lightly textured ground."""

    hands: str  # whose handwriting: "train", "val" or "test"
    things: tuple[Thing, ...]  # from left to right
    ground: Color
    slope: tuple[float, float]  # change of brightness over the picture, right and down
    grain: float  # standard deviation of the texture
    noise_seed: int


def rng_of(seed: int, *keys: str | int) -> np.random.Generator:
    """A generator for one record: the same whatever else is made, and in whatever order."""
    return np.random.default_rng([seed, *(crc32(str(k).encode()) for k in keys)])


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of a sequence, as plain Python."""
    return options[int(rng.integers(len(options)))]


def sample_scene(rng: np.random.Generator, hands: str, count: int | None = None) -> Scene:
    """Draw a scene whose digits were written by ``hands``; ``count`` fixes how many things."""
    count = 1 + int(rng.choice(3, p=HOW_OFTEN)) if count is None else count
    places = _places(rng, count)
    kinds = _names_and_colors(rng, count)
    things = [
        _thing(rng, hands, name, color, *place)
        for (name, color), place in zip(kinds, places, strict=True)
    ]
    things.sort(key=lambda t: (t.center[0], t.center[1]))
    shade = int(rng.integers(18, 56))
    ground = _near(rng, (shade, shade, shade), 8)
    across, down = (round(float(s), 1) for s in rng.uniform(-14, 14, size=2))
    grain = float(pick(rng, (0.0, 2.0, 4.0)))
    return Scene(hands, tuple(things), ground, (across, down), grain, int(rng.integers(2**31)))


def _names_and_colors(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Digits and shapes about equally often; every pair of name and colour once a scene."""
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        pair = pick(rng, (DIGITS, SHAPES)), pick(rng, tuple(COLORS))
        named = (pick(rng, pair[0]), pair[1])
        if named not in pairs:
            pairs.append(named)
    return pairs


def _places(rng: np.random.Generator, count: int) -> list[tuple[int, int, int]]:
    """(x, y, side) of things that don't touch; starts over when the picture is full."""
    while True:
        places: list[tuple[int, int, int]] = []
        for _ in range(40):
            side = int(rng.integers(20, 27))
            x, y = (int(v) for v in rng.integers(1, SIDE - side, size=2))
            if all(_apart((x, y, side), other) for other in places):
                places.append((x, y, side))
            if len(places) == count:
                return places


def _apart(a: tuple[int, int, int], b: tuple[int, int, int], gap: int = 2) -> bool:
    ax, ay, aside = a
    bx, by, bside = b
    return (
        ax + aside + gap <= bx
        or bx + bside + gap <= ax
        or ay + aside + gap <= by
        or by + bside + gap <= ay
    )


def _thing(
    rng: np.random.Generator, hands: str, name: str, color: str, x: int, y: int, side: int
) -> Thing:
    scan = pick(rng, scans_of(hands, int(name))) if name in DIGITS else None
    tint = _near(rng, COLORS[color], 14)
    angle = round(float(rng.uniform(-9, 9)), 1)
    return Thing(name, color, x, y, side, scan, angle, tint)


def _near(rng: np.random.Generator, color: Color, spread: int) -> Color:
    """A colour whose channels are at most ``spread`` off."""
    red, green, blue = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in color)
    return red, green, blue
