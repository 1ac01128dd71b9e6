"""Flickr30K in Karpathy's layout: dataset_flickr30k.json and flickr30k-images/."""

from __future__ import annotations

from pathlib import Path

from examples.demo.world.captions import captions
from examples.demo.world.layouts.coco import karpathy_sentences
from examples.demo.world.layouts.common import Picture, write_json
from examples.demo.world.scene import rng_of, sample_scene


def flickr_pictures(seed: int, counts: dict[str, int]) -> list[Picture]:
    """Scenes of "train", "val" and "test"; ids as the numbers that Flickr gives."""
    found: list[Picture] = []
    for split, count in counts.items():
        for i in range(count):
            image_id = 1000000000 + 4099 * len(found)
            scene = sample_scene(rng_of(seed, "flickr", split, i), split)
            found.append(Picture(image_id, f"flickr30k-images/{image_id}.jpg", scene))
    return found


def flickr_captions(seed: int, picture: Picture) -> list[str]:
    """The captions of one picture; SNLI-VE takes its premises from them."""
    return captions(rng_of(seed, "flickr captions", picture.image_id), picture.scene)


def write_flickr(root: Path, seed: int, pictures: list[Picture]) -> None:
    records = []
    for number, picture in enumerate(pictures):
        texts = list(enumerate(flickr_captions(seed, picture), start=5 * number))
        records.append(
            {
                "sentids": [sentence_id for sentence_id, _ in texts],
                "imgid": number,
                "sentences": karpathy_sentences(number, texts),
                "split": picture.scene.hands,
                "filename": Path(picture.file).name,
            }
        )
    write_json(root / "dataset_flickr30k.json", {"images": records, "dataset": "flickr30k"})
