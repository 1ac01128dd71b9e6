"""Images for captions and captions for images, on pictures of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from examples.demo import commands
from examples.demo.baselines import interval
from examples.demo.commands import SPLIT
from examples.demo.demo import Demo
from examples.demo.report import Report, Row
from examples.demo.stages import Stage
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.recall import CUTS
from mt_fairseq.quiet import quiet_libraries

if TYPE_CHECKING:
    from mt_fairseq.evaluation.retrieval_items import RetrievalItems

METRIC = "mean recall"
TOPK = "16"  # captions are short: beyond the most similar, many fit a picture as well
Recalls = NDArray[np.float64]  # (queries, CUTS)


class RetrievalDemo(Demo):
    """Captions and images in Flickr30K's files; a query is right at k as recall counts it."""

    name = "retrieval"
    page = "flickr30k"
    updates = 800
    lr = 6e-4

    def stages(self) -> list[Stage]:
        places, settings = self.places, self.settings
        world = places.world(self.name)
        raw = world / "flickr30k"
        updates = settings.finetuning_updates or self.updates
        lr = settings.finetuning_lr or self.lr
        return [
            commands.world_stage(f"{self.name}-world", world, ("flickr30k",)),
            commands.data_stage(
                self.name, "flickr30k", raw, raw, places, settings, self.pretrained
            ),
            commands.finetuning_stage(
                self.name, "itc_itm", updates, lr, places, settings, self.pretrained
            ),
            self.generate(SPLIT),
            commands.shuffle_stage(self.name, places),
            self.generate("shuffled"),
        ]

    def generate(self, pictures: str) -> Stage:
        """The command that ranks, with the captions' own images or with others."""
        return commands.generate_stage(
            self.name, pictures, "recall", self.places, "--retrieval-topk", TOPK, nbest=max(CUTS)
        )

    def report(self) -> Report:
        items = self.items(SPLIT)
        own, shuffled = (self.recalls(name) for name in (SPLIT, "shuffled"))
        chance = np.array([at_random(items, query) for query in range(len(items))])
        rows = [
            _row("ManagerTower, images and texts", own, items),
            _row("the same, images shuffled", shuffled, items),
            _row("random ranking", chance, items),
        ]
        gains = [_mean_of_both(recalls - chance, items) for recalls in (own, shuffled)]
        return Report(METRIC, "captions and images", len(items), rows, gains[0], gains[1])

    def items(self, pictures: str) -> RetrievalItems:
        """Captions and images as they stand together in the data-bin that was ranked."""
        own = pictures == SPLIT
        data = self.places.data(self.name) if own else self.places.shuffled(self.name)
        quiet_libraries()
        # only here: it brings fairseq, which takes seconds and sets the log to its noisiest
        from mt_fairseq.evaluation.retrieval_items import RetrievalItems

        return RetrievalItems(DataBin(data), SPLIT)

    def recalls(self, pictures: str) -> Recalls:
        """(queries, CUTS): 1 where a right item is among a query's first k, else 0.

        Raises UserError if fairseq-generate left a query out.
        """
        items, path = self.items(pictures), self.places.answers(self.name, pictures)
        with path.open(encoding="utf-8") as lines:
            ranked = rankings(lines)
        lacking = len(items) - len(ranked)
        if lacking:
            raise UserError(f"{path}: has no ranking of {lacking} of the {len(items)} queries")
        found = np.zeros((len(items), len(CUTS)))
        for query, names in ranked.items():
            right = {items.name(item) for item in items.right(query)}
            found[query] = [not right.isdisjoint(names[:k]) for k in CUTS]
        return found


def rankings(lines: Iterable[str]) -> dict[int, list[str]]:
    """Query -> its items, the best first, from the H- lines of fairseq-generate's output."""
    found: dict[int, list[str]] = {}
    for line in lines:
        match = re.match(r"H-(\d+)\t[^\t]*\t(.*)$", line.rstrip("\n"))
        if match:
            found.setdefault(int(match[1]), []).append(match[2])
    return found


def at_random(items: RetrievalItems, query: int) -> list[float]:
    """How likely a random order has a right item among the first k, for each k of CUTS."""
    count = len(items.images) if query < items.texts else items.texts
    wrong = count - len(items.right(query))
    return [1 - comb(wrong, min(k, count)) / comb(count, min(k, count)) for k in CUTS]


def _mean_of_both(recalls: Recalls, items: RetrievalItems) -> tuple[float, float, float]:
    """The mean over k and both directions, and its bounds; an image goes with its captions."""
    values = recalls.mean(axis=1)
    directions = np.array([items.direction(query) for query in range(len(items))])
    kinds = set(directions.tolist())
    for direction in kinds:
        chosen = directions == direction
        values[chosen] *= len(items) / (len(kinds) * chosen.sum())
    groups = np.concatenate([items.image_of_text, np.arange(len(items.images))])
    return interval(values, groups.tolist())


def _row(name: str, recalls: Recalls, items: RetrievalItems) -> Row:
    texts = items.texts
    columns = {
        f"{kind} R@{k}": 100 * float(part[:, CUTS.index(k)].mean())
        for kind, part in (("images", recalls[:texts]), ("captions", recalls[texts:]))
        for k in (min(CUTS), max(CUTS))
    }
    return Row(name, *_mean_of_both(recalls, items), columns)
