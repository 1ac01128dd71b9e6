"""Captions: true sentences about a scene, in several ways, some saying more than others."""

from __future__ import annotations

import numpy as np

from examples.demo.world.facts import Description, exactly, place, relations_of, with_article
from examples.demo.world.scene import Scene, Thing, pick

CAPTIONS_PER_IMAGE = 5
_OPENINGS = ("", "", "There is ", "A picture of ", "This picture shows ", "I see ", "Look at ")
_ENDINGS = ("", "", " in the picture", " here", " on a dark background")


def captions(rng: np.random.Generator, scene: Scene) -> list[str]:
    """CAPTIONS_PER_IMAGE different captions; most mention everything, each at least one thing."""
    makers = (_everything, _everything, _placed, _related, _counted)
    said: dict[str, None] = {}
    while len(said) < CAPTIONS_PER_IMAGE:
        said.setdefault(_sentence(pick(rng, makers)(rng, scene)))
    return list(said)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _phrase(thing: Thing) -> str:
    return with_article(exactly(thing).noun())


def _join(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _everything(rng: np.random.Generator, scene: Scene) -> str:
    order = [scene.things[int(i)] for i in rng.permutation(len(scene.things))]
    return pick(rng, _OPENINGS) + _join([_phrase(t) for t in order]) + pick(rng, _ENDINGS)


def _placed(rng: np.random.Generator, scene: Scene) -> str:
    placed = [(t, place(t)) for t in scene.things if place(t)]
    if not placed:
        return _everything(rng, scene)
    thing, where = pick(rng, placed)
    if rng.random() < 0.5:
        return f"{pick(rng, _OPENINGS)}{_phrase(thing)} {where}"
    return f"the {exactly(thing).noun()} is {where}"


def _related(rng: np.random.Generator, scene: Scene) -> str:
    related = relations_of(scene)
    if not related:
        return _everything(rng, scene)
    a, relation, b = pick(rng, related)
    verb = pick(rng, ("is ", "", ""))
    opening = "the " if verb else pick(rng, _OPENINGS)
    first = exactly(a).noun() if verb else _phrase(a)
    return f"{opening}{first} {verb}{relation} {_phrase(b)}"


def _counted(rng: np.random.Generator, scene: Scene) -> str:
    options = [Description(), *(Description(kind=t.kind) for t in scene.things)]
    what = pick(rng, options)
    number = what.count(scene)
    verb = "is" if number == 1 else "are"
    rest = f", {_join([_phrase(t) for t in what.of(scene)])}" if rng.random() < 0.7 else ""
    return pick(rng, ("", f"there {verb} ")) + what.counted(number) + rest
