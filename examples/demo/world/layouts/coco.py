"""COCO captions: annotations/captions_*2014.json, Karpathy's dataset_coco.json and the images.

In Karpathy's split half of val2014 is "val" and half "test"; there is no "restval", so every
caption of a val2014 picture stays out of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from examples.demo.world.captions import captions
from examples.demo.world.layouts.common import INFO, LICENSE, Picture, tokens, write_json
from examples.demo.world.scene import SIDE, rng_of, sample_scene

KARPATHY = {"train": "train", "val": "val", "test": "test"}  # by whose handwriting


def coco_pictures(seed: int, part: str, count: int, first_id: int) -> list[Picture]:
    """Scenes of "train2014", "val2014" or "test2015", in ascending order of image id."""
    hands = {"train2014": ("train",), "val2014": ("val", "test"), "test2015": ("test",)}[part]
    found = []
    for i in range(count):
        image_id = first_id + i
        scene = sample_scene(rng_of(seed, part, i), hands[i % len(hands)])
        found.append(Picture(image_id, f"{part}/COCO_{part}_{image_id:012d}.jpg", scene))
    return found


def image_record(picture: Picture) -> dict[str, Any]:
    """One record of "images" in a COCO annotation file."""
    name = Path(picture.file).name
    return {
        "license": LICENSE["id"],
        "file_name": name,
        "coco_url": "",
        "height": SIDE,
        "width": SIDE,
        "date_captured": INFO["date_created"],
        "flickr_url": "",
        "id": picture.image_id,
    }


def write_captions(root: Path, seed: int, parts: dict[str, list[Picture]]) -> None:
    """annotations/ and karpathy/ for the parts that have captions (train2014, val2014)."""
    karpathy: list[dict[str, Any]] = []
    sentence_id = 0
    for part in ("train2014", "val2014"):
        annotations = []
        for picture in parts[part]:
            rng = rng_of(seed, "captions", part, picture.image_id)
            sentences = [
                {"image_id": picture.image_id, "id": sentence_id + i, "caption": text}
                for i, text in enumerate(captions(rng, picture.scene))
            ]
            sentence_id += len(sentences)
            annotations += sentences
            karpathy.append(_karpathy_record(picture, part, len(karpathy), sentences))
        content = {
            "info": INFO,
            "images": [image_record(p) for p in parts[part]],
            "licenses": [LICENSE],
            "annotations": annotations,
        }
        write_json(root / "annotations" / f"captions_{part}.json", content)
    write_json(root / "karpathy" / "dataset_coco.json", {"images": karpathy, "dataset": "coco"})


def _karpathy_record(
    picture: Picture, part: str, number: int, sentences: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "filepath": part,
        "sentids": [s["id"] for s in sentences],
        "filename": Path(picture.file).name,
        "imgid": number,
        "split": KARPATHY[picture.scene.hands],
        "sentences": karpathy_sentences(number, [(s["id"], s["caption"]) for s in sentences]),
        "cocoid": picture.image_id,
    }


def karpathy_sentences(number: int, texts: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """ "sentences" of one picture in Karpathy's files, from (sentid, caption)."""
    return [
        {"tokens": tokens(text), "raw": text, "imgid": number, "sentid": sentence_id}
        for sentence_id, text in texts
    ]
