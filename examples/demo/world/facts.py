"""Descriptions of things, and whether and how often they hold in a scene.

Everything that is said or asked of a picture goes through ``Description``, so a label is counted
from the scene and never written by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.demo.world.scene import DIGITS, SIDE, Scene, Thing

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six")
SIDES = ("left", "right", "top", "bottom")
RELATIONS = ("left of", "right of", "above", "below")


def with_article(phrase: str) -> str:
    """ "a red 3", "an 8"."""
    return f"{'an' if phrase[0] in '8aeio' else 'a'} {phrase}"


@dataclass(frozen=True)
class Description:
    """Any of colour, name and kind; what is None is left open."""

    color: str | None = None
    name: str | None = None
    kind: str | None = None

    def fits(self, thing: Thing) -> bool:
        return (
            self.color in (None, thing.color)
            and self.name in (None, thing.name)
            and self.kind in (None, thing.kind)
        )

    def of(self, scene: Scene) -> list[Thing]:
        """The things of the scene that fit, from left to right."""
        return [t for t in scene.things if self.fits(t)]

    def count(self, scene: Scene) -> int:
        return len(self.of(scene))

    def noun(self, number: int = 1) -> str:
        """ "red 3", "blue circles", "object"."""
        head = self.name or self.kind or "object"
        plural = "" if number == 1 else "s"
        return f"{self.color} {head}{plural}" if self.color else f"{head}{plural}"

    def counted(self, number: int) -> str:
        """ "two red digits"."""
        return f"{NUMBER_WORDS[number]} {self.noun(number)}"


def exactly(thing: Thing) -> Description:
    """The description by colour and name, which no other thing of its scene fits."""
    return Description(color=thing.color, name=thing.name)


def kind_of(name: str) -> str:
    return "digit" if name in DIGITS else "shape"


def holds(relation: str, a: Thing, b: Thing) -> bool:
    """Whether ``a`` clearly stands in the relation to ``b``."""
    if relation == "left of":
        return a.left_of(b)
    if relation == "right of":
        return b.left_of(a)
    if relation == "above":
        return a.above(b)
    return b.above(a)


def opposite(relation: str) -> str:
    place = RELATIONS.index(relation)
    return RELATIONS[place ^ 1]


def at_side(scene: Scene, side: str) -> Thing | None:
    """The thing that is clearly farthest to a side, if there are several and one is."""
    relation = RELATIONS[SIDES.index(side)]
    for thing in scene.things:
        others = [t for t in scene.things if t is not thing]
        if others and all(holds(relation, thing, other) for other in others):
            return thing
    return None


def place(thing: Thing) -> str | None:
    """ "on the left", "at the top right", "in the middle"; None where that would be arguable."""
    x, y = (_third(v) for v in thing.center)
    if x is None or y is None:
        return None
    if x == y == 1:
        return "in the middle"
    across, down = ("left", "", "right")[x], ("top", "", "bottom")[y]
    return f"at the {down} {across}".rstrip() if down else f"on the {across}"


def _third(center: float) -> int | None:
    """0, 1 or 2 for the first, middle or last part of the side; None at the borders between."""
    parts = ((0.0, 0.36), (0.43, 0.57), (0.64, 1.0))
    return next((i for i, (a, b) in enumerate(parts) if a <= center / SIDE <= b), None)


def relations_of(scene: Scene) -> list[tuple[Thing, str, Thing]]:
    """Every clear relation between two things of the scene."""
    return [
        (a, relation, b)
        for a in scene.things
        for b in scene.things
        for relation in RELATIONS
        if a is not b and holds(relation, a, b)
    ]
