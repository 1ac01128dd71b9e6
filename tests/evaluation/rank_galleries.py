"""Rank a small gallery, then a large one, and print the peak memory after each.

``python -m tests.evaluation.rank_galleries SMALL LARGE``; in a process of its own, since a peak
never falls.
"""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.measure import peak_memory
from mt_fairseq.evaluation.pair_scores import TowerScorer
from mt_fairseq.evaluation.ranking import Side, rerank, shortlist
from mt_fairseq.evaluation.state_store import fused, nbytes
from tests.models.stand_in import VOCABULARY, StandInTask, build_small

IMAGE_SIZE = (64, 64)
CACHE = 2_000_000  # more than all texts take, less than the images of the small gallery
SHOWN = 10  # every tenth image has a text


class Noise(Dataset[Tensor]):
    """Pictures that are made when asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(index)
        return torch.randint(0, 256, (3, *IMAGE_SIZE), generator=generator, dtype=torch.uint8)


def peak() -> float:
    """Most memory so far, in MB."""
    return peak_memory() / 1e6


def encode(model, images: int, cache: int) -> tuple[TowerScorer, Side, Side]:
    """Features of a gallery with one text for ten images; states as far as they fit."""
    count = images // SHOWN
    texts = [torch.randint(4, VOCABULARY, (8,)) for _ in range(count)]
    scorer = TowerScorer(model, texts, Noise(images), cache, batch_size=50)
    text_features, image_features = scorer.features(lambda n: None)
    numbers = torch.arange(images)
    text_side = Side(text_features, numbers[:count], numbers[:count] * SHOWN)
    return scorer, text_side, Side(image_features, numbers, numbers)


def rank(model, images: int, cache: int) -> None:
    """Both stages in both directions."""
    scorer, text_side, image_side = encode(model, images, cache)
    image_lists = shortlist(text_side, image_side, 2, text_side.rows)
    text_lists = shortlist(image_side, text_side, 2, text_side.groups)
    rerank(scorer, image_lists, text_lists, text_side.rows)
    assert len(image_lists.ranks()) == len(text_lists.ranks()) == len(text_side)


def main(small: int, large: int) -> None:
    torch.manual_seed(0)
    model = build_small(StandInTask(image_size=IMAGE_SIZE, heads={"itm": 2, "itc": 8})).eval()
    with torch.no_grad():
        states = model.encode_images(Noise(1)[0][None])
    found = {"bytes an image": float(nbytes(fused(states)))}
    rank(model, small, CACHE)
    found["small"] = peak()
    rank(model, large, CACHE)
    found["large"] = peak()
    encode(model, large, 10**12)
    found["large, all kept"] = peak()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
