"""Statements of SNLI-VE and NLVR2, read again by another way than the one that made them."""

from __future__ import annotations

import re

import pytest

from examples.demo.world.claims import contradicted, entailed, pair_claim, undecided
from examples.demo.world.facts import NUMBER_WORDS
from examples.demo.world.scene import COLORS, DIGITS, Scene, rng_of, sample_scene

DRAWS = 150


def count(scene: Scene, phrase: str) -> int:
    """How many things a phrase such as "red digits" or "3" fits."""
    *colour, noun = phrase.split()
    noun = noun if noun in DIGITS else noun.removesuffix("s")
    return sum(
        (not colour or thing.color == colour[0])
        and noun in ("object", thing.name, thing.kind)
        for thing in scene.things
    )  # fmt: skip


def holds(scene: Scene, text: str) -> bool | None:
    """Whether a statement is true of a scene; None for one that no picture settles."""
    if found := re.fullmatch(r"(?:There is|This picture shows|I see) an? (.+?)", text):
        return count(scene, found[1]) > 0
    numbers = "|".join(NUMBER_WORDS)
    if found := re.fullmatch(rf"There (?:is|are) ({numbers}) (.+) in the picture", text):
        return count(scene, found[2]) == NUMBER_WORDS.index(found[1])
    if found := re.fullmatch(rf"The (\w+) is ({'|'.join(COLORS)})", text):
        return count(scene, f"{found[2]} {found[1]}") > 0
    return None


@pytest.mark.parametrize(("maker", "truth"), [(entailed, True), (contradicted, False)])
def test_statements_about_one_picture(maker, truth: bool) -> None:
    kinds: dict[str, int] = {}
    for i in range(DRAWS):
        scene, rng = sample_scene(rng_of(1, "scene", i), "train"), rng_of(1, "claim", i)
        text = maker(rng, scene)
        said = holds(scene, text)
        if said is None:  # about a thing that is not there
            assert not truth
            assert count(scene, " ".join(text.split()[1:3])) == 0
        else:
            assert said is truth, (text, scene)
        kinds[text.split()[0]] = kinds.get(text.split()[0], 0) + 1
    assert min(kinds.values()) > DRAWS / 20 and len(kinds) == 4


def test_the_words_of_a_count_tell_little_of_its_truth() -> None:
    labels: dict[str, list[int]] = {}
    for i in range(4_000):
        scene, truth = sample_scene(rng_of(4, "scene", i), "train"), i % 2
        text = (contradicted, entailed)[truth](rng_of(4, "claim", i), scene)
        if text.endswith(" in the picture"):
            labels.setdefault(text, [0, 0])[truth] += 1
    counted = sum(map(sum, labels.values()))
    assert counted > 1_000
    assert sum(map(max, labels.values())) / counted < 0.6  # 0.5 for words that tell nothing


def test_what_no_picture_settles_speaks_of_a_thing_that_is_there() -> None:
    for i in range(DRAWS):
        scene = sample_scene(rng_of(2, "scene", i), "train")
        text = undecided(rng_of(2, "claim", i), scene)
        assert holds(scene, text) is None
        assert count(scene, " ".join(text.split()[1:3])) == 1


def test_statements_about_two_pictures() -> None:
    seen = set()
    for i in range(DRAWS):
        pair = tuple(sample_scene(rng_of(3, "scene", i, side), "train") for side in (0, 1))
        claim = pair_claim(rng_of(3, "claim", i))
        found = re.fullmatch(
            r"There (?:is an?|are more) (.+) in (?:the (left|right) picture|(both) pictures|"
            r"(at least one) picture)", claim.text,
        )  # fmt: skip
        assert found, claim.text
        left, right = (count(scene, found[1]) for scene in pair)
        own, other = (left, right) if found[2] == "left" else (right, left)
        truth = {
            "are": own > other,
            "is": own > 0 if found[2] else (left and right if found[3] else left or right),
        }[claim.text.split()[1]]
        assert claim.holds(*pair) == bool(truth), claim.text
        seen.add((claim.text.split()[1], found[2], found[3], found[4]))
    assert len(seen) == 6
