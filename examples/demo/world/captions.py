"""Captions: true sentences about a scene, in several ways, some saying more than others."""

from __future__ import annotations

import re

import numpy as np

from examples.demo.world.facts import Description, exactly, place, relations_of, with_article
from examples.demo.world.scene import Scene, Thing, pick

CAPTIONS_PER_IMAGE = 5
MOST_WORDS = 12  # longer ones are drawn again: batches are padded to their longest text
_OPENINGS = (
    *("",) * 6,
    "There is ",
    "A picture of ",
    "This picture shows ",
    "I see ",
    "What is in the picture? ",
    "What do you see here? ",
)
_ENDINGS = (*("",) * 6, " in the picture", " here", " on a dark background")


def captions(rng: np.random.Generator, scene: Scene) -> list[str]:
    """CAPTIONS_PER_IMAGE different captions; most mention everything, each at least one thing."""
    makers = (_everything, _everything, _everything, _placed, _related, _counted, _colored)
    said: dict[str, None] = {}
    while len(said) < CAPTIONS_PER_IMAGE:
        text = _sentence(pick(rng, makers)(rng, scene))
        if len(text.split()) <= MOST_WORDS:
            said.setdefault(text)
    return list(said)


def _sentence(text: str) -> str:
    return re.sub(r"(^|\? )([a-z])", lambda m: m[1] + m[2].upper(), text)


def _phrase(thing: Thing) -> str:
    return with_article(exactly(thing).noun())


def _join(phrases: list[str]) -> str:
    # "and" throughout: a comma behind a digit would become one token with it
    return " and ".join(phrases)


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
    opening = pick(rng, ("", f"there {verb} ", f"how many {what.noun(2)} are there? "))
    rest = f", {_join([_phrase(t) for t in what.of(scene)])}" if rng.random() < 0.7 else ""
    return opening + what.counted(number) + rest


def _colored(rng: np.random.Generator, scene: Scene) -> str:
    """Colour and name of what its kind, its name or its colour alone makes clear."""
    thing = pick(rng, scene.things)
    clear = {
        form: Description(**{form: getattr(thing, form)}).count(scene) == 1
        for form in ("kind", "name", "color")
    }
    options = []
    if clear["name"]:
        options.append(f"the color of the {thing.name} is {thing.color}")
    if clear["kind"]:
        noun = "number" if thing.kind == "digit" else "shape"
        options += [f"the {noun} is {_phrase(thing)}", f"the {thing.kind} is {thing.color}"]
    if clear["color"]:
        options.append(f"the {thing.color} object is {with_article(thing.name)}")
    return pick(rng, options) if options else _everything(rng, scene)
