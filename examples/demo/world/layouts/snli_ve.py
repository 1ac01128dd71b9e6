"""SNLI-VE: snli_ve_{train,dev,test}.jsonl over the Flickr30K pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from examples.demo.world.claims import contradicted, entailed, undecided
from examples.demo.world.layouts.common import Picture, write_json_lines
from examples.demo.world.layouts.flickr30k import flickr_captions
from examples.demo.world.scene import Scene, pick, rng_of

LABELS: dict[str, Callable[[np.random.Generator, Scene], str]] = {
    "entailment": entailed,
    "neutral": undecided,
    "contradiction": contradicted,
}
_SPLITS = {"train": "train", "val": "dev", "test": "test"}
ROUNDS = 2  # hypotheses of each label a picture


def write_snli_ve(root: Path, seed: int, pictures: list[Picture]) -> None:
    for hands, split in _SPLITS.items():
        chosen = (p for p in pictures if p.scene.hands == hands)
        records = (r for picture in chosen for r in _records(seed, picture))
        write_json_lines(root / f"snli_ve_{split}.jsonl", records)


def _records(seed: int, picture: Picture) -> Iterator[dict[str, Any]]:
    rng = rng_of(seed, "snli_ve", picture.image_id)
    premises = flickr_captions(seed, picture)
    for label, make in LABELS.items():
        for turn in range(ROUNDS):
            caption = int(rng.integers(len(premises)))
            caption_id = f"{picture.image_id}.jpg#{caption}"
            premise, hypothesis = premises[caption], make(rng, picture.scene)
            yield {
                "Flickr30K_ID": str(picture.image_id),
                "annotator_labels": _votes(rng, label),
                "captionID": caption_id,
                "gold_label": label,
                "pairID": f"{caption_id}r{turn}{label[0]}",
                "sentence1": premise,
                "sentence1_binary_parse": _binary_parse(premise),
                "sentence1_parse": _parse(premise),
                "sentence2": hypothesis,
                "sentence2_binary_parse": _binary_parse(hypothesis),
                "sentence2_parse": _parse(hypothesis),
            }


def _votes(rng: np.random.Generator, label: str) -> list[str]:
    """One author's label, or five people's, of whom one may differ."""
    if rng.random() < 0.9:
        return [label]
    return [label] * 4 + [pick(rng, tuple(LABELS))]


def _words(sentence: str) -> list[str]:
    return sentence.replace(",", " ,").replace(".", " .").split()


def _binary_parse(sentence: str) -> str:
    """A right-branching tree: the official field, without a parser's knowledge."""
    words = _words(sentence)
    return " ".join(f"( {word}" for word in words[:-1]) + f" {words[-1]}" + " )" * (len(words) - 1)


def _parse(sentence: str) -> str:
    """A flat tree of words."""
    return f"(ROOT (S {' '.join(f'(X {word})' for word in _words(sentence))}))"
