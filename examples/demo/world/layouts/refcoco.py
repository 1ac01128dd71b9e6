"""RefCOCO and RefCOCO+: refs(unc).p and instances.json over pictures of train2014.

As in the original, expressions of RefCOCO+ use no places; testA asks for one kind of target
(people there, digits here) and testB for the others. ``dets.json`` holds proposals, a list of
[x, y, width, height] for each image id: each thing's box, slightly off, among boxes of nothing.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from examples.demo.world.facts import SIDES, Description, at_side, exactly, holds, relations_of
from examples.demo.world.layouts.coco import image_record
from examples.demo.world.layouts.common import INFO, LICENSE, Picture, tokens, write_json
from examples.demo.world.scene import NAMES, SIDE, Scene, Thing, rng_of, sample_scene

_HANDS = {"train": "train", "val": "val", "testA": "test", "testB": "test"}
EXPRESSIONS = 3  # at most, a thing


def ref_pictures(seed: int, counts: dict[str, int], first_id: int) -> dict[str, list[Picture]]:
    """Scenes of two or three things for each split; all lie in train2014, as the original's."""
    found: dict[str, list[Picture]] = {}
    for split, count in counts.items():
        found[split] = []
        for i in range(count):
            rng = rng_of(seed, "refcoco", split, i)
            scene = sample_scene(rng, _HANDS[split], count=int(rng.integers(2, 4)))
            file = f"train2014/COCO_train2014_{first_id:012d}.jpg"
            found[split].append(Picture(first_id, file, scene))
            first_id += 1
    return found


def write_ref(root: Path, seed: int, splits: dict[str, list[Picture]], places: bool) -> None:
    """One dataset folder; ``places`` allows "left of" and the like (RefCOCO, not RefCOCO+)."""
    refs: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    proposals: dict[str, list[list[int]]] = {}
    sentence_id = 0
    for split, pictures in splits.items():
        for picture in pictures:
            rng = rng_of(seed, "expressions", str(places), picture.image_id)
            proposals[str(picture.image_id)] = _proposals(rng, picture.scene)
            for thing in picture.scene.things:
                annotations.append(_annotation(picture, thing, len(annotations) + 1))
                if split.startswith("test") and (thing.kind == "digit") != (split == "testA"):
                    continue
                texts = expressions(rng, picture.scene, thing, places)
                ids = list(range(sentence_id, sentence_id + len(texts)))
                sentence_id += len(texts)
                refs.append(_ref(picture, annotations[-1], len(refs), split, ids, texts))
    instances = {
        "info": INFO,
        "licenses": [LICENSE],
        "images": [image_record(p) for pictures in splits.values() for p in pictures],
        "annotations": annotations,
        "categories": [
            {"supercategory": "digit" if n.isdigit() else "shape", "id": i, "name": n}
            for i, n in enumerate(NAMES, start=1)
        ],
    }
    write_json(root / "instances.json", instances)
    write_json(root / "dets.json", proposals)
    (root / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))


def expressions(rng: np.random.Generator, scene: Scene, thing: Thing, places: bool) -> list[str]:
    """Up to EXPRESSIONS ways to say which thing is meant; each fits no other thing."""
    loose = [Description(color=thing.color), Description(name=thing.name)]
    options = [exactly(thing).noun(), f"the {exactly(thing).noun()}"]
    options += [d.noun() for d in loose if d.of(scene) == [thing]]
    if places:
        options += [f"{s} object" for s in SIDES if at_side(scene, s) is thing]
        options += [
            f"{thing.kind} {relation} the {exactly(b).noun()}"
            for a, relation, b in relations_of(scene)
            if a is thing and _alone(scene, thing, relation, b)
        ]
    order = rng.permutation(len(options))[:EXPRESSIONS]
    return [options[int(i)] for i in order]


def _alone(scene: Scene, thing: Thing, relation: str, other: Thing) -> bool:
    """Whether no second thing of its kind could be meant, even by a generous reader."""
    rivals = [t for t in scene.things if t.kind == thing.kind and t is not thing and t is not other]
    return not rivals or all(holds(relation, other, rival) for rival in rivals)


def _annotation(picture: Picture, thing: Thing, number: int) -> dict[str, Any]:
    x, y, width, height = thing.box
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    return {
        "segmentation": [[float(c) for c in corners]],
        "area": float(width * height),
        "iscrowd": 0,
        "image_id": picture.image_id,
        "bbox": [float(v) for v in thing.box],
        "category_id": NAMES.index(thing.name) + 1,
        "id": number,
    }


def _ref(
    picture: Picture,
    annotation: dict[str, Any],
    ref_id: int,
    split: str,
    ids: list[int],
    texts: list[str],
) -> dict[str, Any]:
    return {
        "sent_ids": ids,
        "file_name": f"{Path(picture.file).stem}_{annotation['id']}.jpg",
        "ann_id": annotation["id"],
        "ref_id": ref_id,
        "image_id": picture.image_id,
        "split": split,
        "sentences": [
            {"tokens": tokens(text), "raw": text, "sent_id": i, "sent": " ".join(tokens(text))}
            for i, text in zip(ids, texts, strict=True)
        ],
        "category_id": annotation["category_id"],
    }


def _proposals(rng: np.random.Generator, scene: Scene) -> list[list[int]]:
    """Boxes as a detector might give them, in random order."""
    boxes = []
    for x, y, width, height in (t.box for t in scene.things):
        dx, dy = (int(v) for v in rng.integers(-2, 3, size=2))
        boxes.append([min(max(x + dx, 0), SIDE - width), min(max(y + dy, 0), SIDE - height)])
        boxes[-1] += [width, height]
    for _ in range(3):
        side = int(rng.integers(14, 30))
        boxes.append([*(int(v) for v in rng.integers(0, SIDE - side, size=2)), side, side])
    return [boxes[int(i)] for i in rng.permutation(len(boxes))]
