"""The generated world: true labels, held-out handwriting, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from examples.demo.world.facts import RELATIONS, Description, holds
from examples.demo.world.handwriting import BOUNDS, scans, scans_of
from examples.demo.world.scene import COLORS, SHAPES, SIDE, Scene, Thing, rng_of, sample_scene
from examples.demo.world.write import WorldConfig, write_world
from mt_fairseq.errors import UserError
from tests.demo.conftest import SMALL

KINDS = {"digit", "shape"}
YES_NO = {True: "yes", False: "no"}


def scenes_by_file(world: Path) -> dict[str, Scene]:
    lines = (world / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    found = {}
    for record in map(json.loads, lines):
        things = tuple(Thing(**{**t, "tint": tuple(t["tint"])}) for t in record.pop("things"))
        found[record.pop("file")] = Scene(
            record["hands"], things, tuple(record["ground"]), tuple(record["slope"]),
            record["grain"], record["noise_seed"],
        )  # fmt: skip
    return found


def describe(noun: str) -> Description:
    """The description that a noun phrase of the questions means, read from its words."""
    words = [w.rstrip("s") if w not in COLORS else w for w in noun.split() if w not in ("a", "an")]
    color = next((w for w in words if w in COLORS), None)
    kind = next((w for w in words if w in KINDS), None)
    name = next((w for w in words if w in SHAPES or w.isdigit()), None)
    return Description(color=color, name=name, kind=kind)


def answer_again(text: str, scene: Scene) -> str:
    """The answer to a question, worked out from its words and the scene alone."""
    if found := re.match(r"Is there (an? .+?)( in the picture| here)?\?", text):
        return YES_NO[describe(found[1]).count(scene) > 0]
    if found := re.match(r"How many (.+?) (are|do) ", text):
        return str(describe(found[1]).count(scene))
    if found := re.match(rf"Is the (.+?) ({'|'.join(RELATIONS)}) the (.+)\?", text):
        a, b = (describe(found[i]).of(scene) for i in (1, 3))
        assert len(a) == len(b) == 1
        return YES_NO[holds(found[2], a[0], b[0])]
    if found := re.search(r"color (?:is|of) the object (?:on|at) the (\w+)\?", text):
        key = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}[found[1]]
        return min(scene.things, key=lambda t: key[1] * t.center[key[0]]).color
    if found := re.search(r"color (?:is|of) the (.+)\?", text):
        (thing,) = describe(found[1]).of(scene)
        return thing.color
    if found := re.match(r"What number is (?:the (.+)|in the picture)\?", text):
        (thing,) = describe(found[1] or "digit").of(scene)
        return thing.name
    if found := re.match(r"What shape (?:is the (.+)|do you see)\?", text):
        (thing,) = describe(found[1] or "shape").of(scene)
        return thing.name
    raise AssertionError(f"no way to answer {text!r}")


def test_hands_are_disjoint_and_cover_every_digit() -> None:
    groups = {h: {i for d in range(10) for i in scans_of(h, d)} for h in BOUNDS}
    assert not groups["train"] & (groups["val"] | groups["test"])
    assert not groups["val"] & groups["test"]
    assert sum(map(len, groups.values())) == len(scans()[0]) == 1797
    assert all(len(scans_of(h, d)) > 20 for h in BOUNDS for d in range(10))


def test_each_hand_begins_with_the_list_of_digits() -> None:
    """The bounds lie between people: each wrote 0 to 9, twice, before anything else."""
    digits = scans()[1]
    for first, _ in BOUNDS.values():
        assert list(digits[first : first + 20]) == [*range(10), *range(10)]


@pytest.mark.parametrize("hands", ["train", "val", "test"])
def test_scene_uses_its_own_hands_and_nothing_touches(hands: str) -> None:
    first, last = BOUNDS[hands]
    for i in range(200):
        scene = sample_scene(rng_of(5, hands, i), hands)
        assert 1 <= len(scene.things) <= 3
        assert len({(t.color, t.name) for t in scene.things}) == len(scene.things)
        for thing in scene.things:
            x, y, w, h = thing.box
            assert x >= 0 and y >= 0 and x + w <= SIDE and y + h <= SIDE
            assert (thing.scan is None) == (thing.kind == "shape")
            assert thing.scan is None or (
                first <= thing.scan < last and scans()[1][thing.scan] == int(thing.name)
            )
        boxes = [t.box for t in scene.things]
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0]
                assert apart or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]


def test_no_held_out_handwriting_in_training_pictures(world: Path) -> None:
    used: dict[str, set[int]] = {"train": set(), "held out": set()}
    for file, scene in scenes_by_file(world).items():
        in_training = scene.hands == "train"
        if file.startswith(("coco/val2014", "coco/test2015")):
            assert not in_training
        used["train" if in_training else "held out"] |= {
            t.scan for t in scene.things if t.scan is not None
        }
    assert used["train"] and used["held out"] and not used["train"] & used["held out"]


@pytest.mark.parametrize("part", ["train2014", "val2014", "test2015"])
def test_answers_are_true(world: Path, part: str) -> None:
    scenes = scenes_by_file(world)
    folder = world / ("vqav2_test_answers" if part == "test2015" else "vqav2")
    asked = json.loads((world / "vqav2" / f"v2_OpenEnded_mscoco_{part}_questions.json").read_text())
    answered = json.loads((folder / f"v2_mscoco_{part}_annotations.json").read_text())
    for question, annotation in zip(asked["questions"], answered["annotations"], strict=True):
        scene = scenes[f"coco/{part}/COCO_{part}_{question['image_id']:012d}.jpg"]
        truth = answer_again(question["question"], scene)
        assert annotation["multiple_choice_answer"] == truth, question["question"]
        assert sum(a["answer"] == truth for a in annotation["answers"]) >= 7


def test_captions_name_what_is_there(world: Path) -> None:
    """Every colour and name that a caption couples belongs to one thing of its scene."""
    scenes = scenes_by_file(world)
    content = json.loads((world / "coco" / "annotations" / "captions_train2014.json").read_text())
    coupled = 0
    for annotation in content["annotations"]:
        file = f"coco/train2014/COCO_train2014_{annotation['image_id']:012d}.jpg"
        things = {(t.color, t.name) for t in scenes[file].things}
        names = "|".join((*SHAPES, r"\d"))
        said = re.findall(rf"\b({'|'.join(COLORS)}) ({names})\b", annotation["caption"])
        assert set(said) <= things, annotation["caption"]
        coupled += len(said)
    assert coupled > len(content["annotations"])


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes())
    return total.hexdigest()


def test_same_seed_same_bytes(world: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    assert write_world(again, SMALL, lambda *_: None)
    assert digest(again) == digest(world)
    assert not write_world(again, SMALL, lambda *_: None), "the same world is not written twice"
    assert write_world(other, WorldConfig(2, 4, 2, 3), lambda *_: None)
    assert digest(other) != digest(world)


def test_refuses_other_folders_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        write_world(tmp_path, SMALL, lambda *_: None)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match="--train 0"):
        write_world(tmp_path / "x", WorldConfig(train=0), lambda *_: None)
    with pytest.raises(UserError, match="imagenet unknown"):
        write_world(tmp_path / "x", WorldConfig(datasets=("imagenet",)), lambda *_: None)
