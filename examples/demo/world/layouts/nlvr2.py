"""NLVR2: data/{train,dev,test1}.json, balanced and unbalanced subsets, and pairs of PNG files.

A set holds four pairs of pictures and two sentences; each sentence is true of two of the pairs.
Identifiers are ``split-set-pair-sentence``; the pictures of a pair are shared by its sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples.demo.world.claims import PairClaim, pair_claim
from examples.demo.world.layouts.common import Picture, write_json_lines
from examples.demo.world.scene import Scene, pick, rng_of, sample_scene

_HANDS = {"train": "train", "dev": "val", "test1": "test"}
PAIRS, SENTENCES = 4, 2
DIRECTORIES = 20  # the official training images lie in 100


@dataclass(frozen=True)
class PairSet:
    """Four pairs of scenes with the sentences asked of all of them."""

    split: str
    number: int
    directory: int
    pairs: tuple[tuple[Scene, Scene], ...]
    claims: tuple[PairClaim, ...]


def nlvr2_sets(seed: int, counts: dict[str, int]) -> list[PairSet]:
    """``counts`` sets of "train", "dev" and "test1"."""
    found = []
    for split, count in counts.items():
        for number in range(count):
            rng = rng_of(seed, "nlvr2", split, number)
            pairs = tuple(
                (sample_scene(rng, _HANDS[split]), sample_scene(rng, _HANDS[split]))
                for _ in range(PAIRS)
            )
            directory = int(rng.integers(DIRECTORIES))
            found.append(PairSet(split, number, directory, pairs, _claims(rng, pairs)))
    return found


def _claims(
    rng: np.random.Generator, pairs: tuple[tuple[Scene, Scene], ...]
) -> tuple[PairClaim, ...]:
    found: dict[str, PairClaim] = {}
    while len(found) < SENTENCES:
        claim = pair_claim(rng)
        if sum(claim.holds(*pair) for pair in pairs) == PAIRS // 2:
            found.setdefault(claim.text, claim)
    return tuple(found.values())


def nlvr2_pictures(sets: list[PairSet]) -> list[Picture]:
    """Every picture once; ``image_id`` only counts them."""
    files = [
        (f"{_folder(s)}/{s.split}-{s.number}-{p}-img{side}.png", scene)
        for s in sets
        for p, pair in enumerate(s.pairs)
        for side, scene in enumerate(pair)
    ]
    return [Picture(i, file, scene) for i, (file, scene) in enumerate(files)]


def _folder(pair_set: PairSet) -> str:
    if pair_set.split == "train":
        return f"images/train/{pair_set.directory}"
    return pair_set.split


def write_nlvr2(root: Path, seed: int, sets: list[PairSet]) -> None:
    for split in _HANDS:
        chosen = [s for s in sets if s.split == split]
        records = [r for s in chosen for r in _records(seed, s)]
        write_json_lines(root / "data" / f"{split}.json", records)
        if split == "train":
            continue
        balanced = [r for s in chosen for r in _records(seed, s) if _is_balanced(s, r)]
        known = {r["identifier"] for r in balanced}
        rest = [r for r in records if r["identifier"] not in known]
        write_json_lines(root / "data" / "balanced" / f"balanced_{split}.json", balanced)
        write_json_lines(root / "data" / "unbalanced" / f"unbalanced_{split}.json", rest)


def _is_balanced(pair_set: PairSet, record: dict[str, Any]) -> bool:
    """Whether the record's pair is true of one sentence and false of another."""
    pair = pair_set.pairs[int(record["identifier"].split("-")[2])]
    return len({claim.holds(*pair) for claim in pair_set.claims}) == 2


def _records(seed: int, pair_set: PairSet) -> list[dict[str, Any]]:
    rng = rng_of(seed, "nlvr2 records", pair_set.split, pair_set.number)
    records = []
    for sentence, claim in enumerate(pair_set.claims):
        writer = int(rng.integers(1, 200))
        for number, pair in enumerate(pair_set.pairs):
            label = str(claim.holds(*pair))
            record: dict[str, Any] = {
                "validation": {str(int(rng.integers(1, 200))): label},
                "sentence": claim.text,
                "left_url": "",
                "writer": str(writer),
                "label": label,
                "right_url": "",
                "synset": "digit",
                "query": pick(rng, ("some digits", "some shapes")),
                "identifier": f"{pair_set.split}-{pair_set.number}-{number}-{sentence}",
            }
            if pair_set.split == "train":
                record["directory"] = pair_set.directory
            else:
                judges = rng.choice(np.arange(1, 200), size=4, replace=False)
                record["extra_validations"] = {str(int(j)): label for j in judges}
            records.append(record)
    return records
