"""Pairs ranked again by image-text matching, beside a plain loop over the queries.

The model has the proportions of ManagerTower's base at a third of its width: six managed layers,
six cross-modal layers, captions of COCO's lengths, five an image. Weights are random, so the lists
of candidates are drawn as a trained model would make them: texts and images of a pair are alike,
and k is the share of the gallery that the paper ranks again on Flickr30K.

Ranking leaves oneDNN's products out, which keep memory for every new shape; so does the loop. In
the second line it takes them, where they are faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from benchmarks.small_model import VOCABULARY, small_model
from mt_fairseq.evaluation.pair_scores import TowerScorer
from mt_fairseq.evaluation.ranking import Shortlist, Side, rerank, shortlist
from mt_fairseq.kernels import products_of_many_shapes
from mt_fairseq.modules.matching import MATCH
from mt_fairseq.modules.outputs import ImageStates, TextStates

WIDTH, LAYERS, IMAGE_SIZE = 256, 6, 224
IMAGES, CAPTIONS = 16, 5
TOPK = 2  # of 16 images: an eighth, as 128 of Flickr30K's 1,000
BATCH = 16
TARGET = 1.5
OURS = "blocks of images, both directions"
PEER = "a loop over queries"
ONEDNN = "the same loop over oneDNN's products"

Way = Callable[[Shortlist, Shortlist], None]


@register_benchmark("retrieval", "pairs ranked again a second, and that the results are equal")
def retrieval(args: argparse.Namespace) -> list[Result]:
    """Rates of all over the same lists; raises AssertionError if their scores differ."""
    world = make_world()
    loop = Loop(world)
    ways: dict[str, Way] = {
        OURS: blocks(world),
        PEER: products_of_many_shapes()(loop.run),
        ONEDNN: loop.run,
    }
    runs: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(args.rounds):
        lists = {label: world.lists() for label in ways}
        for label, way in ways.items():
            runs[label].append(rate(way, lists[label]))
        for label in (PEER, ONEDNN):
            for ours, theirs in zip(lists[OURS], lists[label], strict=True):
                torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-5, atol=1e-5)
                assert torch.equal(ours.ranks(), theirs.ranks())
    return [
        Result("retrieval", "pairs a second", OURS, PEER, TARGET, runs),
        Result("retrieval.onednn", "pairs a second", OURS, ONEDNN, TARGET, runs),
    ]


def rate(way: Way, lists: tuple[Shortlist, Shortlist]) -> float:
    """Pairs of both lists a second."""
    start = time.perf_counter()
    way(*lists)
    return sum(own.items.numel() for own in lists) / (time.perf_counter() - start)


@dataclass
class World:
    """A model, and what it is to rank."""

    model: Any
    texts: list[Tensor]
    images: list[Tensor]
    sides: tuple[Side, Side]

    def lists(self) -> tuple[Shortlist, Shortlist]:
        """Images for every text, texts for every image; the same every time."""
        texts, images = self.sides
        return (
            shortlist(texts, images, TOPK, torch.arange(len(texts))),
            shortlist(images, texts, TOPK, torch.arange(len(images))),
        )


def make_world() -> World:
    """Everything random, from one seed."""
    torch.manual_seed(0)
    heads = {"itm": 2, "itc": WIDTH}
    model = small_model(
        WIDTH, IMAGE_SIZE, heads, LAYERS,
        num_managed_layers=LAYERS, num_cross_modal_layers=LAYERS,
    ).eval()  # fmt: skip
    count = CAPTIONS * IMAGES
    lengths = (torch.randn(count) * 2.5 + 11).round().clamp(5, 30).int().sort().values
    texts = [F.pad(torch.randint(5, VOCABULARY, (n,)), (1, 0)) for n in lengths.tolist()]
    images = torch.randint(0, 256, (IMAGES, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8)
    owners = torch.randperm(count) % IMAGES
    meanings = torch.randn(IMAGES, 16)
    text_features = F.normalize(meanings[owners] + 0.5 * torch.randn(count, 16), dim=-1)
    image_features = F.normalize(meanings + 0.5 * torch.randn(IMAGES, 16), dim=-1)
    numbers = torch.arange(IMAGES)
    sides = Side(text_features, torch.arange(count), owners), Side(image_features, numbers, numbers)
    return World(model, texts, list(images), sides)


def blocks(world: World) -> Way:
    """Ours, with all states in memory."""
    scorer = TowerScorer(world.model, world.texts, world.images, 10**10, BATCH)  # type: ignore[arg-type]
    scorer.features(lambda items: None)
    rows = torch.arange(len(world.texts))
    return lambda image_lists, text_lists: rerank(scorer, image_lists, text_lists, rows)


class Loop:
    """The plain way: layers of both encoders are kept; a query's candidates are projected, made
    into experts and fused with it, batch by batch, query after query.
    """

    @torch.no_grad()
    def __init__(self, world: World) -> None:
        self.model = world.model
        self.network = world.model.network
        network = self.network
        self.texts = [
            [x[0] for x in network.text_encoder(text[None], network.num_text_layers)[0]]
            for text in world.texts
        ]
        self.images = network.vision_encoder(torch.stack(world.images), network.num_image_layers)

    @torch.no_grad()
    def run(self, image_lists: Shortlist, text_lists: Shortlist) -> None:
        """Put match scores into both lists."""
        for row, text in enumerate(image_lists.queries.tolist()):
            scores = [
                self.match([text], images.tolist())
                for images in image_lists.items[row].split(BATCH)
            ]
            image_lists.scores[row] = torch.cat(scores)
        for row, image in enumerate(text_lists.queries.tolist()):
            scores = [
                self.match(texts.tolist(), [image]) for texts in text_lists.items[row].split(BATCH)
            ]
            text_lists.scores[row] = torch.cat(scores)

    def match(self, texts: list[int], images: list[int]) -> Tensor:
        """Logits of "match"; the one query goes with all of its candidates."""
        text, image = self.text_states(texts), self.image_states(images)
        zeros = torch.zeros(max(len(texts), len(images)), dtype=torch.long)
        if len(texts) < len(zeros):
            text = text.select(zeros)
        if len(images) < len(zeros):
            image = image.select(zeros)
        pooled = self.network.pool(self.network.fuse(text, image))
        return self.model.heads["itm"](pooled)[:, MATCH]

    def text_states(self, texts: list[int]) -> TextStates:
        """Project and embed texts, padded to the longest of them."""
        layers = [
            pad_sequence([self.texts[i][level] for i in texts], batch_first=True)
            for level in range(self.network.num_text_layers)
        ]
        lengths = torch.tensor([len(self.texts[i][0]) for i in texts])
        mask = torch.arange(layers[0].shape[1]) < lengths[:, None]
        experts = self.network.text_input.experts(layers, self.network.token_types.weight[0])
        return TextStates(experts, layers[-1], mask)

    def image_states(self, images: list[int]) -> ImageStates:
        """Project and embed images."""
        layers = [layer[images] for layer in self.images]
        experts = self.network.image_input.experts(layers, self.network.token_types.weight[1])
        return ImageStates(experts, layers[-1])
