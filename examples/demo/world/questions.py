"""Questions with answers, drawn so that the words alone do not decide.

A family's answer is drawn before its words where that is possible: half of the "is there" and
"is the ... above ..." questions are true of their picture, and colours are uniform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from examples.demo.world.facts import (
    SIDES,
    Description,
    at_side,
    exactly,
    opposite,
    relations_of,
    with_article,
)
from examples.demo.world.scene import COLORS, DIGITS, SHAPES, Scene, pick


@dataclass(frozen=True)
class Question:
    """A question of one scene; ``question_type`` is one of the official 65."""

    text: str
    answer: str
    question_type: str
    answer_type: str  # "yes/no", "number" or "other"


Maker = Callable[[np.random.Generator, Scene], Question | None]


def questions(rng: np.random.Generator, scene: Scene, number: int) -> list[Question]:
    """``number`` different questions about the scene, families mixed by their weights."""
    asked: dict[str, Question] = {}
    weights = np.asarray([w for _, w in FAMILIES])
    while len(asked) < number:
        maker = FAMILIES[int(rng.choice(len(FAMILIES), p=weights / weights.sum()))][0]
        question = maker(rng, scene)
        if question is not None:
            asked.setdefault(question.text, question)
    return list(asked.values())


def absent(rng: np.random.Generator, scene: Scene, form: str) -> Description:
    """A description of the form that fits nothing in the scene, often nearly something."""
    while True:
        thing = pick(rng, scene.things)
        color = pick(rng, tuple(COLORS))
        name = pick(rng, pick(rng, (DIGITS, SHAPES)))
        if form == "color name" and rng.random() < 0.7:
            color, name = (thing.color, name) if rng.random() < 0.5 else (color, thing.name)
        what = describe(form, color, name)
        if not what.count(scene):
            return what


def describe(form: str, color: str, name: str) -> Description:
    """What of a colour and a name the form tells: "color", "name", "color kind" or "color name"."""
    kind = "digit" if name in DIGITS else "shape"
    return Description(
        color=color if "color" in form else None,
        name=name if "name" in form else None,
        kind=kind if "kind" in form else None,
    )


def _exists(rng: np.random.Generator, scene: Scene) -> Question:
    form = pick(rng, ("name", "color", "color kind", "color name"))
    truth = bool(rng.integers(2))
    thing = pick(rng, scene.things)
    what = describe(form, thing.color, thing.name) if truth else absent(rng, scene, form)
    tail = pick(rng, ("", " in the picture", " here"))
    text = f"Is there {with_article(what.noun())}{tail}?"
    return Question(text, "yes" if truth else "no", "is there a", "yes/no")


def _how_many(rng: np.random.Generator, scene: Scene) -> Question:
    form = pick(rng, ("", "kind", "color"))
    thing = pick(rng, scene.things)
    there = bool(rng.integers(2))
    if form == "color" and not there:
        what = absent(rng, scene, form)
    elif form == "kind":
        what = Description(kind=pick(rng, ("digit", "shape")))
    else:
        what = describe(form, thing.color, thing.name)
    tail = pick(rng, ("are there", "are in the picture", "do you see"))
    answer = str(what.count(scene))
    return Question(f"How many {what.noun(2)} {tail}?", answer, "how many", "number")


def _color(rng: np.random.Generator, scene: Scene) -> Question | None:
    thing = pick(rng, scene.things)
    side = pick(rng, SIDES)
    if rng.random() < 0.3:
        extreme = at_side(scene, side)
        where = f"on the {side}" if side in ("left", "right") else f"at the {side}"
        noun = f"object {where}"
        thing = extreme or thing
    else:
        form = pick(rng, ("name", "kind"))
        what = describe(form, thing.color, thing.name)
        extreme = thing if what.count(scene) == 1 else None
        noun = what.noun()
    if extreme is None:
        return None
    if rng.random() < 0.7:
        return Question(f"What color is the {noun}?", thing.color, "what color is the", "other")
    text = f"What is the color of the {noun}?"
    return Question(text, thing.color, "what is the color of the", "other")


def _which_digit(rng: np.random.Generator, scene: Scene) -> Question | None:
    thing = pick(rng, scene.things)
    what = Description(kind="digit", color=pick(rng, (None, thing.color)))
    if what.count(scene) != 1:
        return None
    answer = what.of(scene)[0].name
    if what.color is None and rng.random() < 0.5:
        return Question("What number is in the picture?", answer, "what number is", "number")
    return Question(f"What number is the {what.noun()}?", answer, "what number is", "number")


def _which_shape(rng: np.random.Generator, scene: Scene) -> Question | None:
    thing = pick(rng, scene.things)
    by = pick(rng, (Description(color=thing.color), Description(kind="shape")))
    if by.count(scene) != 1 or by.of(scene)[0].kind != "shape":
        return None
    text = f"What shape is the {by.noun()}?" if by.color else "What shape do you see?"
    return Question(text, by.of(scene)[0].name, "what", "other")


def _related(rng: np.random.Generator, scene: Scene) -> Question | None:
    related = relations_of(scene)
    if not related:
        return None
    a, relation, b = pick(rng, related)
    truth = bool(rng.integers(2))
    # the wrong relation or the wrong order: both leave each word as likely in "yes" as in "no"
    if not truth and rng.random() < 0.5:
        relation = opposite(relation)
    elif not truth:
        a, b = b, a
    text = f"Is the {exactly(a).noun()} {relation} the {exactly(b).noun()}?"
    return Question(text, "yes" if truth else "no", "is the", "yes/no")


FAMILIES: tuple[tuple[Maker, float], ...] = (
    (_exists, 0.20),
    (_how_many, 0.26),
    (_color, 0.34),
    (_which_digit, 0.05),
    (_which_shape, 0.10),
    (_related, 0.05),
)
