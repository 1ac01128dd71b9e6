"""Statements that hold or do not hold of one scene (SNLI-VE) or of two (NLVR2).

They are made of the captions' words, which the tokenizer and the pre-trained model know, and end
without a full stop, as the captions do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from examples.demo.world.facts import Description, exactly, with_article
from examples.demo.world.questions import absent, describe
from examples.demo.world.scene import COLORS, SHAPES, Scene, pick, sample_scene

_UNSEEN = (
    "is old",
    "is for you",
    "was here before",
    "is on the back too",
    "is the first one",
)


def entailed(rng: np.random.Generator, scene: Scene) -> str:
    """A sentence that the picture shows to be true."""
    return _claim(rng, scene, True)


def contradicted(rng: np.random.Generator, scene: Scene) -> str:
    """A sentence that the picture shows to be false.

    One in ten says what no picture shows, but of a thing that is absent, so that such words do not
    quite give a neutral sentence away.
    """
    if rng.random() < 0.1:
        return f"The {absent(rng, scene, 'color name').noun()} {pick(rng, _UNSEEN)}"
    return _claim(rng, scene, False)


def undecided(rng: np.random.Generator, scene: Scene) -> str:
    """A sentence about a thing of the picture that no picture could settle."""
    return f"The {exactly(pick(rng, scene.things)).noun()} {pick(rng, _UNSEEN)}"


def _claim(rng: np.random.Generator, scene: Scene, truth: bool) -> str:
    return pick(rng, (_claim_exists, _claim_count, _claim_color))(rng, scene, truth)


def _claim_exists(rng: np.random.Generator, scene: Scene, truth: bool) -> str:
    form = pick(rng, ("name", "color", "color kind", "color name"))
    thing = pick(rng, scene.things)
    what = describe(form, thing.color, thing.name) if truth else absent(rng, scene, form)
    opening = pick(rng, ("There is", "This picture shows", "I see"))
    return f"{opening} {with_article(what.noun())}"


def _claim_count(rng: np.random.Generator, scene: Scene, truth: bool) -> str:
    what = pick(rng, (Description(), Description(kind="digit"), Description(kind="shape")))
    number = what.count(scene) if truth else _another_count(rng, scene, what)
    return f"There {'is' if number == 1 else 'are'} {what.counted(number)} in the picture"


def _another_count(rng: np.random.Generator, scene: Scene, what: Description) -> int:
    """How many there are in some other scene, so that false numbers are as usual as true ones."""
    while (number := what.count(sample_scene(rng, scene.hands))) == what.count(scene):
        pass
    return number


def _claim_color(rng: np.random.Generator, scene: Scene, truth: bool) -> str:
    thing = pick(rng, scene.things)
    color = thing.color
    if not truth:
        used = {t.color for t in scene.things if t.name == thing.name}
        color = pick(rng, [c for c in COLORS if c not in used])
    return f"The {thing.name} is {color}"


@dataclass(frozen=True)
class PairClaim:
    """A sentence about a left and a right picture."""

    text: str
    holds: Callable[[Scene, Scene], bool]


def pair_claim(rng: np.random.Generator) -> PairClaim:
    """Any sentence about two pictures, mostly about a colour; the caller sees where it holds.

    Colours are what a small model grounds within minutes; names of shapes take it longer.
    """
    what = pick(
        rng,
        [Description(color=c) for c in COLORS] * 2
        + [Description(name=s) for s in SHAPES]
        + [Description(kind=k) for k in ("digit", "shape")],
    )
    return pick(rng, (_on_one_side, _both, _either, _more))(rng, what)


def _on_one_side(rng: np.random.Generator, what: Description) -> PairClaim:
    side = int(rng.integers(2))
    text = f"There is {with_article(what.noun())} in the {('left', 'right')[side]} picture"
    return PairClaim(text, lambda *pair: what.count(pair[side]) > 0)


def _both(rng: np.random.Generator, what: Description) -> PairClaim:
    text = f"There is {with_article(what.noun())} in both pictures"
    return PairClaim(text, lambda a, b: what.count(a) > 0 and what.count(b) > 0)


def _either(rng: np.random.Generator, what: Description) -> PairClaim:
    text = f"There is {with_article(what.noun())} in at least one picture"
    return PairClaim(text, lambda a, b: what.count(a) + what.count(b) > 0)


def _more(rng: np.random.Generator, what: Description) -> PairClaim:
    side = int(rng.integers(2))
    text = f"There are more {what.noun(2)} in the {('left', 'right')[side]} picture"
    return PairClaim(text, lambda *pair: what.count(pair[side]) > what.count(pair[1 - side]))
